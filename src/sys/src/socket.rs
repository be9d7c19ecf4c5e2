//! Talks to other processes over UNIX sockets: packets, credentials, descriptors. Knows no
//! protocol.

use crate::raw::{check, last, retry};
use crate::{BorrowedFd, Errno, OwnedFd, Result};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::fd::{AsFd, AsRawFd, FromRawFd};
use rustix::fs::{CWD, Mode};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 32;

/// Bytes for what comes beside a packet: credentials and a few descriptors. What does not fit
/// the kernel closes.
const CONTROL_BYTES: usize = 128;

/// Who is at the other end, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process, 0 for one outside our PID namespace. Perhaps gone already: no authority.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// A packet that arrived.
#[derive(Debug)]
pub struct Message {
    /// How many bytes of the buffer it fills. 0 on a connection: the other side closed it (or
    /// sent an empty packet, which no protocol of ours has).
    pub len: usize,
    /// It was longer than the buffer; the rest is lost.
    pub truncated: bool,
    /// Who sent it, on sockets that ask for it (datagrams).
    pub peer: Option<Peer>,
    /// The first descriptor that came with it; further ones were closed.
    pub fd: Option<OwnedFd>,
    /// One that came with it found no room among ours.
    pub fd_lost: bool,
}

/// Listens for connections that keep packets apart. Whatever was at `path` is replaced.
/// Accepting and receiving never block.
///
/// # Errors
/// ENOENT without the directory, EROFS, ENAMETOOLONG above 107 bytes, EMFILE.
pub fn seqpacket_listen(path: &CStr, mode: u32) -> Result<OwnedFd> {
    let socket = bound(path, mode, SocketType::SEQPACKET)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Receives datagrams with their senders' credentials at `path` (as /dev/log does).
///
/// # Errors
/// As [`seqpacket_listen`].
pub fn datagram_listen(path: &CStr, mode: u32) -> Result<OwnedFd> {
    let socket = bound(path, mode, SocketType::DGRAM)?;
    sockopt::set_socket_passcred(&socket, true)?;
    Ok(socket)
}

/// The next connection that waits, if any.
///
/// # Errors
/// EMFILE and ENFILE leave it waiting; ECONNABORTED and the like concern that one only.
pub fn accept(listener: impl AsFd) -> Result<Option<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    match retry(|| rustix::net::accept_with(&listener, flags)) {
        Ok(connection) => Ok(Some(connection)),
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Connects to who listens at `path`. The connection blocks; sending and receiving here do not.
///
/// # Errors
/// ENOENT, ECONNREFUSED when nobody listens, EACCES, EAGAIN when too many wait.
pub fn seqpacket_connect(path: &CStr) -> Result<OwnedFd> {
    let socket = unix(SocketType::SEQPACKET, SocketFlags::CLOEXEC)?;
    let address = SocketAddrUnix::new(path)?;
    retry(|| rustix::net::connect(&socket, &address))?;
    Ok(socket)
}

/// The same, and connecting does not block either.
///
/// # Errors
/// As [`seqpacket_connect`].
pub fn seqpacket_connect_now(path: &CStr) -> Result<OwnedFd> {
    let socket = unix(SocketType::SEQPACKET, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Whether somebody listens at `path`, however he listens. Never blocks.
///
/// # Errors
/// ENOENT and ECONNREFUSED when nobody does, EACCES.
pub fn knock(path: &CStr) -> Result<()> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    for kind in [SocketType::STREAM, SocketType::SEQPACKET, SocketType::DGRAM] {
        let socket = unix(kind, flags)?;
        match retry(|| rustix::net::connect(&socket, &address)) {
            // More wait than he has room for: he is there.
            Ok(()) | Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::PROTOTYPE) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::PROTOTYPE)
}

/// Begins to connect over TCP. Never blocks; once the socket is writable, [`outcome`] says how it
/// went.
///
/// # Errors
/// ECONNREFUSED, ENETUNREACH and the like, where that is known at once; EMFILE.
pub fn begin_tcp(address: &core::net::SocketAddr) -> Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// How what [`begin_tcp`] began went, once that is known.
///
/// # Errors
/// ECONNREFUSED, ETIMEDOUT and the like.
pub fn outcome(socket: impl AsFd) -> Result<()> {
    sockopt::socket_error(&socket)?
}

/// Two ends of a connection that keeps packets apart.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn seqpacket_pair() -> Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Who connected, at the time it did.
///
/// # Errors
/// ENOTSOCK and the like.
pub fn peer_credentials(connection: impl AsFd) -> Result<Peer> {
    let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    let fd = connection.as_fd().as_raw_fd();
    let (to, len) = ((&raw mut found).cast(), &raw mut len);
    // rustix wants the pid not to be 0, which it is for peers outside our PID namespace.
    // SAFETY: the kernel writes at most `len` bytes of a ucred into one.
    let ret = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, to, len) };
    check(ret.into())?;
    Ok(peer(found))
}

/// Sends one packet, whole or not at all. Never blocks, never raises PIPE.
///
/// # Errors
/// EAGAIN when the other side's queue is full, EPIPE and ECONNRESET when it is gone, EMSGSIZE.
pub fn send(socket: impl AsFd, packet: &[u8]) -> Result<()> {
    retry(|| rustix::net::send(&socket, packet, SENDING)).map(drop)
}

/// Sends one packet, waiting for room. For clients, never for PID 1.
///
/// # Errors
/// EPIPE and ECONNRESET when the other side is gone, EMSGSIZE.
pub fn send_waiting(socket: impl AsFd, packet: &[u8]) -> Result<()> {
    retry(|| rustix::net::send(&socket, packet, SendFlags::NOSIGNAL)).map(drop)
}

/// Sends one packet with a descriptor. The receiver gets a copy; ours stays.
///
/// # Errors
/// As [`send`]; ETOOMANYREFS when too many are under way.
pub fn send_fd(socket: impl AsFd, packet: &[u8], fd: BorrowedFd<'_>) -> Result<()> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
    let fds = [fd];
    retry(|| {
        let mut space = [MaybeUninit::<u8>::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(&socket, &[std::io::IoSlice::new(packet)], &mut control, SENDING)
    })
    .map(drop)
}

/// The next packet, or none. Never blocks. Descriptors that come with it are closed by the
/// kernel.
///
/// # Errors
/// ECONNRESET when the other side is gone.
pub fn recv(socket: impl AsFd, buffer: &mut [u8]) -> Result<Option<Message>> {
    let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    received(&socket, buffer, flags)
}

/// The next packet; waits for it. For clients, never for PID 1.
///
/// # Errors
/// ECONNRESET when the other side is gone.
pub fn recv_waiting(socket: impl AsFd, buffer: &mut [u8]) -> Result<Message> {
    received(&socket, buffer, RecvFlags::TRUNC)?.ok_or(Errno::AGAIN)
}

/// The next packet with its sender and a descriptor, where it has them. Never blocks.
///
/// # Errors
/// ECONNRESET when the other side is gone.
pub fn recv_fd(socket: impl AsFd, buffer: &mut [u8]) -> Result<Option<Message>> {
    receive(socket.as_fd(), buffer, 0)
}

/// As [`recv_fd`], but the packet stays the next one, until [`skip`].
///
/// # Errors
/// As [`recv_fd`].
pub fn peek(socket: impl AsFd, buffer: &mut [u8]) -> Result<Option<Message>> {
    receive(socket.as_fd(), buffer, libc::MSG_PEEK)
}

/// Drops the next packet. Never blocks.
///
/// # Errors
/// As [`recv_fd`].
pub fn skip(socket: impl AsFd) -> Result<()> {
    recv(socket, &mut []).map(drop)
}

fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], how: i32) -> Result<Option<Message>> {
    let mut control = Control([0; CONTROL_BYTES]);
    let fd = socket.as_raw_fd();
    let mut data = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: zeroes are a valid msghdr (some C libraries have padding that a literal cannot name).
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = &raw mut data;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC | how;
    // SAFETY: the header names `buffer` and `control` with their true lengths, and both live on.
    let got = retry(|| match unsafe { libc::recvmsg(fd, &raw mut header, flags) } {
        ..0 => Err(last()),
        len => Ok(len.unsigned_abs()),
    });
    let len = match got {
        Err(Errno::AGAIN) => return Ok(None),
        other => other?,
    };
    let truncated = header.msg_flags & libc::MSG_TRUNC != 0;
    let fd_lost = header.msg_flags & libc::MSG_CTRUNC != 0;
    let mut message = Message { len, truncated, peer: None, fd: None, fd_lost };
    // SAFETY: the kernel filled the header's control part just now, and nobody took from it.
    unsafe { unpack(&header, &mut message) };
    Ok(Some(message))
}

