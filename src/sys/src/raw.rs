//! Turns what libc returns into `Result`. For the few calls that rustix does not wrap.

use crate::{Errno, Result};

/// `ret` unless it is negative; then the errno that libc left behind.
pub(crate) fn check(ret: libc::c_long) -> Result<libc::c_long> {
    if ret < 0 { Err(last()) } else { Ok(ret) }
}

/// The errno of the last failed libc call of this thread.
pub(crate) fn last() -> Errno {
    errno(nix::errno::Errno::last_raw())
}

/// The errno of this number; EIO for numbers that are none (rustix panics on them).
pub(crate) fn errno(raw: i32) -> Errno {
    match raw {
        1..=4095 => Errno::from_raw_os_error(raw),
        _ => Errno::IO,
    }
}

/// Repeats `call` for as long as a signal interrupts it.
pub(crate) fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
