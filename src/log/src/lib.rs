//! Remembers. The logger helper: reads the pipes of all services, stamps lines, keeps files.
//!
//! One thread that never waits for anything but its descriptors. What cannot be written is
//! counted and owned up to; a service never waits for a full or broken file system. The format
//! of the files is described in `docs/logs.md`.
#![forbid(unsafe_code)]

/// Says on stderr, which is PID 1's log, what is wrong.
macro_rules! complain {
    ($($what:tt)*) => { ettan_sys::words::say("ettan-log", format_args!($($what)*)) };
}

mod alert;
mod clock;
mod cut;
pub mod held;
mod keep;
mod kernel;
mod ledger;
pub mod note;
mod packet;
mod page;
mod plain;
mod rate;
pub mod readers;
pub mod record;
mod route;
mod router;
mod sender;
mod serve;
mod stage;
mod stamp;
mod store;
mod syslog;

use std::ffi::CString;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ettan_sys::{AsFd as _, limits, pipe, signals};

pub use packet::{DEFAULT_MAX_FILES, DEFAULT_MAX_SIZE_BYTES};
pub use serve::{Buffers, End, serve};

/// Where the logs of a running system are.
const ROOT: &str = "/run/log/ettan";

/// The descriptor that PID 1 sends pipes and requests over.
const CONTROL: u8 = 3;

/// TERM asks to end; the terminal's signals are none of the logger's business.
const SIGNALS: [u8; 5] = [1, 2, 3, 13, 15];

/// Outside of the heap, and no page of it in memory before it is used.
static BUFFERS: Mutex<Buffers> = Mutex::new(Buffers::new());

/// Runs the logger until PID 1 closes descriptor 3 or sends TERM; gives the exit code.
#[must_use]
pub fn main() -> i32 {
    match run() {
        Ok(End::Closed | End::Asked) => 0,
        Err(error) => {
            complain!("{error}");
            1
        }
    }
}

/// Two pipes for each of 1,024 units, a file for each log, and some; with less, files are closed and
/// opened.
const DESCRIPTORS: u64 = 2 * 1_024 + serve::MAX_LOGS as u64 + 64;

fn run() -> Result<End, ettan_sys::Errno> {
    let _ = limits::raise_nofile(DESCRIPTORS);
    let control = pipe::inherited(CONTROL)?;
    let signals = signals::block_these(&SIGNALS)?;
    let mut buffers = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    let pid_1 = CString::new(ettan_wire::SOCKET).map_err(|_| ettan_sys::Errno::INVAL)?;
    serve(Path::new(ROOT), &pid_1, control.as_fd(), Some(signals), &mut buffers)
}

/// A time in milliseconds since 1970 as `2026-11-21T01:02:03.456Z`.
#[must_use]
pub fn iso(wall_ms: i64) -> String {
    let mut stamp = stamp::Stamp::new();
    stamp.set(u64::try_from(wall_ms).unwrap_or(0));
    String::from_utf8_lossy(stamp.text(record::Stamps::Iso)).into_owned()
}
