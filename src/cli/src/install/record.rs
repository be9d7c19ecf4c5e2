//! What was done to a card: a list in a file on it, written before each step is. A file is replaced whole or
//! not at all, and what was there stays beside it. Undoing takes only what is still as it was left.

use ettan_table::crc32;
use ettan_unit::tree::{resolve, words};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where the list is.
const PLACE: &str = "/var/lib/ettan/installed";
/// What the name of a file that was there ends in.
const OLD: &str = ".before-ettan";

/// One path that is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    path: String,
    what: What,
    /// Something was there before, and has its second name.
    replaced: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// A directory, which was not there.
    Directory,
    /// A file with this checksum.
    File(u32),
    /// A symbolic link to this.
    Link(String),
}

/// The list, in the order in which it was done.
#[derive(Debug)]
pub(super) struct Record {
    root: PathBuf,
    entries: Vec<Entry>,
}

impl Record {
    /// That of the card; empty where nothing was done.
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let place = at(root, PLACE)?;
        let text = match fs::read_to_string(&place) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) if error.kind() == ErrorKind::NotADirectory => String::new(),
            read => read.map_err(|error| failed(&place, &error))?,
        };
        let entries = text.lines().map(entry).collect::<Option<Vec<_>>>();
        let entries = entries.ok_or_else(|| format!("{}: is damaged", place.display()))?;
        Ok(Self { root: root.to_path_buf(), entries })
    }

    /// Whether nothing was done yet.
    pub(super) fn is_new(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a file there is missing, or ours as we left it.
    pub(super) fn may_change(&self, path: &str) -> bool {
        let Ok(place) = at(&self.root, path) else { return false };
        place.symlink_metadata().is_err()
            || self.find(path).is_some_and(|entry| self.is_ours(entry))
    }

    /// Whether somebody has taken away what we had put there: it is to stay away.
    pub(super) fn was_removed(&self, path: &str) -> bool {
        // Of the last step it is not known whether it was done.
        let done = self.entries.split_last().map_or(&[][..], |(_, done)| done);
        let is_away = at(&self.root, path).is_ok_and(|place| place.symlink_metadata().is_err());
        is_away && done.iter().any(|entry| entry.path == path)
    }

    /// Looks whether what is there could be kept: not where another file is kept already, of which nobody
    /// knows whether it is still wanted.
    pub(super) fn has_room(&self, path: &str) -> Result<(), String> {
        let place = at(&self.root, path)?;
        let (entry, old) = (self.find(path), old_of(&place));
        let is_there = place.symlink_metadata().is_ok();
        let is_kept = match entry {
            Some(entry) => !is_there || self.is_ours(entry),
            None => false,
        };
        if is_kept || old.symlink_metadata().is_err() || is_alike(&place, &old) {
            return Ok(());
        }
        let (place, old) = (place.display(), old.display());
        Err(match is_there {
            true => format!(
                "{place}: was changed by somebody else, and what was there before Ettan is kept as {old}; \
                 only one of the two can be: rm {old} keeps the new one, mv {old} {place} the old one; then \
                 try again"
            ),
            false => format!(
                "{old}: is left from an earlier time, and {place} is missing: mv or rm {old}, then try again"
            ),
        })
    }

    /// Looks whether all that was there before still is; otherwise undoing would leave less than that.
    pub(super) fn can_be_undone(&self) -> Result<(), String> {
        for entry in self.entries.iter().filter(|entry| entry.replaced) {
            let place = at(&self.root, &entry.path)?;
            let old = old_of(&place);
            let is_ours = place.symlink_metadata().is_err() || self.is_ours(entry);
            if is_ours && old.symlink_metadata().is_err() {
                let (place, old) = (place.display(), old.display());
                return Err(format!(
                    "{old}: is missing, and was to become {place} again; nothing was changed. Put one there (for \
                     systemd's init: ln -s /lib/systemd/systemd {old}), then try again"
                ));
            }
        }
        Ok(())
    }

    /// Where what was there before is, as people are told it.
    pub(super) fn kept(&self, path: &str) -> Option<String> {
        let old = at(&self.root, &format!("{path}{OLD}")).ok()?;
        let name = Path::new(path).file_name()?.to_str()?;
        old.symlink_metadata().is_ok().then(|| format!("{name}{OLD}"))
    }

    /// Whether what is there now, or was before us, is kept.
    pub(super) fn keeps(&self, path: &str) -> bool {
        let is_there = at(&self.root, path).is_ok_and(|place| place.symlink_metadata().is_ok());
        let is_ours = self.find(path).is_some_and(|entry| self.is_ours(entry));
        self.kept(path).is_some() || is_there && !is_ours
    }

    /// Writes a file.
    pub(super) fn put(&mut self, path: &str, bytes: &[u8], mode: u32) -> Result<(), String> {
        let place = self.begin(path, What::File(crc32(bytes)))?;
        let draft = draft_of(&place);
        let write = || {
            write_new(&draft, bytes, mode)?;
            fs::rename(&draft, &place)?;
            settle(&place)
        };
        write().map_err(|error| failed(&place, &error))
    }

    /// Makes a symbolic link.
    pub(super) fn link(&mut self, path: &str, target: &str) -> Result<(), String> {
        let place = self.begin(path, What::Link(target.to_owned()))?;
        let draft = draft_of(&place);
        let _ = fs::remove_file(&draft);
        let made = symlink(target, &draft)
            .and_then(|()| fs::rename(&draft, &place))
            .and_then(|()| settle(&place));
        made.map_err(|error| failed(&place, &error))
    }

    /// Makes room at a path: the directory is there, what is not ours has its second name, and the step is
    /// written down.
    fn begin(&mut self, path: &str, what: What) -> Result<PathBuf, String> {
        self.directory(Path::new(path).parent().unwrap_or(Path::new("/")))?;
        self.has_room(path)?;
        let place = at(&self.root, path)?;
        let known = self.find(path);
        let mut replaced = known.is_some_and(|entry| entry.replaced);
        if place.symlink_metadata().is_ok() && !known.is_some_and(|entry| self.is_ours(entry)) {
            keep(&place).map_err(|error| failed(&place, &error))?;
            replaced = true;
        }
        self.entries.retain(|entry| entry.path != path);
        self.note(Entry { path: path.to_owned(), what, replaced })?;
        Ok(place)
    }

    fn directory(&mut self, path: &Path) -> Result<(), String> {
        let text = path.to_str().unwrap_or("/");
        // Links on the way lead where they lead inside of the root, also the last one.
        let place = resolve(&self.root, path).map_err(|error| failed(path, &error))?;
        if place.is_dir() {
            return Ok(());
        }
        self.directory(path.parent().unwrap_or(Path::new("/")))?;
        match fs::create_dir(&place) {
            // For the list, which was written meanwhile.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
            made => made.map_err(|error| failed(&place, &error))?,
        }
        self.note(Entry { path: text.to_owned(), what: What::Directory, replaced: false })
    }

    fn note(&mut self, entry: Entry) -> Result<(), String> {
        self.entries.push(entry);
        let place = at(&self.root, PLACE)?;
        if place.parent().is_some_and(Path::is_dir) {
            return self.save(&place).map_err(|error| failed(&place, &error));
        }
        self.directory(Path::new(PLACE).parent().unwrap_or(Path::new("/")))
    }

    fn save(&self, place: &Path) -> io::Result<()> {
        let draft = draft_of(place);
        let text: String = self.entries.iter().map(|entry| format!("{}\n", line(entry))).collect();
        write_new(&draft, text.as_bytes(), 0o644)?;
        fs::rename(&draft, place)?;
        // The step may be on another file system, which has a journal of its own or none.
        settle(place)
    }

    fn find(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == path)
    }

    /// Whether what is there is what we left there.
    fn is_ours(&self, entry: &Entry) -> bool {
        let Ok(place) = at(&self.root, &entry.path) else { return false };
        match &entry.what {
            What::Directory => place.is_dir(),
            What::File(sum) => {
                let is_file = place.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
                is_file && fs::read(&place).is_ok_and(|bytes| crc32(&bytes) == *sum)
            }
            What::Link(target) => fs::read_link(&place).is_ok_and(|is| is == Path::new(target)),
        }
    }

    /// A line for each that is ours, the newest first.
    pub(super) fn list(&self) -> impl Iterator<Item = String> {
        self.entries.iter().rev().map(|entry| format!("would be undone: {}", entry.path))
    }

    /// Undoes all of it, or nothing; says what is out of the ordinary.
    pub(super) fn undo(mut self) -> Result<Vec<String>, String> {
        self.can_be_undone()?;
        let list = at(&self.root, PLACE)?;
        let (mut said, mut directories) = (Vec::new(), Vec::new());
        while let Some(entry) = self.entries.last().cloned() {
            if entry.what == What::Directory {
                let place = at(&self.root, &entry.path)?;
                // What others have put there stays, and the list goes last.
                let _ = fs::remove_dir(&place);
                directories.push(place);
            } else {
                said.extend(self.undo_one(&entry)?);
            }
            // After a power cut, what is undone is not what somebody has taken away.
            self.entries.pop();
            self.save(&list).map_err(|error| failed(&list, &error))?;
        }
        fs::remove_file(&list).map_err(|error| failed(&list, &error))?;
        for place in directories {
            let _ = fs::remove_dir(place);
        }
        Ok(said)
    }

    /// Says what is out of the ordinary.
    fn undo_one(&self, entry: &Entry) -> Result<Option<String>, String> {
        let place = at(&self.root, &entry.path)?;
        let old = self.kept(&entry.path);
        let shown = &entry.path;
        let (done, said) = match (&old, place.symlink_metadata().is_ok()) {
            // The power went before ours was there.
            (Some(_), true) if is_same(&place, &old_of(&place)) => {
                (fs::remove_file(old_of(&place)), None)
            }
            (_, true) if !self.is_ours(entry) => {
                let also = old.map(|old| format!("; what was before it is {old}"));
                let also = also.unwrap_or_default();
                (Ok(()), Some(format!("{shown}: was changed since, and stays{also}")))
            }
            (Some(_), _) => {
                (fs::rename(old_of(&place), &place), Some(format!("{shown}: as it was before")))
            }
            (None, true) => (fs::remove_file(&place), None),
            (None, false) => (Ok(()), None),
        };
        done.map(|()| said).map_err(|error| failed(&place, &error))
    }
}

