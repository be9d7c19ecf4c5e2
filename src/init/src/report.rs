//! PID 1's own words: through `log` and `simplelog` to the kernel log and to Ettan's own log.
//! Never blocks: what cannot be written at once is dropped and counted.

use ettan_sys::clock;
use ettan_sys::kmsg::{Kmsg, Level};
use log::LevelFilter;
use simplelog::{ConfigBuilder, WriteLogger};
use std::io::Write;
use std::os::fd::OwnedFd;

/// The longest line, in bytes; the end of a longer one is cut. The kernel cuts at about 1,000.
const LINE_MAX: usize = 900;

/// Starts the reporting. `own_log` is the write end of the pipe that becomes `ettan logs`.
/// Allocates; to be called once, at boot.
pub(crate) fn start(own_log: Option<OwnedFd>) {
    let config = ConfigBuilder::new()
        .set_time_level(LevelFilter::Off)
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Off)
        .set_location_level(LevelFilter::Off)
        .build();
    let pace = Pace { left: BURST, filled_ms: clock::now() };
    let writer =
        Writer { kmsg: Kmsg::open().ok(), own_log, line: heapless::Vec::new(), dropped: 0, pace };
    // It fails only when a logger is set already, and then there is one.
    let _ = WriteLogger::init(LevelFilter::Debug, config, writer);
}

/// Collects a line, then hands it on in one write to each destination.
struct Writer {
    kmsg: Option<Kmsg>,
    own_log: Option<OwnedFd>,
    line: heapless::Vec<u8, LINE_MAX>,
    dropped: u32,
    pace: Pace,
}

/// At most so many lines in the kernel's log at once, and so many more each second: on a Pi every
/// one of them may crawl over a serial line (`faults.md` 6.10). Ettan's own log has them all.
const BURST: u32 = 40;
const LINES_PER_SECOND: u64 = 10;

/// A bucket of lines that fills with time.
struct Pace {
    left: u32,
    filled_ms: u64,
}

impl Pace {
    fn allows(&mut self, now_ms: u64) -> bool {
        let fresh = now_ms.saturating_sub(self.filled_ms).saturating_mul(LINES_PER_SECOND) / 1_000;
        if fresh > 0 {
            let fresh = u32::try_from(fresh).unwrap_or(BURST);
            self.left = self.left.saturating_add(fresh).min(BURST);
            self.filled_ms = now_ms;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

impl Writer {
    fn hand_on(&mut self) {
        let (level, text) = split_level(&self.line);
        if let Some(kmsg) = &self.kmsg
            && level != Level::Debug
            && self.pace.allows(clock::now())
        {
            // A line the kernel did not take is counted by `Kmsg` itself.
            let text = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            let _ = kmsg.line(level, format_args!("{text}"));
        }
        // Room for the line's end is kept by `write`.
        let _ = self.line.push(b'\n');
        let (_, line) = split_level(&self.line);
        if let Some(pipe) = &self.own_log
            && ettan_sys::pipe::write(pipe, line).is_err()
        {
            self.dropped = self.dropped.saturating_add(1);
        }
        self.line.clear();
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for &byte in bytes {
            if byte == b'\n' {
                self.hand_on();
            } else {
                if self.line.len() < LINE_MAX - 1 {
                    let _ = self.line.push(byte);
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// simplelog writes `[WARN] text`; the kernel log wants the level apart from the text.
fn split_level(line: &[u8]) -> (Level, &[u8]) {
    const LEVELS: [(&[u8], Level); 4] = [
        (b"[ERROR] ", Level::Error),
        (b"[WARN] ", Level::Warning),
        (b"[INFO] ", Level::Info),
        (b"[DEBUG] ", Level::Debug),
    ];
    LEVELS
        .iter()
        .find_map(|&(prefix, level)| Some((level, line.strip_prefix(prefix)?)))
        .unwrap_or((Level::Info, line))
}

#[cfg(test)]
mod tests {
    use super::{BURST, Level, Pace, split_level};

    #[test]
    fn a_level_becomes_a_kernel_priority() {
        assert_eq!(split_level(b"[ERROR] no"), (Level::Error, &b"no"[..]));
        assert_eq!(split_level(b"[WARN] hm"), (Level::Warning, &b"hm"[..]));
        assert_eq!(split_level(b"[INFO] yes"), (Level::Info, &b"yes"[..]));
        assert_eq!(split_level(b"bare"), (Level::Info, &b"bare"[..]));
    }

    #[test]
    fn f6_10_a_flood_reaches_the_kernel_log_at_ten_lines_a_second() {
        let mut pace = Pace { left: BURST, filled_ms: 0 };
        let lines = (0..60_000).filter(|now_ms| pace.allows(*now_ms)).count();
        assert!((590..=640).contains(&lines), "{lines} lines in a minute");
    }
}
