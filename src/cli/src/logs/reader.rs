//! Reads one unit's log files in order, from where it was before, across rotation.
//!
//! The logger renames `current` to `@` and a number one higher than any before, and makes a new
//! `current`. The file that was open is known by its inode, wherever its name went.

use ettan_log::held::open_file;
use ettan_log::note::Place;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CURRENT: &str = "current";

/// Bytes of a line that are held until its end comes: four times the longest of the logger's.
const MOST_OF_A_LINE: usize = 32 * 1024;

/// One unit's log, and how far it was read.
pub(super) struct Reader {
    directory: PathBuf,
    /// The file read last, at its end.
    open: Option<File>,
    /// The highest archive that was read or was there before the open file.
    newest_archive: String,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
    /// Nothing behind this byte of the file of this number (inode) is read.
    end: Option<(u64, u64)>,
    /// That byte was reached.
    is_past_end: bool,
}

impl Reader {
    /// Nothing is read yet.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            open: None,
            newest_archive: String::new(),
            begun: Vec::new(),
            end: None,
            is_past_end: false,
        }
    }

    /// Of a log that is kept on a disk too: what is on the disk, and what only memory has. None on
    /// disk when nothing is. The logger's note says where the one ends and the other begins.
    pub(super) fn of_both(
        memory: PathBuf,
        on_disk: PathBuf,
        place: Option<Place>,
    ) -> (Option<Self>, Self) {
        let (mut memory, mut disk) = (Self::new(memory), Self::new(on_disk));
        if let Some(place) = place
            && disk.find(place.to_inode).is_some()
            && memory.begin_at(place.from_inode, place.from_byte)
        {
            disk.end = Some((place.to_inode, place.to_size));
        }
        (disk.directory.is_dir().then_some(disk), memory)
    }

    /// Starts with this byte of the file of this number (inode). False if it is gone.
    fn begin_at(&mut self, inode: u64, byte: u64) -> bool {
        let Some((mut file, name)) = self.find(inode) else { return false };
        // Archives from the open file on are to be read, and it is skipped by its number.
        self.newest_archive = name;
        let is_there = file.seek(SeekFrom::Start(byte)).is_ok();
        self.open = Some(file);
        is_there
    }

    /// The file of this number (inode), and the newest archive up to it.
    fn find(&self, inode: u64) -> Option<(File, String)> {
        let is_it = |file: &File| file.metadata().is_ok_and(|found| found.ino() == inode);
        // First the name that a file loses: renamed in between, it is found among the archives.
        let current = open_file(&self.directory, CURRENT).ok().filter(is_it);
        let archives = self.archives().ok()?;
        if let Some(current) = current {
            return Some((current, archives.last().cloned().unwrap_or_default()));
        }
        let opened = archives.into_iter().filter_map(|name| {
            let file = open_file(&self.directory, &name).ok()?;
            Some((file, name))
        });
        opened.into_iter().find(|(file, _)| is_it(file))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Reads everything that is new; `line` gets each whole line, without its end.
    pub(super) fn read(&mut self, mut line: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let current = absent_is_none(open_file(&self.directory, CURRENT))?;
            let archives = self.archives()?;
            let same = same_file(self.open.as_ref(), current.as_ref())?;
            // After the look at the names: what was written before the file was renamed is read here.
            self.read_open(&mut line)?;
            if same {
                return Ok(());
            }
            let renamed_meanwhile = self.read_archives(archives, &mut line)?;
            let Some(current) = current else { return Ok(()) };
            if !renamed_meanwhile && !same_file(self.open.as_ref(), Some(&current))? {
                self.open_next(current, &mut line);
                self.read_open(&mut line)?;
                return Ok(());
            }
        }
    }

    /// Hands out the beginning of a line that nobody will end.
    pub(super) fn rest(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.begun.is_empty() {
            line(&std::mem::take(&mut self.begun));
        }
    }

    /// Reads the archives that are newer than what was read. True when `current` became one of
    /// them in the meantime, so that the names must be looked at again.
    fn read_archives(
        &mut self,
        archives: Vec<String>,
        line: &mut impl FnMut(&[u8]),
    ) -> io::Result<bool> {
        let before = self.newest_archive.clone();
        for name in archives.into_iter().filter(|name| *name > before) {
            let Some(file) = absent_is_none(open_file(&self.directory, &name))? else {
                continue;
            };
            self.newest_archive = name;
            if same_file(self.open.as_ref(), Some(&file))? {
                continue;
            }
            self.open_next(file, line);
            self.read_open(line)?;
        }
        let now = self.archives()?;
        Ok(now.last().is_some_and(|newest| *newest > self.newest_archive))
    }

    /// A file is whole lines, unless the power went: then its tail is a line by itself.
    fn open_next(&mut self, file: File, line: &mut impl FnMut(&[u8])) {
        self.rest(line);
        self.open = Some(file);
    }

    /// Leaves out all but the end of the newest file; its first line may begin anywhere. False
    /// where that cannot be read.
    pub(super) fn skip_to_the_end(&mut self) -> bool {
        const END_BYTES: u64 = 16 * 1024;
        let mut current = match absent_is_none(open_file(&self.directory, CURRENT)) {
            Ok(Some(current)) => current,
            Ok(None) => return true,
            Err(_) => return false,
        };
        self.newest_archive =
            self.archives().ok().and_then(|all| all.last().cloned()).unwrap_or_default();
        let size = current.metadata().map_or(0, |found| found.len());
        if current.seek(SeekFrom::Start(size.saturating_sub(END_BYTES))).is_ok() {
            self.open = Some(current);
        }
        true
    }

    fn read_open(&mut self, line: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let Some(file) = self.open.as_mut().filter(|_| !self.is_past_end) else { return Ok(()) };
        let end =
            self.end.filter(|(inode, _)| file.metadata().is_ok_and(|found| found.ino() == *inode));
        let mut left = end.map_or(u64::MAX, |(_, size)| size);
        let mut buffer = [0; 16 * 1024];
        loop {
            let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let length = match file.read(&mut buffer[..most]) {
                Ok(0) => {
                    self.is_past_end = end.is_some();
                    return Ok(());
                }
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            left = left.saturating_sub(length as u64);
            for part in buffer[..length].split_inclusive(|byte| *byte == b'\n') {
                match part.strip_suffix(b"\n") {
                    Some(end) if self.begun.is_empty() => line(end),
                    Some(end) => {
                        self.begun.extend_from_slice(end);
                        line(&std::mem::take(&mut self.begun));
                    }
                    None => self.begun.extend_from_slice(part),
                }
                // No logger writes such a line: a hole in somebody's file is not ours to hold.
                if self.begun.len() > MOST_OF_A_LINE {
                    line(&std::mem::take(&mut self.begun));
                }
            }
        }
    }

    /// The names of the archives, oldest first.
    fn archives(&self) -> io::Result<Vec<String>> {
        let Some(entries) = absent_is_none(fs::read_dir(&self.directory))? else {
            return Ok(Vec::new());
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut archives: Vec<String> = names.filter(|name| name.starts_with('@')).collect();
        archives.sort();
        Ok(archives)
    }
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn same_file(a: Option<&File>, b: Option<&File>) -> io::Result<bool> {
    let (Some(a), Some(b)) = (a, b) else { return Ok(false) };
    let (a, b) = (a.metadata()?, b.metadata()?);
    Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("ettan-logs-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, text: &str) {
            let path = self.0.join(CURRENT);
            let mut file = File::options().append(true).create(true).open(path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn rotate(&self, number: u32) {
            let archive = self.0.join(format!("@{number:010}"));
            fs::rename(self.0.join(CURRENT), archive).unwrap();
            self.write("");
        }

        fn remove(&self, number: u32) {
            fs::remove_file(self.0.join(format!("@{number:010}"))).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn read(reader: &mut Reader) -> Vec<String> {
        let mut lines = Vec::new();
        reader.read(|line| lines.push(String::from_utf8_lossy(line).into_owned())).unwrap();
        lines
    }

    #[test]
    fn archives_come_before_current() {
        let folder = Folder::new();
        folder.write("one\n");
        folder.rotate(9);
        folder.write("two\n");
        folder.rotate(10);
        folder.write("three\nfo");
        let mut reader = Reader::new(folder.0.clone());
        assert_eq!(read(&mut reader), ["one", "two", "three"]);
        folder.write("ur\n");
        assert_eq!(read(&mut reader), ["four"]);
        assert_eq!(read(&mut reader), [""; 0]);
    }

    #[test]
    fn a_link_or_a_pipe_in_the_place_of_a_file_is_told_and_not_read() {
        let folder = Folder::new();
        folder.write("one\n");
        std::os::unix::fs::symlink("/etc/passwd", folder.0.join("@0000000001")).unwrap();
        let error = Reader::new(folder.0.clone()).read(|_| ()).unwrap_err();
        assert!(error.to_string().contains("@0000000001 is a link or no file"), "{error}");
        assert!(Reader::new(folder.0.clone()).skip_to_the_end());
        fs::rename(folder.0.join("@0000000001"), folder.0.join(CURRENT)).unwrap();
        assert!(!Reader::new(folder.0.clone()).skip_to_the_end());
    }

    #[test]
    fn a_follower_survives_rotation() {
        let folder = Folder::new();
        let mut reader = Reader::new(folder.0.clone());
        assert_eq!(read(&mut reader), [""; 0]);
        folder.write("one\n");
        assert_eq!(read(&mut reader), ["one"]);
        folder.write("two\n");
        folder.rotate(1);
        folder.write("three\n");
        folder.rotate(2);
        folder.write("four\n");
        folder.rotate(3);
        folder.write("five\n");
        assert_eq!(read(&mut reader), ["two", "three", "four", "five"]);
        folder.rotate(4);
        assert_eq!(read(&mut reader), [""; 0]);
        folder.write("six\n");
        assert_eq!(read(&mut reader), ["six"]);
    }

    #[test]
    fn a_follower_that_lost_its_file_goes_on_with_the_next() {
        let folder = Folder::new();
        let mut reader = Reader::new(folder.0.clone());
        folder.write("one\n");
        assert_eq!(read(&mut reader), ["one"]);
        for number in 1..4 {
            folder.rotate(number);
            folder.write(&format!("after {number}\n"));
        }
        folder.remove(1);
        folder.remove(2);
        assert_eq!(read(&mut reader), ["after 2", "after 3"]);
    }

    #[test]
    fn memory_goes_on_where_the_copy_on_disk_ends() {
        let (memory, disk) = (Folder::new(), Folder::new());
        disk.write("before\none\n");
        disk.rotate(7);
        disk.write("two\n");
        memory.write("one\ntwo\n");
        let inode = |folder: &Folder| fs::metadata(folder.0.join(CURRENT)).unwrap().ino();
        let (from_inode, to_inode) = (inode(&memory), inode(&disk));
        let place = Place { from_inode, from_byte: 8, to_inode, to_size: 4 };
        // Copied since the note was written.
        memory.write("three\n");
        disk.write("three\n");
        memory.rotate(1);
        memory.write("four\n");
        let both = |place| Reader::of_both(memory.0.clone(), disk.0.clone(), place);
        let (on_disk, mut in_memory) = both(Some(place));
        assert_eq!(read(&mut on_disk.unwrap()), ["before", "one", "two"]);
        assert_eq!(read(&mut in_memory), ["three", "four"]);
        // Memory let go of it.
        memory.remove(1);
        let (on_disk, mut in_memory) = both(Some(place));
        assert_eq!(read(&mut on_disk.unwrap()), ["before", "one", "two", "three"]);
        assert_eq!(read(&mut in_memory), ["four"]);
        // Nothing was copied since the machine was started.
        let (on_disk, _) = both(None);
        assert_eq!(read(&mut on_disk.unwrap()).len(), 4);
    }

    #[test]
    fn no_folder_is_no_lines() {
        let mut reader = Reader::new("/nonexistent/ettan".into());
        assert_eq!(read(&mut reader), [""; 0]);
    }
}
