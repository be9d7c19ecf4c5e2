//! The note beside a log in memory that is kept on a disk too: how far the copy is, and how it
//! stands there. Written by the keeper; read by the next logger and by the `ettan` command.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ettan_sys::clock;

use crate::plain::{self, Access};

/// The name of the note, in the log's directory in memory.
const NAME: &str = ".disk";

/// Its length, always: so that a new one covers the old one. Less than a page, so that it is
/// written whole or not at all; more than the longest path and the longest error.
const BYTES: usize = 2048;

/// In the root of the logs: up to when everything that was asked for is on the disks.
const FLUSHED: &str = ".flushed";

/// A day of a budget, in milliseconds.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How it stands with one log's copy on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Where the copy is.
    pub directory: PathBuf,
    /// How far it is; none before the first copy of this boot.
    pub place: Option<Place>,
    /// Bytes that the disk wrote since `day_ms`: whole blocks, and what a file system writes along.
    pub today_bytes: u64,
    /// When that day began, in milliseconds since boot; less than 0 for a former boot.
    pub day_ms: i64,
    /// The same since boot.
    pub total_bytes: u64,
    /// Bytes of text in that.
    pub text_bytes: u64,
    /// What memory let go of before the disk had it, since boot.
    pub lost_bytes: u64,
    /// The line ends in that.
    pub lost_lines: u64,
    /// The most bytes to write there in a day.
    pub budget_bytes: Option<u64>,
    /// Nothing more is written there today.
    pub is_used_up: bool,
    /// Why the disk does not take it just now.
    pub error: Option<String>,
}

/// Up to where the copy is when the file on disk is of this number and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The number (inode) of the file in memory.
    pub from_inode: u64,
    /// How many bytes of it are copied.
    pub from_byte: u64,
    /// The number (inode) of the file on disk.
    pub to_inode: u64,
    /// Its size in bytes then.
    pub to_size: u64,
}

impl Note {
    /// The note of the log in this directory in memory; none where there is no copy on disk.
    #[must_use]
    pub fn read(directory: &Path) -> Option<Self> {
        read(directory, NAME).ok().map(|text| Self::parse(&text))
    }

    /// What is not there is 0 or none.
    fn parse(text: &str) -> Self {
        let word =
            |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let number = |key: &str| -> Option<u64> { word(key)?.parse().ok() };
        let place = || {
            Some(Place {
                from_inode: number("from-inode")?,
                from_byte: number("from-byte")?,
                to_inode: number("to-inode")?,
                to_size: number("to-size")?,
            })
        };
        let or_none = |key| number(key).unwrap_or(0);
        Note {
            directory: word("directory").map(PathBuf::from).unwrap_or_default(),
            place: place(),
            today_bytes: or_none("today"),
            day_ms: word("day-ms").and_then(|day| day.parse().ok()).unwrap_or(0),
            total_bytes: or_none("total"),
            text_bytes: or_none("text"),
            lost_bytes: or_none("lost-bytes"),
            lost_lines: or_none("lost-lines"),
            budget_bytes: number("budget"),
            is_used_up: word("used-up") == Some("true"),
            error: word("error").map(str::to_owned),
        }
    }

    fn text(&self) -> Vec<u8> {
        let mut text = String::new();
        if let Some(Place { from_inode, from_byte, to_inode, to_size }) = self.place {
            let _ = write!(
                text,
                "from-inode={from_inode}\nfrom-byte={from_byte}\n\
                 to-inode={to_inode}\nto-size={to_size}\n"
            );
        }
        let Note { today_bytes, day_ms, total_bytes, lost_bytes, lost_lines, .. } = self;
        let _ = write!(text, "today={today_bytes}\nday-ms={day_ms}\ntotal={total_bytes}\n");
        let _ = writeln!(text, "text={}", self.text_bytes);
        let _ = write!(text, "lost-bytes={lost_bytes}\nlost-lines={lost_lines}\n");
        if let Some(budget) = self.budget_bytes {
            let _ = write!(text, "budget={budget}\nused-up={}\n", self.is_used_up);
        }
        let mut text = text.into_bytes();
        text.extend_from_slice(b"directory=");
        text.extend_from_slice(self.directory.as_os_str().as_bytes());
        if let Some(error) = &self.error {
            text.extend_from_slice(b"\nerror=");
            text.extend_from_slice(error.as_bytes());
        }
        text.resize(BYTES, b'\n');
        text
    }

    /// Writes it over the one before.
    pub(crate) fn write(&self, directory: &Path) {
        let _ = write(directory, NAME, &self.text());
    }

    /// What was written to the disk in the day that it is now.
    #[must_use]
    pub fn today(&self) -> u64 {
        let now = i64::try_from(clock::now()).unwrap_or(i64::MAX);
        let over = now.saturating_sub(self.day_ms) >= DAY_MS.cast_signed();
        if over { 0 } else { self.today_bytes }
    }
}

/// Says that what was asked for up to this time (milliseconds since boot) was brought to the
/// disks, as far as they took it.
pub(crate) fn say_flushed(root: &Path, asked_ms: u64) {
    let _ = write(root, FLUSHED, format!("{asked_ms:020}\n").as_bytes());
}

/// Up to when what was asked for was brought to the disks, in milliseconds since boot; 0 before
/// the first time.
#[must_use]
pub fn flushed_ms(root: &Path) -> u64 {
    let text = read(root, FLUSHED).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

fn read(directory: &Path, name: &str) -> io::Result<String> {
    let mut text = Vec::with_capacity(BYTES);
    plain::open(directory, name, Access::Read)?.take(BYTES as u64).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn write(directory: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    plain::make(directory, name, Access::Write, 0o644)?.write_all_at(text, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_written() {
        let place = Place { from_inode: 1, from_byte: 2, to_inode: 3, to_size: 4 };
        let note = Note {
            directory: "/data/log/web".into(),
            place: Some(place),
            today_bytes: 5,
            day_ms: 6,
            total_bytes: 7,
            text_bytes: 11,
            lost_bytes: 8,
            lost_lines: 9,
            budget_bytes: Some(10),
            is_used_up: true,
            error: Some("Input/output error (os error 5)".into()),
        };
        let text = String::from_utf8(note.text()).unwrap();
        assert_eq!((Note::parse(&text), text.len()), (note, BYTES));
        assert_eq!(Note::parse("nonsense\n=\n"), Note::default());
    }
}
