//! Keeps one unit's files: `current` and its archives. Knows nothing of lines' contents.
//!
//! An archive is `@` and ten digits that count up and are never used again, so the order of the
//! files is the order of what is in them, whatever the clock does. Going over to a new file is:
//! remove the oldest, rename `current`, create `current`. A power cut after any of these leaves
//! a set that the next start goes on with.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::packet::Limits;
use crate::page::Amount;
use crate::stage::Left;

/// The file being written.
pub(crate) const CURRENT: &str = "current";

/// Digits of an archive's number: 10^10 rotations of the smallest file take longer than a card
/// lives.
const DIGITS: usize = 10;

/// One unit's files.
pub(crate) struct Store {
    directory: PathBuf,
    open: Option<Open>,
    newest_archive: u64,
    counts_gone: bool,
    gone: Amount,
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
        let mut files = vec![self.directory.join(CURRENT)];
        if let Ok(found) = archives(&self.directory) {
            files.extend(found.map(|number| self.directory.join(archive_name(number))));
        }
        for path in files {
            let file = OpenOptions::new().write(true).open(path);
            if let Ok(file) = file
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

    /// How old the first line of `current` is, in seconds.
    pub(crate) fn age_sec(&self, second: u64) -> u64 {
        let since = self.open.as_ref().filter(|open| open.size > 0).map(|open| open.since_second);
        since.map_or(0, |since| second.saturating_sub(since))
    }

    /// From now on what is in files that are removed is counted.
    pub(crate) fn count_gone(&mut self) {
        self.counts_gone = true;
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
            File::open(&self.directory)?.sync_all()?;
            self.moved = false;
        }
        Ok(())
    }

    /// Cuts off what is behind the last line end; gives how many bytes that were.
    pub(crate) fn mend(&mut self) -> io::Result<u64> {
        let Some(open) = &mut self.open else { return Ok(0) };
        let mut tail = [0; 4096];
        let (before, mut size) = (open.size, open.size);
        while size > 0 {
            let length = size.min(tail.len() as u64);
            let piece = &mut tail[..length as usize];
            open.file.read_exact_at(piece, size - length)?;
            match piece.iter().rposition(|byte| *byte == b'\n') {
                Some(at) => {
                    size = size - length + at as u64 + 1;
                    break;
                }
                None => size -= length,
            }
        }
        if size < before {
            open.file.set_len(size)?;
            (open.size, open.mid_line) = (size, false);
        }
        Ok(before - size)
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
        self.newest_archive = self.newest_archive.max(newest(&self.directory)?);
        self.prune(archives_kept(limits))?;
        self.open = Some(open(&self.directory.join(CURRENT), limits.owner, second)?);
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
        open.mid_line = text.last().map_or(open.mid_line, |byte| *byte != b'\n');
        Ok(())
    }

    /// Makes `current` an archive and opens a new one.
    pub(crate) fn rotate(&mut self, limits: Limits, second: u64) -> io::Result<()> {
        let current = self.directory.join(CURRENT);
        let kept = archives_kept(limits);
        if kept == 0 {
            self.remove(&current)?;
        } else {
            self.prune(kept - 1)?;
            let archive = self.directory.join(archive_name(self.newest_archive + 1));
            gone_is_fine(fs::rename(&current, archive))?;
            self.newest_archive += 1;
        }
        self.moved = true;
        self.open = None;
        self.open = Some(open(&current, limits.owner, second)?);
        Ok(())
    }

    /// Removes the oldest archive, to make room on a full file system. True if there was one.
    pub(crate) fn remove_oldest(&mut self) -> bool {
        let oldest = archives(&self.directory).ok().and_then(|found| found.min());
        oldest.is_some_and(|number| self.remove(&self.directory.join(archive_name(number))).is_ok())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        if self.counts_gone {
            let mut chunk = [0; 4096];
            let file = File::open(path);
            let amount = file.and_then(|file| count(file, &mut chunk)).unwrap_or_default();
            self.gone = self.gone.plus(amount);
        }
        self.moved = true;
        gone_is_fine(fs::remove_file(path))
    }

