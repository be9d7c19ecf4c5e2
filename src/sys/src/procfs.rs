//! Reads /proc about other processes. Takes what it says for text that strangers wrote: every
//! read is capped, every field checked.

use crate::raw::retry;
use crate::{OwnedFd, Result};
use core::mem::MaybeUninit;
use rustix::fd::AsRawFd;
use rustix::fs::{Mode, OFlags, RawDir};

/// Bytes read of a stat line: 52 fields of at most 20 digits, and a name of at most 64 bytes.
const STAT_BYTES: usize = 1536;

/// Bytes read of an environment at a time.
const ENVIRONMENT_CHUNK: usize = 1024;

/// Bytes read of an environment altogether: execve's own limit for strings is 128 KiB each; a
/// cookie comes early.
const ENVIRONMENT_BYTES: usize = 256 * 1024;

/// The longest entry that is looked for in an environment.
pub const MAX_ENTRY: usize = 128;

/// Bytes of directory entries fetched at a time, and how many of 24 bytes fit.
const ENTRY_BYTES: usize = 2048;
const ENTRIES: usize = ENTRY_BYTES / 24 + 1;

/// The flag of `/proc/PID/stat` field 9 that marks the kernel's own.
const PF_KTHREAD: u64 = 0x0020_0000;

/// What `/proc/PID/stat` says, as far as a supervisor asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// R, S, D, T, t, Z, X, I.
    pub state: u8,
    /// Its parent; 0 for one outside our PID namespace.
    pub ppid: i32,
    /// Its process group.
    pub pgrp: i32,
    /// Its session.
    pub session: i32,
    /// When it started, in ticks since boot (see [`crate::clock::now_ticks`]). With the PID it
    /// names a process for good.
    pub start_time: u64,
    /// Whether the kernel itself is behind it.
    pub kernel_thread: bool,
}

impl Stat {
    /// Ended but not reaped.
    #[must_use]
    pub const fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// What is known of this process; none when there is no such process (or no /proc).
#[must_use]
pub fn stat(pid: i32) -> Option<Stat> {
    let mut buffer = [0_u8; STAT_BYTES];
    let file = open(pid, "stat").ok()?;
    parse_stat(read_up_to(&file, &mut buffer)?)
}

/// Reads one stat line. The name in parentheses may hold anything, `) R 1` and line breaks too:
/// the last parenthesis ends it.
#[must_use]
pub fn parse_stat(text: &[u8]) -> Option<Stat> {
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let rest = text.get(close.checked_add(1)?..)?;
    let mut fields =
        rest.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty());
    let state = match fields.next()? {
        [state] if state.is_ascii_alphabetic() => *state,
        _ => return None,
    };
    let ppid = signed(fields.next()?)?;
    let pgrp = signed(fields.next()?)?;
    let session = signed(fields.next()?)?;
    // Fields 7 and 8 are the terminal; 9 the flags; 10 to 21 counters; 22 the start time.
    let flags = number(fields.nth(2)?)?;
    let start_time = number(fields.nth(12)?)?;
    let kernel_thread = flags & PF_KTHREAD != 0;
    Some(Stat { state, ppid, pgrp, session, start_time, kernel_thread })
}

/// Which pipe the process has as its descriptor of this number, 1 for standard output (see
/// [`crate::pipe::identity`]).
#[must_use]
pub fn output_of(pid: i32, number: u8) -> Option<u64> {
    use std::io::Write as _;
    let mut path = [0_u8; 32];
    write!(path.as_mut_slice(), "/proc/{pid}/fd/{number}").ok()?;
    let path = core::ffi::CStr::from_bytes_until_nul(&path).ok()?;
    let stat = rustix::fs::stat(path).ok()?;
    let is_pipe = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo;
    is_pipe.then_some(stat.st_ino)
}

