//! Where services of a machine say that they have started: a datagram socket in its root file
//! system, held by the host. The kernel tells who sent, in the host's numbers.

use crate::client::wait;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType, sockopt,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::mem::MaybeUninit;
use std::path::Path;
use std::time::Duration;

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// A service has started.
#[derive(Debug)]
pub(crate) struct Announced {
    /// Its number.
    pub(crate) number: usize,
    /// The process.
    pub(crate) process: Handle,
    /// Nobody else had its lock.
    pub(crate) alone: bool,
}

/// A process that is hit by what is sent to it, or nobody is.
#[derive(Debug)]
pub(crate) struct Handle(OwnedFd);

impl Handle {
    /// A hold of the process of that id; None when it is gone.
    pub(crate) fn open(pid: Pid) -> Option<Self> {
        pidfd_open(pid, PidfdFlags::empty()).ok().map(Self)
    }

    /// Sends KILL; false when it is gone.
    pub(crate) fn kill(&self) -> bool {
        pidfd_send_signal(&self.0, Signal::KILL).is_ok()
    }

    /// Whether nothing has ended it.
    pub(crate) fn lives(&self) -> bool {
        let mut polled = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::IN)];
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut polled, Some(&at_once)) == Ok(0)
    }
}

impl Channel {
    /// Listens at `path`.
    pub(crate) fn new(path: &Path) -> Self {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None);
        let socket = socket.expect("a socket");
        sockopt::set_socket_passcred(&socket, true).expect("the kernel tells who sends");
        net::bind(&socket, &SocketAddrUnix::new(path).expect("a short path")).expect("a place");
        Self(socket)
    }

    /// Waits so long for somebody.
    pub(crate) fn wait(&self, time: Duration) {
        // Rounded up: a wait that ends a moment early would spin until the moment has passed.
        wait(&[self.0.as_fd()], i32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
    }

    /// The next one that has announced itself, if there is one.
    pub(crate) fn next(&self) -> Option<Announced> {
        loop {
            let (text, sender) = self.receive()?;
            let (number, word) = text.split_once(' ').expect("a number and a word");
            let number = number.parse().expect("a number");
            // Whoever is gone already was killed by somebody else; its successor will be counted.
            if let Some(process) = Handle::open(sender) {
                return Some(Announced { number, process, alone: word == "alone" });
            }
        }
    }

    fn receive(&self) -> Option<(String, Pid)> {
        let mut bytes = [0; 64];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(&mut bytes)];
        let received = match net::recvmsg(&self.0, into, &mut ancillary, RecvFlags::empty()) {
            Ok(received) => received,
            Err(Errno::AGAIN | Errno::INTR) => return None,
            Err(errno) => panic!("the channel: {errno}"),
        };
        let sender = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(who) => Some(who.pid),
            _ => None,
        });
        let text = String::from_utf8_lossy(bytes.get(..received.bytes)?).into_owned();
        Some((text, sender.expect("the kernel tells who sent")))
    }
}
