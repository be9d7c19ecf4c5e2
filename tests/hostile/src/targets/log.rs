//! What the logger is told, and what is read of its files.

use ettan_log::readers;
use ettan_log::record::{ClockNote, Kind, Line, stamp_ms};

pub(super) const PACKET_WORDS: &[&[u8]] = &[
    b"open ",
    b"close ",
    b"mark ",
    b"note ",
    b"amid ",
    b"end ",
    b"syslog",
    b"kernel",
    b"web",
    b" 262144 4",
    b" stamps=iso",
    b" stream=err",
    b" note=starting",
    b" stamps=tai64n",
    b"=",
    b" ",
    b"..",
    b"/",
    b"\n",
    b"\0",
    b"18446744073709551616",
];

/// The name leads to no other directory than its own.
pub(super) fn packet(bytes: &[u8]) -> bool {
    let Some(about) = readers::packet(bytes) else { return false };
    let Some(unit) = about else { return true };
    assert!(!unit.is_empty() && unit.len() <= 64 && !unit.starts_with('.'), "{unit}");
    assert!(!unit.contains(|c: char| c == '/' || c.is_control() || c.is_whitespace()), "{unit:?}");
    true
}

pub(super) const SYSLOG_WORDS: &[&[u8]] = &[
    b"<30>",
    b"<65536>",
    b"<",
    b">",
    b"Nov 21 01:02:03 ",
    b"Nov  1 01:02:03 ",
    b"telldusd",
    b"[411]: ",
    b": ",
    b"\n",
    b"\0",
];

/// Every datagram is a message: what it says is a piece of it, no byte of it lost but the time
/// and the ends of lines; who says it is the text's beginning.
pub(super) fn syslog(bytes: &[u8]) -> bool {
    let (priority, tag, text) = readers::syslog(bytes);
    assert!(text.starts_with(tag) && tag.len() < 64);
    assert!(!tag.iter().any(|byte| b" :[\n".contains(byte)), "{}", tag.escape_ascii());
    let end = bytes.iter().rposition(|byte| !b"\n\0".contains(byte)).map_or(0, |at| at + 1);
    assert!(bytes[..end].ends_with(text) || text.is_empty());
    let lead = end - text.len().min(end);
    assert!(lead <= b"<65535>".len() + b"Nov 21 01:02:03 ".len() || text.is_empty(), "{lead} lost");
    if !bytes.starts_with(b"<") {
        assert_eq!(priority, 13);
    }
    !tag.is_empty()
}

pub(super) const KERNEL_WORDS: &[&[u8]] =
    &[b"6,", b",-;", b";", b",", b"\n", b" SUBSYSTEM=usb", b"18446744073709551616", b"65536"];

/// What is said is the first line after the numbers.
pub(super) fn kernel(bytes: &[u8]) -> bool {
    let Some((number, priority, up_ms, text)) = readers::kernel(bytes) else { return false };
    assert!(!text.contains(&b'\n'));
    let at = bytes.iter().position(|byte| *byte == b';').expect("an end of the numbers");
    assert!(bytes[at + 1..].starts_with(text));
    let head = std::str::from_utf8(&bytes[..at]).expect("numbers");
    let fields: Vec<Option<u64>> = head.split(',').map(|field| field.parse().ok()).collect();
    assert_eq!(fields[..2], [Some(u64::from(priority)), Some(number)]);
    assert_eq!(fields[2].map(|us| us / 1000), Some(up_ms));
    true
}

pub(super) const RECORD_WORDS: &[&[u8]] = &[
    b"2026-11-21T01:02:03.456Z",
    b"@400000006920b3a5115cee80",
    b" ",
    b"!",
    b"+",
    b"-",
    b"*",
    b"=",
    b"<30>",
    b"<65536>",
    b"up 12.345 boot ",
    b"0000-",
    b"9999-12-31T23:59:59.999Z",
];

/// A line is taken apart without losing a byte of what was written; one of another shape is text.
pub(super) fn record(bytes: &[u8]) -> bool {
    let line = Line::of(bytes);
    assert!(bytes.starts_with(line.stamp) && bytes.ends_with(line.text));
    let lead = &bytes[line.stamp.len()..bytes.len() - line.text.len()];
    if line.stamp.is_empty() {
        assert!(line.text == bytes && line.kind == Kind::Line && line.wall_ms().is_none());
        return false;
    }
    assert_eq!(stamp_ms(line.stamp), line.wall_ms());
    match line.kind {
        Kind::Line => assert_eq!(lead, b" "),
        Kind::Error => assert_eq!(lead, b"!"),
        Kind::Rest => assert_eq!(lead, b"+"),
        Kind::ErrorRest => assert_eq!(lead, b"-"),
        Kind::Note => assert_eq!(lead, b"*"),
        Kind::Clock => assert_eq!(lead, b"="),
        Kind::Message(_) => assert!(lead.starts_with(b"<") && lead.ends_with(b">")),
    }
    if let Some(clock) = ClockNote::of(&line) {
        let wall = line.wall_ms().expect("a time");
        assert!(line.kind == Kind::Clock && clock.offset_ms <= wall);
    }
    true
}
