//! What services say to the prober.

use ettan_probe::notify::{MAX_STATUS, Said, parse};

pub(super) const NOTIFY_WORDS: &[&[u8]] = &[
    b"READY=1",
    b"STATUS=",
    b"MAINPID=",
    b"WATCHDOG=1",
    b"WATCHDOG=trigger",
    b"WATCHDOG_USEC=",
    b"EXTEND_TIMEOUT_USEC=",
    b"18446744073709551616",
    b"-1",
    b"=",
    b"\n",
    b"\0",
    b"\xff",
    b"\x1b[2J",
];

/// A process named may be signalled, and a status is one short line for a terminal.
pub(super) fn notify(bytes: &[u8]) -> bool {
    let said = parse(bytes);
    assert!(said.main.is_none_or(|pid| pid > 1));
    assert!(said.extend_ms.is_none_or(|ms| ms <= 3_600_000));
    if let Some(status) = &said.status {
        assert!(status.len() <= MAX_STATUS && !status.chars().any(char::is_control), "{status:?}");
    }
    said != Said::default()
}
