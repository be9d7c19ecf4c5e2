//! Opens files in a folder that may belong to somebody else, who can put anything in their place:
//! follows no link, waits for no pipe, and takes no file from there that has a name elsewhere too.
//! Renames and removes nothing anywhere else either.
//! For helpers; PID 1 has no use for it.

use crate::raw::retry;
use crate::{Errno, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use std::path::Path;

/// The folder itself is no link either.
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// NONBLOCK: opening a pipe would wait for its other end.
const PLAIN: OFlags =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To be read.
    Read,
    /// To be read, and written anywhere.
    Write,
    /// To be read, and written at its end.
    Append,
}

/// Why a file is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is something else than a file; or one with another name, where others can make names.
    NotPlain,
    /// The kernel says so.
    Errno(Errno),
}

impl From<Errno> for Why {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// Opens the file of this name in the folder; with a mode, it is made where there is none.
///
/// # Errors
/// [`Why::NotPlain`] for a link, a pipe, a socket, a device, a directory that was to be read, and
/// for a file with two names where the folder is somebody else's. ENOTDIR where the folder is a link.
pub fn open(
    folder: &Path,
    name: &str,
    access: Access,
    mode: Option<u32>,
) -> core::result::Result<OwnedFd, Why> {
    let folder = open_flags(folder, FOLDER | OFlags::PATH)?;
    let how = match access {
        Access::Read => OFlags::RDONLY,
        Access::Write => OFlags::RDWR,
        Access::Append => OFlags::RDWR | OFlags::APPEND,
    };
    let made = mode.map_or(OFlags::empty(), |_| OFlags::CREATE);
    let mode = Mode::from_raw_mode(mode.unwrap_or(0));
    let file = match retry(|| rustix::fs::openat(&folder, name, how | made | PLAIN, mode)) {
        // A link; a socket.
        Err(Errno::LOOP | Errno::NXIO) => return Err(Why::NotPlain),
        other => other?,
    };
    let found = rustix::fs::fstat(&file)?;
    let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
    // No name at all: it was removed just now.
    let is_alone = found.st_nlink <= 1;
    if is_file && (is_alone || is_ours(&folder)?) { Ok(file) } else { Err(Why::NotPlain) }
}

/// Nobody else can put a name there.
fn is_ours(folder: &OwnedFd) -> crate::Result<bool> {
    let found = rustix::fs::fstat(folder)?;
    let others = Mode::WGRP | Mode::WOTH;
    let is_shared = Mode::from_raw_mode(found.st_mode).intersects(others);
    Ok(found.st_uid == rustix::process::geteuid().as_raw() && !is_shared)
}

/// Opens the folder, to give it away or to have the disk keep its names.
///
/// # Errors
/// ENOTDIR where it is a link, or no folder.
pub fn open_folder(folder: &Path) -> crate::Result<OwnedFd> {
    open_flags(folder, FOLDER)
}

/// Gives a file of the folder another name in it.
///
/// # Errors
/// ENOENT; ENOTDIR where the folder is a link, or no folder.
pub fn rename(folder: &Path, from: &str, to: &str) -> crate::Result<()> {
    let folder = open_flags(folder, FOLDER | OFlags::PATH)?;
    retry(|| rustix::fs::renameat(&folder, from, &folder, to))
}

/// Removes a file, a link or a pipe from the folder.
///
/// # Errors
/// ENOENT; ENOTDIR where the folder is a link, or no folder; EISDIR or EPERM for a directory.
pub fn remove(folder: &Path, name: &str) -> crate::Result<()> {
    let folder = open_flags(folder, FOLDER | OFlags::PATH)?;
    retry(|| rustix::fs::unlinkat(&folder, name, AtFlags::empty()))
}

fn open_flags(folder: &Path, flags: OFlags) -> crate::Result<OwnedFd> {
    // With a slash at the end, a link would be followed.
    let folder = folder.components().as_path();
    retry(|| rustix::fs::open(folder, flags, Mode::empty()))
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
