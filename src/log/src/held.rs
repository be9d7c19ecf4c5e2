//! The files of a log, as they were called at one moment: the logger may rotate them any time.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::plain::{self, Access};
use crate::store;

/// Times that a log is looked at anew because it was rotated meanwhile. Then others have their turn.
pub(crate) const TRIES: u32 = 32;

/// One of them.
#[derive(Debug)]
pub struct Held {
    directory: PathBuf,
    /// Its name then. A later file has a greater one.
    pub name: String,
    /// Its number, which it keeps.
    pub inode: u64,
}

impl Held {
    /// None when there is none by now. What is no file is held too: opening it says so.
    fn of(directory: &Path, name: &str) -> Option<Self> {
        let found = fs::symlink_metadata(directory.join(name)).ok()?;
        let (directory, name) = (directory.to_owned(), name.to_owned());
        Some(Held { directory, name, inode: found.ino() })
    }

    /// None when the name means another file by now, or none.
    ///
    /// # Errors
    /// It is no file; else those of the kernel.
    pub fn open(&self) -> io::Result<Option<File>> {
        let file = match open_file(&self.directory, &self.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Ok((file.metadata()?.ino() == self.inode).then_some(file))
    }
}

/// The files of the log in this directory, the oldest first; none where there is no directory. Each
/// rotation adds a name: names that are the same afterwards meant the same files meanwhile.
///
/// # Errors
/// Rotated too fast; else those of the kernel.
pub fn held(directory: &Path) -> io::Result<Vec<Held>> {
    for _ in 0..TRIES {
        let names = store::files(directory)?;
        let held = names.iter().filter_map(|name| Held::of(directory, name)).collect();
        if store::files(directory)? == names {
            return Ok(held);
        }
    }
    Err(too_fast())
}

/// Opens the file of this name in a log's folder, to be read: no link, and nothing that waits.
///
/// # Errors
/// It is no file; else those of the kernel.
pub fn open_file(directory: &Path, name: &str) -> io::Result<File> {
    plain::open(directory, name, Access::Read)
}

pub(crate) fn too_fast() -> io::Error {
    io::Error::other("the log in memory is rotated faster than it can be read")
}
