//! Ends the machine. Decides neither when nor how.

use crate::{Errno, Result, process};
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
        assert_eq!(catch_ctrl_alt_del(), Err(Errno::PERM));
        assert_eq!(reboot_by_sysrq(), Err(Errno::PERM));
        assert_eq!(sync_by_sysrq(), Err(Errno::PERM));
    }
}
