//! Takes the needs of a catalog in: edges both ways, conditions, missing requirements, the order.

use crate::load::{NONE, Places};
use crate::needs::{Edge, MAX_CONDITIONS};
use crate::order::{Graph, Link, sort, sort_from};
use crate::slot::{Slot, Tenant};
use crate::supervisor::Condition;
use crate::{Catalog, MAX_UNITS, Millis, Name, NeedKind, On, Supervisor, UnitId};
use heapless::Vec;

/// Whom a unit needs and who needs it. Made anew by each load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Relations {
    /// Conditions to wait for, one bit each.
    pub(crate) conditions: u64,
    /// Those of them that have to hold as long as it runs.
    pub(crate) bound: u64,
    /// Edges to the units this one needs.
    pub(crate) needs: Range,
    /// Edges from the units that need this one.
    pub(crate) dependants: Range,
    /// Where in `needs` the last blocker was found.
    pub(crate) hint: u16,
    /// Requires a unit that does not exist.
    pub(crate) missing: bool,
    /// Conflicts with a unit, or has units that are bound to it.
    pub(crate) wary: bool,
}

/// A run of entries in one of the edge lists.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    pub(crate) start: u16,
    pub(crate) len: u16,
}

impl Range {
    /// Where they stand in the list.
    pub(crate) fn indices(self) -> core::ops::Range<usize> {
        let start = usize::from(self.start);
        start..start.saturating_add(usize::from(self.len))
    }
}

