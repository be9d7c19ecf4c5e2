//! Words for the kernel's numbers. One table for PID 1's log, the command and the web page.

use core::fmt;

/// Signals by number; the same on every architecture Ettan runs on.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The first real-time signal that the C libraries leave to programs.
const RTMIN: u8 = 34;
/// The last signal.
const MAX: u8 = 64;

/// The name of a signal without `SIG`; None for numbers without one (real-time signals have a
/// number only).
#[must_use]
pub fn signal_name(number: u8) -> Option<&'static str> {
    SIGNALS.get(usize::from(number.checked_sub(1)?)).copied()
}

/// The number of a signal given as `TERM`, `SIGTERM`, `term`, `15` or `RTMIN+3`.
#[must_use]
pub fn signal_number(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse::<u8>() {
        return (text.bytes().all(|b| b.is_ascii_digit()) && (1..=MAX).contains(&number))
            .then_some(number);
    }
    let name = match text.get(..3) {
        Some(prefix) if prefix.eq_ignore_ascii_case("SIG") => text.get(3..)?,
        _ => text,
    };
    if let Some((base, offset)) = name.split_once('+') {
        let number = RTMIN.checked_add(offset.parse().ok()?)?;
        return (base.eq_ignore_ascii_case("RTMIN") && number <= MAX).then_some(number);
    }
    if name.eq_ignore_ascii_case("RTMIN") {
        return Some(RTMIN);
    }
    let index = SIGNALS.iter().position(|known| known.eq_ignore_ascii_case(name))?;
    u8::try_from(index).ok()?.checked_add(1)
}

/// Shows a signal as `9 (KILL)`, or as its number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub u8);

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match signal_name(self.0) {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

/// What an errno of Linux means, in the words of strerror(3) but lower case; None for rare ones: those
/// that no system call of PID 1 gives. Numbers of asm-generic, as on x86 and ARM.
#[must_use]
pub const fn error_text(errno: i32) -> Option<&'static str> {
    Some(match errno {
        1 => "operation not permitted",
        2 => "no such file or directory",
        3 => "no such process",
        4 => "interrupted system call",
        5 => "input/output error",
        6 => "no such device or address",
        7 => "argument list too long",
        8 => "exec format error",
        9 => "bad file descriptor",
        10 => "no child processes",
        11 => "resource temporarily unavailable",
        12 => "cannot allocate memory",
        13 => "permission denied",
        14 => "bad address",
        15 => "block device required",
        16 => "device or resource busy",
        17 => "file exists",
        18 => "invalid cross-device link",
        19 => "no such device",
        20 => "not a directory",
        21 => "is a directory",
        22 => "invalid argument",
        23 => "too many open files in system",
        24 => "too many open files",
        25 => "inappropriate ioctl for device",
        26 => "text file busy",
        27 => "file too large",
        28 => "no space left on device",
        29 => "illegal seek",
        30 => "read-only file system",
        31 => "too many links",
        32 => "broken pipe",
        36 => "file name too long",
        38 => "function not implemented",
        39 => "directory not empty",
        40 => "too many levels of symbolic links",
        80 => "accessing a corrupted shared library",
        90 => "message too long",
        95 => "operation not supported",
        104 => "connection reset by peer",
        110 => "connection timed out",
        111 => "connection refused",
        116 => "stale file handle",
        122 => "disk quota exceeded",
        _ => return None,
    })
}

/// Shows a span of milliseconds the way people say it: `250 ms`, `30 s`, `2 min 5 s`, `3 h 4 min`, `2 d 3 h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A unit with its length and the next smaller one.
        const STEPS: [(u64, &str, u64, &str); 3] =
            [(86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")];
        let seconds = self.0 / 1_000;
        for (large, large_name, small, small_name) in STEPS {
            if seconds >= large {
                write!(f, "{} {large_name}", seconds.checked_div(large).unwrap_or(0))?;
                let rest = seconds.checked_rem(large).and_then(|rest| rest.checked_div(small));
                return match rest.unwrap_or(0) {
                    0 => Ok(()),
                    rest => write!(f, " {rest} {small_name}"),
                };
            }
        }
        match (seconds, self.0 % 1_000) {
            (0, ms) => write!(f, "{ms} ms"),
            (1..10, ms) if ms >= 100 => write!(f, "{seconds}.{} s", ms / 100),
            (_, _) => write!(f, "{seconds} s"),
        }
    }
}

/// How bad it is what the loader says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something must be changed.
    Error,
    /// Probably something is not meant.
    Warning,
    /// Nothing is wrong.
    Note,
}

/// Of a message of the loader: `/etc/units/web.toml:7:1: error: unknown key`. None of what is none of these.
#[must_use]
pub fn severity(message: &str) -> Option<Severity> {
    let words = [
        (": error: ", Severity::Error),
        (": warning: ", Severity::Warning),
        (": note: ", Severity::Note),
    ];
    let found = words.iter().filter_map(|(word, severity)| Some((message.find(word)?, *severity)));
    found.min_by_key(|(at, _)| *at).map(|(_, severity)| severity)
}
