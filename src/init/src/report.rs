//! PID 1's own words: through `log` and `simplelog` to the kernel log and to Ettan's own log.
//! Never blocks: what cannot be written at once is dropped.

use crate::degraded::is_for_good;
use core::fmt::{self, Display, Formatter, Write as _};
use ettan_sys::kmsg::{Kmsg, Level};
use ettan_sys::pidfile::Why;
use ettan_sys::{Errno, clock};
use log::{LevelFilter, Log, Metadata, Record};
use simplelog::{CombinedLogger, SharedLogger};
use std::io::Write as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The longest line, in bytes; the end of a longer one is cut. The kernel cuts at about 1,000.
const LINE_MAX: usize = 900;

/// Starts the reporting. Allocates; to be called once, at boot, and [`connect`] before it.
pub(crate) fn start() {
    let outlets: Vec<Box<dyn SharedLogger>> =
        vec![Box::new(Outlet::Kernel(Mutex::new([Pace::new(); 3]))), Box::new(Outlet::Own)];
    // It fails only when a logger is set already, and then there is one.
    let _ = CombinedLogger::init(outlets);
}

/// Makes what is not there of the ways that lines go. `own_log` is the write end of the pipe that becomes
/// `ettan logs`.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM: until it is called again, lines of Ettan's own log wait as far as there is room,
/// and the kernel's log goes without.
pub(crate) fn connect(own_log: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    if OWN.pipe.get().is_none()
        && let Some(own_log) = own_log
    {
        let _ = OWN.pipe.set(ettan_sys::pipe::duplicate(own_log)?);
    }
    if KERNEL.get().is_none() {
        match Kmsg::open() {
            Ok(kmsg) => drop(KERNEL.set(kmsg)),
            Err(errno) if is_for_good(errno) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Hands on what was said in this turn. Lines wait until then because each write wakes the logger,
/// which would take the CPU just when a service is about to be started again.
pub(crate) fn flush() {
    OWN.flush();
}

/// For `ettan-init run`, which somebody looks at: warnings go to standard error.
pub(crate) fn start_here() {
    // It fails only when a logger is set already, and then there is one.
    let _ = CombinedLogger::init(vec![Box::new(Outlet::Stderr)]);
}

/// Where lines go. Of simplelog's own loggers each would bring along 48 KiB that can write the time of
/// day; the kernel and the logger stamp lines themselves.
enum Outlet {
    /// The kernel's log, with a pace for errors, warnings, and the rest.
    Kernel(Mutex<[Pace; 3]>),
    Own,
    Stderr,
}

impl Log for Outlet {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        about.level() <= self.level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut lines = Lines {
            line: heapless::Vec::new(),
            hand_on: |line: &mut Line| match self {
                Self::Kernel(paces) => tell_kernel(paces, record.level(), line),
                Self::Own => {
                    // Room for the line's end is kept by `Lines`.
                    let _ = line.push(b'\n');
                    OWN.keep(line);
                }
                Self::Stderr => {
                    let _ = line.push(b'\n');
                    // Nobody to tell when nobody listens.
                    let _ = std::io::stderr().write_all(line);
                }
            },
        };
        // Neither can fail: `Lines` takes what it gets.
        let _ = lines.write_fmt(*record.args());
        let _ = lines.write_str("\n");
    }

    fn flush(&self) {}
}

impl SharedLogger for Outlet {
    fn level(&self) -> LevelFilter {
        match self {
            Self::Kernel(..) => LevelFilter::Info,
            Self::Own => LevelFilter::Debug,
            Self::Stderr => LevelFilter::Warn,
        }
    }

    fn config(&self) -> Option<&simplelog::Config> {
        None
    }

    fn as_log(self: Box<Self>) -> Box<dyn Log> {
        self
    }
}

fn tell_kernel(paces: &Mutex<[Pace; 3]>, level: log::Level, line: &Line) {
    let Some(kmsg) = KERNEL.get() else { return };
    let mut paces = paces.lock().unwrap_or_else(PoisonError::into_inner);
    let [errors, warnings, rest] = &mut *paces;
    let (pace, level) = match level {
        log::Level::Error => (errors, Level::Error),
        log::Level::Warn => (warnings, Level::Warning),
        log::Level::Info | log::Level::Debug | log::Level::Trace => (rest, Level::Info),
    };
    if pace.allows(clock::now()) {
        let text = line.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        // A line the kernel did not take is counted by `Kmsg` itself.
        let _ = kmsg.line(level, format_args!("{text}"));
    }
}

type Line = heapless::Vec<u8, LINE_MAX>;

/// Collects a line, then hands it on.
struct Lines<F: FnMut(&mut Line)> {
    line: Line,
    hand_on: F,
}

impl<F: FnMut(&mut Line)> fmt::Write for Lines<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                (self.hand_on)(&mut self.line);
                self.line.clear();
            } else if self.line.len() < LINE_MAX - 1 {
                let _ = self.line.push(byte);
            }
        }
        Ok(())
    }
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

static OWN: OwnLog = OwnLog { pipe: OnceLock::new(), pending: Mutex::new(heapless::Vec::new()) };

/// /dev/kmsg; may be missing.
static KERNEL: OnceLock<Kmsg> = OnceLock::new();

/// Ettan's own log.
struct OwnLog {
    /// May be missing.
    pipe: OnceLock<OwnedFd>,
    /// Lines not handed on yet.
    pending: Mutex<heapless::Vec<u8, PENDING_MAX>>,
}

impl OwnLog {
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
        if !pending.is_empty() && self.pipe.get().is_some() {
            self.write_out(&mut pending);
        }
    }

    fn write_out(&self, pending: &mut heapless::Vec<u8, PENDING_MAX>) {
        if let Some(pipe) = self.pipe.get() {
            // Full: the logger is behind by more than the pipe holds, and we do not wait.
            let _ = ettan_sys::pipe::write(pipe, pending);
        }
        pending.clear();
    }
}

/// At most so many lines of a level in the kernel's log at once, and so many more each second: on
/// a Pi every one of them may crawl over a serial line (`tests/FAULTS.md` 6.10). Ettan's own log has
/// them all.
const BURST: u32 = 40;
const LINES_PER_SECOND: u64 = 10;

/// A bucket of lines that fills with time.
#[derive(Clone, Copy)]
struct Pace {
    left: u32,
    filled_ms: u64,
}

impl Pace {
    fn new() -> Self {
        Self { left: BURST, filled_ms: clock::now() }
    }

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
