//! The new lines of a file or of a log, from a place in it on, also when it is rotated or cut. Of a log
//! no line is missed: its older files are read in their order. Reads a bounded piece at a time.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ettan_log::held::{Held, held};

use crate::sample::Mark;

/// Bytes read in one look; the rest comes with the next one.
const A_LOOK: usize = 64 * 1024;

/// The longest line; of a longer one the beginning counts.
const LONGEST: usize = 8 * 1024;

/// O_NONBLOCK: a pipe in the place of a file must not hold us up.
const NONBLOCK: i32 = 0o4000;

/// What is read as it grows.
#[derive(Debug)]
pub(crate) struct Follow {
    path: PathBuf,
    /// Where it was before: what is beyond that in the same file is new.
    from: Option<Mark>,
    /// The path is `current` of a log: what it was before has another name beside it.
    log: Option<Log>,
    open: Option<Open>,
    line: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: u64,
    place: u64,
    /// Nothing is written to it any more.
    is_left: bool,
}

#[derive(Debug)]
struct Log {
    /// What older files hold is new too, if it cannot be said where to begin.
    from_the_oldest: bool,
    /// The name of the file before the one that is read.
    before: String,
}

impl Follow {
    /// A file that somebody else rotates, or cuts.
    pub(crate) fn file(path: PathBuf, from: Option<Mark>) -> Self {
        Self { path, from, log: None, open: None, line: Vec::new() }
    }

    /// The log with this `current`, which was so before. Not `known`: nobody can say how it was.
    pub(crate) fn log(path: PathBuf, from: Option<Mark>, known: bool) -> Self {
        let log = Some(Log { from_the_oldest: known, before: String::new() });
        Self { log, ..Self::file(path, from) }
    }

    /// Hands on the lines that are new and whole, without their ends. True: there may be more.
    pub(crate) fn look(&mut self, mut line: impl FnMut(&[u8])) -> bool {
        if self.open.is_none() && !self.open_first() {
            return false;
        }
        let mut buffer = vec![0; A_LOOK];
        let Some(open) = &mut self.open else { return false };
        if open.file.metadata().is_ok_and(|now| now.size() < open.place) {
            // Cut: what is in it was written since.
            open.place = 0;
            self.line.clear();
            let _ = open.file.seek(SeekFrom::Start(0));
        }
        let count = match open.file.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            Err(_) => 0,
        };
        open.place += count as u64;
        for byte in &buffer[..count] {
            if *byte == b'\n' {
                line(&self.line);
                self.line.clear();
            } else if self.line.len() < LONGEST {
                self.line.push(*byte);
            }
        }
        if count > 0 {
            return true;
        }
        if open.is_left {
            return self.open_next();
        }
        // Rotated; what was written just before that is still to be read.
        let inode = open.inode;
        open.is_left = Mark::of(&self.path).is_some_and(|now| now.inode != inode);
        open.is_left
    }

    /// The file that it was before, from where it ended then.
    fn open_first(&mut self) -> bool {
        let from = self.from;
        let opened = match &mut self.log {
            None => open_file(&self.path),
            Some(log) => log.open(&self.path, |files, log| match from {
                // When it is gone, what is left came after it.
                Some(from) => files.iter().position(|file| file.inode == from.inode).unwrap_or(0),
                None if log.from_the_oldest => 0,
                None => files.len().saturating_sub(1),
            }),
        };
        let Some(mut opened) = opened else { return false };
        let size = opened.file.metadata().map_or(0, |found| found.size());
        let old = from.filter(|from| from.inode == opened.inode && from.size <= size);
        opened.place = old.map_or(0, |from| from.size);
        if opened.file.seek(SeekFrom::Start(opened.place)).is_err() {
            opened.place = 0;
        }
        self.open = Some(opened);
        true
    }

    /// The file that came after the one that is read to its end, from its beginning.
    fn open_next(&mut self) -> bool {
        let Some(inode) = self.open.as_ref().map(|open| open.inode) else { return false };
        let opened = match &mut self.log {
            None => open_file(&self.path),
            Some(log) => log.open(&self.path, |files, log| {
                match files.iter().position(|file| file.inode == inode) {
                    Some(at) => at.saturating_add(1),
                    None => files.iter().take_while(|file| file.name <= log.before).count(),
                }
            }),
        };
        let Some(opened) = opened else { return false };
        let is_next = opened.inode != inode;
        if is_next {
            self.open = Some(opened);
            self.line.clear();
        } else if let Some(open) = &mut self.open {
            // It has its name back.
            open.is_left = false;
        }
        is_next
    }
}

impl Log {
    /// Opens the file of this place in the order of age; None where there is none, or the log is
    /// rotated just now.
    fn open(
        &mut self,
        current: &Path,
        place: impl FnOnce(&[Held], &Self) -> usize,
    ) -> Option<Open> {
        let files = held(current.parent()?).ok()?;
        let at = place(&files, self);
        let found = files.get(at)?;
        let file = found.open().ok()??;
        self.before = match at.checked_sub(1).and_then(|before| files.get(before)) {
            Some(before) => before.name.clone(),
            None => String::new(),
        };
        Some(Open { file, inode: found.inode, place: 0, is_left: false })
    }
}

