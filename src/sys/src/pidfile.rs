//! Reads PID files and removes them. What a file says is a claim: believing it is for others.

use crate::raw::retry;
use crate::{BorrowedFd, Errno, OwnedFd, Result};
use core::ffi::CStr;
use core::fmt;
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};

/// Bytes read of a file, and the largest that is ever removed.
pub const MAX_BYTES: usize = 4096;

/// The most digits of a process id (2^31 has ten).
const MAX_DIGITS: usize = 10;

/// Process 0 is nobody, 1 is us.
const LOWEST: i32 = 2;

/// The longest path that can be removed, links on the way resolved; also bounds their number.
const MAX_PATH: usize = 1024;

/// What a look at a PID file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// There is no such file.
    Missing,
    /// It is empty, or perhaps still being written.
    NotYet,
    /// A number that may be the beginning of a longer one, since no line break follows. Look
    /// again with it: the same twice is a [`Look::Number`].
    Unended(i32),
    /// It claims this process.
    Number(i32),
    /// It will not do.
    Refused(Why),
}

/// Why a file will not do. Says nothing of its content: it may be somebody else's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A symbolic link.
    Link,
    /// A FIFO, socket, device or directory.
    NotRegular,
    /// Its first line is not a decimal number (no sign, no leading zero).
    NotANumber,
    /// Its first line is longer than any number.
    TooLong,
    /// A number that no service's process can have: 0, 1, or more than the kernel gives.
    OutOfRange,
    /// Larger than [`MAX_BYTES`]; only removing minds.
    TooBig,
    /// Reached through a link that is not root's; only removing minds.
    StrangersPath,
    /// The kernel said no.
    Errno(Errno),
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => out.write_str("it is a symbolic link"),
            Self::NotRegular => out.write_str("it is not a regular file"),
            Self::NotANumber => out.write_str("its first line is not a decimal number"),
            Self::TooLong => out.write_str("its first line is too long for a number"),
            Self::OutOfRange => out.write_str("its number is not a process id of a service"),
            Self::TooBig => out.write_str("it is larger than 4096 bytes"),
            Self::StrangersPath => out.write_str("its directory is behind a link not of root's"),
            Self::Errno(errno) => write!(out, "{errno}"),
        }
    }
}

/// Looks at the file once. `unended` is what the look before gave as [`Look::Unended`], if it
/// did; `pid_max` is [`crate::procfs::pid_max`]. Never blocks on anything but a dead disk, never
/// follows a link as its last step, never opens what is not a regular file, reads at most
/// [`MAX_BYTES`].
#[must_use]
pub fn look(path: &CStr, unended: Option<i32>, pid_max: i32) -> Look {
    match read(CWD, path) {
        Ok(found) => claim(found.text(), unended, pid_max),
        Err(Why::Errno(Errno::NOENT)) => Look::Missing,
        Err(why) => Look::Refused(why),
    }
}

/// Removes the file, through a descriptor of its directory, if it is a regular file of at most
/// [`MAX_BYTES`] that holds a number: `names` if that is given, else any. False when it is not
/// there or names another process.
///
/// # Errors
/// Why it was left where it is. Links on the way to it are followed only if they are root's.
pub fn remove(path: &CStr, names: Option<i32>) -> core::result::Result<bool, Why> {
    let Some((dir, name)) = parent(path)? else { return Ok(false) };
    let found = match read(dir.as_fd(), name.as_c_str()) {
        Ok(found) => found,
        Err(Why::Errno(Errno::NOENT)) => return Ok(false),
        Err(why) => return Err(why),
    };
    if found.size > MAX_BYTES as u64 {
        return Err(Why::TooBig);
    }
    let number = match parse_first_line(found.text()) {
        Line::Number { number, .. } => number,
        Line::Empty | Line::Wrong(_) => return Err(Why::NotANumber),
    };
    if names.is_some_and(|pid| i64::from(pid) != number) {
        return Ok(false);
    }
    match rustix::fs::unlinkat(&dir, name.as_c_str(), AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(Why::Errno(errno)),
    }
}

/// What a file that holds `text` (its first [`MAX_BYTES`] at most) claims; the rest as for
/// [`look`].
#[must_use]
pub fn claim(text: &[u8], unended: Option<i32>, pid_max: i32) -> Look {
    let (number, ended) = match parse_first_line(text) {
        Line::Empty => return Look::NotYet,
        Line::Wrong(why) => return Look::Refused(why),
        Line::Number { number, ended } => (number, ended),
    };
    let pid = i32::try_from(number).ok().filter(|pid| (LOWEST..=pid_max).contains(pid));
    match (pid, ended) {
        (Some(pid), true) => Look::Number(pid),
        (Some(pid), false) if unended == Some(pid) => Look::Number(pid),
        (Some(pid), false) => Look::Unended(pid),
        // A lone 1 may become 1234; a 0 cannot become anything.
        (None, false) if number == 1 => Look::NotYet,
        (None, _) => Look::Refused(Why::OutOfRange),
    }
}

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Nothing yet.
    Empty,
    /// A number, and whether its line has ended.
    Number { number: i64, ended: bool },
    /// Something else.
    Wrong(Why),
}

/// The first line of `text`, which is at most [`MAX_BYTES`] long.
fn parse_first_line(text: &[u8]) -> Line {
    let end = text.iter().position(|&byte| byte == b'\n');
    let line = text.get(..end.unwrap_or(text.len())).unwrap_or(text);
    let digits = trim(line);
    match digits {
        [] if end.is_none() && text.len() >= MAX_BYTES => Line::Wrong(Why::TooLong),
        [] => Line::Empty,
        [b'0', _, ..] => Line::Wrong(Why::NotANumber),
        _ if !digits.iter().all(u8::is_ascii_digit) => Line::Wrong(Why::NotANumber),
        _ if digits.len() > MAX_DIGITS => Line::Wrong(Why::TooLong),
        _ => Line::Number {
            number: digits.iter().fold(0, |number: i64, digit| {
                number.saturating_mul(10).saturating_add(i64::from(digit.wrapping_sub(b'0')))
            }),
            ended: end.is_some(),
        },
    }
}