const SENDING: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// As strictly aligned as a cmsghdr has to be.
#[repr(align(8))]
struct Control([u8; CONTROL_BYTES]);

/// Takes credentials and descriptors out of what came beside a packet.
///
/// # Safety
/// `header` must be as recvmsg left it. Each descriptor in it is owned by the message from here
/// on: never twice for one header.
unsafe fn unpack(header: &libc::msghdr, message: &mut Message) {
    // SAFETY: the macros walk what the kernel wrote, within the length that it set.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: not null, so inside the control part and aligned.
        let part = unsafe { &*next };
        // SAFETY: the data follows its header.
        let data = unsafe { libc::CMSG_DATA(next) };
        // SAFETY: computes a length.
        let before = unsafe { libc::CMSG_LEN(0) } as usize;
        let len = (part.cmsg_len as usize).saturating_sub(before);
        match (part.cmsg_level, part.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for index in 0..len.div_euclid(size_of::<i32>()) {
                    // SAFETY: `index` is within what the kernel wrote: descriptors made for us.
                    let fd = unsafe {
                        OwnedFd::from_raw_fd(data.cast::<i32>().add(index).read_unaligned())
                    };
                    // The first stays, the others are closed here.
                    message.fd.get_or_insert(fd);
                }
            }
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if len >= size_of::<libc::ucred>() => {
                // SAFETY: long enough, and plain old data.
                message.peer = Some(peer(unsafe { data.cast::<libc::ucred>().read_unaligned() }));
            }
            _ => {}
        }
        // SAFETY: as for the first.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
}

fn received(socket: &impl AsFd, buffer: &mut [u8], flags: RecvFlags) -> Result<Option<Message>> {
    let room = buffer.len();
    let got = retry(|| rustix::net::recv(socket, &mut *buffer, flags).map(|(_, len)| len));
    match got {
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno),
        Ok(len) => {
            let (truncated, len) = (len > room, len.min(room));
            Ok(Some(Message { len, truncated, peer: None, fd: None, fd_lost: false }))
        }
    }
}

fn bound(path: &CStr, mode: u32, kind: SocketType) -> Result<OwnedFd> {
    let socket = unix(kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let address = SocketAddrUnix::new(path)?;
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    rustix::net::bind(&socket, &address)?;
    rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(mode), rustix::fs::AtFlags::empty())?;
    Ok(socket)
}

fn unix(kind: SocketType, flags: SocketFlags) -> Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)
}

fn peer(found: libc::ucred) -> Peer {
    Peer { pid: found.pid, uid: found.uid, gid: found.gid }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