/// Whether the environment that the process was executed with has exactly this entry
/// (`NAME=VALUE`, at most [`MAX_ENTRY`] bytes). None when it cannot be read: no such process, a
/// zombie, a kernel thread, one that is executing just now (look again).
#[must_use]
pub fn first_environment_has(pid: i32, entry: &[u8]) -> Option<bool> {
    search_environment(pid, Search::new(entry)?)
}

/// As [`first_environment_has`], for an entry that begins so.
#[must_use]
pub fn first_environment_begins(pid: i32, start: &[u8]) -> Option<bool> {
    search_environment(pid, Search { is_start: true, ..Search::new(start)? })
}

/// Whether its arguments, each ended by NUL, begin with these bytes, at most [`MAX_ENTRY`]. False
/// when they cannot be read.
#[must_use]
pub fn command_begins(pid: i32, start: &[u8]) -> bool {
    let mut buffer = [0_u8; MAX_ENTRY];
    let room = buffer.get_mut(..start.len());
    let Some((file, room)) = open(pid, "cmdline").ok().zip(room) else { return false };
    read_up_to(&file, room) == Some(start)
}

fn search_environment(pid: i32, mut search: Search<'_>) -> Option<bool> {
    let file = open(pid, "environ").ok()?;
    let mut chunk = [0_u8; ENVIRONMENT_CHUNK];
    let mut total = 0_usize;
    while total < ENVIRONMENT_BYTES {
        let len = retry(|| rustix::io::read(&file, &mut chunk)).ok()?;
        if len == 0 {
            return (total > 0).then(|| search.end());
        }
        if search.feed(chunk.get(..len)?) {
            return Some(true);
        }
        total = total.saturating_add(len);
    }
    Some(false)
}

/// Its cgroup in the v2 tree as a path from the tree's root, copied into `buffer`. None when
/// there is no such process, no v2 tree, or no room.
#[must_use]
pub fn cgroup_of(pid: i32, buffer: &mut [u8]) -> Option<&[u8]> {
    let file = open(pid, "cgroup").ok()?;
    parse_cgroup(read_up_to(&file, buffer)?)
}

/// The v2 line of a cgroup file; only lines that are whole count.
#[must_use]
pub fn parse_cgroup(text: &[u8]) -> Option<&[u8]> {
    let whole = text.get(..text.iter().rposition(|&byte| byte == b'\n')?)?;
    whole.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))
}

/// The largest process id plus one; the kernel's default where it cannot be read.
#[must_use]
pub fn pid_max() -> i32 {
    const DEFAULT: i32 = 32_768;
    let mut buffer = [0_u8; 16];
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let path = c"/proc/sys/kernel/pid_max";
    let Ok(file) = retry(|| rustix::fs::open(path, flags, Mode::empty())) else { return DEFAULT };
    read_up_to(&file, &mut buffer).and_then(|text| signed(text.trim_ascii())).unwrap_or(DEFAULT)
}

/// Every process there is, roughly: those that come and go meanwhile may be missing.
///
/// # Errors
/// ENOENT without /proc, EMFILE.
pub fn pids() -> Result<Pids> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = retry(|| rustix::fs::open(c"/proc", flags, Mode::empty()))?;
    Ok(Pids { dir, batch: [0; ENTRIES], len: 0, at: 0 })
}

/// The descriptors that we have open, what looks for them left out. None without /proc, and when not
/// all could be listed.
#[must_use]
pub fn own_descriptors() -> Option<Vec<i32>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = retry(|| rustix::fs::open(c"/proc/self/fd", flags, Mode::empty())).ok()?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); ENTRY_BYTES];
    let mut entries = RawDir::new(&dir, &mut buffer);
    let mut numbers = Vec::new();
    while let Some(entry) = entries.next() {
        numbers.extend(signed(entry.ok()?.file_name().to_bytes()));
    }
    numbers.retain(|number| *number != dir.as_raw_fd());
    Some(numbers)
}

