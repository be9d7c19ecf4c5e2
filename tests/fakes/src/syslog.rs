//! Speaks syslog(3) as the C library does: one datagram per message to /dev/log,
//! and silence where nobody listens.

use std::os::unix::net::UnixDatagram;
use std::time::{SystemTime, UNIX_EPOCH};

const DAEMON: u8 = 3 << 3;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How much a message matters, with the numbers of syslog(3).
#[derive(Clone, Copy, Debug)]
pub enum Level {
    /// Something failed.
    Err = 3,
    /// Normal but worth noting.
    Notice = 5,
    /// For information.
    Info = 6,
}

/// Sends one message. Never fails, but waits while the queue is full, as syslog(3) does.
pub fn send(program: &str, level: Level, message: &str) {
    let Ok(socket) = UnixDatagram::unbound() else {
        return;
    };
    let priority = DAEMON | level as u8;
    let (stamp, pid) = (stamp(), std::process::id());
    let line = format!("<{priority}>{stamp} {program}[{pid}]: {message}");
    let _ = socket.send_to(line.as_bytes(), "/dev/log");
}

fn stamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (month, day) = month_and_day(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{month} {day:2} {hour:02}:{minute:02}:{second:02}")
}

fn month_and_day(mut days: u64) -> (&'static str, u64) {
    let mut year = 1970;
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if leap { 29 } else { 28 };
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in MONTHS.into_iter().zip(lengths) {
            if days < length {
                return (month, days + 1);
            }
            days -= length;
        }
        year += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::month_and_day;

    #[test]
    fn days_since_1970_become_dates() {
        assert_eq!(month_and_day(0), ("Jan", 1));
        assert_eq!(month_and_day(59), ("Mar", 1)); // 1970-03-01
        assert_eq!(month_and_day(19_782), ("Feb", 29)); // 2024-02-29
    }
}