    /// Removes all but the newest archives.
    fn prune(&mut self, kept: u64) -> io::Result<()> {
        let found: Vec<_> = archives(&self.directory)?.collect();
        for number in found {
            if number + kept <= self.newest_archive {
                self.remove(&self.directory.join(archive_name(number)))?;
            }
        }
        Ok(())
    }
}

/// Whether there is no room left.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The files of the log in this directory, the oldest first; none if it is not there.
pub(crate) fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut numbers: Vec<_> = match archives(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?.collect(),
    };
    numbers.sort_unstable();
    let names = numbers.into_iter().map(archive_name).chain([CURRENT.to_owned()]);
    Ok(names.map(|name| directory.join(name)).collect())
}

/// How much there is to read.
pub(crate) fn count(mut file: impl io::Read, chunk: &mut [u8]) -> io::Result<Amount> {
    let mut amount = Amount::default();
    loop {
        match file.read(chunk)? {
            0 => return Ok(amount),
            length => amount = amount.plus(Amount::of(&chunk[..length])),
        }
    }
}

fn archives_kept(limits: Limits) -> u64 {
    u64::from(limits.max_files.saturating_sub(1))
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes the directory of a log, and what is above it.
pub(crate) fn create_directory(directory: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    let made = match DirBuilder::new().mode(0o750).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = directory.parent() {
                DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
            }
            DirBuilder::new().mode(0o750).create(directory)
        }
        other => other,
    };
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Ok(()) => give(directory, owner),
        Err(error) => Err(error),
    }
}

fn give(path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    owner.map_or(Ok(()), |(user, group)| std::os::unix::fs::lchown(path, Some(user), Some(group)))
}

fn open(path: &Path, owner: Option<(u32, u32)>, second: u64) -> io::Result<Open> {
    // A link or a pipe in its place is nothing to write to: the former leads elsewhere, the
    // latter blocks.
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => fs::remove_file(path)?,
        Ok(_) | Err(_) => {}
    }
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    let found = file.metadata()?;
    let (inode, size) = (found.ino(), found.len());
    let since_second = match size {
        0 => {
            give(path, owner)?;
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

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |span| span.as_secs())
}

pub(crate) fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(theirs)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
}

fn archive_name(number: u64) -> String {
    format!("@{number:0DIGITS$}")
}

fn archives(directory: &Path) -> io::Result<impl Iterator<Item = u64>> {
    let number = |entry: io::Result<fs::DirEntry>| {
        let name = entry.ok()?.file_name();
        let digits = name.to_str()?.strip_prefix('@')?;
        let all_digits = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        if all_digits { digits.parse().ok() } else { None }
    };
    Ok(fs::read_dir(directory)?.filter_map(number))
}

