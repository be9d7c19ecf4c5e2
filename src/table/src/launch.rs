//! What to execute: the mechanism half of a unit, as PID 1's spawn wants it.

use core::ffi::CStr;

use ettan_core::Stage;

use crate::extra::Extras;
use crate::format::Word;

/// How to execute one unit's program. Borrows from the table; nothing is copied.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The unit's name.
    pub name: &'a str,
    /// The unit's description, possibly empty.
    pub description: &'a str,
    /// The file to execute, an absolute path.
    pub program: &'a CStr,
    /// The arguments, the first being the program; 1 to `MAX_ARGUMENTS`.
    pub argv: Strings<'a>,
    /// The whole environment as `KEY=value`; at most `MAX_VARIABLES`. ETTAN_COOKIE is not in it.
    pub envp: Strings<'a>,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Supplementary groups; at most `MAX_GROUPS`.
    pub groups: Numbers<'a>,
    /// Where it starts, an absolute path.
    pub working_directory: &'a CStr,
    /// The file mode creation mask.
    pub umask: u32,
    /// Where a forking daemon writes its process id, an absolute path.
    pub pid_file: Option<&'a CStr>,
    /// The terminal that becomes descriptors 0 to 2 and the controlling terminal.
    pub tty_path: Option<&'a CStr>,
    /// How much of its output to keep.
    pub log: LogPolicy,
    /// What else the logger is told about it, in words of the logger's.
    pub log_words: &'a CStr,
    /// What the prober is told about it, in words of the prober's; empty where it has nothing to do.
    pub probe_words: &'a CStr,
    /// What it has beside the usual.
    pub extras: Extras<'a>,
    /// What it is to find around it, in words of the stage that prepares that (docs/adr/0027);
    /// empty: it is executed directly.
    pub place: &'a CStr,
}

/// The descriptor through which the stage of [`Launch::place`] reports to PID 1: 3, but for a unit that
/// is itself to find `ready` there.
#[must_use]
pub const fn report_fd(ready: Option<u8>) -> u8 {
    match ready {
        Some(3) => 4,
        Some(_) | None => 3,
    }
}

/// One command around a unit's program.
#[derive(Clone, Debug)]
pub struct HookCommand<'a> {
    /// When it is executed.
    pub stage: Stage,
    /// Its failure is no failure.
    pub may_fail: bool,
    /// The arguments, the first being the program; 1 to `MAX_ARGUMENTS`.
    pub argv: Strings<'a>,
}

/// How much log a unit keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPolicy {
    /// A log file is rotated at this size.
    pub max_size_bytes: u32,
    /// So many files are kept, the current one included.
    pub max_files: u16,
}

impl LogPolicy {
    /// What holds unless the unit's file says something else. The logger goes by the same for what it
    /// is told nothing about (`ettan_log::DEFAULT_MAX_SIZE_BYTES`, `ettan_log::DEFAULT_MAX_FILES`).
    pub const DEFAULT: Self = Self { max_size_bytes: 256 * 1024, max_files: 4 };
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The strings of one list, in order.
#[derive(Clone, Debug)]
pub struct Strings<'a> {
    places: core::slice::Iter<'a, Word>,
    bytes: &'a [u8],
}

impl<'a> Strings<'a> {
    pub(crate) fn new(places: &'a [Word], bytes: &'a [u8]) -> Self {
        Self { places: places.iter(), bytes }
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        let place = u32::from_le_bytes(*self.places.next()?);
        string(self.bytes, place)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl ExactSizeIterator for Strings<'_> {}

/// The numbers of one list, in order.
#[derive(Clone, Debug)]
pub struct Numbers<'a>(core::slice::Iter<'a, Word>);

impl<'a> Numbers<'a> {
    pub(crate) fn new(words: &'a [Word]) -> Self {
        Self(words.iter())
    }
}

impl Iterator for Numbers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0.next().map(|word| u32::from_le_bytes(*word))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Numbers<'_> {}

/// The string at `place`, up to its NUL.
pub(crate) fn string(bytes: &[u8], place: u32) -> Option<&CStr> {
    let rest = bytes.get(usize::try_from(place).ok()?..)?;
    CStr::from_bytes_until_nul(rest).ok()
}
