//! Reaps children. Knows nothing of units.

use crate::{Errno, Result};
use rustix::process::{WaitOptions, wait};

/// A child that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// Its process id; from now on the kernel may give it to another.
    pub pid: i32,
    /// How it ended.
    pub status: Status,
}

/// How a process ended (wait(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It called exit with this code.
    Code(u8),
    /// A signal ended it.
    Signal {
        /// The signal's number.
        signal: u8,
        /// Whether a core was dumped.
        core: bool,
    },
}

/// The next child that has ended, or none (also when there is no child at all). Never blocks;
/// call until it gives none, since several ends may come as one CHLD.
///
/// # Errors
/// None are known.
pub fn reap() -> Result<Option<Reaped>> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Err(Errno::CHILD) | Ok(None) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
            Ok(Some((pid, raw))) => {
                if let Some(status) = Status::from_raw(raw.as_raw()) {
                    return Ok(Some(Reaped { pid: pid.as_raw_nonzero().get(), status }));
                }
            }
        }
    }
}

/// Waits for this child to end. Blocks; for helpers and tests, never for PID 1.
///
/// # Errors
/// ECHILD when it is no child of ours.
pub fn wait_for(pid: i32) -> Result<Status> {
    let pid = crate::process::checked(pid).ok_or(Errno::CHILD)?;
    loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Err(Errno::INTR) | Ok(None) => {}
            Err(errno) => return Err(errno),
            Ok(Some((_, raw))) => {
                if let Some(status) = Status::from_raw(raw.as_raw()) {
                    return Ok(status);
                }
            }
        }
    }
}

impl Status {
    /// What a wait status says; none for a process that only stopped or continued.
    #[must_use]
    pub fn from_raw(raw: i32) -> Option<Self> {
        let low = (raw & 0x7f) as u8;
        match low {
            0 => Some(Self::Code((raw >> 8) as u8)),
            0x7f => None,
            signal => Some(Self::Signal { signal, core: raw & 0x80 != 0 }),
        }
    }
}
