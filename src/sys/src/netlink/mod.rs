//! Asks the kernel about the network (rtnetlink), and hears when something about it changed.
//! Decides nothing about what it means.
//!
//! What changed is deliberately not read from the notices: the kernel removes IPv4 routes without
//! one when an address or a link goes, and drops notices when there are many. So a notice only
//! says that it is time to [`look`] again.

mod message;
mod seen;

use crate::poll::{Interest, wait_one};
use crate::raw::retry;
use crate::{AsFd, BorrowedFd, Errno, OwnedFd, Result};
use message::{Message, error_of, message};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
    sockopt,
};
use seen::{AF_INET, AF_INET6, IFF_UP, IFLA_IFNAME, address, default_routes, link};

pub use seen::{Address, DefaultRoute, Link, Seen};

/// Bytes of the buffer for [`look`]: the kernel fills as much as one call has room for, and no
/// single link, address or route is larger.
pub const BUFFER_BYTES: usize = 16 * 1024;

/// How long the kernel, which answers at once, may take to answer, in milliseconds.
const ANSWER_MS: u64 = 5_000;

/// How often an answer that a change made inconsistent is asked for again.
const ATTEMPTS: u32 = 4;

/// Notices read at once before the caller gets to look.
const NOTICES: u32 = 256;

/// Links, IPv4 addresses and routes, IPv6 addresses and routes (`RTMGRP_*`).
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;

/// Hears of changes.
#[derive(Debug)]
pub struct Monitor {
    fd: OwnedFd,
}

impl Monitor {
    /// From now on. [`look`] after it, not before, so as to miss nothing.
    ///
    /// # Errors
    /// EAFNOSUPPORT and EPROTONOSUPPORT where the kernel has no network, EMFILE, ENFILE.
    pub fn new() -> Result<Self> {
        let fd = open(GROUPS)?;
        // More than the default, which a hundred interfaces at once fill; it may be refused.
        let _ = sockopt::set_socket_recv_buffer_size(&fd, 256 * 1024);
        Ok(Self { fd })
    }

