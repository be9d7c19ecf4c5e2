//! The listening socket: who comes in. Never spins: when descriptors run out, a reserve lets one
//! connection in to be closed at once, and without the reserve the listener rests for a second.

use super::client::Peer;
use core::ffi::CStr;
use ettan_core::Millis;
use ettan_sys::poll::{Epoll, Interest};
use ettan_sys::{Errno, OwnedFd, socket};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

/// How long the listener rests when the kernel has no descriptor for a connection.
const REST_MS: u64 = 1_000;

/// The listening socket and the reserve descriptor.
pub(crate) struct Door {
    listener: Option<OwnedFd>,
    /// Something open that can be given up, so that accept(2) has a number for once.
    reserve: Option<OwnedFd>,
    /// While set, the listener is not polled.
    rests_until: Option<Millis>,
    /// Why somebody could not be let in, the last time.
    trouble: Option<(Millis, Errno)>,
    token: u64,
    path: &'static CStr,
    /// Device and inode of the socket's file.
    file: Option<(u64, u64)>,
}

/// What came of one look at the door.
pub(crate) enum Visit {
    /// Somebody who may come in.
    Guest(OwnedFd, Peer),
    /// Somebody who may not.
    Stranger(OwnedFd),
    /// Somebody for whom there is no descriptor: to be told and closed, then `restock`.
    Crowded(OwnedFd),
    /// Nobody (any more).
    Nobody,
}

impl Door {
    pub(crate) const fn new(token: u64) -> Self {
        Self {
            listener: None,
            reserve: None,
            rests_until: None,
            trouble: None,
            token,
            path: c"",
            file: None,
        }
    }

    /// Makes the socket at `path` and polls it; an older one in its place goes.
    ///
    /// # Errors
    /// The kernel's answer; the door stays as it was.
    pub(crate) fn open(&mut self, epoll: &Epoll, path: &'static CStr) -> Result<(), Errno> {
        let listener = socket::seqpacket_listen(path, 0o600)?;
        epoll.add(&listener, self.token, Interest::Read)?;
        self.reserve = listener.try_clone().ok();
        self.listener = Some(listener);
        self.path = path;
        self.file = file_at(path);
        self.rests_until = None;
        Ok(())
    }

    /// Takes over a socket that the execution before made at `path`.
    ///
    /// # Errors
    /// The kernel's answer; the door stays closed.
    pub(crate) fn take_over(
        &mut self,
        epoll: &Epoll,
        path: &'static CStr,
        listener: OwnedFd,
    ) -> Result<(), Errno> {
        epoll.add(&listener, self.token, Interest::Read)?;
        self.reserve = listener.try_clone().ok();
        self.listener = Some(listener);
        self.path = path;
        self.file = file_at(path);
        Ok(())
    }

    /// The listening socket.
    pub(crate) const fn listener(&self) -> Option<&OwnedFd> {
        self.listener.as_ref()
    }

    /// Whether the file at `path` is still ours.
    pub(crate) fn is_at(&self, path: &CStr) -> bool {
        self.file.is_some() && file_at(path) == self.file
    }

    /// When somebody could not be let in the last time, and why.
    pub(crate) const fn trouble(&self) -> Option<(Millis, Errno)> {
        self.trouble
    }

    /// When the listener is polled again, if it rests.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        self.rests_until
    }

    /// Ends the rest when it is time.
    pub(crate) fn wake(&mut self, epoll: &Epoll, now: Millis) {
        if self.rests_until.is_none_or(|until| until > now) {
            return;
        }
        self.rests_until = None;
        if self.reserve.is_none() {
            self.reserve = self.listener.as_ref().and_then(|fd| fd.try_clone().ok());
        }
        self.poll(epoll, Interest::Read);
    }

    /// Lets one in, if one is there.
    pub(crate) fn visit(&mut self, epoll: &Epoll, now: Millis) -> Visit {
        let Some(listener) = &self.listener else { return Visit::Nobody };
        match socket::accept(listener) {
            Ok(Some(guest)) => self.look_at(guest),
            Ok(None) => Visit::Nobody,
            Err(errno @ (Errno::MFILE | Errno::NFILE)) => {
                self.trouble = Some((now, errno));
                self.squeeze_in(epoll, now)
            }
            // This concerns one visitor, who left.
            Err(Errno::CONNABORTED) => Visit::Nobody,
            // He waits still, and the listener would be ready for ever.
            Err(errno) => {
                self.trouble = Some((now, errno));
                self.rest(epoll, now);
                Visit::Nobody
            }
        }
    }

    fn look_at(&self, guest: OwnedFd) -> Visit {
        match socket::peer_credentials(&guest) {
            Ok(peer) if peer.uid == 0 => Visit::Guest(guest, Peer::Root),
            Ok(peer) if is_operator(peer.gid) => Visit::Guest(guest, Peer::Operator),
            Ok(peer) if self.is_viewer(peer.gid) => Visit::Guest(guest, Peer::Viewer),
            Ok(_) | Err(_) => Visit::Stranger(guest),
        }
    }

    /// Whether this group may look: the one that the socket's own file was given to, if any.
    fn is_viewer(&self, group: u32) -> bool {
        const GROUP_WRITES: u32 = 0o020;
        let path = OsStr::from_bytes(self.path.to_bytes());
        std::fs::symlink_metadata(path).is_ok_and(|file| {
            let ours = self.file == Some((file.dev(), file.ino()));
            ours && group != 0 && file.gid() == group && file.mode() & GROUP_WRITES != 0
        })
    }

    /// No descriptor left: with the reserve's number the visitor is let in after all, so that he
    /// can be told and the listener is not ready for ever.
    fn squeeze_in(&mut self, epoll: &Epoll, now: Millis) -> Visit {
        let had_reserve = self.reserve.take().is_some();
        let visitor = self.listener.as_ref().map(socket::accept);
        match visitor {
            Some(Ok(Some(visitor))) if had_reserve => Visit::Crowded(visitor),
            Some(Ok(_)) => {
                self.restock(epoll, now);
                Visit::Nobody
            }
            Some(Err(_)) | None => {
                self.restock(epoll, now);
                self.rest(epoll, now);
                Visit::Nobody
            }
        }
    }

    /// Takes a reserve again, once the visitor of `Visit::Crowded` has left. Without one, the
    /// listener rests.
    pub(crate) fn restock(&mut self, epoll: &Epoll, now: Millis) {
        self.reserve = self.listener.as_ref().and_then(|fd| fd.try_clone().ok());
        if self.reserve.is_none() {
            self.rest(epoll, now);
        }
    }

    fn rest(&mut self, epoll: &Epoll, now: Millis) {
        self.rests_until = Some(now.after(REST_MS));
        self.poll(epoll, Interest::Nothing);
    }

    fn poll(&self, epoll: &Epoll, interest: Interest) {
        if let Some(listener) = &self.listener {
            // It is in the set since `open`.
            let _ = epoll.modify(listener, self.token, interest);
        }
    }
}

/// Whether this group may operate: the one that root's file of that name was given to, if any.
fn is_operator(group: u32) -> bool {
    std::fs::symlink_metadata(ettan_wire::OPERATORS)
        .is_ok_and(|file| file.is_file() && file.uid() == 0 && group != 0 && file.gid() == group)
}

fn file_at(path: &CStr) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(OsStr::from_bytes(path.to_bytes())).ok()?;
    Some((file.dev(), file.ino()))
}