/// Goes through /proc, a batch of entries at a time.
#[derive(Debug)]
pub struct Pids {
    dir: OwnedFd,
    batch: [i32; ENTRIES],
    len: usize,
    at: usize,
}

impl Iterator for Pids {
    type Item = i32;

    fn next(&mut self) -> Option<i32> {
        while self.at >= self.len {
            self.refill()?;
        }
        let pid = self.batch.get(self.at).copied();
        self.at = self.at.saturating_add(1);
        pid
    }
}

impl Pids {
    /// None at the end of the directory.
    fn refill(&mut self) -> Option<()> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); ENTRY_BYTES];
        let mut entries = RawDir::new(&self.dir, &mut buffer);
        self.len = 0;
        self.at = 0;
        let mut any = false;
        while let Some(Ok(entry)) = entries.next() {
            any = true;
            let pid = signed(entry.file_name().to_bytes()).filter(|&pid| pid > 0);
            if let (Some(pid), Some(slot)) = (pid, self.batch.get_mut(self.len)) {
                *slot = pid;
                self.len = self.len.saturating_add(1);
            }
            if entries.is_buffer_empty() {
                break;
            }
        }
        any.then_some(())
    }
}

/// Looks for one entry in a stream of entries that end in NUL, as an environment is.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    entry: &'a [u8],
    /// What follows does not matter.
    is_start: bool,
    /// How many bytes of the present entry agreed so far; none once one did not.
    agreed: Option<usize>,
}

impl<'a> Search<'a> {
    /// None for an entry that is empty or longer than [`MAX_ENTRY`].
    #[must_use]
    pub fn new(entry: &'a [u8]) -> Option<Self> {
        (!entry.is_empty() && entry.len() <= MAX_ENTRY).then_some(Self {
            entry,
            is_start: false,
            agreed: Some(0),
        })
    }

    /// True once the entry has been seen whole.
    pub fn feed(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|&byte| {
            if byte == 0 {
                let found = self.end();
                self.agreed = Some(0);
                return found;
            }
            if self.is_start && self.end() {
                return true;
            }
            self.agreed = self
                .agreed
                .filter(|&at| self.entry.get(at) == Some(&byte))
                .and_then(|at| at.checked_add(1));
            false
        })
    }

    /// Whether what was fed since the last NUL is the entry.
    #[must_use]
    pub fn end(&self) -> bool {
        self.agreed == Some(self.entry.len())
    }
}

fn open(pid: i32, name: &str) -> Result<OwnedFd> {
    let path = Path::of(pid, name);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    retry(|| rustix::fs::open(path.as_c_str(), flags, Mode::empty()))
}

/// Fills `buffer` as far as the file goes.
fn read_up_to<'b>(file: &OwnedFd, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut len = 0_usize;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match retry(|| rustix::io::read(file, &mut *rest)).ok()? {
            0 => break,
            more => len = len.saturating_add(more),
        }
    }
    buffer.get(..len)
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(text).ok()?.parse().ok()
}

fn signed(text: &[u8]) -> Option<i32> {
    match text.strip_prefix(b"-") {
        Some(digits) => i32::try_from(number(digits)?).ok().map(i32::saturating_neg),
        None => i32::try_from(number(text)?).ok(),
    }
}

/// `/proc/PID/NAME`, built in place.
struct Path {
    bytes: [u8; 32],
}

impl Path {
    fn of(pid: i32, name: &str) -> Self {
        use std::io::Write;
        let mut bytes = [0; 32];
        if let Some(room) = bytes.get_mut(..31) {
            // Names are ours and short; 31 bytes hold the longest of them with any number.
            let _ = write!(&mut *room, "/proc/{pid}/{name}");
        }
        Self { bytes }
    }

    fn as_c_str(&self) -> &core::ffi::CStr {
        core::ffi::CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

#[cfg(test)]
#[path = "procfs_tests.rs"]
mod tests;