    /// Takes the notices that are there. True if there were any, also if some were dropped
    /// because there were too many.
    ///
    /// # Errors
    /// None are known.
    pub fn changed(&mut self) -> Result<bool> {
        let mut changed = false;
        for _ in 0..NOTICES {
            // Cut to nothing: only that there was one counts.
            let mut nothing = [0; 1];
            match retry(|| recv(&self.fd, &mut nothing, RecvFlags::DONTWAIT).map(|_| ())) {
                Ok(()) | Err(Errno::NOBUFS) => changed = true,
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(changed)
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Tells of all links, then all addresses, then all default routes of all tables. When something
/// changes meanwhile, `tell` gets `None` and everything from the beginning again.
///
/// # Errors
/// What the kernel says; EAGAIN when it kept changing, ETIMEDOUT when it did not answer, EBADMSG
/// when the answer is no rtnetlink.
pub fn look(buffer: &mut [u8], mut tell: impl FnMut(Option<Seen<'_>>)) -> Result<()> {
    let fd = open(0)?;
    let mut sequence = 0_u32;
    for _ in 0..ATTEMPTS {
        tell(None);
        let mut consistent = true;
        for (kind, family) in
            [(RTM_GETLINK, 0), (RTM_GETADDR, 0), (RTM_GETROUTE, AF_INET), (RTM_GETROUTE, AF_INET6)]
        {
            sequence = sequence.wrapping_add(1);
            match dump(&fd, kind, family, sequence, buffer, &mut tell) {
                Ok(undisturbed) => consistent &= undisturbed,
                // A kernel without IPv6 has none of its routes.
                Err(Errno::AFNOSUPPORT | Errno::OPNOTSUPP) if family == AF_INET6 => {}
                Err(errno) => return Err(errno),
            }
        }
        if consistent {
            return Ok(());
        }
    }
    Err(Errno::AGAIN)
}

/// Switches the loopback interface on. The kernel gives it its addresses.
///
/// # Errors
/// EPERM, ENODEV, and those of [`Monitor::new`].
pub fn loopback_up() -> Result<()> {
    let fd = open(0)?;
    let mut request = Request::new(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, 1);
    // struct ifinfomsg: no index (the name says which), flags, and which of them to change.
    request.push(&[0; 8]);
    request.push(&IFF_UP.to_ne_bytes());
    request.push(&IFF_UP.to_ne_bytes());
    request.push(&7_u16.to_ne_bytes());
    request.push(&IFLA_IFNAME.to_ne_bytes());
    request.push(b"lo\0\0");
    send_request(&fd, &request)?;
    let mut buffer = [0; 1024];
    let answer = receive(&fd, &mut buffer)?;
    match message(answer) {
        Some(Message { kind: NLMSG_ERROR, body, .. }) => error_of(body),
        Some(_) | None => Err(Errno::BADMSG),
    }
}

/// A request put together in place.
struct Request {
    bytes: [u8; 64],
    length: usize,
}

impl Request {
    fn new(kind: u16, flags: u16, sequence: u32) -> Self {
        let mut request = Self { bytes: [0; 64], length: 0 };
        request.push(&0_u32.to_ne_bytes());
        request.push(&kind.to_ne_bytes());
        request.push(&flags.to_ne_bytes());
        request.push(&sequence.to_ne_bytes());
        request.push(&0_u32.to_ne_bytes());
        request
    }

    /// Adds bytes; the length at the front follows.
    fn push(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
        let length = u32::try_from(self.length).unwrap_or(0);
        if let Some(place) = self.bytes.first_chunk_mut() {
            *place = length.to_ne_bytes();
        }
    }
}

fn open(groups: u32) -> Result<OwnedFd> {
    let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    bind(&fd, &SocketAddrNetlink::new(0, groups))?;
    Ok(fd)
}

fn send_request(fd: &OwnedFd, request: &Request) -> Result<()> {
    let bytes = request.bytes.get(..request.length).unwrap_or_default();
    retry(|| send(fd, bytes, SendFlags::NOSIGNAL).map(drop))
}

fn receive<'a>(fd: &OwnedFd, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
    if !wait_one(fd, Interest::Read, Some(ANSWER_MS))? {
        return Err(Errno::TIMEDOUT);
    }
    let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    let (_, length) = retry(|| recv(fd, &mut *buffer, flags))?;
    buffer.get(..length).ok_or(Errno::MSGSIZE)
}

/// True unless something changed meanwhile.
fn dump(
    fd: &OwnedFd,
    kind: u16,
    family: u8,
    sequence: u32,
    buffer: &mut [u8],
    tell: &mut impl FnMut(Option<Seen<'_>>),
) -> Result<bool> {
    let mut request = Request::new(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence);
    // The longest of the headers (ifinfomsg); all begin with the family.
    request.push(&[family, 0, 0, 0]);
    request.push(&[0; 12]);
    send_request(fd, &request)?;
    let mut undisturbed = true;
    loop {
        let part = read_part(receive(fd, buffer)?, sequence, tell)?;
        undisturbed &= part.undisturbed;
        if part.last {
            return Ok(undisturbed);
        }
    }
}

/// What a part of an answer says of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Nothing follows.
    pub last: bool,
    /// Nothing changed since the answer began.
    pub undisturbed: bool,
}

/// Reads one packet of the answer to the request with this number, and tells of what is in it.
/// Messages that answer something else are passed over.
///
/// # Errors
/// EBADMSG when it is no rtnetlink, and the error that the kernel answered.
pub fn read_part(
    packet: &[u8],
    sequence: u32,
    tell: &mut impl FnMut(Option<Seen<'_>>),
) -> Result<Part> {
    let mut part = Part { last: false, undisturbed: true };
    let mut rest = packet;
    while !rest.is_empty() {
        let found = message(rest).ok_or(Errno::BADMSG)?;
        rest = found.rest;
        if found.sequence != sequence {
            continue;
        }
        part.undisturbed &= found.flags & NLM_F_DUMP_INTR == 0;
        match found.kind {
            NLMSG_DONE => return Ok(Part { last: true, ..part }),
            NLMSG_ERROR => return error_of(found.body).map(|()| Part { last: true, ..part }),
            RTM_NEWLINK => tell_one(link(found.body).map(Seen::Link), tell),
            RTM_NEWADDR => tell_one(address(found.body).map(Seen::Address), tell),
            RTM_NEWROUTE => default_routes(found.body, tell),
            _ => {}
        }
    }
    Ok(part)
}

fn tell_one(seen: Option<Seen<'_>>, tell: &mut impl FnMut(Option<Seen<'_>>)) {
    if seen.is_some() {
        tell(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_loopback_interface() {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut found = Vec::new();
        look(&mut buffer, |seen| match seen {
            None => found.clear(),
            Some(Seen::Link(link)) if link.loopback => {
                found.push(String::from_utf8_lossy(link.name).into_owned());
            }
            Some(_) => {}
        })
        .unwrap();
        assert_eq!(found, ["lo"]);
    }

    #[test]
    fn a_monitor_without_notices_does_not_wait() {
        let mut monitor = Monitor::new().unwrap();
        while monitor.changed().unwrap() {}
    }
}
