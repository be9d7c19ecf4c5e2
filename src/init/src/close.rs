//! The end of the machine: strays, file systems, reboot(2). Each step bounded; the core says
//! when to go on without waiting longer.

use crate::report::Cause;
use core::ffi::CStr;
use ettan_core::{POWER_FAIL_MS, Pid, Power, SHUTDOWN_MS};
use ettan_sys::poll::{self, Interest};
use ettan_sys::{Errno, host, mount, process, procfs, reboot};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// One unmount that hangs (NFS, a dead card) must not hold up the others.
const UNMOUNT_TIMEOUT_MS: u64 = 4_000;

/// Where `ettan reboot --arg` leaves a word for the firmware: in memory, so that it is gone with the
/// boot, and so that a fault of PID 1 does not lose it.
const REBOOT_WORD: &CStr = c"/run/ettan/reboot-arg";

/// On the kernel's command line: how many seconds a shutdown may take.
const WORD: &[u8] = b"ettan.shutdown=";
/// Who asks for more means never.
const LONGEST_S: u32 = 3_600;

/// How long a shutdown may take, in milliseconds. `ours`: the kernel's command line is.
pub(crate) fn time_allowed(ours: bool) -> u32 {
    let mut line = [0; 4096];
    let line = host::kernel_command_line(&mut line).unwrap_or_default();
    time_of(if ours { line } else { b"" })
}

fn time_of(line: &[u8]) -> u32 {
    let Some(value) = host::value_of(line, WORD) else { return SHUTDOWN_MS };
    let seconds = core::str::from_utf8(value).ok().and_then(|value| value.parse::<u32>().ok());
    let Some(seconds) = seconds else {
        log::warn!("ettan.shutdown={}: not a number of seconds; 30", value.escape_ascii());
        return SHUTDOWN_MS;
    };
    seconds.min(LONGEST_S).saturating_mul(1_000).max(POWER_FAIL_MS)
}

/// Sends `signal` to every process but PID 1, kernel threads and `spared`. True when there was none.
pub(crate) fn kill_strays(signal: u8, spared: &[Pid]) -> bool {
    let mut none = true;
    let looked = crate::group::each_pid(|pid| {
        if is_stray(pid, spared) {
            none = false;
            // ESRCH: gone already.
            let _ = process::kill(pid, signal);
        }
    });
    looked && none
}

/// True when no process is left but PID 1, kernel threads and `spared`.
pub(crate) fn strays_gone(spared: &[Pid]) -> bool {
    let mut none = true;
    let looked = crate::group::each_pid(|pid| none = none && !is_stray(pid, spared));
    looked && none
}

fn is_stray(pid: i32, spared: &[Pid]) -> bool {
    if pid == 1 || spared.iter().any(|spared| spared.raw() == pid) {
        return false;
    }
    let Some(stat) = procfs::stat(pid) else { return false };
    !stat.kernel_thread && !stat.is_zombie()
}

/// The last call. In a container it returns, and ends with its next step. Does not sync: the child
/// that closed the file systems has, and where it could not end, neither could we
/// (`faults.md` 8.2).
///
/// # Errors
/// The kernel's answer when it refused everything.
pub(crate) fn power(power: Power) -> Result<(), Errno> {
    let how = match power {
        Power::Reboot => reboot::Ending::Restart,
        Power::PowerOff => reboot::Ending::PowerOff,
        Power::Halt => reboot::Ending::Halt,
    };
    log::info!(
        "{}",
        match power {
            Power::Reboot => "restarting the machine",
            Power::PowerOff => "switching the machine off",
            Power::Halt => "halting the machine",
        }
    );
    let refused = match power {
        Power::Reboot => restart(),
        Power::PowerOff | Power::Halt => reboot::reboot(how),
    };
    if let Err(errno) = refused {
        log::error!("reboot(2) refused: {}; trying again", Cause(errno));
        if crate::boot::owns_machine() && power == Power::Reboot {
            let _ = reboot::reboot_by_sysrq();
        }
    }
    refused
}

/// With the word for the firmware that was left for this moment, if there is one.
fn restart() -> Result<(), Errno> {
    let mut buffer = [0; reboot::WORD_MAX];
    let room = buffer.get_mut(..reboot::WORD_MAX.saturating_sub(1)).unwrap_or_default();
    let length = host::read_file(REBOOT_WORD, room).map_or(0, |word| word.trim_ascii_end().len());
    if let Some(end) = buffer.get_mut(length..) {
        end.fill(0);
    }
    match CStr::from_bytes_until_nul(&buffer) {
        Ok(word) if !word.is_empty() => {
            log::info!("with a word for the firmware: {}", word.to_bytes().escape_ascii());
            // Without it is better than not at all.
            reboot::restart_with(word).or_else(|_| reboot::reboot(reboot::Ending::Restart))
        }
        Ok(_) | Err(_) => reboot::reboot(reboot::Ending::Restart),
    }
}

