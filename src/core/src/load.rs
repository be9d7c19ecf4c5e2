//! Takes a catalog in, whole: what is new is added, what did not change is not touched, what
//! changed is restarted, what is gone runs on as an orphan until it is stopped. An instance that is
//! one less of what its file asks for is stopped at once.
//!
//! When something is full (units, needs, conditions), the units it concerns are left out, as if
//! the catalog did not name them, and `Notice::LeftOut` says how many; the others are loaded.

use crate::bits::Bits;
use crate::slot::{Slot, Tenant};
use crate::ties::Way;
use crate::{
    Catalog, MAX_UNITS, Millis, Notice, Phase, Probes, Reason, State, Supervisor, Unit, UnitId,
};

/// Catalog index → slot; `NONE` where the unit was left out.
pub(crate) type Places = [u16; MAX_UNITS];
pub(crate) const NONE: u16 = u16::MAX;

/// What a load does with a unit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// New, or changed: asked for if it starts at boot or was up.
    Raise,
    Keep,
}

impl Supervisor {
    /// Adds a unit of Ettan's own, before the first load. None when there is no room, or the name
    /// is taken.
    pub fn builtin(&mut self, unit: Unit) -> Option<UnitId> {
        let autostart = unit.autostart;
        let id = self.builtin_at_rest(unit)?;
        if autostart {
            self.pull(id, Reason::Needed, Way::Gives);
        }
        Some(id)
    }

    /// As [`Supervisor::builtin`]; nothing starts it before it is asked for.
    pub fn builtin_at_rest(&mut self, unit: Unit) -> Option<UnitId> {
        if self.find(&unit.name).is_some() {
            return None;
        }
        self.allow_work();
        let id = self.place(Unit { builtin: true, ..unit })?;
        self.reorder();
        Some(id)
    }

    /// Swaps the set of units for that of the catalog. Ignored once a shutdown has begun.
    pub fn load(&mut self, now: Millis, catalog: &(impl Catalog + ?Sized)) {
        if self.phase == Phase::Running {
            self.take_in(now, catalog);
        }
    }

    pub(crate) fn take_in(&mut self, now: Millis, catalog: &(impl Catalog + ?Sized)) {
        self.advance_clock(now);
        self.allow_work();
        self.let_rest();
        self.drop_unlisted(&self.listed(catalog));
        let mut places = [NONE; MAX_UNITS];
        let mut fates = [Fate::Keep; MAX_UNITS];
        let mut seen = Bits::EMPTY;
        for (index, place) in places.iter_mut().enumerate().take(catalog.len()) {
            let Some((id, fate)) = self.admit(catalog, index, &seen) else { continue };
            seen.put(id.0);
            *place = id.0;
            if let Some(entry) = fates.get_mut(usize::from(id.0)) {
                *entry = fate;
            }
        }
        let excess = catalog.len().saturating_sub(MAX_UNITS);
        self.left_out = self.left_out.saturating_add(u16::try_from(excess).unwrap_or(u16::MAX));
        self.relate(catalog, &places);
        self.take_timers(catalog, &places);
        self.reorder();
        self.part_rivals();
        self.end_orphans(catalog);
        for id in self.each() {
            self.changed.put(id.0);
            self.forgoing.put(id.0);
        }
        self.wind_timers();
        for rank in 0..self.by_name.len() {
            let Some(at) = self.by_name.get(rank).copied() else { break };
            if fates.get(usize::from(at)) == Some(&Fate::Raise) {
                self.revive(UnitId(at));
            }
        }
    }

    /// What is free before a load is forgotten by everyone: it may be given to another unit.
    fn let_rest(&mut self) {
        for slot in &mut self.slots {
            if let Tenant::Nobody { rested } = &mut slot.tenant {
                *rested = true;
            }
        }
    }

    /// The slots of the units that the catalog names, and of the built-in ones.
    fn listed(&self, catalog: &(impl Catalog + ?Sized)) -> Bits {
        let mut listed = Bits::EMPTY;
        let is_builtin = |id: &UnitId| self.slot(*id).is_some_and(|slot| slot.unit.builtin);
        self.each().filter(is_builtin).for_each(|id| listed.put(id.0));
        for index in 0..catalog.len().min(MAX_UNITS) {
            let id = catalog.unit(index).and_then(|unit| self.find(&unit.name));
            id.into_iter().for_each(|id| listed.put(id.0));
        }
        listed
    }

    fn drop_unlisted(&mut self, listed: &Bits) {
        for id in self.each().filter(|id| !listed.has(id.0)) {
            let Some(slot) = self.slot_mut(id) else { continue };
            if slot.is_live() {
                slot.tenant = Tenant::Orphan;
                slot.relations.missing = false;
            } else {
                self.release(id);
            }
        }
    }

    /// Stops what was meant to be gone, once it is related to nobody any more.
    fn end_orphans(&mut self, catalog: &(impl Catalog + ?Sized)) {
        for id in self.each() {
            let ends = |slot: &&Slot| {
                slot.is_orphaned() && slot.is_wanted() && catalog.ends(&slot.unit.name)
            };
            if self.slot(id).filter(ends).is_some() {
                self.lay_off(id, Reason::Reloaded, &Bits::EMPTY);
            }
        }
    }

