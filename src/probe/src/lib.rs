//! Looks whether it works. The prober helper: finds out whether a unit that starts is ready, and
//! whether one that is up still works; hears what services say by sd_notify. Tells PID 1, which
//! decides what follows.
//!
//! | file | what it does |
//! |---|---|
//! | `packet` | what PID 1 asks, and what it is told |
//! | `plan` | the words about one unit, as the loader wrote them |
//! | `notify` | what is in a datagram of sd_notify |
//! | `budget` | how many datagrams of one sender count |
//! | `sample` | what was found before a start, kept where the next prober finds it |
//! | `follow` | the new lines of a file |
//! | `look` | one look at something: a path, a socket, a command |
//! | `wish` | one wish of a unit that starts, and how far it is |
//! | `checkup` | the looks at a unit that is up |
//! | `watch` | one unit: what is met, what is awaited, whether it is well |
//! | `serve` | the loop |
#![forbid(unsafe_code)]

/// Says on stderr, which is PID 1's log, what is wrong.
macro_rules! complain {
    ($($what:tt)*) => { ettan_sys::words::say("ettan-probe", format_args!($($what)*)) };
}

mod budget;
mod checkup;
mod follow;
mod look;
pub mod notify;
mod packet;
mod plan;
mod sample;
mod serve;
mod watch;
mod wish;

use std::path::Path;

use ettan_sys::{Errno, pipe, signals};

pub use serve::{Places, serve};

/// The descriptor that PID 1 asks over.
const CONTROL: u8 = 3;

/// Children that end; TERM has its usual meaning.
const SIGNALS: [u8; 1] = [signals::CHLD];

/// Runs the prober until PID 1 closes descriptor 3; gives the exit code.
#[must_use]
pub fn main() -> i32 {
    match run() {
        Ok(()) => 0,
        Err(error) => {
            complain!("{error}");
            1
        }
    }
}

fn run() -> Result<(), Errno> {
    let control = pipe::inherited(CONTROL)?;
    let signals = signals::block_these(&SIGNALS)?;
    let places = Places { notes: Path::new("/run/ettan/probe"), logs: Path::new("/run/log/ettan") };
    serve(control, signals, places)
}
