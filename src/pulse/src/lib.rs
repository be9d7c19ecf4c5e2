//! Feels the pulse of the machine: can the root file system still be read, and is there memory left.
//! Says so to the watchdog of its unit. Mends nothing: a unit that is `critical` and not well has the
//! machine reset.
#![forbid(unsafe_code)]

mod memory;
mod root;

use std::fs;

use ettan_sys::notify::notify;
use ettan_sys::poll::{Interest, wait_one};
use ettan_sys::signals;

use memory::Memory;

/// Between two looks, in milliseconds.
const BEAT_MS: u64 = 10_000;

/// So many looks in a row have to find too little memory: a minute.
const PATIENCE: u32 = 6;

/// Says on stderr, which is the unit's log, what there is to say.
macro_rules! say {
    ($($what:tt)*) => { ettan_sys::words::say("pulse", format_args!($($what)*)) };
}

/// Looks until TERM; gives the exit code. A read that never ends says nothing any more, and the
/// watchdog of the unit says the rest.
#[must_use]
pub fn main() -> i32 {
    let Ok(ends) = signals::block_these(&[signals::TERM, signals::INT]) else { return 1 };
    let mut root = match root::Root::find() {
        Ok(root) => root,
        Err(error) => {
            say!("nothing to read on the root file system: {error}");
            return 1;
        }
    };
    if !root.is_direct {
        say!(
            "no disk of the root file system is to be read past the cache: one that hangs is not noticed"
        );
    }
    // After a start that followed on too little memory there is no patience left.
    let mut patience = 1;
    loop {
        if let Err(error) = root.read() {
            say!("the root file system cannot be read: {error}");
            return 1;
        }
        let memory = Memory::of(&fs::read_to_string("/proc/meminfo").unwrap_or_default());
        match memory.filter(Memory::is_short) {
            None => patience = PATIENCE,
            Some(_) if patience > 1 => patience = patience.saturating_sub(1),
            Some(memory) => {
                say!("{memory}");
                return 1;
            }
        }
        if let Err(error) = notify("READY=1\nWATCHDOG=1") {
            say!("nobody hears it: {error}");
        }
        match wait_one(&ends, Interest::Read, Some(BEAT_MS)) {
            Ok(false) => {}
            Ok(true) => return 0,
            Err(errno) => {
                say!("waiting: {errno}");
                return 1;
            }
        }
    }
}
