//! What is in a datagram of sd_notify(3): lines of `NAME=VALUE`. What is not known is passed over,
//! and no byte of it can do harm.

/// The longest datagram that is read; a longer one is not read at all.
pub const MAX_DATAGRAM: usize = 4096;

/// The longest status text in bytes.
pub const MAX_STATUS: usize = 256;

/// What a service said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// READY=1.
    pub ready: bool,
    /// RELOADING=1.
    pub reloading: bool,
    /// MONOTONIC_USEC=: when that was.
    pub at_us: Option<u64>,
    /// STOPPING=1.
    pub stopping: bool,
    /// STATUS=: one line, at most [`MAX_STATUS`] bytes.
    pub status: Option<String>,
    /// MAINPID=.
    pub main: Option<i32>,
    /// WATCHDOG=1: it lives.
    pub lives: bool,
    /// WATCHDOG=trigger: it knows itself that it does not.
    pub hangs: bool,
    /// WATCHDOG_USEC=, in milliseconds.
    pub watchdog_ms: Option<u64>,
    /// EXTEND_TIMEOUT_USEC=, in milliseconds.
    pub extend_ms: Option<u64>,
}

/// The longest that a service may ask for at once: an hour.
const EXTEND_MAX_MS: u64 = 3_600_000;

/// Takes a datagram apart.
#[must_use]
pub fn parse(datagram: &[u8]) -> Said {
    let mut said = Said::default();
    for line in datagram.split(|byte| *byte == b'\n') {
        let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = (&line[..at], &line[at + 1..]);
        match name {
            b"READY" => said.ready |= value == b"1",
            b"RELOADING" => said.reloading |= value == b"1",
            b"MONOTONIC_USEC" => said.at_us = number(value),
            b"STOPPING" => said.stopping |= value == b"1",
            b"STATUS" => said.status = Some(one_line(value)),
            b"MAINPID" => said.main = number(value).filter(|pid| *pid > 1),
            b"WATCHDOG" => {
                said.lives |= value == b"1";
                said.hangs |= value == b"trigger";
            }
            b"WATCHDOG_USEC" => said.watchdog_ms = milliseconds(value),
            b"EXTEND_TIMEOUT_USEC" => {
                said.extend_ms = milliseconds(value).map(|ms| ms.min(EXTEND_MAX_MS));
            }
            _ => {}
        }
    }
    said
}

fn number<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    str::from_utf8(value).ok()?.trim_ascii().parse().ok()
}

/// Microseconds, rounded up.
fn milliseconds(value: &[u8]) -> Option<u64> {
    number::<u64>(value).map(|us| us.div_ceil(1_000))
}

fn one_line(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line = String::new();
    for c in clean {
        if line.len() + c.len_utf8() > MAX_STATUS {
            break;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_services_say_is_understood() {
        let said = parse(b"READY=1\nSTATUS=Serving 3 requests\nMAINPID=212\nX_OTHER=1\n");
        assert!(said.ready && !said.stopping);
        assert_eq!(said.status.as_deref(), Some("Serving 3 requests"));
        assert_eq!(said.main, Some(212));
        let said = parse(b"WATCHDOG=1\nWATCHDOG_USEC=1500\nEXTEND_TIMEOUT_USEC=5000000");
        assert!(said.lives && !said.hangs);
        assert_eq!((said.watchdog_ms, said.extend_ms), (Some(2), Some(5_000)));
        assert!(parse(b"WATCHDOG=trigger").hangs);
        let said = parse(b"RELOADING=1\nMONOTONIC_USEC=70\nSTOPPING=1");
        assert_eq!((said.reloading, said.stopping, said.at_us), (true, true, Some(70)));
    }

    #[test]
    fn r4_odd_datagrams_say_nothing() {
        for odd in [
            &b""[..],
            b"\n",
            b"=",
            b"READY",
            b"READY=",
            b"READY=2",
            b"MAINPID=1",
            b"MAINPID=-7",
            b"MAINPID=99999999999999",
            b"WATCHDOG=",
            b"WATCHDOG_USEC=x",
            b"MONOTONIC_USEC=-1",
            b"\0\xff=\n\n=1",
            b"ready=1",
        ] {
            assert_eq!(parse(odd), Said::default(), "{odd:?}");
        }
    }

    #[test]
    fn a_status_is_one_short_line() {
        let long = format!("STATUS={}ä", "x".repeat(MAX_STATUS - 1));
        assert_eq!(parse(long.as_bytes()).status.map(|text| text.len()), Some(MAX_STATUS - 1));
        assert_eq!(parse(b"STATUS=a\x1b[31mb").status.as_deref(), Some("a [31mb"));
    }
}
