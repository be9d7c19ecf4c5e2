//! The readers of what others say to the logger, for tests that say anything at all to them.

use crate::packet::Packet;

/// A packet of PID 1: the unit that it is about, if it is about one. None when it is not ours.
#[must_use]
pub fn packet(bytes: &[u8]) -> Option<Option<&str>> {
    crate::packet::read(bytes).map(|packet| match packet {
        Packet::Open { name, .. }
        | Packet::Close { name }
        | Packet::End { name }
        | Packet::Mark { name, .. } => Some(name),
        Packet::Flush | Packet::Syslog | Packet::Kernel => None,
    })
}

/// A datagram at /dev/log: priority, tag, text.
#[must_use]
pub fn syslog(datagram: &[u8]) -> (u16, &[u8], &[u8]) {
    let message = crate::syslog::read(datagram);
    (message.priority, message.tag, message.text)
}

/// A record of /dev/kmsg: its number, priority, milliseconds since boot, text.
#[must_use]
pub fn kernel(record: &[u8]) -> Option<(u64, u16, u64, &[u8])> {
    let (number, message) = crate::kernel::read(record)?;
    Some((number, message.priority, message.up_ms, message.text))
}
