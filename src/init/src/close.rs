//! The end of the machine: strays, file systems, reboot(2). Each step bounded; the core says
//! when to go on without waiting longer.

use crate::helper::Helper;
use crate::report::Cause;
use core::ffi::CStr;
use ettan_core::{Pid, Power};
use ettan_sys::kmsg::{Kmsg, Level};
use ettan_sys::poll::{self, Interest};
use ettan_sys::{Errno, clock, host, mount, process, procfs, reboot, signals};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// One unmount that hangs (NFS, a dead card) must not hold up the others.
const UNMOUNT_TIMEOUT_MS: u64 = 4_000;

/// Where `ettan reboot --arg` leaves a word for the firmware: in memory, so that it is gone with the
/// boot, and so that a fault of PID 1 does not lose it.
const REBOOT_WORD: &CStr = c"/run/ettan/reboot-arg";

/// Sends `signal` to every process but PID 1, kernel threads and `spared`. True when none is left.
pub(crate) fn kill_strays(signal: u8, spared: &[Pid]) -> bool {
    none_left(spared, |pid| {
        // ESRCH: gone already.
        let _ = process::kill(pid, signal);
    })
}

/// True when no process is left but PID 1, kernel threads and `spared`.
pub(crate) fn strays_gone(spared: &[Pid]) -> bool {
    none_left(spared, |_| {})
}

/// KILL to every process but PID 1, whoever it is. What lists cannot show has no way out of it.
pub(crate) fn kill_rest() {
    // ESRCH: there is nobody.
    let _ = process::kill_all(signals::KILL);
}

/// What one process is to somebody who looks for strays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Nobody,
    /// It ended while we looked, or waits for us to reap it: it may have had a child meanwhile.
    Ended,
    /// A stray, or one that cannot be looked at.
    Stray,
}

/// Who forks and ends while processes are listed is on no list: so many in a row have to show nobody
/// and nobody's end, of at most so many.
const QUIET_LOOKS: u32 = 2;
const LOOKS_MAX: u32 = 4;

/// Calls `found` with each stray. True when there is none.
fn none_left(spared: &[Pid], mut found: impl FnMut(i32)) -> bool {
    let mut quiet = 0_u32;
    for _ in 0..LOOKS_MAX {
        let mut most = Seen::Nobody;
        let looked = crate::group::each_pid(|pid| {
            let seen = look_at(pid, spared);
            // One whose first thread has ended looks like a zombie, and is hit by a signal.
            if seen != Seen::Nobody {
                found(pid);
            }
            most = most.max(seen);
        });
        quiet = match most {
            Seen::Nobody => quiet.saturating_add(1),
            Seen::Ended => 0,
            Seen::Stray => return false,
        };
        if !looked || quiet >= QUIET_LOOKS {
            return looked;
        }
    }
    false
}

fn look_at(pid: i32, spared: &[Pid]) -> Seen {
    if pid == 1 || spared.iter().any(|spared| spared.raw() == pid) {
        return Seen::Nobody;
    }
    match procfs::stat(pid) {
        Some(stat) if stat.kernel_thread => Seen::Nobody,
        // Whose parent is somebody else is not waited for: that one is.
        Some(stat) if stat.is_zombie() && stat.ppid != 1 => Seen::Nobody,
        Some(stat) if stat.is_zombie() => Seen::Ended,
        Some(_) => Seen::Stray,
        // No descriptor or no memory to look with tells nothing of anybody.
        None if procfs::stat(process::own_pid()).is_none() => Seen::Stray,
        None => Seen::Ended,
    }
}

