//! Opens, renames and removes the files of logs. A log's folder may belong to its unit's user (`user` in `[log]`), who can
//! put a link to /etc/passwd there, or a pipe on which opening waits: neither is opened.

use std::fs::File;
use std::io;
use std::path::Path;

use ettan_sys::plain;
pub(crate) use ettan_sys::plain::Access;

/// Opens the file of this name in a log's folder, if it is there and a file.
pub(crate) fn open(folder: &Path, name: &str, access: Access) -> io::Result<File> {
    as_io(folder, name, plain::open(folder, name, access, None))
}

/// The same to write. Where there is none, it is made with this mode; something else in its place
/// gives way.
pub(crate) fn make(folder: &Path, name: &str, access: Access, mode: u32) -> io::Result<File> {
    let opened = plain::open(folder, name, access, Some(mode));
    if matches!(opened, Err(plain::Why::NotPlain)) {
        remove(folder, name)?;
        complain!("{}: was a link or no file; removed", folder.join(name).display());
        return as_io(folder, name, plain::open(folder, name, access, Some(mode)));
    }
    as_io(folder, name, opened)
}

/// Gives a file of the folder another name in it.
pub(crate) fn rename(folder: &Path, from: &str, to: &str) -> io::Result<()> {
    Ok(plain::rename(folder, from, to)?)
}

/// Removes a file, or what is in its place, from the folder.
pub(crate) fn remove(folder: &Path, name: &str) -> io::Result<()> {
    Ok(plain::remove(folder, name)?)
}

fn as_io<T: Into<File>>(
    folder: &Path,
    name: &str,
    opened: Result<T, plain::Why>,
) -> io::Result<File> {
    opened.map(Into::into).map_err(|why| match why {
        plain::Why::NotPlain => refused(&folder.join(name)),
        plain::Why::Errno(errno) => errno.into(),
    })
}

/// Why what is there is not opened.
pub(crate) fn refused(path: &Path) -> io::Error {
    io::Error::other(format!("{} is a link or no file: not opened", path.display()))
}
