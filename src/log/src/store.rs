//! Keeps one unit's files: `current` and its archives. Knows nothing of lines' contents.
//!
//! An archive is `@` and ten digits that count up and are never used again, so the order of the
//! files is the order of what is in them, whatever the clock does. Going over to a new file is:
//! remove the oldest, rename `current`, create `current`. A power cut after any of these leaves
//! a set that the next start goes on with.

mod files;

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use ettan_sys::plain::open_folder;

use crate::ledger::MAX_LINE;
use crate::packet::{Limits, Stream};
use crate::page::Amount;
use crate::plain::{self, Access};
use crate::record::{Kind, Line, TAI_BYTES};
use crate::stage::Left;
use files::{archive_name, archives, give, gone_is_fine, seconds};
pub(crate) use files::{count, create_directory, files, is_same};

/// The longest line without its end: a time, the byte after it, a service's text.
const LINE_MOST: usize = TAI_BYTES + 1 + MAX_LINE;

/// The file being written.
pub(crate) const CURRENT: &str = "current";

/// No write that was torn is longer, in bytes; a file of whoever owns the folder may be, and full of holes.
const TORN_MOST: u64 = 1 << 20;

/// One unit's files.
pub(crate) struct Store {
    directory: PathBuf,
    open: Option<Open>,
    newest_archive: u64,
    counts_gone: bool,
    gone: Amount,
    written: u64,
    /// A file was made, renamed or removed since the last sync.
    moved: bool,
}

struct Open {
    file: File,
    inode: u64,
    size: u64,
    mid_line: bool,
    /// When its first line was written, as far as that is known.
    since_second: u64,
    checked_second: u64,
}