/// The last call. In a container it returns, and ends with its next step. Does not sync: the child
/// that closed the file systems has, and where it could not end, neither could we
/// (`tests/FAULTS.md` 8.2).
///
/// # Errors
/// The kernel's answer when it refused everything.
pub(crate) fn power(power: Power) -> Result<(), Errno> {
    let (what, end): (_, fn() -> Result<(), Errno>) = match power {
        Power::Reboot => ("restarting the machine", restart),
        Power::PowerOff => {
            ("switching the machine off", || reboot::reboot(reboot::Ending::PowerOff))
        }
        Power::Halt => ("halting the machine", || reboot::reboot(reboot::Ending::Halt)),
    };
    log::info!("{what}");
    let refused = end();
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

/// `ettan-init close MILLISECONDS`: closes all file systems within this time. `close sync` and
/// `close MOUNT-POINT` are its children, which may hang.
pub(crate) fn helper_main(what: Option<OsString>) -> i32 {
    let what = what.unwrap_or_default();
    if what == SYNC {
        mount::sync();
        return 0;
    }
    if what.as_bytes().starts_with(b"/") {
        return i32::from(!close_one(&what));
    }
    let within_ms = what.to_str().and_then(|what| what.parse().ok());
    let time = Time { begun: clock::now(), within_ms: within_ms.unwrap_or(UNTOLD_MS) };
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    close_all(&time, &points_to_close(&table), &mut in_child);
    0
}

/// What a child is told that is to write to the disks what waits for it.
const SYNC: &str = "sync";
/// Where nobody said how much time there is.
const UNTOLD_MS: u64 = 7_000;

/// The time there is for all of it.
struct Time {
    begun: u64,
    within_ms: u64,
}

impl Time {
    /// How much is left of the first `thirds` of it.
    fn left_of(&self, thirds: u64) -> u64 {
        let end = self.within_ms.saturating_mul(thirds) / 3;
        end.saturating_sub(clock::now().saturating_sub(self.begun))
    }
}

/// Syncs, unmounts in reverse order of mounting, makes the root read-only. Any of it may hang on one
/// disk: the first third of the time is for all disks together, and the last one for the root alone.
fn close_all(
    time: &Time,
    points: &[OsString],
    in_child: &mut dyn FnMut(&OsStr, u64) -> std::io::Result<bool>,
) {
    let (sync, root) = (OsStr::new(SYNC), OsStr::new("/"));
    let synced = in_child(sync, time.left_of(1)).unwrap_or(false);
    let mut undone = Vec::new();
    for point in points.iter().rev() {
        if in_child(point, time.left_of(2).min(UNMOUNT_TIMEOUT_MS)).is_err() {
            undone.push(point);
        }
    }
    if in_child(root, time.left_of(3)).is_err() {
        close_one(root);
    }
    // What may hang is done here only when nothing else is left to do.
    for point in undone {
        close_one(point);
    }
    if synced {
        let _ = in_child(sync, time.left_of(3));
    }
}

/// Where file systems are mounted that have to be closed, in the order of mounting, from the text of
/// /proc/self/mountinfo (proc(5)): all but the root and what the kernel shows in folders of its own. A
/// stick that is mounted below /run is closed, and so is the layer of a root that is an overlay.
fn points_to_close(mountinfo: &[u8]) -> Vec<OsString> {
    let lines = mountinfo.split(|&byte| byte == b'\n').filter_map(mounted);
    let closed = lines.filter(|(point, kind)| point != b"/" && !is_of_the_kernel(point, kind));
    closed.map(|(point, _)| OsString::from_vec(point)).collect()
}

/// Mount point and type of a line, the fifth word and the one after the `-`.
fn mounted(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut words = line.split(|&byte| byte == b' ');
    let point = words.nth(4)?;
    Some((unescape(point), words.skip_while(|word| *word != b"-").nth(1)?))
}

fn is_of_the_kernel(point: &[u8], kind: &[u8]) -> bool {
    // What has no content but what the kernel shows, or is in memory.
    const KINDS: [&[u8]; 23] = [
        b"autofs",
        b"binfmt_misc",
        b"bpf",
        b"cgroup",
        b"cgroup2",
        b"configfs",
        b"debugfs",
        b"devpts",
        b"devtmpfs",
        b"efivarfs",
        b"fusectl",
        b"hugetlbfs",
        b"mqueue",
        b"nsfs",
        b"overlay",
        b"proc",
        b"pstore",
        b"ramfs",
        b"rpc_pipefs",
        b"securityfs",
        b"sysfs",
        b"tmpfs",
        b"tracefs",
    ];
    is_in_a_folder_of_the_kernel(point) && KINDS.contains(&kind)
}

fn is_in_a_folder_of_the_kernel(point: &[u8]) -> bool {
    const FOLDERS: [&[u8]; 4] = [b"/proc", b"/sys", b"/dev", b"/run"];
    FOLDERS.iter().any(|folder| {
        let rest = point.strip_prefix(*folder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
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

/// In a child with a time-out, for the kernel may never answer. True when it has done it; an error
/// where there is no child.
fn in_child(what: &OsStr, within_ms: u64) -> std::io::Result<bool> {
    let mut command = Helper::Close.command();
    let child = command.arg(what).stdout(std::process::Stdio::piped()).spawn();
    let name = what.to_string_lossy();
    match child.map(|child| wait_bounded(child, within_ms)) {
        Ok(Some(true)) => return Ok(true),
        Ok(Some(false)) => tell(format_args!("{name}: could not be closed")),
        Ok(None) => tell(format_args!("{name}: closing it hangs; going on without it")),
        Err(error) => {
            tell(format_args!("{name}: no child to close it: {error}"));
            return Err(error);
        }
    }
    Ok(false)
}

/// To the kernel: the logger is gone by now, and nobody reads what is printed.
fn tell(text: core::fmt::Arguments<'_>) {
    let _ = Kmsg::open().and_then(|kmsg| kmsg.line(Level::Warning, text));
}

fn close_one(point: &OsStr) -> bool {
    let Ok(path) = std::ffi::CString::new(point.as_bytes()) else { return false };
    if point == "/" {
        // In a container the file system below our root may be somebody else's root too.
        return !crate::boot::is_first_pid_namespace() || mount::remount_ro(&path).is_ok();
    }
    // What is on the disk is whole then, also where somebody goes on using it. A container's may be somebody
    // else's too.
    let make_whole = || {
        if crate::boot::is_first_pid_namespace() {
            let _ = mount::remount_ro(&path);
        }
    };
    // A root that is an overlay uses its layers after they are unmounted. Not for all: a server that is gone is
    // asked by this, and not by unmounting.
    if is_in_a_folder_of_the_kernel(point.as_bytes()) {
        make_whole();
    }
    if mount::unmount(&path, false).is_ok() {
        return true;
    }
    make_whole();
    mount::unmount(&path, true).is_ok()
}

/// Whether the child succeeded; None when it did not end in time. It is then left behind.
fn wait_bounded(mut child: std::process::Child, within_ms: u64) -> Option<bool> {
    // It writes nothing there; the pipe hangs up when it ends, on every kernel.
    let end = child.stdout.take()?;
    let ended = poll::wait_one(&end, Interest::Read, Some(within_ms)).unwrap_or(true);
    ended.then(|| child.wait().is_ok_and(|status| status.success()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Time, clock, close_all, points_to_close, unescape, wait_bounded};
    use std::process::{Command, Stdio};

    #[test]
    fn f8_2_the_root_has_a_third_of_the_time_whatever_hangs_before_it() {
        const WITHIN_MS: u64 = 3_000;
        let time = Time { begun: clock::now(), within_ms: WITHIN_MS };
        let points = ["/data", "/media/dead"].map(std::ffi::OsString::from);
        let mut asked = Vec::new();
        close_all(&time, &points, &mut |what, within_ms| {
            asked.push((what.to_owned(), within_ms));
            // As what hangs: no answer before the time is over.
            if what != "/" {
                clock::pause(within_ms);
            }
            Ok(what == "/")
        });
        let names: Vec<_> = asked.iter().map(|(what, _)| what.to_str().unwrap_or("?")).collect();
        // In reverse order; and what hung is not synced again.
        assert_eq!(names, ["sync", "/media/dead", "/data", "/"]);
        assert!(
            asked.iter().take(3).all(|(_, within_ms)| *within_ms <= WITHIN_MS / 3),
            "{asked:?}"
        );
        assert_eq!(asked.get(2).map(|(_, within_ms)| *within_ms), Some(0), "all its time is gone");
        let root = asked.get(3).map_or(0, |(_, within_ms)| *within_ms);
        assert!((1..=WITHIN_MS / 3).contains(&root), "{asked:?}");
    }

    #[test]
    fn f8_2_a_child_that_hangs_is_left_behind_and_one_that_ends_is_not_waited_for_longer() {
        let start = |words: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", words]).stdout(Stdio::piped()).spawn().unwrap()
        };
        let hangs = start("exec sleep 100000");
        let pid = i32::try_from(hangs.id()).unwrap();
        assert_eq!(wait_bounded(hangs, 20), None);
        assert_eq!(ettan_sys::process::kill(pid, 9), Ok(()));
        assert_eq!(wait_bounded(start("exit 0"), 60_000), Some(true));
        assert_eq!(wait_bounded(start("exit 1"), 60_000), Some(false));
    }

    #[test]
    fn real_file_systems_are_closed_and_the_kernels_own_are_not() {
        let text = b"22 1 179:2 / / rw - ext4 /dev/mmcblk0p2 rw\n\
            23 22 0:5 / /dev rw - devtmpfs none rw\n\
            24 23 0:6 / /dev/pts rw - devpts none rw\n\
            25 22 179:1 / /boot/firm\\040ware rw - vfat /dev/mmcblk0p1 rw\n\
            26 22 179:3 / /devices rw - ext4 /dev/mmcblk0p3 rw\n\
            27 22 0:22 / /run rw,nosuid shared:5 - tmpfs tmpfs rw\n\
            28 27 8:1 / /run/media/stick rw shared:6 master:1 - vfat /dev/sda1 rw\n";
        assert_eq!(points_to_close(text), ["/boot/firm ware", "/devices", "/run/media/stick"]);
    }

    #[test]
    fn escapes_at_the_end_are_no_escapes() {
        assert_eq!(unescape(b"a\\04"), b"a\\04");
        assert_eq!(unescape(b"\\134"), b"\\");
    }
}