fn newest(directory: &Path) -> io::Result<u64> {
    Ok(archives(directory)?.max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_size_bytes: 100, max_files: 3, ..Limits::USUAL };

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let own = format!("ettan-store-{}-{name}", std::process::id());
            Folder(std::env::temp_dir().join(own))
        }

        fn store(&self) -> Store {
            Store::new(self.0.join("web"))
        }

        /// All files and what is in them, the oldest first.
        fn shows(&self) -> Vec<(String, String)> {
            let mut all: Vec<_> = fs::read_dir(self.0.join("web"))
                .unwrap()
                .map(|entry| {
                    let entry = entry.unwrap();
                    let text = fs::read_to_string(entry.path()).unwrap();
                    (entry.file_name().into_string().unwrap(), text)
                })
                .collect();
            all.sort();
            all
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn shown(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn write_three(folder: &Folder) -> Store {
        let mut store = folder.store();
        store.prepare(LIMITS, 1).unwrap();
        for text in ["one\n", "two\n"] {
            store.append(text.as_bytes()).unwrap();
            store.rotate(LIMITS, 1).unwrap();
        }
        store.append(b"three\n").unwrap();
        store
    }

    #[test]
    fn archives_count_up_and_the_oldest_go() {
        let folder = Folder::new("count");
        let mut store = write_three(&folder);
        store.rotate(LIMITS, 1).unwrap();
        let expected = [("@0000000002", "two\n"), ("@0000000003", "three\n"), ("current", "")];
        assert_eq!(folder.shows(), shown(&expected));
    }

    #[test]
    fn f6_7_a_rotation_cut_short_is_gone_on_with() {
        let cuts: [fn(&Path); 2] = [
            |web| fs::remove_file(web.join("@0000000001")).unwrap(),
            |web| {
                fs::remove_file(web.join("@0000000001")).unwrap();
                fs::rename(web.join("current"), web.join("@0000000003")).unwrap();
            },
        ];
        for (number, cut) in cuts.into_iter().enumerate() {
            let folder = Folder::new(&format!("cut{number}"));
            drop(write_three(&folder));
            cut(&folder.0.join("web"));
            let mut store = folder.store();
            store.prepare(LIMITS, 2).unwrap();
            store.append(b"four\n").unwrap();
            let texts: String = folder.shows().into_iter().map(|(_, text)| text).collect();
            assert_eq!(texts, "two\nthree\nfour\n");
            store.rotate(LIMITS, 2).unwrap();
            assert_eq!(folder.shows().len(), 3);
        }
    }

    #[test]
    fn fewer_files_from_now_on() {
        let folder = Folder::new("fewer");
        drop(write_three(&folder));
        let limits = Limits { max_files: 2, ..LIMITS };
        let mut store = folder.store();
        store.prepare(limits, 2).unwrap();
        assert_eq!(folder.shows(), shown(&[("@0000000002", "two\n"), ("current", "three\n")]));
    }

    #[test]
    fn f6_8_current_taken_away_is_made_anew() {
        let folder = Folder::new("taken");
        let mut store = folder.store();
        store.prepare(LIMITS, 1).unwrap();
        store.append(b"one\n").unwrap();
        fs::remove_dir_all(folder.0.join("web")).unwrap();
        assert!(!store.prepare(LIMITS, 1).unwrap());
        assert!(store.prepare(LIMITS, 2).unwrap());
        store.append(b"two\n").unwrap();
        assert_eq!(folder.shows(), shown(&[("current", "two\n")]));
        fs::rename(folder.0.join("web/current"), folder.0.join("web/mine")).unwrap();
        store.rotate(LIMITS, 2).unwrap();
        store.append(b"three\n").unwrap();
        assert_eq!(folder.shows(), shown(&[("current", "three\n"), ("mine", "two\n")]));
    }

    #[test]
    fn something_else_in_the_place_of_current_gives_way() {
        let folder = Folder::new("link");
        fs::create_dir_all(folder.0.join("web")).unwrap();
        fs::write(folder.0.join("secret"), "unharmed").unwrap();
        std::os::unix::fs::symlink("../secret", folder.0.join("web/current")).unwrap();
        let mut store = folder.store();
        store.prepare(LIMITS, 1).unwrap();
        store.append(b"one\n").unwrap();
        assert_eq!(fs::read_to_string(folder.0.join("secret")).unwrap(), "unharmed");
        assert_eq!(folder.shows(), shown(&[("current", "one\n")]));
    }

    #[test]
    fn an_unfinished_line_is_noticed() {
        let folder = Folder::new("unfinished");
        let mut store = folder.store();
        store.prepare(LIMITS, 1).unwrap();
        assert!(!store.mid_line());
        store.append(b"one\ntw").unwrap();
        assert!(store.mid_line());
        let mut next = folder.store();
        next.prepare(LIMITS, 1).unwrap();
        assert!(next.mid_line());
        assert_eq!(next.size(), 6);
    }
}
