//! What tests share: units that exist in their imagination, and what fails when they want it to.

#![allow(clippy::unwrap_used, clippy::panic)]

use ettan_core::{
    Catalog, Hooks, KillMode, Kind, Need, Probes, Restart, StartLimit, Statuses, Unit,
};
use ettan_sys::{OwnedFd, pipe, process, reap};
use std::os::fd::AsFd;

/// As long as it is there, nobody gets a descriptor.
pub(crate) struct Famine(#[allow(dead_code)] heapless::Vec<OwnedFd, 32>);

impl Famine {
    /// No machine gives one process more than that many (`fs.nr_open` as the kernel has it).
    const MOST: usize = 1_048_576;

    /// Takes all that are left: some to give back, and the others for good.
    fn begin(source: &OwnedFd) -> Option<Self> {
        let mut kept = heapless::Vec::new();
        for _ in 0..Self::MOST {
            let Ok(taken) = pipe::duplicate(source.as_fd()) else { return Some(Self(kept)) };
            if let Err(taken) = kept.push(taken) {
                core::mem::forget(taken);
            }
        }
        None
    }
}

/// What `work` gives in a copy of this process, in which it begins in a famine. It must not allocate, nor
/// wait for a lock: other tests' threads are not in the copy.
pub(crate) fn in_a_copy(work: impl FnOnce(Famine) -> u8) -> u8 {
    let source = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let child = process::fork(|| Famine::begin(&source).map_or(255, work).into()).unwrap();
    match reap::wait_for(child).unwrap() {
        reap::Status::Code(code) => code,
        ended @ reap::Status::Signal { .. } => panic!("{ended:?}"),
    }
}

/// Units without needs.
pub(crate) struct Units(pub(crate) Vec<Unit>);

impl Catalog for Units {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn unit(&self, index: usize) -> Option<Unit> {
        self.0.get(index).cloned()
    }
    fn need(&self, _: usize, _: usize) -> Option<Need<'_>> {
        None
    }
}

/// A simple unit that nobody asks for and that is not started again.
pub(crate) fn unit(name: &str) -> Unit {
    Unit {
        name: name.try_into().unwrap(),
        kind: Kind::Simple,
        restart: Restart::No,
        restart_delay_ms: 250,
        restart_delay_max_ms: 30_000,
        restart_reset_ms: 60_000,
        start_limit: StartLimit::default(),
        min_uptime_ms: 1_000,
        start_timeout_ms: 30_000,
        stop_timeout_ms: 10_000,
        kill_signal: 15,
        kill_mode: KillMode::ControlGroup,
        reload_signal: None,
        reload_answers: false,
        success: Statuses::NONE,
        no_restart: Statuses::NONE,
        hooks: Hooks::default(),
        probes: Probes::Nothing,
        autostart: false,
        skipped: false,
        critical: false,
        holds_data: false,
        nice: 0,
        builtin: false,
        fingerprint: 0,
    }
}
