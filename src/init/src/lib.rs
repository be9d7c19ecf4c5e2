//! PID 1: wait, translate, step, perform. Also its own helpers, by re-executing itself.
//!
//! ```text
//! kernel ─► sys ─► translate ─ Event ─► core ─ Action ─► perform ─► sys ─► kernel
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `boot` | makes the machine fit to run units: file systems, descriptors, signals |
//! | `pid1` | the loop, and everything PID 1 holds |
//! | `wake` | what wakes the loop |
//! | `translate` | what the kernel said → `Event` |
//! | `signals` | what a signal means |
//! | `perform` | `Action` → what the kernel is told |
//! | `start` | what is executed for a unit's program, as `sys` takes it |
//! | `run` | a unit in the foreground (`ettan run`) |
//! | `helper` | the names of its helpers |
//! | `hook` | what the commands around a program find in their environment, and what they are called |
//! | `extras` | what a service has beside the usual, as `sys` and its cgroup take it |
//! | `group` | which processes belong to a unit |
//! | `seek` | the main process of a forking daemon |
//! | `places` | processes that prepare what a service finds around it, and what they say |
//! | `pipes` | the log pipes |
//! | `logger` | shows them to the logger |
//! | `marks` | what became of a unit, in the words that its log has of it |
//! | `channel` | the socket to logger or prober |
//! | `prober` | hears the prober, and is heard |
//! | `probes` | what the prober is told and says: readiness and health of units |
//! | `builtin` | the units that are Ettan itself: loader, logger, watcher, prober, rescue shell |
//! | `kernel_words` | what the kernel's command line says to PID 1 |
//! | `loading` | the loader's life: when unit files are read, and what comes of it |
//! | `late` | when logger and watcher start: after the first units |
//! | `tables` | the compiled unit table in force |
//! | `clients` | who comes to the control socket, and what the loop does for them |
//! | `control` | the control socket |
//! | `card` | what files on the boot partition ask, where that is not mounted yet; runs in the loader |
//! | `close` | how the machine ends: strays, file systems, reboot(2) |
//! | `closing` | how far that end is |
//! | `wall` | how far the wall clock is ahead, told to the core whenever somebody has set it |
//! | `memory` | records that a new execution of PID 1 inherits |
//! | `state` | PID 1's own part of a record |
//! | `save` | writes them |
//! | `past` | what the execution before left, and how it ended |
//! | `resume` | goes on where it was |
//! | `upgrade` | another file in the place of this one: tries it, then executes it |
//! | `readers` | the readers of a former PID 1's memory, for tests |
//! | `degraded` | what does not work just now, since when and why |
//! | `mend` | tries it again |
//! | `unsent` | signals that are sent again |
//! | `reserve` | descriptors kept back |
//! | `guard` | slows down a loop that spins |
//! | `vitals` | whether the critical units are well: `boot-ok`, and when a reset may help |
//! | `watchdog` | the hardware watchdog: fed while the loop makes progress |
//! | `report` | PID 1's own words, to the kernel log and to `ettan logs` |
//! | `fault` | fails when asked to, in test builds only |
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm
)]

mod boot;
mod builtin;
mod card;
mod channel;
mod clients;
mod close;
mod closing;
mod control;
mod degraded;
mod extras;
#[cfg(feature = "fault-injection")]
#[allow(clippy::panic, clippy::indexing_slicing, unconditional_recursion)]
mod fault;
mod group;
mod guard;
mod helper;
mod hook;
mod kernel_words;
mod late;
mod loading;
mod logger;
mod marks;
mod memory;
mod mend;
mod past;
mod perform;
mod pid1;
mod pipes;
mod places;
mod prober;
mod probes;
pub mod readers;
mod report;
mod reserve;
mod resume;
mod run;
mod save;
mod seek;
mod signals;
mod start;
mod state;
mod tables;
#[cfg(test)]
mod testing;
mod translate;
mod unsent;
mod upgrade;
mod vitals;
mod wake;
mod wall;
mod watchdog;

use helper::Helper;
use std::process::ExitCode;

/// What `ettan status` and the log call this program.
const VERSION: &str = if cfg!(feature = "next-release") {
    concat!(env!("CARGO_PKG_VERSION"), "+next")
} else {
    env!("CARGO_PKG_VERSION")
};

const USAGE: &str = "ettan-init is PID 1: the kernel starts it as /sbin/init. \
To talk to a running one, use the `ettan` command.";

/// PID 1 if it is that; else the helper that its first argument names.
#[must_use]
pub fn main() -> ExitCode {
    if ettan_sys::process::own_pid() == 1 {
        return pid1::main();
    }
    let word = std::env::args().nth(1);
    let status = match word.as_deref().and_then(Helper::of) {
        Some(Helper::Load) => {
            control::viewers::admit();
            if boot::is_first_pid_namespace() {
                card::fetch();
            }
            ettan_unit::helper_main(boot::command_line().as_deref())
        }
        Some(Helper::Enter) => ettan_enter::main(),
        Some(Helper::Leave) => ettan_enter::leave_main(),
        Some(Helper::Log) => ettan_log::main(),
        Some(Helper::Watch) => ettan_watch::main(),
        Some(Helper::Clock) => ettan_clock::main(),
        Some(Helper::Pulse) => ettan_pulse::main(),
        Some(Helper::Hotplug) => ettan_hotplug::main(),
        Some(Helper::Seed) => ettan_seed::main(std::env::args().nth(2).as_deref() == Some("save")),
        Some(Helper::Probe) => ettan_probe::main(),
        Some(Helper::Run) => run::main(std::env::args().nth(2).as_deref()),
        Some(Helper::Close) => close::helper_main(std::env::args_os().nth(2)),
        Some(Helper::Copy) => upgrade::copier_main(),
        Some(Helper::Check) => upgrade::helper_main(),
        None => {
            eprintln!("{USAGE}");
            2
        }
    };
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}