fn open_file(path: &Path) -> Option<Open> {
    let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path).ok()?;
    let inode = file.metadata().ok()?.ino();
    Some(Open { file, inode, place: 0, is_left: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    fn lines(follow: &mut Follow) -> Vec<String> {
        let mut lines = Vec::new();
        while follow.look(|line| lines.push(String::from_utf8_lossy(line).into_owned())) {}
        lines
    }

    #[test]
    fn only_what_is_new_counts_through_rotation_and_cutting() {
        let path = std::env::temp_dir().join(format!("ettan-follow-{}", std::process::id()));
        let add = |text: &str| {
            let mut file =
                OpenOptions::new().append(true).create(true).open(&path).expect("a file");
            file.write_all(text.as_bytes()).expect("written");
        };
        add("old\n");
        let mut follow = Follow::file(path.clone(), Mark::of(&path));
        assert!(lines(&mut follow).is_empty());
        add("new\nhal");
        assert_eq!(lines(&mut follow), ["new"]);
        add("f\n");
        assert_eq!(lines(&mut follow), ["half"]);
        add("last\n");
        fs::rename(&path, path.with_extension("1")).expect("rotated");
        add("first\n");
        assert_eq!(lines(&mut follow), ["last", "first"]);
        File::create(&path).expect("cut");
        add("cut\n");
        assert_eq!(lines(&mut follow), ["cut"]);
        for path in [&path, &path.with_extension("1")] {
            fs::remove_file(path).expect("ours");
        }
    }

    #[test]
    fn a_file_that_comes_later_is_all_new() {
        let path = std::env::temp_dir().join(format!("ettan-follow-late-{}", std::process::id()));
        let mut follow = Follow::file(path.clone(), Mark::of(&path));
        assert!(lines(&mut follow).is_empty());
        fs::write(&path, "here\n").expect("written");
        assert_eq!(lines(&mut follow), ["here"]);
        fs::remove_file(path).expect("ours");
    }

    /// A log's folder, and what its logger does.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("ettan-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }

        fn current(&self) -> PathBuf {
            self.0.join("current")
        }

        fn add(&self, text: &str) {
            let mut options = OpenOptions::new();
            let mut file = options.append(true).create(true).open(self.current()).expect("a file");
            file.write_all(text.as_bytes()).expect("written");
        }

        fn rotate(&self, number: u32) {
            fs::rename(self.current(), self.archive(number)).expect("rotated");
        }

        fn archive(&self, number: u32) -> PathBuf {
            self.0.join(format!("@{number:010}"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_log_that_is_rotated_between_two_looks_is_read_in_order() {
        let folder = Folder::new("follow-log");
        folder.add("old\n");
        folder.rotate(1);
        folder.add("before\n");
        let mut follow = Follow::log(folder.current(), Mark::of(&folder.current()), true);
        // Before the first look too.
        folder.add("one\n");
        for number in 2..4 {
            folder.rotate(number);
            folder.add(&format!("{number}\n"));
        }
        assert_eq!(lines(&mut follow), ["one", "2", "3"]);
        folder.add("more\n");
        assert_eq!(lines(&mut follow), ["more"]);
        folder.add("last\n");
        for number in 4..14 {
            folder.rotate(number);
            folder.add(&format!("{number}\n"));
        }
        let expected: Vec<String> = (4..14).map(|number| number.to_string()).collect();
        assert_eq!(lines(&mut follow), [vec!["last".to_owned()], expected].concat());
    }

    #[test]
    fn what_a_log_let_go_of_is_passed_over_and_nothing_is_read_twice() {
        let folder = Folder::new("follow-gone");
        folder.add("old\n");
        let mut follow = Follow::log(folder.current(), Mark::of(&folder.current()), true);
        assert!(lines(&mut follow).is_empty());
        for number in 1..5 {
            folder.rotate(number);
            folder.add(&format!("{number}\n"));
        }
        for number in 1..3 {
            fs::remove_file(folder.archive(number)).expect("there");
        }
        assert_eq!(lines(&mut follow), ["2", "3", "4"]);
        // Somebody else takes it away: what is older was read.
        fs::remove_file(folder.current()).expect("there");
        assert!(lines(&mut follow).is_empty());
        folder.add("anew\n");
        assert_eq!(lines(&mut follow), ["anew"]);
        // Before the first look: what is left came after it.
        let mut late = Follow::log(folder.current(), Mark::of(&folder.current()), true);
        folder.rotate(5);
        folder.add("5\n");
        fs::remove_file(folder.archive(5)).expect("there");
        fs::remove_file(folder.archive(4)).expect("there");
        fs::remove_file(folder.archive(3)).expect("there");
        assert_eq!(lines(&mut late), ["5"]);
    }

    #[test]
    fn of_a_log_that_nobody_knows_the_newest_file_counts() {
        let folder = Folder::new("follow-unknown");
        folder.add("old\n");
        folder.rotate(1);
        folder.add("new\n");
        let mut unknown = Follow::log(folder.current(), None, false);
        let mut none_before = Follow::log(folder.current(), None, true);
        assert_eq!(lines(&mut unknown), ["new"]);
        assert_eq!(lines(&mut none_before), ["old", "new"]);
    }
}
