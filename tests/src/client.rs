//! A client of the control socket: packets in, packets out. Knows nothing of what they mean.

use crate::Limit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use std::path::Path;

/// The most a packet may hold.
const PACKET_MAX: usize = 4096;

/// One connection.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
}

/// What a wait for a packet came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// One packet.
    Packet(String),
    /// The other side has closed.
    Closed,
    /// The limit was over first.
    Late,
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// As connect(2): nobody listens there, or not yet; EAGAIN when too many wait already.
    pub fn connect(path: &Path) -> Result<Self> {
        // Never waits: where the queue of the listener is full, that is the answer.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self { socket })
    }

    /// Sends one packet, at once or not at all.
    ///
    /// # Errors
    /// As send(2): EAGAIN when the other side does not read, EPIPE when it has closed.
    pub fn send(&self, packet: &[u8]) -> Result<usize> {
        net::send(&self.socket, packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    /// Waits for the next packet, or until the limit is over.
    pub fn receive(&self, limit: Limit) -> Received {
        loop {
            match self.receive_now() {
                Err(Errno::AGAIN) => {}
                Err(_) | Ok(None) => return Received::Closed,
                Ok(Some(packet)) => return Received::Packet(packet),
            }
            if limit.over() {
                return Received::Late;
            }
            wait(&[self.socket.as_fd()], limit.left_ms());
        }
    }

    /// The next packet if there is one (EAGAIN otherwise); None when the other side has closed.
    ///
    /// # Errors
    /// As recv(2).
    pub fn receive_now(&self) -> Result<Option<String>> {
        let mut buffer = [0_u8; PACKET_MAX];
        let (_, length) = net::recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
        let packet = buffer.get(..length).unwrap_or_default();
        Ok((length > 0).then(|| String::from_utf8_lossy(packet).into_owned()))
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Waits until one of the descriptors is readable, or that many milliseconds have passed.
pub(crate) fn wait(descriptors: &[BorrowedFd<'_>], timeout_ms: i32) {
    let mut polled: Vec<PollFd<'_>> = descriptors
        .iter()
        .map(|descriptor| PollFd::from_borrowed_fd(*descriptor, PollFlags::IN))
        .collect();
    let timeout = Timespec {
        tv_sec: i64::from(timeout_ms / 1000),
        tv_nsec: i64::from(timeout_ms % 1000) * 1_000_000,
    };
    // An interrupted wait is a short one; every caller looks again.
    let _ = poll(&mut polled, Some(&timeout));
}
