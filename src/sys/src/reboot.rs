//! Ends the machine. Decides neither when nor how.

use crate::raw::check;
use crate::{Errno, Result, process};
use core::ffi::CStr;
use rustix::fs::{Mode, OFlags};
use rustix::system::RebootCommand;

/// The ways a machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Start again.
    Restart,
    /// Switch off.
    PowerOff,
    /// Stop and stay on.
    Halt,
}

/// reboot(2). Does not come back where it works; in a PID namespace it ends that.
///
/// # Errors
/// EPERM unless we are process 1, and whatever the firmware says.
pub fn reboot(ending: Ending) -> Result<()> {
    only_process_1()?;
    rustix::system::reboot(match ending {
        Ending::Restart => RebootCommand::Restart,
        Ending::PowerOff => RebootCommand::PowerOff,
        Ending::Halt => RebootCommand::Halt,
    })
}

/// The longest word for the firmware, with its NUL: what reboot(2) takes.
pub const WORD_MAX: usize = 256;

/// Starts again with a word for the firmware, which what runs then may ask for (reboot(2),
/// `LINUX_REBOOT_CMD_RESTART2`). A Raspberry Pi's takes `0 tryboot`, others ignore it.
///
/// # Errors
/// As [`reboot`].
pub fn restart_with(word: &CStr) -> Result<()> {
    only_process_1()?;
    // SAFETY: the kernel reads the word, which ends with a NUL, and keeps no pointer.
    let done = unsafe {
        libc::syscall(
            libc::SYS_reboot,
            libc::LINUX_REBOOT_MAGIC1,
            libc::LINUX_REBOOT_MAGIC2,
            libc::LINUX_REBOOT_CMD_RESTART2,
            word.as_ptr(),
        )
    };
    check(done).map(drop)
}

/// Makes Ctrl-Alt-Del a signal (INT) to process 1 instead of an instant restart. Fine where
/// there is no such key: a PID namespace says EINVAL.
///
/// # Errors
/// EPERM unless we are process 1.
pub fn catch_ctrl_alt_del() -> Result<()> {
    only_process_1()?;
    match rustix::system::reboot(RebootCommand::CadOff) {
        Err(Errno::INVAL) => Ok(()),
        other => other,
    }
}

/// Restarts without the kernel's orderly way, for when [`reboot`] failed.
///
/// # Errors
/// EPERM unless we are process 1, ENOENT without /proc.
pub fn reboot_by_sysrq() -> Result<()> {
    sysrq(b"b")
}

/// Has the kernel write everything to disk by itself, and does not wait for it.
///
/// # Errors
/// EPERM unless we are process 1, ENOENT without /proc.
pub fn sync_by_sysrq() -> Result<()> {
    sysrq(b"s")
}

fn sysrq(key: &[u8; 1]) -> Result<()> {
    only_process_1()?;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let trigger = rustix::fs::open(c"/proc/sysrq-trigger", flags, Mode::empty())?;
    rustix::io::write(&trigger, key).map(drop)
}

fn only_process_1() -> Result<()> {
    if process::own_pid() == 1 { Ok(()) } else { Err(Errno::PERM) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_11_who_is_not_process_1_cannot_reboot() {
        assert_eq!(reboot(Ending::Restart), Err(Errno::PERM));
        assert_eq!(restart_with(c"0 tryboot"), Err(Errno::PERM));
        assert_eq!(catch_ctrl_alt_del(), Err(Errno::PERM));
        assert_eq!(reboot_by_sysrq(), Err(Errno::PERM));
        assert_eq!(sync_by_sysrq(), Err(Errno::PERM));
    }
}
