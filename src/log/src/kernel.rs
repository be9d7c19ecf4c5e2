//! Reads the kernel's messages from /dev/kmsg, and counts those it was too slow for. The
//! descriptor is PID 1's: how far it was read outlives the logger.

use std::os::fd::OwnedFd;

use ettan_sys::{Errno, pipe};

use crate::serve::Standing;

/// The longest record that the kernel hands out (`CONSOLE_EXT_LOG_MAX`).
const RECORD_BYTES: usize = 8192;

/// The kernel's messages, and how far they were read.
pub(crate) struct Kernel {
    pub(crate) source: OwnedFd,
    pub(crate) standing: Standing,
    next: Option<u64>,
    record: Box<[u8; RECORD_BYTES]>,
}

/// What one look at it gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News<'a> {
    Message(Message<'a>),
    /// Something that is no record.
    Odd,
    /// Nothing more for now.
    Nothing,
    /// It cannot be read.
    Broken(Errno),
}

/// One message of the kernel, or of whoever writes to /dev/kmsg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// Eight times the facility, and the severity.
    pub(crate) priority: u16,
    /// Milliseconds since boot.
    pub(crate) up_ms: u64,
    /// So many messages before this one were overwritten before anybody read them.
    pub(crate) lost: u64,
    /// What was said.
    pub(crate) text: &'a [u8],
}

impl Kernel {
    /// Goes on where this descriptor was read to.
    pub(crate) fn new(source: OwnedFd) -> Self {
        Kernel {
            source,
            standing: Standing::default(),
            next: None,
            record: Box::new([0; RECORD_BYTES]),
        }
    }

    /// Reads one record.
    pub(crate) fn read(&mut self) -> News<'_> {
        let length = loop {
            match pipe::read(&self.source, &mut self.record[..]) {
                Ok(0) | Err(Errno::AGAIN) => return News::Nothing,
                Ok(length) => {
                    self.standing.works();
                    break length;
                }
                // Overwritten before we came to it. The next read gives what is there.
                Err(Errno::PIPE) => {}
                Err(errno) => return News::Broken(errno),
            }
        };
        let Some((sequence, message)) = self.record.get(..length).and_then(read) else {
            return News::Odd;
        };
        let lost = self.next.map_or(0, |next| sequence.saturating_sub(next));
        self.next = Some(sequence.saturating_add(1));
        News::Message(Message { lost, ..message })
    }
}

/// `6,1234,5678901,-;text`, then lines of properties that nobody misses. The number and the
/// message.
pub(crate) fn read(record: &[u8]) -> Option<(u64, Message<'_>)> {
    let at = record.iter().position(|byte| *byte == b';')?;
    let (head, text) = (record.get(..at)?, record.get(at + 1..)?);
    let mut fields = str::from_utf8(head).ok()?.split(',');
    let priority = fields.next()?.parse().ok()?;
    let sequence = fields.next()?.parse().ok()?;
    let up_us: u64 = fields.next()?.parse().ok()?;
    let text = text.split(|byte| *byte == b'\n').next()?;
    Some((sequence, Message { priority, up_ms: up_us / 1000, lost: 0, text }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ettan_sys::socket;

    #[test]
    fn records_are_read_and_what_was_overwritten_is_counted() {
        let (kernel, ours) = socket::seqpacket_pair().unwrap();
        let mut reader = Kernel::new(ours);
        pipe::set_nonblocking(&reader.source, true).unwrap();
        assert_eq!(reader.read(), News::Nothing);
        socket::send(&kernel, b"6,10,1234567,-;usb 1-1: new device\n SUBSYSTEM=usb\n").unwrap();
        socket::send(&kernel, b"rubbish").unwrap();
        socket::send(&kernel, b"30,15,2000000,c,caller=T1;ettan: x\n").unwrap();
        let first = Message { priority: 6, up_ms: 1_234, lost: 0, text: b"usb 1-1: new device" };
        assert_eq!(reader.read(), News::Message(first));
        assert_eq!(reader.read(), News::Odd);
        let second = Message { priority: 30, up_ms: 2_000, lost: 4, text: b"ettan: x" };
        assert_eq!(reader.read(), News::Message(second));
        assert_eq!(reader.read(), News::Nothing);
    }
}