impl Supervisor {
    /// Takes the needs of every unit of the catalog in.
    pub(crate) fn relate(&mut self, catalog: &(impl Catalog + ?Sized), places: &Places) {
        self.needs.clear();
        self.missing.clear();
        self.wishes = self.wishes.wrapping_add(1);
        for slot in &mut self.slots {
            slot.relations = Relations::default();
        }
        for (index, place) in places.iter().enumerate() {
            if *place != NONE && self.relate_one(catalog, places, index, *place).is_none() {
                self.leave_out(UnitId(*place));
            }
        }
        // What was left out after others named it is not needed by them any more.
        let slots = &self.slots;
        for edge in &mut self.needs {
            if !slots.get(usize::from(edge.unit)).is_some_and(Slot::is_defined) {
                *edge = Edge::to(edge.unit);
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
        self.slot_mut(UnitId(place))?.relations.needs = range;
        Some(())
    }

    fn add_edge(&mut self, start: usize, other: u16, kind: NeedKind) -> Option<()> {
        let known = self.needs.get(start..)?.iter().position(|edge| edge.unit == other);
        if known.is_none() {
            self.needs.push(Edge::to(other)).ok()?;
        }
        let at = known.map_or(self.needs.len().saturating_sub(1), |at| start.saturating_add(at));
        self.needs.get_mut(at)?.add(kind);
        Some(())
    }

    fn add_condition(&mut self, place: u16, kind: NeedKind, name: &str) -> Option<()> {
        let bound = match kind {
            NeedKind::After | NeedKind::Requires => false,
            NeedKind::BindsTo => true,
            NeedKind::Wants | NeedKind::Conflicts | NeedKind::PartOf | NeedKind::OnFailure => {
                return Some(());
            }
        };
        let mask = 1_u64.wrapping_shl(u32::from(self.intern(name)?));
        let slot = self.slot_mut(UnitId(place))?;
        slot.relations.conditions |= mask;
        if bound {
            slot.relations.bound |= mask;
        }
        Some(())
    }

    fn add_missing(&mut self, place: u16, kind: NeedKind, name: &str) -> Option<()> {
        match kind {
            NeedKind::After
            | NeedKind::Wants
            | NeedKind::Conflicts
            | NeedKind::PartOf
            | NeedKind::OnFailure => {}
            NeedKind::Requires | NeedKind::BindsTo => {
                self.slot_mut(UnitId(place))?.relations.missing = true;
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
        slot.relations.conditions = 0;
        slot.relations.bound = 0;
        if slot.is_live() {
            slot.tenant = Tenant::Orphan;
        } else {
            self.release(id);
        }
    }

    /// The number of a condition. When all are taken, one that nobody waits for gives way, if
    /// possible one that does not hold: it would not be told again.
    pub(crate) fn intern(&mut self, name: &str) -> Option<u8> {
        let known = self.conditions.iter().position(|known| known.name == name);
        if let Some(at) = known {
            return u8::try_from(at).ok();
        }
        let entry = Condition { name: Name::try_from(name).ok()? };
        self.facts_changed = true;
        let at = self.conditions.len();
        if at < MAX_CONDITIONS {
            let _ = self.conditions.push(entry);
            return u8::try_from(at).ok();
        }
        let waited = self.waited_for();
        let idle = !waited & !self.holding;
        let free = if idle == 0 { !waited } else { idle }.trailing_zeros();
        *self.conditions.get_mut(usize::try_from(free).ok()?)? = entry;
        self.holding &= !1_u64.wrapping_shl(free);
        u8::try_from(free).ok()
    }

    /// The conditions that units name, or go by, one bit each.
    pub(crate) fn waited_for(&self) -> u64 {
        self.slots.iter().fold(self.heeded, |bits, slot| bits | slot.relations.conditions)
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

    /// Puts every unit directly behind what it needs, and lists the needs from the other end. Of
    /// those that can start at the same moment the least nice one comes first.
    pub(crate) fn reorder(&mut self) {
        self.order.clear();
        for (rank, at) in (0_u16..).zip(&self.by_name) {
            if let Some(slot) = self.slots.get_mut(usize::from(*at)) {
                slot.rank = rank;
            }
        }
        for edge in &mut self.needs {
            edge.mend();
        }
        let by_name: Vec<u16, MAX_UNITS> = self.by_name.clone();
        let mut names = Names { all: self, by_name: &by_name };
        // By name alone: cycles are cut where `ettan check` has said.
        let mut eager = sort(&mut names);
        eager.sort_unstable_by_key(|rank| (names.nice(*rank), *rank));
        let ranks = sort_from(&mut names, eager.into_iter());
        for rank in ranks {
            let Some(at) = by_name.get(usize::from(rank)).copied() else { continue };
            let position = u16::try_from(self.order.len()).unwrap_or(0);
            let _ = self.order.push(at);
            if let Some(slot) = self.slots.get_mut(usize::from(at)) {
                slot.position = position;
            }
        }
        self.turn_needs_around();
        self.mark_wary();
        self.unpublished = 0;
        self.due.clear();
        self.dirty.clear();
        for id in self.each() {
            if let Some(position) = self.slot(id).map(|slot| slot.position) {
                self.dirty.put(position);
            }
        }
        self.soonest = Millis(0);
    }

    /// Finds who has to look at more than its own needs before it starts.
    fn mark_wary(&mut self) {
        for id in self.each() {
            let Some(slot) = self.slot(id) else { continue };
            let rivals = self.needs_of(slot).iter().any(|edge| edge.conflicts());
            let mut users = self.dependants_of(slot).iter();
            let wary = rivals || users.any(|edge| edge.conflicts() || edge.is_strict());
            if let Some(slot) = self.slots.get_mut(usize::from(id.0)) {
                slot.relations.wary = wary;
            }
        }
    }

    /// Counts first, then fills: each unit's dependants lie together.
    fn turn_needs_around(&mut self) {
        self.dependants.clear();
        let _ = self.dependants.resize(self.needs.len(), Edge::default());
        for edge in &self.needs {
            if let Some(slot) = self.slots.get_mut(usize::from(edge.unit)) {
                let users = &mut slot.relations.dependants;
                users.len = users.len.saturating_add(1);
            }
        }
        let mut start = 0_u16;
        for slot in &mut self.slots {
            let users = &mut slot.relations.dependants;
            let next = start.saturating_add(users.len);
            *users = Range { start, len: 0 };
            start = next;
        }
        for id in self.each() {
            let Some(range) = self.slot(id).map(|slot| slot.relations.needs) else { continue };
            for at in range.indices() {
                let Some(edge) = self.needs.get(at).copied() else { break };
                let Some(needed) = self.slots.get_mut(usize::from(edge.unit)) else { continue };
                let users = &mut needed.relations.dependants;
                let to = users.start.saturating_add(users.len);
                users.len = users.len.saturating_add(1);
                if let Some(entry) = self.dependants.get_mut(usize::from(to)) {
                    *entry = edge.turned(id.0);
                }
            }
        }
    }
}

/// The units as a graph, numbered by name.
struct Names<'a> {
    all: &'a mut Supervisor,
    by_name: &'a [u16],
}

impl Names<'_> {
    fn nice(&self, node: u16) -> i8 {
        let at = self.by_name.get(usize::from(node));
        let slot = at.and_then(|at| self.all.slots.get(usize::from(*at)));
        slot.map_or(0, |slot| slot.unit.nice)
    }

    fn edge_at(&self, node: u16, nth: u16) -> Option<usize> {
        let at = self.by_name.get(usize::from(node))?;
        let range = self.all.slots.get(usize::from(*at))?.relations.needs;
        range.indices().nth(usize::from(nth))
    }
}

impl Graph for Names<'_> {
    fn nodes(&self) -> u16 {
        u16::try_from(self.by_name.len()).unwrap_or(u16::MAX)
    }

    fn link(&self, node: u16, nth: u16) -> Option<Link> {
        let edge = self.all.needs.get(self.edge_at(node, nth)?)?;
        let to = self.all.slots.get(usize::from(edge.unit)).map_or(node, |slot| slot.rank);
        Some(Link { to, strong: edge.requires(), cut: !edge.orders() })
    }

    fn cut(&mut self, node: u16, nth: u16, _cycle: &[u16], _at: usize) {
        let edge = self.edge_at(node, nth).and_then(|at| self.all.needs.get_mut(at));
        if let Some(edge) = edge {
            edge.cut();
        }
    }
}
