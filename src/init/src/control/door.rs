//! The listening socket: who comes in. Never spins: when descriptors run out, a reserve lets one
//! connection in to be closed at once, and without the reserve the listener rests for a second.

use super::client::Peer;
use core::ffi::CStr;
use ettan_core::Millis;
use ettan_sys::poll::{Epoll, Interest};
use ettan_sys::{Errno, OwnedFd, socket};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// How long the listener rests when the kernel has no descriptor for a connection.
const REST_MS: u64 = 1_000;

/// Between two complaints about that.
const COMPLAIN_EVERY_MS: u64 = 10_000;

/// The listening socket and the reserve descriptor.
pub(crate) struct Door {
    listener: Option<OwnedFd>,
    /// Something open that can be given up, so that accept(2) has a number for once.
    reserve: Option<OwnedFd>,
    /// While set, the listener is not polled.
    rests_until: Option<Millis>,
    complained: Option<Millis>,
    token: u64,
    viewers: Option<u32>,
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
            complained: None,
            token,
            viewers: None,
            file: None,
        }
    }

    /// Makes the socket at `path` and polls it; an older one in its place goes. `viewers` is the
    /// group that may look.
    ///
    /// # Errors
    /// The kernel's answer; the door stays as it was.
    pub(crate) fn open(
        &mut self,
        epoll: &Epoll,
        path: &CStr,
        viewers: Option<u32>,
    ) -> Result<(), Errno> {
        let listener = socket::seqpacket_listen(path, 0o600)?;
        if let Some(group) = viewers {
            open_to(path, group);
        }
        epoll.add(&listener, self.token, Interest::Read)?;
        self.reserve = listener.try_clone().ok();
        self.listener = Some(listener);
        self.file = file_at(path);
        self.viewers = viewers;
        self.rests_until = None;
        Ok(())
    }

    /// Changes who may look; the file keeps its group.
    #[cfg(test)]
    pub(crate) const fn viewers_for_test(&mut self, group: u32) {
        self.viewers = Some(group);
    }

    /// Whether the file at `path` is still ours.
    pub(crate) fn is_at(&self, path: &CStr) -> bool {
        self.file.is_some() && file_at(path) == self.file
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
            Err(Errno::MFILE | Errno::NFILE) => self.squeeze_in(epoll, now),
            Err(Errno::NOMEM | Errno::NOBUFS) => {
                self.rest(epoll, now);
                Visit::Nobody
            }
            // ECONNABORTED and the like concern one visitor who left.
            Err(_) => Visit::Nobody,
        }
    }

    fn look_at(&self, guest: OwnedFd) -> Visit {
        match socket::peer_credentials(&guest) {
            Ok(peer) if peer.uid == 0 => Visit::Guest(guest, Peer::Root),
            Ok(peer) if self.viewers == Some(peer.gid) => Visit::Guest(guest, Peer::Viewer),
            Ok(_) | Err(_) => Visit::Stranger(guest),
        }
    }

    /// No descriptor left: with the reserve's number the visitor is let in after all, so that he
    /// can be told and the listener is not ready for ever.
    fn squeeze_in(&mut self, epoll: &Epoll, now: Millis) -> Visit {
        if self.complained.is_none_or(|at| now.since(at) >= COMPLAIN_EVERY_MS) {
            self.complained = Some(now);
            log::warn!("control socket: no descriptor left; clients are turned away");
        }
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

/// Lets the group connect. When that fails, root alone may, which is the safe side.
fn open_to(path: &CStr, group: u32) {
    let path = OsStr::from_bytes(path.to_bytes());
    let done = std::os::unix::fs::chown(path, None, Some(group))
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)));
    if let Err(error) = done {
        log::warn!("control socket: only root can use it, not group {group}: {error}");
    }
}

fn file_at(path: &CStr) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(OsStr::from_bytes(path.to_bytes())).ok()?;
    Some((file.dev(), file.ino()))
}