/// Gives what is there its second name, once (`has_room`): of the same file where the file system can, else of a copy.
fn keep(place: &Path) -> io::Result<()> {
    let old = old_of(place);
    if old.symlink_metadata().is_ok() {
        return Ok(());
    }
    if fs::hard_link(place, &old).is_ok() {
        return Ok(());
    }
    // Half a copy is never taken for the whole.
    let draft = draft_of(place);
    if let Ok(target) = fs::read_link(place) {
        let _ = fs::remove_file(&draft);
        symlink(target, &draft)?;
    } else {
        write_new(&draft, &fs::read(place)?, fs::metadata(place)?.mode() & 0o7777)?;
    }
    fs::rename(draft, old)
}

/// Writes a file that is on the disk then, and follows no link that lies in its place.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What comes next is not done before this is on the disk.
fn settle(place: &Path) -> io::Result<()> {
    fs::File::open(place.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Whether two names are of the same, or of its copy.
fn is_alike(one: &Path, other: &Path) -> bool {
    let links = (fs::read_link(one).ok(), fs::read_link(other).ok());
    let files = || Some((fs::read(one).ok()?, fs::read(other).ok()?));
    is_same(one, other)
        || match links {
            (None, None) => files().is_some_and(|(one, other)| one == other),
            (one, other) => one == other,
        }
}

/// Whether two names are of one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let number =
        |path: &Path| path.symlink_metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    number(one).is_some() && number(one) == number(other)
}

fn old_of(place: &Path) -> PathBuf {
    with_end(place, OLD)
}

fn draft_of(place: &Path) -> PathBuf {
    with_end(place, ".ettan-new")
}

fn with_end(place: &Path, end: &str) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(end);
    place.with_file_name(name)
}

