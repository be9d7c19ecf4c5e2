//! The names of a log's files, and what is asked of the file system about them.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, fchown};
use std::path::Path;
use std::time::SystemTime;

use ettan_sys::plain::open_folder;

use super::CURRENT;
use crate::page::Amount;

/// Digits of an archive's number: 10^10 rotations of the smallest file take longer than a card
/// lives.
const DIGITS: usize = 10;

/// The names of the files of the log in this directory, the oldest first; none if it is not there.
pub(crate) fn files(directory: &Path) -> io::Result<Vec<String>> {
    let mut numbers: Vec<_> = match archives(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?.collect(),
    };
    numbers.sort_unstable();
    Ok(numbers.into_iter().map(archive_name).chain([CURRENT.to_owned()]).collect())
}

/// How much is in the file, of `most` bytes of it.
pub(crate) fn count(file: &File, most: u64, chunk: &mut [u8]) -> io::Result<Amount> {
    // Whoever owns the folder can put a file there that is one endless hole.
    let blocks = file.metadata()?.blocks().saturating_mul(512);
    let mut file = file.take(most.min(blocks));
    let mut amount = Amount::default();
    loop {
        match file.read(chunk)? {
            0 => return Ok(amount),
            length => amount = amount.plus(Amount::of(&chunk[..length])),
        }
    }
}

pub(super) fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
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
        Ok(()) => give(open_folder(directory)?, owner),
        Err(error) => Err(error),
    }
}

/// By descriptor: by name it could be another file by now. What is nobody's is root's, and whoever
/// may look at units may read it.
pub(super) fn give(what: impl AsFd, owner: Option<(u32, u32)>) -> io::Result<()> {
    match owner {
        Some((user, group)) => fchown(what, Some(user), Some(group)),
        None => {
            if let Some(group) = viewers(Path::new(ettan_wire::SOCKET)) {
                // Where it cannot be given away, root has it still.
                let _ = fchown(what, None, Some(group));
            }
            Ok(())
        }
    }
}

/// The group that PID 1's control socket was given to.
fn viewers(socket: &Path) -> Option<u32> {
    const GROUP_WRITES: u32 = 0o020;
    let file = fs::symlink_metadata(socket).ok()?;
    let is_given = file.uid() == 0 && file.gid() != 0 && file.mode() & GROUP_WRITES != 0;
    is_given.then(|| file.gid())
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |span| span.as_secs())
}

pub(crate) fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(theirs)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
}

pub(super) fn archive_name(number: u64) -> String {
    format!("@{number:0DIGITS$}")
}

pub(super) fn archives(directory: &Path) -> io::Result<impl Iterator<Item = u64>> {
    let number = |entry: io::Result<fs::DirEntry>| {
        let name = entry.ok()?.file_name();
        let digits = name.to_str()?.strip_prefix('@')?;
        let all_digits = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        if all_digits { digits.parse().ok() } else { None }
    };
    Ok(fs::read_dir(directory)?.filter_map(number))
}
