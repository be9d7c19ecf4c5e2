//! Notices changes in directories. Knows no file.

use crate::{Errno, OwnedFd, Result};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

/// Bytes of events fetched at a time: at least 15 with the longest names.
const BUFFER: usize = 4096;

/// A directory that is being watched. The number is never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch(i32);

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// A file of this name was made, written, moved here or removed.
    File {
        /// In which directory.
        watch: Watch,
        /// Its name.
        name: &'a CStr,
    },
    /// The directory is gone (removed, moved or unmounted), and so is its watch.
    DirectoryGone {
        /// Which.
        watch: Watch,
    },
    /// Changes were lost: look at everything.
    Overflow,
}

/// A set of watches.
#[derive(Debug)]
pub struct Inotify {
    fd: OwnedFd,
}

impl Inotify {
    /// An empty set.
    ///
    /// # Errors
    /// EMFILE (also when `fs.inotify.max_user_instances` is reached), ENOMEM.
    pub fn new() -> Result<Self> {
        Ok(Self { fd: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)? })
    }

    /// Watches what happens to the files of a directory: made, written (also in place, by who
    /// keeps it open), moved here, removed. The same directory again gives the same watch.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ENOSPC (`fs.inotify.max_user_watches`): poll instead.
    pub fn watch_directory(&self, path: &CStr) -> Result<Watch> {
        const ALL: WatchFlags = WatchFlags::CREATE
            .union(WatchFlags::MODIFY)
            .union(WatchFlags::CLOSE_WRITE)
            .union(WatchFlags::MOVED_TO)
            .union(WatchFlags::MOVED_FROM)
            .union(WatchFlags::DELETE)
            .union(WatchFlags::DELETE_SELF)
            .union(WatchFlags::MOVE_SELF)
            .union(WatchFlags::ONLYDIR);
        inotify::add_watch(&self.fd, path, ALL).map(Watch)
    }

    /// Watches which names there are in a directory: made, moved, removed. What is written into the
    /// files is no change. The same directory again gives the same watch.
    ///
    /// # Errors
    /// As for [`Self::watch_directory`].
    pub fn watch_names(&self, path: &CStr) -> Result<Watch> {
        const NAMES: WatchFlags = WatchFlags::CREATE
            .union(WatchFlags::MOVED_TO)
            .union(WatchFlags::MOVED_FROM)
            .union(WatchFlags::DELETE)
            .union(WatchFlags::DELETE_SELF)
            .union(WatchFlags::MOVE_SELF)
            .union(WatchFlags::ONLYDIR);
        inotify::add_watch(&self.fd, path, NAMES).map(Watch)
    }

    /// Stops watching.
    ///
    /// # Errors
    /// EINVAL when it was gone already.
    pub fn unwatch(&self, watch: Watch) -> Result<()> {
        inotify::remove_watch(&self.fd, watch.0)
    }

    /// Calls `visit` with what changed, one buffer full at most; more makes the descriptor
    /// readable again. Never blocks.
    ///
    /// # Errors
    /// None are known.
    pub fn changes(&self, visit: &mut dyn FnMut(Change<'_>)) -> Result<()> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); BUFFER];
        let mut reader = Reader::new(&self.fd, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => translate(&event, visit),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
            if reader.is_buffer_empty() {
                return Ok(());
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn translate(event: &inotify::Event<'_>, visit: &mut dyn FnMut(Change<'_>)) {
    let watch = Watch(event.wd());
    let flags = event.events();
    if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
        visit(Change::Overflow);
    } else if flags.contains(ReadFlags::IGNORED) {
        // Comes after DELETE_SELF and unmounting, and as the answer to `unwatch`.
        visit(Change::DirectoryGone { watch });
    } else if flags.intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT) {
        visit(Change::DirectoryGone { watch });
    } else if let Some(name) = event.file_name() {
        visit(Change::File { watch, name });
    }
}

#[cfg(test)]
#[path = "inotify_tests.rs"]
mod tests;
