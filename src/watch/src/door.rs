//! Notices when somebody listens anew at the control socket. Does not talk to them.

use std::ffi::{CStr, CString};

use ettan_sys::inotify::{Change, Inotify};
use ettan_sys::{AsFd, BorrowedFd, Errno};

/// The folder the socket is in, and its name there.
pub(crate) struct Door {
    inotify: Inotify,
    folder: CString,
    name: Vec<u8>,
}

impl Door {
    /// For the socket at this path.
    ///
    /// # Errors
    /// EINVAL for a path without a folder; EMFILE, ENFILE, ENOMEM.
    pub(crate) fn new(path: &CStr) -> Result<Self, Errno> {
        let bytes = path.to_bytes();
        let slash = bytes.iter().rposition(|byte| *byte == b'/').ok_or(Errno::INVAL)?;
        let folder = CString::new(&bytes[..=slash]).map_err(|_| Errno::INVAL)?;
        let name = bytes[slash + 1..].to_vec();
        let door = Door { inotify: Inotify::new()?, folder, name };
        door.look_for();
        Ok(door)
    }

    /// Watches the folder there is now, which may be another one than before. Without one,
    /// nobody can listen; the caller tries again anyway.
    pub(crate) fn look_for(&self) {
        let _ = self.inotify.watch_directory(&self.folder);
    }

    /// True if the socket may be another one since the last time.
    ///
    /// # Errors
    /// None are known.
    pub(crate) fn is_new(&self) -> Result<bool, Errno> {
        let mut new = false;
        self.inotify.changes(&mut |change| {
            new |= match change {
                Change::File { name, .. } => name.to_bytes() == self.name,
                Change::DirectoryGone { .. } | Change::Overflow => true,
            };
        })?;
        Ok(new)
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
