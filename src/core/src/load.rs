//! Takes a catalog in, whole: what is new is added, what did not change is not touched, what
//! changed is restarted, what is gone runs on as an orphan until it is stopped.
//!
//! When something is full (units, needs, conditions), the units it concerns are left out, as if
//! the catalog did not name them, and `Notice::LeftOut` says how many; the others are loaded.

use crate::bits::Bits;
use crate::needs::{Edge, MAX_CONDITIONS};
use crate::order::{Graph, Link, sort};
use crate::slot::{Range, Slot};
use crate::supervisor::{Condition, NEVER};
use crate::{
    Catalog, Goal, MAX_UNITS, Millis, Name, NeedKind, Notice, On, Phase, Reason, Supervisor, Unit,
    UnitId,
};
use heapless::Vec;

/// Catalog index → slot; `NONE` where the unit was left out.
type Places = [u16; MAX_UNITS];
const NONE: u16 = u16::MAX;

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
        if self.find(&unit.name).is_some() {
            return None;
        }
        let autostart = unit.autostart;
        self.allow_work();
        let id = self.place(Unit { builtin: true, ..unit })?;
        self.reorder();
        if autostart {
            self.pull(id, Reason::Needed);
        }
        Some(id)
    }

    /// Swaps the set of units for that of the catalog. Ignored once a shutdown has begun.
    pub fn load(&mut self, now: Millis, catalog: &(impl Catalog + ?Sized)) {
        if self.phase != Phase::Running {
            return;
        }
        self.advance_clock(now);
        self.allow_work();
        self.mark_listed(catalog);
        self.drop_unlisted();
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
        self.reorder();
        for (slot, fate) in (0_u16..).zip(fates) {
            if fate == Fate::Raise {
                self.revive(UnitId(slot));
            }
        }
    }

    fn mark_listed(&mut self, catalog: &(impl Catalog + ?Sized)) {
        for slot in &mut self.slots {
            slot.listed = slot.unit.builtin;
            slot.rested = !slot.used;
        }
        for index in 0..catalog.len().min(MAX_UNITS) {
            let id = catalog.unit(index).and_then(|unit| self.find(&unit.name));
            if let Some(slot) = id.and_then(|id| self.slot_mut(id)) {
                slot.listed = true;
            }
        }
    }

    fn drop_unlisted(&mut self) {
        for id in self.each() {
            let Some(slot) = self.slot_mut(id).filter(|slot| !slot.listed) else { continue };
            if slot.is_live() {
                slot.orphaned = true;
                slot.missing = false;
            } else {
                self.release(id);
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
        let changed = slot.unit.fingerprint != unit.fingerprint || slot.unit.kind != unit.kind;
        if slot.unit.kind != unit.kind && slot.done {
            // What a oneshot did is not what the unit of that name now is.
            slot.done = false;
            slot.carries = false;
        }
        slot.unit = unit;
        slot.orphaned = false;
        self.set_deadline(id);
        Some((id, if changed { Fate::Raise } else { Fate::Keep }))
    }

    /// A slot for a new unit: one that was free before this load, else one never used, else any.
    fn place(&mut self, unit: Unit) -> Option<UnitId> {
        let rested = self.slots.iter().position(|slot| !slot.used && slot.rested);
        let at = match rested {
            Some(at) => at,
            None if !self.slots.is_full() => self.slots.len(),
            None => self.slots.iter().position(|slot| !slot.used)?,
        };
        let id = UnitId(u16::try_from(at).ok()?);
        let name = unit.name.as_str();
        let rank = self.by_name.partition_point(|other| self.name_of(*other) < name);
        let _ = self.by_name.insert(rank, id.0);
        match self.slots.get_mut(at) {
            Some(slot) => *slot = Slot::new(unit),
            None => {
                let _ = self.slots.push(Slot::new(unit));
                let _ = self.deadlines.push(NEVER);
            }
        }
        Some(id)
    }

    /// New and wanted: asked for. Changed: restarted if it runs, tried again if it was to run.
    fn revive(&mut self, id: UnitId) {
        let Some(slot) = self.slot(id) else { return };
        let fresh = slot.goal == Goal::Down && slot.reason == Reason::None;
        if slot.goal == Goal::Up {
            self.ask_restart(id, Reason::Reloaded);
        } else if fresh && slot.unit.autostart {
            self.pull(id, Reason::Needed);
        }
    }

    /// Takes the needs of every unit of the catalog in.
    fn relate(&mut self, catalog: &(impl Catalog + ?Sized), places: &Places) {
        self.needs.clear();
        self.missing.clear();
        for slot in &mut self.slots {
            slot.needs = Range::default();
            slot.dependants = Range::default();
            slot.conditions = 0;
            slot.missing = false;
            slot.hint = 0;
        }
        for (index, place) in places.iter().enumerate() {
            if *place != NONE && self.relate_one(catalog, places, index, *place).is_none() {
                self.leave_out(UnitId(*place));
            }
        }
        // What was left out after others named it is not needed by them any more.
        let slots = &self.slots;
        for edge in &mut self.needs {
            if !slots.get(usize::from(edge.unit)).is_some_and(|slot| slot.used && slot.listed) {
                (edge.after, edge.wants, edge.requires) = (false, false, false);
            }
        }
    }

    /// None when the needs do not fit.
    fn relate_one(
        &mut self,
        catalog: &(impl Catalog + ?Sized),
        places: &Places,
        index: usize,
        place: u16,
    ) -> Option<()> {
        let start = self.needs.len();
        let mut nth = 0_usize;
        while let Some(need) = catalog.need(index, nth) {
            let fits = match need.on {
                On::Unit(other) => {
                    match places.get(usize::from(other)).copied().filter(|at| *at != NONE) {
                        Some(other) => self.add_edge(start, other, need.kind),
                        None => self.add_missing(place, need.kind, "?"),
                    }
                }
                On::Condition(name) => self.add_condition(place, need.kind, name),
                On::Missing(name) => self.add_missing(place, need.kind, name),
            };
            if fits.is_none() {
                self.needs.truncate(start);
                return None;
            }
            nth = nth.saturating_add(1);
        }
        let len = self.needs.len().saturating_sub(start);
        let range = Range { start: u16::try_from(start).ok()?, len: u16::try_from(len).ok()? };
        self.slot_mut(UnitId(place))?.needs = range;
        Some(())
    }

    fn add_edge(&mut self, start: usize, other: u16, kind: NeedKind) -> Option<()> {
        let known = self.needs.get(start..)?.iter().position(|edge| edge.unit == other);
        if known.is_none() {
            let edge =
                Edge { unit: other, after: false, wants: false, requires: false, cut: false };
            self.needs.push(edge).ok()?;
        }
        let at = known.map_or(self.needs.len().saturating_sub(1), |at| start.saturating_add(at));
        let edge = self.needs.get_mut(at)?;
        match kind {
            NeedKind::After => edge.after = true,
            NeedKind::Wants => edge.wants = true,
            NeedKind::Requires => edge.requires = true,
        }
        Some(())
    }

    fn add_condition(&mut self, place: u16, kind: NeedKind, name: &str) -> Option<()> {
        if kind == NeedKind::Wants {
            return Some(());
        }
        let bit = self.intern(name)?;
        self.slot_mut(UnitId(place))?.conditions |= 1_u64.wrapping_shl(u32::from(bit));
        Some(())
    }

    fn add_missing(&mut self, place: u16, kind: NeedKind, name: &str) -> Option<()> {
        match kind {
            NeedKind::After | NeedKind::Wants => {}
            NeedKind::Requires => {
                self.slot_mut(UnitId(place))?.missing = true;
                if let Ok(name) = Name::try_from(name) {
                    let _ = self.missing.push((place, name));
                }
            }
        }
        Some(())
    }

    /// The needs of this unit did not fit: it is treated as if the catalog did not name it.
    fn leave_out(&mut self, id: UnitId) {
        self.left_out = self.left_out.saturating_add(1);
        let Some(slot) = self.slot_mut(id) else { return };
        slot.listed = false;
        slot.conditions = 0;
        if slot.is_live() {
            slot.orphaned = true;
        } else {
            self.release(id);
        }
    }

    /// The number of a condition. When all are taken, one that nobody waits for gives way.
    fn intern(&mut self, name: &str) -> Option<u8> {
        let known = self.conditions.iter().position(|known| known.name == name);
        if let Some(at) = known {
            return u8::try_from(at).ok();
        }
        let entry = Condition { name: Name::try_from(name).ok()? };
        let at = self.conditions.len();
        if at < MAX_CONDITIONS {
            let _ = self.conditions.push(entry);
            return u8::try_from(at).ok();
        }
        let waited = self.slots.iter().fold(0, |bits, slot| bits | slot.conditions);
        let free = (!waited).trailing_zeros();
        *self.conditions.get_mut(usize::try_from(free).ok()?)? = entry;
        self.holding &= !1_u64.wrapping_shl(free);
        u8::try_from(free).ok()
    }

    /// The number of a published condition; None when nobody knows it and it need not be kept.
    pub(crate) fn condition_bit(&mut self, name: &str, holds: bool) -> Option<u8> {
        let known = self.conditions.iter().position(|known| known.name == name);
        match known {
            Some(at) => u8::try_from(at).ok(),
            None if holds => self.intern(name),
            None => None,
        }
    }

    /// Puts every unit behind what it needs, and lists the needs from the other end.
    fn reorder(&mut self) {
        self.order.clear();
        for (rank, at) in (0_u16..).zip(&self.by_name) {
            if let Some(slot) = self.slots.get_mut(usize::from(*at)) {
                slot.rank = rank;
            }
        }
        for edge in &mut self.needs {
            edge.cut = false;
        }
        let by_name: Vec<u16, MAX_UNITS> = self.by_name.clone();
        let ranks = sort(&mut Names { all: self, by_name: &by_name });
        for rank in ranks {
            let Some(at) = by_name.get(usize::from(rank)).copied() else { continue };
            let position = u16::try_from(self.order.len()).unwrap_or(0);
            let _ = self.order.push(at);
            if let Some(slot) = self.slots.get_mut(usize::from(at)) {
                slot.position = position;
            }
        }
        self.turn_needs_around();
        self.unpublished = 0;
        self.due.clear();
        self.dirty.clear();
        for id in self.each() {
            if let Some(position) = self.slot(id).map(|slot| slot.position) {
                self.dirty.put(position);
            }
        }
        self.soonest = 0;
    }

    /// Counts first, then fills: each unit's dependants lie together.
    fn turn_needs_around(&mut self) {
        let none = Edge { unit: 0, after: false, wants: false, requires: false, cut: false };
        self.dependants.clear();
        let _ = self.dependants.resize(self.needs.len(), none);
        for edge in &self.needs {
            if let Some(slot) = self.slots.get_mut(usize::from(edge.unit)) {
                slot.dependants.len = slot.dependants.len.saturating_add(1);
            }
        }
        let mut start = 0_u16;
        for slot in &mut self.slots {
            let next = start.saturating_add(slot.dependants.len);
            slot.dependants = Range { start, len: 0 };
            start = next;
        }
        for id in self.each() {
            let Some(range) = self.slot(id).map(|slot| slot.needs) else { continue };
            for nth in 0..range.len {
                let at = usize::from(range.start.saturating_add(nth));
                let Some(edge) = self.needs.get(at).copied() else { break };
                let Some(needed) = self.slots.get_mut(usize::from(edge.unit)) else { continue };
                let to = needed.dependants.start.saturating_add(needed.dependants.len);
                needed.dependants.len = needed.dependants.len.saturating_add(1);
                if let Some(entry) = self.dependants.get_mut(usize::from(to)) {
                    *entry = Edge { unit: id.0, ..edge };
                }
            }
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
        let Some((ahead, edge)) = rest.iter().enumerate().find(|(_, edge)| edge.cut) else {
            self.unpublished = u16::try_from(self.needs.len()).unwrap_or(u16::MAX);
            return false;
        };
        let at = self.unpublished.saturating_add(u16::try_from(ahead).unwrap_or(0));
        let after = UnitId(edge.unit);
        self.unpublished = at.saturating_add(1);
        let owner = self.each().find(|id| {
            self.slot(*id).is_some_and(|slot| {
                at.checked_sub(slot.needs.start).is_some_and(|nth| nth < slot.needs.len)
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
        self.by_name.retain(|at| slots.get(usize::from(*at)).is_some_and(|slot| slot.used));
    }

    fn vacate(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return };
        let kept = (slot.position, slot.dependants);
        slot.free();
        (slot.position, slot.dependants) = kept;
        if let Some(entry) = self.deadlines.get_mut(usize::from(id.0)) {
            *entry = NEVER;
        }
    }
}

/// The units as a graph, numbered by name.
struct Names<'a> {
    all: &'a mut Supervisor,
    by_name: &'a [u16],
}

impl Names<'_> {
    fn edge_at(&self, node: u16, nth: u16) -> Option<usize> {
        let at = self.by_name.get(usize::from(node))?;
        let range = self.all.slots.get(usize::from(*at))?.needs;
        (nth < range.len).then(|| usize::from(range.start.saturating_add(nth)))
    }
}

impl Graph for Names<'_> {
    fn nodes(&self) -> u16 {
        u16::try_from(self.by_name.len()).unwrap_or(u16::MAX)
    }

    fn link(&self, node: u16, nth: u16) -> Option<Link> {
        let edge = self.all.needs.get(self.edge_at(node, nth)?)?;
        let to = self.all.slots.get(usize::from(edge.unit)).map_or(node, |slot| slot.rank);
        Some(Link { to, strong: edge.requires, cut: !edge.orders() })
    }

    fn cut(&mut self, node: u16, nth: u16, _cycle: &[u16], _at: usize) {
        let edge = self.edge_at(node, nth).and_then(|at| self.all.needs.get_mut(at));
        if let Some(edge) = edge {
            edge.cut = true;
        }
    }
}