/// `ettan-init close [MOUNT-POINT]`: closes one file system, or all of them.
pub(crate) fn helper_main(mount_point: Option<OsString>) -> i32 {
    match mount_point {
        Some(point) => i32::from(!close_one(&point)),
        None => {
            close_all();
            0
        }
    }
}

/// Syncs, turns swap off, unmounts in reverse order of mounting, makes the root read-only.
fn close_all() {
    mount::sync();
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    for point in points_to_close(&table).iter().rev() {
        close_in_child(point);
    }
    close_in_child(OsStr::new("/"));
    mount::sync();
}

/// Where real file systems are mounted, in the order of mounting, from the text of
/// /proc/self/mountinfo (proc(5)). The root and what the kernel itself shows are left out.
fn points_to_close(mountinfo: &[u8]) -> Vec<OsString> {
    const KEPT: [&[u8]; 4] = [b"/proc", b"/sys", b"/dev", b"/run"];
    let is_kept = |point: &[u8]| {
        point == b"/"
            || KEPT.iter().any(|kept| {
                point
                    .strip_prefix(*kept)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            })
    };
    mountinfo
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.split(|&byte| byte == b' ').nth(4))
        .map(unescape)
        .filter(|point| !is_kept(point))
        .map(OsString::from_vec)
        .collect()
}

/// The kernel writes blank, tab, newline and backslash as `\\040`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| u8::from_str_radix(core::str::from_utf8(digits).ok()?, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

/// In a child with a time-out: the kernel may never answer.
fn close_in_child(point: &OsStr) {
    let child = std::process::Command::new("/proc/self/exe").arg("close").arg(point).spawn();
    let name = point.to_string_lossy();
    match child {
        Ok(child) => match wait_bounded(child) {
            Some(true) => {}
            Some(false) => eprintln!("{name}: could not be closed"),
            None => eprintln!("{name}: closing it hangs; going on without it"),
        },
        Err(error) => {
            eprintln!("{name}: no child to close it ({error}); trying here");
            close_one(point);
        }
    }
}

fn close_one(point: &OsStr) -> bool {
    let Ok(path) = std::ffi::CString::new(point.as_bytes()) else { return false };
    if point == "/" {
        // In a container the file system below our root may be somebody else's root too.
        return !crate::boot::is_first_pid_namespace() || mount::remount_ro(&path).is_ok();
    }
    mount::unmount(&path, false).is_ok() || mount::unmount(&path, true).is_ok()
}

/// Whether the child succeeded; None when it did not end in time. It is then left behind.
fn wait_bounded(mut child: std::process::Child) -> Option<bool> {
    if let Ok(held) = process::pidfd_open(i32::try_from(child.id()).ok()?)
        && !poll::wait_one(&held, Interest::Read, Some(UNMOUNT_TIMEOUT_MS)).unwrap_or(true)
    {
        return None;
    }
    // Without pidfd (before Linux 5.3) only PID 1's own deadline bounds this.
    Some(child.wait().is_ok_and(|status| status.success()))
}

#[cfg(test)]
mod tests {
    use super::{points_to_close, time_of, unescape};

    #[test]
    fn the_time_for_a_shutdown_is_what_the_command_line_says_within_reason() {
        assert_eq!(time_of(b"quiet ettan.shutdown=120 panic=10"), 120_000);
        for usual in [&b""[..], b"ettan.shutdown=", b"ettan.shutdown=soon", b"-- ettan.shutdown=9"]
        {
            assert_eq!(time_of(usual), 30_000, "{}", usual.escape_ascii());
        }
        assert_eq!(time_of(b"ettan.shutdown=0"), 5_000);
        assert_eq!(time_of(b"ettan.shutdown=4294967295"), 3_600_000);
    }

    #[test]
    fn real_file_systems_are_closed_and_the_kernels_own_are_not() {
        let text = b"22 1 179:2 / / rw - ext4 /dev/mmcblk0p2 rw\n\
            23 22 0:5 / /dev rw - devtmpfs none rw\n\
            24 23 0:6 / /dev/pts rw - devpts none rw\n\
            25 22 179:1 / /boot/firm\\040ware rw - vfat /dev/mmcblk0p1 rw\n\
            26 22 179:3 / /devices rw - ext4 /dev/mmcblk0p3 rw\n";
        assert_eq!(points_to_close(text), ["/boot/firm ware", "/devices"]);
    }

    #[test]
    fn escapes_at_the_end_are_no_escapes() {
        assert_eq!(unescape(b"a\\04"), b"a\\04");
        assert_eq!(unescape(b"\\134"), b"\\");
    }
}