fn trim(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let start = line.iter().position(|byte| !blank(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !blank(byte)).map_or(start, |at| at.saturating_add(1));
    line.get(start..end).unwrap_or(&[])
}

/// The beginning of a file, and how large it says it is.
struct Found {
    bytes: [u8; MAX_BYTES],
    len: usize,
    size: u64,
}

impl Found {
    fn text(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

/// Asks what it is before opening it: opening a device may do something (a watchdog starts).
fn read(at: BorrowedFd<'_>, path: &CStr) -> core::result::Result<Found, Why> {
    let seen = rustix::fs::statat(at, path, AtFlags::SYMLINK_NOFOLLOW).map_err(Why::Errno)?;
    regular(&seen)?;
    let flags =
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match retry(|| rustix::fs::openat(at, path, flags, Mode::empty())) {
        // It became a link or a socket since.
        Err(Errno::LOOP) => return Err(Why::Link),
        Err(Errno::NXIO) => return Err(Why::NotRegular),
        other => other.map_err(Why::Errno)?,
    };
    let stat = rustix::fs::fstat(&file).map_err(Why::Errno)?;
    regular(&stat)?;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    let mut found = Found { bytes: [0; MAX_BYTES], len: 0, size };
    while let Some(rest) = found.bytes.get_mut(found.len..).filter(|rest| !rest.is_empty()) {
        match retry(|| rustix::io::read(&file, &mut *rest)).map_err(Why::Errno)? {
            0 => break,
            more => found.len = found.len.saturating_add(more),
        }
    }
    Ok(found)
}

fn regular(stat: &rustix::fs::Stat) -> core::result::Result<(), Why> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(Why::Link),
        FileType::Directory
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Err(Why::NotRegular),
    }
}

/// A path that is worked off from the front, and grows where a link is resolved.
struct Path {
    bytes: [u8; MAX_PATH],
    len: usize,
}

/// One name of a path.
struct Name([u8; 256]);

impl Name {
    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

impl Path {
    fn of(front: &[u8], back: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_PATH];
        let slash = front.len();
        let begin = slash.checked_add(1)?;
        let len = begin.checked_add(back.len())?;
        bytes.get_mut(..slash)?.copy_from_slice(front);
        *bytes.get_mut(slash)? = b'/';
        bytes.get_mut(begin..len)?.copy_from_slice(back);
        Some(Self { bytes, len })
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// The first name and what follows it; the rest is empty for the last one.
    fn split(&self) -> Option<(Name, &[u8])> {
        let text = self.text();
        let start = text.iter().position(|&byte| byte != b'/')?;
        let text = text.get(start..)?;
        let end = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
        let mut name = Name([0; 256]);
        // One byte less, so that a NUL remains.
        name.0.get_mut(..255)?.get_mut(..end)?.copy_from_slice(text.get(..end)?);
        let rest = text.get(end..)?;
        let next = rest.iter().position(|&byte| byte != b'/').unwrap_or(rest.len());
        Some((name, rest.get(next..)?))
    }
}

/// The directory of `path`, and its last name. None when the directory is not there.
///
/// Walks name by name: /var/run is a link to /run and root's own, which is fine; a link that a
/// daemon's user planted would have us remove a file somewhere else.
fn parent(path: &CStr) -> core::result::Result<Option<(OwnedFd, Name)>, Why> {
    let too_long = Why::Errno(Errno::NAMETOOLONG);
    let mut dir = open_dir(CWD, c"/").map_err(Why::Errno)?;
    let mut path = Path::of(&[], path.to_bytes()).ok_or(too_long)?;
    for _ in 0..MAX_PATH {
        let (name, rest) = path.split().ok_or(too_long)?;
        if rest.is_empty() {
            return Ok(Some((dir, name)));
        }
        match open_dir(dir.as_fd(), name.as_c_str()) {
            Ok(inner) => {
                dir = inner;
                path = Path::of(&[], rest).ok_or(too_long)?;
            }
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let (target, len) = roots_link(dir.as_fd(), &name)?;
                let target = target.get(..len).unwrap_or(&[]);
                if target.first() == Some(&b'/') {
                    dir = open_dir(CWD, c"/").map_err(Why::Errno)?;
                }
                path = Path::of(target, rest).ok_or(too_long)?;
            }
            Err(errno) => return Err(Why::Errno(errno)),
        }
    }
    Err(Why::Errno(Errno::LOOP))
}

/// Where a link leads, if it is root's.
fn roots_link(
    at: BorrowedFd<'_>,
    name: &Name,
) -> core::result::Result<([u8; MAX_PATH], usize), Why> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let link = rustix::fs::openat(at, name.as_c_str(), flags, Mode::empty()).map_err(Why::Errno)?;
    let stat = rustix::fs::fstat(&link).map_err(Why::Errno)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Err(Why::Errno(Errno::NOTDIR));
    }
    if stat.st_uid != 0 {
        return Err(Why::StrangersPath);
    }
    let mut target = [0_u8; MAX_PATH];
    let len = rustix::fs::readlinkat_raw(&link, c"", &mut target).map_err(Why::Errno)?;
    Ok((target, len))
}

fn open_dir(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry(|| rustix::fs::openat(at, name, flags, Mode::empty()))
}

#[cfg(test)]
#[path = "pidfile_tests.rs"]
mod tests;
