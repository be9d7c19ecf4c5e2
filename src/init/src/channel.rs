//! PID 1's end of the socket to a helper: made anew for each one that starts, let go of when that one is
//! gone. Packets go out as far as there is room for them; what they say is `pipes`' and `probes`' business.

use ettan_sys::poll::{Epoll, Interest};
use ettan_sys::{Errno, OwnedFd, socket};
use std::os::fd::{AsFd, BorrowedFd};

/// The socket, and how it is polled.
pub(crate) struct Channel {
    socket: Option<OwnedFd>,
    /// What for it is in the epoll set. A new socket is not yet.
    polled: Option<Interest>,
    /// Why the kernel did not take a packet although there is room: not before `try_again`.
    rests: Option<Errno>,
}

/// What became of a packet that is no trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Sent {
    Taken,
    /// There is no room, which its readiness shows, or nobody: the next helper is told.
    NotNow,
}

impl Channel {
    /// With the socket that the execution before had.
    pub(crate) const fn over(socket: Option<OwnedFd>) -> Self {
        Self { socket, polled: None, rests: None }
    }

    /// A new helper is about to start: gives its end.
    ///
    /// # Errors
    /// The kernel's answer to socketpair(2).
    pub(crate) fn renew(&mut self) -> Result<OwnedFd, Errno> {
        let (ours, theirs) = socket::seqpacket_pair()?;
        // The old socket leaves the epoll set with its descriptor.
        *self = Self::over(Some(ours));
        Ok(theirs)
    }

    /// Nothing more will be said.
    pub(crate) fn close(&mut self) {
        self.socket = None;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Whether it would be of use to send something, or to wait until there is room for it.
    pub(crate) fn may_send(&self) -> bool {
        self.is_open() && self.rests.is_none()
    }

    /// Why nothing is sent until [`Channel::try_again`].
    pub(crate) const fn rests(&self) -> Option<Errno> {
        self.rests
    }

    /// Ends the rest after an error.
    pub(crate) const fn try_again(&mut self) {
        self.rests = None;
    }

    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Sends a packet, with a descriptor in it. A dead helper's socket is closed: it would be ready for
    /// ever.
    ///
    /// # Errors
    /// The kernel has no memory for it: nothing more is sent until [`Channel::try_again`].
    pub(crate) fn send(
        &mut self,
        packet: &[u8],
        passed: Option<BorrowedFd<'_>>,
    ) -> Result<Sent, Errno> {
        let Some(socket) = &self.socket else { return Ok(Sent::NotNow) };
        let sent = match passed {
            Some(passed) => socket::send_fd(socket.as_fd(), packet, passed),
            None => socket::send(socket, packet),
        };
        match sent {
            Ok(()) => Ok(Sent::Taken),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::CONNREFUSED) => {
                self.socket = None;
                Ok(Sent::NotNow)
            }
            Err(Errno::AGAIN) => Ok(Sent::NotNow),
            // Its readiness would say nothing.
            Err(errno) => {
                self.rests = Some(errno);
                Err(errno)
            }
        }
    }

    /// Sends a packet that may be lost.
    pub(crate) fn offer(&self, packet: &[u8]) {
        if let Some(socket) = &self.socket {
            let _ = socket::send(socket, packet);
        }
    }

    /// The length of the next packet; None when there is none. The socket of a helper that has ended is
    /// closed.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match socket::recv(self.socket.as_ref()?, buffer) {
            Ok(Some(got)) if got.len > 0 => Some(got.len),
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => {
                self.socket = None;
                None
            }
        }
    }

    /// Polls the socket for what is `wanted`, or not at all.
    ///
    /// # Errors
    /// It cannot be put into the epoll set: no memory, for example.
    pub(crate) fn poll(
        &mut self,
        epoll: Option<&Epoll>,
        token: u64,
        wanted: Option<Interest>,
    ) -> Result<(), Errno> {
        let (Some(epoll), Some(socket)) = (epoll, &self.socket) else {
            self.polled = None;
            return Ok(());
        };
        match (self.polled, wanted) {
            (polled, wanted) if polled == wanted => return Ok(()),
            (None, Some(interest)) => match epoll.add(socket, token, interest) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            },
            (Some(_), Some(interest)) => epoll.modify(socket, token, interest)?,
            (_, None) => {
                let _ = epoll.remove(socket);
            }
        }
        self.polled = wanted;
        Ok(())
    }

    /// The epoll set is another one.
    pub(crate) const fn leave_poll(&mut self) {
        self.polled = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Channel, Sent};
    use ettan_sys::poll::{Epoll, Interest, Ready};
    use ettan_sys::socket;

    const TOKEN: u64 = 7;

    fn ready(epoll: &Epoll) -> bool {
        let mut ready = [Ready::default(); 4];
        epoll.wait(&mut ready, Some(0)).unwrap() > 0
    }

    #[test]
    fn a_full_socket_waits_for_room_and_a_dead_helper_for_the_next_one() {
        let epoll = Epoll::new().unwrap();
        let mut channel = Channel::over(None);
        assert_eq!(channel.send(b"unit", None), Ok(Sent::NotNow));
        let helper = channel.renew().unwrap();
        while channel.send(b"unit", None) == Ok(Sent::Taken) {}
        assert!(channel.may_send());
        channel.poll(Some(&epoll), TOKEN, Some(Interest::Write)).unwrap();
        assert!(!ready(&epoll), "there is no room");
        while socket::recv(&helper, &mut [0; 16]).unwrap().is_some() {}
        assert!(ready(&epoll));
        assert_eq!(channel.send(b"unit", None), Ok(Sent::Taken));
        channel.poll(Some(&epoll), TOKEN, None).unwrap();
        assert!(!ready(&epoll), "nobody wants to send");
        drop(helper);
        assert_eq!(channel.send(b"unit", None), Ok(Sent::NotNow));
        assert!(!channel.is_open());
        // Its successor's socket is polled anew.
        channel.poll(Some(&epoll), TOKEN, Some(Interest::Both)).unwrap();
        let helper = channel.renew().unwrap();
        channel.poll(Some(&epoll), TOKEN, Some(Interest::Read)).unwrap();
        assert!(!ready(&epoll));
        assert!(socket::send(&helper, b"ready").is_ok() && ready(&epoll));
        assert_eq!(channel.receive(&mut [0; 16]), Some(5));
        assert_eq!(channel.receive(&mut [0; 16]), None);
        assert!(channel.is_open());
        drop(helper);
        assert_eq!(channel.receive(&mut [0; 16]), None);
        assert!(!channel.is_open());
    }
}
