//! The few system calls the logger needs, each in the shape it needs it.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg,
};

/// Descriptors that wake the logger, each with a token.
pub struct Poll {
    epoll: OwnedFd,
    ready: Vec<epoll::Event>,
}

impl Poll {
    /// Reports at most this many at a time.
    pub fn new(at_a_time: usize) -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Poll { epoll, ready: Vec::with_capacity(at_a_time) })
    }

    /// Wakes up for this one too, as long as there is something to read.
    pub fn add(&self, descriptor: impl AsFd, token: u64) -> Result<(), Errno> {
        let data = epoll::EventData::new_u64(token);
        epoll::add(&self.epoll, descriptor, data, epoll::EventFlags::IN)
    }

    /// Waits until there is something to read, or so many milliseconds.
    pub fn wait(&mut self, timeout_ms: Option<u64>) -> Result<(), Errno> {
        let timeout = timeout_ms.map(|ms| Timespec {
            tv_sec: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
            tv_nsec: (ms % 1000) as i32 as _,
        });
        self.ready.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.ready), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The token of one of those that woke us up, in order.
    pub fn ready(&self, index: usize) -> Option<u64> {
        self.ready.get(index).map(|event| event.data.u64())
    }
}

/// One packet.
pub enum Received {
    /// So many bytes, and the first descriptor that came along.
    Packet(usize, Option<OwnedFd>),
    /// More than fits; it is gone.
    TooLong,
    /// None at the moment.
    Nothing,
    /// The other end is closed.
    Ended,
}

/// Takes one packet without waiting. Descriptors past the first are closed.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Received, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let mut parts = [IoSliceMut::new(buffer)];
    let got = match recvmsg(socket, &mut parts, &mut ancillary, flags) {
        Ok(got) => got,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
        Err(Errno::CONNRESET) => return Ok(Received::Ended),
        Err(error) => return Err(error),
    };
    let mut first = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            for descriptor in descriptors {
                first.get_or_insert(descriptor);
            }
        }
    }
    if got.flags.contains(ReturnFlags::TRUNC) {
        return Ok(Received::TooLong);
    }
    if got.bytes == 0 && first.is_none() {
        return Ok(Received::Ended);
    }
    Ok(Received::Packet(got.bytes, first))
}

/// Makes reads of this description return instead of waiting.
pub fn never_wait(descriptor: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(descriptor)?;
    rustix::fs::fcntl_setfl(descriptor, flags | rustix::fs::OFlags::NONBLOCK)
}

/// Reads what is there: None if nothing is at the moment, 0 bytes at the end.
pub fn read(descriptor: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
    match rustix::io::read(descriptor, buffer) {
        Ok(length) => Ok(Some(length)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error),
    }
}
