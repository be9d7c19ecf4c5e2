//! Keeps time where no clock runs without power. At boot it sets the wall clock to the latest moment
//! that is known to be past, and then writes down now and then how late it is. Never sets it back. Tells
//! PID 1 when units whose timer catches up were started last.
#![forbid(unsafe_code)]

mod floor;
mod saved;
mod stamps;

use std::path::Path;

use ettan_sys::notify::notify;
use ettan_sys::poll::{Interest, wait_one};
use ettan_sys::{Errno, clock, signals};

use floor::{Known, latest};
use saved::Saved;
use stamps::Stamps;

/// What it is late is written down so often, in milliseconds: after a power cut the clock is so
/// much behind at most, and the card has 144 small writes a day.
const SAVE_MS: u64 = 10 * 60 * 1000;

/// While a unit's timer waits for the clock to be right, PID 1 is asked so often, in milliseconds.
const LOOK_MS: u64 = 10_000;

/// Its time stamp is the time.
const SAVED: &str = "/var/lib/ettan/clock";

/// Logs that outlive a boot.
const LOGS: &str = "/var/log/ettan";

/// Ourselves: as old as the image, or as the last update.
const BUILT: &str = "/proc/self/exe";

/// No build is older: 2026-11-01. Images whose files all have one time stamp, say 0, exist.
const FIRST_BUILD_S: i64 = 1_793_491_200;

/// Says on stderr, which is the unit's log, what there is to say.
macro_rules! say {
    ($($what:tt)*) => { ettan_sys::words::say("clock", format_args!($($what)*)) };
}
use say;

/// Sets the clock, says that it is ready (sd_notify), and keeps the time until TERM; gives the exit
/// code.
#[must_use]
pub fn main() -> i32 {
    // Before anything else, so that none is lost: the time is saved on the way out.
    let mut ends = match signals::block_these(&[signals::TERM, signals::INT]) {
        Ok(ends) => ends,
        Err(errno) => {
            say!("signals: {errno}");
            return 1;
        }
    };
    let mut saved = Saved::at(Path::new(SAVED));
    raise(&saved);
    if !saved.exists() {
        saved.save();
    }
    // Whoever waits for the unit may go on.
    if let Err(error) = notify("READY=1") {
        say!("saying that it is ready: {error}");
    }
    let (mut stamps, mut saved_at) = (Stamps::default(), clock::now());
    loop {
        let soon = stamps.tell().then_some(LOOK_MS);
        let left = SAVE_MS.saturating_sub(clock::now().saturating_sub(saved_at));
        match wait_one(&ends, Interest::Read, Some(soon.map_or(left, |soon| soon.min(left)))) {
            Ok(false) if clock::now().saturating_sub(saved_at) >= SAVE_MS => {
                saved.save();
                saved_at = clock::now();
            }
            Ok(false) => {}
            Ok(true) => {
                let _ = ends.read();
                saved.save();
                return 0;
            }
            Err(errno) => {
                say!("waiting: {errno}");
                return 1;
            }
        }
    }
}

/// Sets the clock if it is behind what is known to be past.
fn raise(saved: &Saved) {
    let built = floor::stamp(Path::new(BUILT)).unwrap_or(0).max(FIRST_BUILD_S);
    let saved = saved.time();
    let logged = floor::newest(Path::new(LOGS), saved);
    let known = [
        Known { second: built, by: "this program was built" },
        Known { second: saved.unwrap_or(0), by: "the time was saved last" },
        Known { second: logged.unwrap_or(0), by: "a log was written last" },
    ];
    let now = clock::wall().div_euclid(1000);
    let Some(floor) = latest(&known, built).filter(|floor| floor.second > now) else { return };
    match clock::set_wall(floor.second) {
        Ok(()) => say!("set {} s ahead, to when {}", floor.second.saturating_sub(now), floor.by),
        Err(errno) => say!("cannot be set: {}", Cause(errno)),
    }
}

/// A reason in words.
struct Cause(Errno);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&std::io::Error::from(self.0), f)
    }
}
