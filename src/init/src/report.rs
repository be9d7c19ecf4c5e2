//! PID 1's own words: through `log` and `simplelog` to the kernel log and to Ettan's own log.
//! Never blocks: what cannot be written at once is dropped.

use core::fmt::{self, Display, Formatter};
use ettan_sys::kmsg::{Kmsg, Level};
use ettan_sys::pidfile::Why;
use ettan_sys::{Errno, clock};
use log::{LevelFilter, Log, Metadata, Record};
use simplelog::{ConfigBuilder, WriteLogger};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The longest line, in bytes; the end of a longer one is cut. The kernel cuts at about 1,000.
const LINE_MAX: usize = 900;

/// Starts the reporting. `own_log` is the write end of the pipe that becomes `ettan logs`.
/// Allocates; to be called once, at boot.
pub(crate) fn start(own_log: Option<OwnedFd>) {
    let outlets = OUTLETS.get_or_init(|| Outlets {
        kmsg: Kmsg::open().ok(),
        own_log,
        pending: Mutex::new(heapless::Vec::new()),
    });
    let levels = [Level::Error, Level::Warning, Level::Info, Level::Debug];
    let report = Report(levels.map(|level| logger(level, outlets)));
    log::set_max_level(LevelFilter::Debug);
    // It fails only when a logger is set already, and then there is one.
    let _ = log::set_boxed_logger(Box::new(report));
}

/// Hands on what was said in this turn. Lines wait until then because each write wakes the logger,
/// which would take the CPU just when a service is about to be started again.
pub(crate) fn flush() {
    if let Some(outlets) = OUTLETS.get() {
        outlets.flush();
    }
}

/// One logger for each level. simplelog could write the level into the line, but allocates for
/// it; this way the line is the text alone and its writer knows the level.
struct Report([Box<WriteLogger<Writer>>; 4]);

impl Log for Report {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let [error, warning, info, debug] = &self.0;
        match record.level() {
            log::Level::Error => error.log(record),
            log::Level::Warn => warning.log(record),
            log::Level::Info => info.log(record),
            log::Level::Debug | log::Level::Trace => debug.log(record),
        }
    }

    fn flush(&self) {}
}

/// For `ettan-init run`, which somebody looks at: warnings go to standard error.
pub(crate) fn start_here() {
    // It fails only when a logger is set already, and then there is one.
    let _ = WriteLogger::init(LevelFilter::Warn, bare(), std::io::stderr());
}

/// Nothing but the text.
fn bare() -> simplelog::Config {
    ConfigBuilder::new()
        .set_time_level(LevelFilter::Off)
        .set_max_level(LevelFilter::Off)
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Off)
        .set_location_level(LevelFilter::Off)
        .build()
}

fn logger(level: Level, outlets: &'static Outlets) -> Box<WriteLogger<Writer>> {
    let pace = Pace { left: BURST, filled_ms: clock::now() };
    WriteLogger::new(
        LevelFilter::Debug,
        bare(),
        Writer { level, outlets, line: heapless::Vec::new(), pace },
    )
}

/// The kernel's answer in words: `read-only file system`. Its own `Display` would allocate.
pub(crate) struct Cause(pub(crate) Errno);

impl Display for Cause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        crate::control::describe::Errno(self.0.raw_os_error()).fmt(f)
    }
}

/// Why a PID file is refused or stays, in words; as [`Cause`].
pub(crate) struct Doubt(pub(crate) Why);

impl Display for Doubt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Why::Errno(errno) => Cause(errno).fmt(f),
            why @ (Why::Link
            | Why::NotRegular
            | Why::NotANumber
            | Why::TooLong
            | Why::OutOfRange
            | Why::TooBig
            | Why::StrangersPath) => why.fmt(f),
        }
    }
}

/// The kernel takes this much as one piece or not at all (PIPE_BUF, pipe(7)): no line is torn.
const PENDING_MAX: usize = 4096;

static OUTLETS: OnceLock<Outlets> = OnceLock::new();

/// Where lines go. Both may be missing.
struct Outlets {
    kmsg: Option<Kmsg>,
    own_log: Option<OwnedFd>,
    /// Lines for our own log, not handed on yet.
    pending: Mutex<heapless::Vec<u8, PENDING_MAX>>,
}

impl Outlets {
    fn keep(&self, line: &[u8]) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.extend_from_slice(line).is_err() {
            self.write_out(&mut pending);
            // Fits: a line is shorter than the room.
            let _ = pending.extend_from_slice(line);
        }
    }

    fn flush(&self) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if !pending.is_empty() {
            self.write_out(&mut pending);
        }
    }

    fn write_out(&self, pending: &mut heapless::Vec<u8, PENDING_MAX>) {
        if let Some(pipe) = &self.own_log {
            // Full: the logger is behind by more than the pipe holds, and we do not wait.
            let _ = ettan_sys::pipe::write(pipe, pending);
        }
        pending.clear();
    }
}

/// Collects a line, then hands it on in one write to each outlet.
struct Writer {
    level: Level,
    outlets: &'static Outlets,
    line: heapless::Vec<u8, LINE_MAX>,
    pace: Pace,
}

/// At most so many lines of a level in the kernel's log at once, and so many more each second: on
/// a Pi every one of them may crawl over a serial line (`faults.md` 6.10). Ettan's own log has
/// them all.
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
        if let Some(kmsg) = &self.outlets.kmsg
            && self.level != Level::Debug
            && self.pace.allows(clock::now())
        {
            let text = self.line.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            // A line the kernel did not take is counted by `Kmsg` itself.
            let _ = kmsg.line(self.level, format_args!("{text}"));
        }
        // Room for the line's end is kept by `write`.
        let _ = self.line.push(b'\n');
        self.outlets.keep(&self.line);
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

#[cfg(test)]
mod tests {
    use super::{BURST, Pace};

    #[test]
    fn f6_10_a_flood_reaches_the_kernel_log_at_ten_lines_a_second() {
        let mut pace = Pace { left: BURST, filled_ms: 0 };
        let lines = (0..60_000).filter(|now_ms| pace.allows(*now_ms)).count();
        assert!((590..=640).contains(&lines), "{lines} lines in a minute");
    }
}