impl Store {
    /// The files in this directory; nothing is touched yet.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Store {
            directory,
            open: None,
            newest_archive: 0,
            counts_gone: false,
            gone: Amount::default(),
            written: 0,
            moved: false,
        }
    }

    /// Bytes in `current`; 0 while it is not open.
    pub(crate) fn size(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.size)
    }

    /// The number of `current`; 0 while it is not open.
    pub(crate) fn inode(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.inode)
    }

    /// Settles what became of the write that a logger was killed in.
    pub(crate) fn settle(&self, left: &mut Left) -> io::Result<()> {
        let mut names = vec![CURRENT.to_owned()];
        if let Ok(found) = archives(&self.directory) {
            names.extend(found.map(archive_name));
        }
        for name in names {
            if let Ok(file) = plain::open(&self.directory, &name, Access::Write)
                && left.settle(&file)?.is_some()
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the last byte of `current` is no line end.
    pub(crate) fn mid_line(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.mid_line)
    }

    /// Where the service wrote the last line of `current`: what it begins with says so.
    pub(crate) fn last_stream(&self) -> Stream {
        let Some(open) = &self.open else { return Stream::Output };
        let mut tail = [0; LINE_MOST];
        let length = open.size.min(tail.len() as u64);
        let tail = &mut tail[..length as usize];
        if open.file.read_exact_at(tail, open.size - length).is_err() {
            return Stream::Output;
        }
        let start = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        match Line::of(&tail[start..]).kind {
            Kind::Error | Kind::ErrorRest => Stream::Error,
            Kind::Line | Kind::Rest | Kind::Note | Kind::Message(_) | Kind::Clock => Stream::Output,
        }
    }

    /// How old the first line of `current` is, in seconds.
    pub(crate) fn age_sec(&self, second: u64) -> u64 {
        let since = self.open.as_ref().filter(|open| open.size > 0).map(|open| open.since_second);
        since.map_or(0, |since| second.saturating_sub(since))
    }

    /// From now on what is in files that are removed is counted.
    pub(crate) fn count_gone(&mut self) {
        self.counts_gone = true;
    }

    /// How many bytes were appended so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// What was in the files that were removed.
    pub(crate) fn gone(&self) -> Amount {
        self.gone
    }

    /// Has the disk keep what was written.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if let Some(open) = &self.open {
            open.file.sync_data()?;
        }
        if self.moved {
            File::from(open_folder(&self.directory)?).sync_all()?;
            self.moved = false;
        }
        Ok(())
    }

    /// Cuts off what is behind the last line end; gives how many bytes that were. Where there is none for
    /// so long, it is not a write of ours that was torn: it stays, and is a line.
    pub(crate) fn mend(&mut self) -> io::Result<u64> {
        let Some(open) = &mut self.open else { return Ok(0) };
        let before = open.size;
        let end = line_end(&open.file, before)?;
        match end {
            Some(end) if end == before => {}
            Some(end) => open.file.set_len(end)?,
            None => open.file.write_all(b"\n")?,
        }
        open.size = end.unwrap_or(before + 1);
        open.mid_line = false;
        Ok(before.saturating_sub(open.size))
    }

    /// Gives the descriptor back; the next `prepare` opens it again.
    pub(crate) fn shed(&mut self) {
        self.open = None;
    }

    /// Opens `current` where it is not open yet, or where, looked at once a second, somebody
    /// else renamed or removed it. True if it was opened now.
    pub(crate) fn prepare(&mut self, limits: Limits, second: u64) -> io::Result<bool> {
        if let Some(open) = &mut self.open {
            if open.checked_second == second {
                return Ok(false);
            }
            open.checked_second = second;
            if is_same(&open.file, &self.directory.join(CURRENT)) {
                return Ok(false);
            }
            self.open = None;
        }
        create_directory(&self.directory, limits.owner)?;
        let found: Vec<_> = archives(&self.directory)?.collect();
        self.newest_archive = found.iter().copied().fold(self.newest_archive, u64::max);
        self.prune(&found, archives_kept(limits))?;
        self.open = Some(open(&self.directory, limits.owner, second)?);
        Ok(true)
    }

    /// Writes all of the text or, as far as the file system lets go of it, none.
    pub(crate) fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.open else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Err(error) = open.file.write_all(text) {
            // A half-written record would be neither lost nor there.
            let _ = open.file.set_len(open.size);
            return Err(error);
        }
        if open.size == 0 {
            open.since_second = open.checked_second;
        }
        open.size += text.len() as u64;
        self.written = self.written.saturating_add(text.len() as u64);
        open.mid_line = text.last().map_or(open.mid_line, |byte| *byte != b'\n');
        Ok(())
    }

    /// Makes `current` an archive and opens a new one.
    pub(crate) fn rotate(&mut self, limits: Limits, second: u64) -> io::Result<()> {
        let kept = archives_kept(limits);
        if kept == 0 {
            self.remove(CURRENT)?;
        } else {
            let found: Vec<_> = archives(&self.directory)?.collect();
            self.prune(&found, kept - 1)?;
            let archive = archive_name(self.newest_archive + 1);
            gone_is_fine(plain::rename(&self.directory, CURRENT, &archive))?;
            self.newest_archive += 1;
        }
        self.moved = true;
        self.open = None;
        self.open = Some(open(&self.directory, limits.owner, second)?);
        Ok(())
    }

    /// Removes the oldest archive, to make room on a full file system, if more than so many are there. True if it
    /// is gone.
    pub(crate) fn remove_oldest(&mut self, left: usize) -> bool {
        let found: Vec<_> = archives(&self.directory).into_iter().flatten().collect();
        let oldest = found.iter().min().filter(|_| found.len() > left);
        oldest.is_some_and(|number| self.remove(&archive_name(*number)).is_ok())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        if self.counts_gone {
            let mut chunk = [0; 4096];
            let file = plain::open(&self.directory, name, Access::Read);
            let amount =
                file.and_then(|file| count(&file, u64::MAX, &mut chunk)).unwrap_or_default();
            self.gone = self.gone.plus(amount);
        }
        self.moved = true;
        gone_is_fine(plain::remove(&self.directory, name))
    }

    /// Removes all but the newest of these archives.
    fn prune(&mut self, found: &[u64], kept: u64) -> io::Result<()> {
        for &number in found {
            if number + kept <= self.newest_archive {
                self.remove(&archive_name(number))?;
            }
        }
        Ok(())
    }
}

/// Where the last line of so many bytes ends; None where that is too far back to be known.
fn line_end(file: &File, size: u64) -> io::Result<Option<u64>> {
    let mut piece = [0; 4096];
    let mut end = size;
    while end > 0 && size - end < TORN_MOST {
        let length = end.min(piece.len() as u64);
        let piece = &mut piece[..length as usize];
        file.read_exact_at(piece, end - length)?;
        end -= length;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(Some(end + at as u64 + 1));
        }
    }
    Ok((end == 0).then_some(0))
}

/// Whether there is no room left.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn archives_kept(limits: Limits) -> u64 {
    u64::from(limits.max_files.saturating_sub(1))
}

fn open(directory: &Path, owner: Option<(u32, u32)>, second: u64) -> io::Result<Open> {
    let mut file = plain::make(directory, CURRENT, Access::Append, 0o640)?;
    let found = file.metadata()?;
    let (inode, size) = (found.ino(), found.len());
    let since_second = match size {
        0 => {
            give(&file, owner)?;
            second
        }
        _ => found.created().or(found.modified()).map_or(second, seconds),
    };
    let mid_line = size > 0 && {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        last != *b"\n"
    };
    Ok(Open { file, inode, size, mid_line, since_second, checked_second: second })
}

#[cfg(test)]
mod tests;
