//! Receives packets with a descriptor from PID 1, in the shape the logger needs them.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use ettan_sys::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

/// One packet.
pub(crate) enum Received {
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
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Received, Errno> {
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
