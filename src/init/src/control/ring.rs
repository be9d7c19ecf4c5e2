//! The last notices, numbered. Who follows them keeps a number of his own; nothing is kept for him.

use ettan_core::{Millis, Notice, Supervisor, UnitId};
use ettan_table::{HASH_OF_NOTHING, hash_on};

/// How many notices are kept. 256: a boot of thirty units and a kill storm fit, in 30 KiB.
pub(crate) const KEPT: usize = 256;

/// One notice with its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Counts from 0 since PID 1 started.
    pub(crate) sequence: u64,
    /// When it was published.
    pub(crate) at: Millis,
    /// What it says.
    pub(crate) notice: Notice,
    /// Its unit's name, as a hash: the place may belong to another unit by the time it is shown.
    name_hash: u64,
}

/// The last [`KEPT`] notices. Its memory is taken at boot and touched as it fills.
pub(crate) struct Ring {
    /// Number `n` is at `n % KEPT`.
    entries: Vec<Entry>,
    next: u64,
}

impl Ring {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::with_capacity(KEPT), next: 0 }
    }

    /// Adds a notice; the oldest makes room.
    pub(crate) fn push(&mut self, at: Millis, notice: Notice, supervisor: &Supervisor) {
        let name_hash = unit_of(&notice).map_or(0, |unit| hash_of(unit, supervisor));
        let entry = Entry { sequence: self.next, at, notice, name_hash };
        match self.entries.get_mut(place(self.next)) {
            Some(oldest) => *oldest = entry,
            // Within the capacity: the ring is not full yet.
            None => self.entries.push(entry),
        }
        self.next = self.next.saturating_add(1);
    }

    /// The number the next notice will get.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// The number of the oldest notice kept.
    pub(crate) fn oldest(&self) -> u64 {
        self.next.saturating_sub(u64::try_from(self.entries.len()).unwrap_or(0))
    }

    /// The notice of this number, if it is kept.
    pub(crate) fn get(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(place(sequence)).filter(|entry| entry.sequence == sequence)
    }
}

fn place(sequence: u64) -> usize {
    usize::try_from(sequence).unwrap_or(0) % KEPT
}

impl Entry {
    /// False for notices about the machine as a whole.
    pub(crate) fn is_of_a_unit(&self) -> bool {
        unit_of(&self.notice).is_some()
    }

    /// The unit concerned, as long as its place still belongs to it.
    pub(crate) fn unit(&self, supervisor: &Supervisor) -> Option<UnitId> {
        unit_of(&self.notice).filter(|unit| hash_of(*unit, supervisor) == self.name_hash)
    }
}

fn unit_of(notice: &Notice) -> Option<UnitId> {
    match *notice {
        Notice::State { unit, .. }
        | Notice::Hook { unit, .. }
        | Notice::Reload { unit, .. }
        | Notice::GaveUp { unit }
        | Notice::CrashLooping { unit, .. }
        | Notice::Unkillable { unit, .. }
        | Notice::Health { unit, .. }
        | Notice::PassedOver { unit }
        | Notice::CycleBroken { unit, .. } => Some(unit),
        Notice::Unexpected { unit, .. } => unit,
        Notice::LeftOut { .. } | Notice::Shutdown { .. } => None,
    }
}

/// Names are checked by the loader and few; this only tells a successor from its predecessor.
fn hash_of(unit: UnitId, supervisor: &Supervisor) -> u64 {
    let name = supervisor.unit(unit).map_or("", |unit| unit.name.as_str());
    hash_on(HASH_OF_NOTHING, name.as_bytes())
}
