//! Reads what programs say by syslog(3): datagrams as the C library writes them (RFC 3164), one
//! message each. Knows no file.

use std::os::fd::OwnedFd;

use crate::serve::Standing;

/// The user facility and severity "notice": a datagram that says neither (syslog(3)).
const DEFAULT_PRIORITY: u16 = (1 << 3) | 5;

/// `Nov 21 01:02:03 `
const TIME: &[u8; 16] = b"Aaa _0 00:00:00 ";

/// The socket that PID 1 made at /dev/log, and how to know who wrote to it.
pub(crate) struct Syslog {
    pub(crate) socket: OwnedFd,
    pub(crate) senders: crate::sender::Senders,
    pub(crate) standing: Standing,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// Eight times the facility, and the severity.
    pub(crate) priority: u16,
    /// What the sender calls itself; perhaps nothing.
    pub(crate) tag: &'a [u8],
    /// The tag, in most cases `[PID]: `, and what was said, without an end of line.
    pub(crate) text: &'a [u8],
}

/// Reads one datagram. The sender's time is left out: it is that of our own record, less exact
/// and without a zone.
pub(crate) fn read(datagram: &[u8]) -> Message<'_> {
    let given = datagram.strip_prefix(b"<").and_then(crate::record::priority);
    let (priority, rest) = given.unwrap_or((DEFAULT_PRIORITY, datagram));
    let text = match rest.split_at_checked(TIME.len()) {
        Some((time, text)) if time.iter().zip(TIME).all(|(byte, shape)| fits(*byte, *shape)) => {
            text
        }
        Some(_) | None => rest,
    };
    let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\0'));
    let text = text.get(..end.map_or(0, |last| last + 1)).unwrap_or_default();
    Message { priority, tag: tag(text), text }
}

fn fits(byte: u8, shape: u8) -> bool {
    match shape {
        b'0' => byte.is_ascii_digit(),
        b'_' => byte.is_ascii_digit() || byte == b' ',
        b'A' => byte.is_ascii_uppercase(),
        b'a' => byte.is_ascii_lowercase(),
        other => byte == other,
    }
}

/// What is before `[PID]:` or `:`; nothing where that is not what it looks like.
fn tag(text: &[u8]) -> &[u8] {
    const LONGEST: usize = 64;
    let end = text.iter().take(LONGEST).position(|byte| matches!(byte, b'[' | b':' | b' ' | b'\n'));
    match end {
        Some(end) if text.get(end) == Some(&b'[') || text.get(end) == Some(&b':') => {
            text.get(..end).unwrap_or_default()
        }
        Some(_) | None => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_c_library_writes_is_read() {
        type Case<'a> = (&'a [u8], u16, &'a [u8], &'a [u8]);
        let cases: [Case<'_>; 8] = [
            (
                b"<30>Nov  1 01:02:03 telldusd[411]: TellStick found",
                30,
                b"telldusd",
                b"telldusd[411]: TellStick found",
            ),
            (b"<11>Nov 21 01:02:03 x: y\n\0", 11, b"x", b"x: y"),
            (b"<11>x: y", 11, b"x", b"x: y"),
            (b"x: y", 13, b"x", b"x: y"),
            (b"<191>just words and [brackets]", 191, b"", b"just words and [brackets]"),
            (b"<6>Nov 21 one line\ntwo\n", 6, b"", b"Nov 21 one line\ntwo"),
            (b"", 13, b"", b""),
            (b"<99999>\xff\0\x1b", 13, b"", b"<99999>\xff\0\x1b"),
        ];
        for (datagram, priority, tag, text) in cases {
            assert_eq!(read(datagram), Message { priority, tag, text });
        }
    }
}
