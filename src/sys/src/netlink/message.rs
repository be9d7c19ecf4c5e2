//! Takes netlink messages apart, whatever is in them. Knows no kind of them.

use crate::{Errno, Result};

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;

/// One netlink message, and what is after it.
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
    pub(super) rest: &'a [u8],
}

/// The first message of these bytes.
pub(super) fn message(bytes: &[u8]) -> Option<Message<'_>> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let next = aligned(length).min(bytes.len());
    Some(Message {
        kind: u16_at(bytes, 4)?,
        flags: u16_at(bytes, 6)?,
        sequence: u32_at(bytes, 8)?,
        body: bytes.get(HEADER..length)?,
        rest: bytes.get(next..)?,
    })
}

/// What an answer of the kind "error" says; zero is an acknowledgement.
pub(super) fn error_of(body: &[u8]) -> Result<()> {
    match u32_at(body, 0).map(|code| code.cast_signed().saturating_neg()) {
        Some(0) => Ok(()),
        // The numbers that the kernel has errors for; another would be no `Errno`.
        Some(code @ 1..4096) => Err(Errno::from_raw_os_error(code)),
        Some(_) | None => Err(Errno::BADMSG),
    }
}

/// The kind and the value of each attribute; ends at the first that does not fit.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        // The two highest bits say how the value is put together.
        let kind = u16_at(rest, 2)? & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Where the next thing begins.
pub(super) const fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// A number of the machine's byte order.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

/// A number of the machine's byte order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}
