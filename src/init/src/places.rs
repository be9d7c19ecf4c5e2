//! The processes that prepare a unit's place before they execute its program (docs/adr/0027): what
//! they say, through a pipe each. Decides nothing.
//!
//! A pipe is read once, when its other end is closed: by execve, or by the end of the process.

use crate::report::Cause;
use crate::state::NONE;
use ettan_core::{MAX_UNITS, Pid, UnitId};
use ettan_enter::{PACKET_MAX, Packet, Without, packets};
use ettan_sys::kernel::{self, Feature};
use ettan_sys::poll::{Epoll, Interest, wait_one};
use ettan_sys::spawn::SpawnFault;
use ettan_sys::{Errno, pipe, reexec};
use std::os::fd::{AsRawFd, OwnedFd};

/// What one process can say: two things to go without, that it executes, and why it could not.
const REPORT_MAX: usize = 4 * PACKET_MAX;

/// One process that prepares.
struct Place {
    unit: UnitId,
    pid: Pid,
    report: OwnedFd,
}

impl Place {
    fn is_over(&self) -> bool {
        wait_one(&self.report, Interest::Nothing, Some(0)).unwrap_or(false)
    }
}

/// What became of a preparation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The program was executed.
    Executed,
    /// It could not be; the process is about to end, or has.
    Failed(SpawnFault),
    /// The process was ended before it could say anything.
    Ended,
}

/// All of them.
pub(crate) struct Places {
    /// Its memory is taken at boot and touched as it fills.
    list: Vec<Place>,
    /// What was said by those whose end is still to come.
    failed: Vec<(Pid, SpawnFault)>,
}

impl Places {
    /// Allocates; to be called once, at boot.
    pub(crate) fn new() -> Self {
        Self { list: Vec::with_capacity(MAX_UNITS), failed: Vec::with_capacity(MAX_UNITS) }
    }

    /// A process prepares, and tells through the pipe whose other end this is.
    pub(crate) fn put(&mut self, unit: UnitId, pid: Pid, report: OwnedFd) {
        self.list.retain(|place| place.unit != unit);
        if self.list.len() < MAX_UNITS {
            self.list.push(Place { unit, pid, report });
        }
    }

    /// Whether this process of the unit still prepares.
    pub(crate) fn holds(&self, unit: UnitId, pid: Pid) -> bool {
        self.unit_of(pid) == Some(unit)
    }

    /// The unit for which this process prepares.
    pub(crate) fn unit_of(&self, pid: Pid) -> Option<UnitId> {
        self.list.iter().find(|place| place.pid == pid).map(|place| place.unit)
    }

    /// The number of the unit's pipe, for its record.
    pub(crate) fn record(&self, unit: UnitId) -> i32 {
        self.list.iter().find(|place| place.unit == unit).map_or(NONE, |place| {
            reexec::keep(&place.report);
            place.report.as_raw_fd()
        })
    }

    /// Has `epoll` tell of the ends of all pipes, with `token` and the unit's number.
    pub(crate) fn poll(&self, epoll: &Epoll, token: u64) -> Result<(), Errno> {
        let mut done = Ok(());
        for place in &self.list {
            match epoll.add(&place.report, token | u64::from(place.unit.0), Interest::Nothing) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => done = Err(errno),
            }
        }
        done
    }

    /// A unit whose process has said all it will, if there is one that nobody was told of.
    pub(crate) fn over(&self) -> Option<UnitId> {
        self.list.iter().find(|place| place.is_over()).map(|place| place.unit)
    }

    /// Whether the unit's process has said all it will. What was heard of the pipe may have been of
    /// another one, which the unit had before.
    pub(crate) fn is_over(&self, unit: UnitId) -> bool {
        self.list.iter().any(|place| place.unit == unit && place.is_over())
    }

    /// The unit's pipe is closed at its other end: what became of it. `name` is the unit's. It
    /// leaves the set of `epoll` although a child may hold a copy that has not executed yet.
    pub(crate) fn close(
        &mut self,
        unit: UnitId,
        name: &str,
        epoll: Option<&Epoll>,
    ) -> Option<(Pid, Outcome)> {
        let at = self.list.iter().position(|place| place.unit == unit)?;
        let place = self.list.swap_remove(at);
        if let Some(epoll) = epoll {
            let _ = epoll.remove(&place.report);
        }
        let outcome = outcome(&place.report, name);
        if let Outcome::Failed(fault) = outcome
            && self.failed.len() < MAX_UNITS
        {
            self.failed.push((place.pid, fault));
        }
        Some((place.pid, outcome))
    }

    /// Why the process that has ended now did not execute its program, if it said so.
    pub(crate) fn fault_of(&mut self, pid: Pid) -> Option<SpawnFault> {
        let at = self.failed.iter().position(|(failed, _)| *failed == pid)?;
        Some(self.failed.swap_remove(at).1)
    }
}

/// Reads what was said. Whoever wrote it wrote less than this in all.
fn outcome(report: &OwnedFd, name: &str) -> Outcome {
    let mut bytes = [0; REPORT_MAX];
    let length = pipe::read(report, &mut bytes).unwrap_or(0);
    let mut outcome = Outcome::Ended;
    for packet in packets(bytes.get(..length).unwrap_or_default()) {
        match packet {
            Packet::Executes => outcome = Outcome::Executed,
            Packet::Failed { fault, path } => {
                outcome = Outcome::Failed(fault);
                let path = path.utf8_chunks().next().map_or("", |chunk| chunk.valid());
                if !path.is_empty() {
                    log::error!("{name}: {path}: {}", Cause(fault.errno));
                }
            }
            Packet::Without { what, errno } => go_without(name, what, errno),
        }
    }
    outcome
}

/// Said once, and in `ettan status` from then on: it is the kernel's and not the unit's.
fn go_without(name: &str, what: Without, errno: Errno) {
    let feature = match what {
        Without::Mounts => Feature::OwnMounts,
        Without::Network => Feature::OwnNetwork,
    };
    if !kernel::has(feature) {
        return;
    }
    kernel::lacks(feature);
    if let Some(about) = kernel::FEATURES.iter().find(|about| about.feature == feature) {
        let kernel::About { name: thing, instead, .. } = about;
        log::warn!("{name}: no {thing} here ({}): {instead}", Cause(errno));
    }
}