/// The path on this machine; links on the way lead inside of the root, the last name is what it is.
fn at(root: &Path, path: &str) -> Result<PathBuf, String> {
    let path = Path::new(path);
    let parent = path.parent().unwrap_or(Path::new("/"));
    let parent = resolve(root, parent).map_err(|error| failed(path, &error))?;
    Ok(parent.join(path.file_name().unwrap_or_default()))
}

pub(super) fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: {}", path.display(), words(error))
}

fn line(Entry { path, what, replaced }: &Entry) -> String {
    let how = if *replaced { "replaced-" } else { "" };
    match what {
        What::Directory => format!("directory - {path}"),
        What::File(sum) => format!("{how}file {sum:08x} {path}"),
        What::Link(target) => format!("{how}link {target} {path}"),
    }
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.splitn(3, ' ');
    let (kind, value, path) = (words.next()?, words.next()?, words.next()?);
    let (kind, replaced) =
        kind.strip_prefix("replaced-").map_or((kind, false), |kind| (kind, true));
    let what = match kind {
        "directory" => What::Directory,
        "file" => What::File(u32::from_str_radix(value, 16).ok()?),
        "link" => What::Link(value.to_owned()),
        _ => return None,
    };
    path.starts_with('/').then(|| Entry { path: path.to_owned(), what, replaced })
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