    /// Finds or makes the slot of catalog unit `index`. Of two with the same name the first counts.
    fn admit(
        &mut self,
        catalog: &(impl Catalog + ?Sized),
        index: usize,
        seen: &Bits,
    ) -> Option<(UnitId, Fate)> {
        let unit = Unit { builtin: false, ..catalog.unit(index)? };
        let Some(id) = self.find(&unit.name) else {
            let fate = if unit.autostart { Fate::Raise } else { Fate::Keep };
            let placed = self.place(unit);
            if placed.is_none() {
                self.left_out = self.left_out.saturating_add(1);
            }
            return placed.map(|id| (id, fate));
        };
        if seen.has(id.0) {
            return None;
        }
        let slot = self.slot_mut(id)?;
        if slot.unit.builtin {
            return None;
        }
        let changed = slot.unit.fingerprint != unit.fingerprint
            || slot.unit.kind != unit.kind
            || slot.unit.skipped && !unit.skipped;
        if slot.unit.kind != unit.kind && slot.standing.done {
            // What a oneshot did is not what the unit of that name now is.
            slot.standing.done = false;
            slot.standing.carries = false;
        }
        slot.unit = unit;
        slot.tenant = Tenant::Unit;
        self.set_deadline(id);
        Some((id, if changed { Fate::Raise } else { Fate::Keep }))
    }

    /// A slot for a new unit: one that was free before this load, else one never used, else any.
    fn place(&mut self, unit: Unit) -> Option<UnitId> {
        let forgotten = Tenant::Nobody { rested: true };
        let rested = self.slots.iter().position(|slot| slot.tenant == forgotten);
        let at = match rested {
            Some(at) => at,
            None if !self.slots.is_full() => self.slots.len(),
            None => self.slots.iter().position(|slot| !slot.is_used())?,
        };
        let id = UnitId(u16::try_from(at).ok()?);
        self.changed.put(id.0);
        let name = unit.name.as_str();
        let rank = self.by_name.partition_point(|other| self.name_of(*other) < name);
        let _ = self.by_name.insert(rank, id.0);
        match self.slots.get_mut(at) {
            Some(slot) => *slot = Slot::new(unit),
            None => {
                let _ = self.slots.push(Slot::new(unit));
                let _ = self.deadlines.push(Millis::NEVER);
            }
        }
        Some(id)
    }

    /// What the prober was to say of a start under way, it will not where the new definition does not
    /// ask for it. One unit after the other, for all at once would ask for more than there is room for.
    /// False: that is done.
    pub(crate) fn forgo_one(&mut self) -> bool {
        let Some(id) = self.forgoing.take_first().map(UnitId) else { return false };
        let Some(slot) = self.slot(id) else { return true };
        match (slot.unit.probes, slot.state) {
            (Probes::Nothing | Probes::Up, State::Awaiting { pid, .. }) => {
                self.finish_start(id, Some(pid), slot.reason);
            }
            (Probes::Nothing, _) if slot.pending.announcing => self.announced(id),
            (Probes::Nothing | Probes::Up | Probes::Ready, _) => {}
        }
        true
    }

    /// New and wanted, or skipped until now: asked for, unless its timer is to do that. Changed: restarted if it runs, tried again if
    /// it was to run.
    fn revive(&mut self, id: UnitId) {
        let Some(slot) = self.slot(id) else { return };
        let fresh = !slot.is_wanted() && matches!(slot.reason, Reason::None | Reason::Skipped);
        if slot.is_wanted() {
            self.ask_restart(id, Reason::Reloaded);
        } else if fresh && slot.unit.autostart && self.bell(id).is_none() {
            self.pull(id, Reason::Needed, Way::Gives);
        }
    }

    /// Says what the last load had to leave out or cut, one piece at a time. False: all is said.
    pub(crate) fn publish_load(&mut self) -> bool {
        if self.left_out > 0 {
            let units = core::mem::replace(&mut self.left_out, 0);
            self.publish(Notice::LeftOut { units });
            return true;
        }
        let from = usize::from(self.unpublished);
        let rest = self.needs.get(from..).unwrap_or(&[]);
        let Some((ahead, edge)) = rest.iter().enumerate().find(|(_, edge)| edge.is_cut()) else {
            self.unpublished = u16::try_from(self.needs.len()).unwrap_or(u16::MAX);
            return false;
        };
        let at = self.unpublished.saturating_add(u16::try_from(ahead).unwrap_or(0));
        let after = UnitId(edge.unit);
        self.unpublished = at.saturating_add(1);
        let owner = self.each().find(|id| {
            self.slot(*id).is_some_and(|slot| {
                let needs = slot.relations.needs;
                at.checked_sub(needs.start).is_some_and(|nth| nth < needs.len)
            })
        });
        if let Some(unit) = owner {
            self.publish(Notice::CycleBroken { unit, after });
        }
        true
    }

    /// An orphan is down: its slot is free, and nobody knows its name any more.
    pub(crate) fn release(&mut self, id: UnitId) {
        self.vacate(id);
        let slots = &self.slots;
        self.by_name.retain(|at| slots.get(usize::from(*at)).is_some_and(Slot::is_used));
    }

    fn vacate(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return };
        let kept = (slot.position, slot.relations.dependants);
        slot.free();
        (slot.position, slot.relations.dependants) = kept;
        self.bells.retain(|bell| bell.unit != id.0);
        if let Some(entry) = self.deadlines.get_mut(usize::from(id.0)) {
            *entry = Millis::NEVER;
        }
    }
}
