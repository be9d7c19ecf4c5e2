//! Who needs whom, and whether what a unit needs is there. Reads states, changes none.
//!
//! The rules, in the order they are asked:
//!
//! * `Requires`: the other unit is up (or a oneshot that did its work). It is lost when the other
//!   is stopped, fails, or has to wait in back-off; it is kept while the other restarts at once.
//! * `After`: waited for only while the other unit is on its way up for the first time since it
//!   was asked for. Once it was up, or failed once, it delays nobody any more: a crash-looping
//!   unit holds up those that require it and no one else. A unit that is not to be up, or cannot
//!   be because of what it requires, delays nobody either.
//! * Conditions: each must hold at the moment of the start. Losing one later stops nothing.
//! * `Wants`: is asked to start along, and never waited for.
//! * `BindsTo`: as `Requires`, and lost whenever the other is not up, also while it restarts at
//!   once. The other starts again only when what was bound to it has gone: no run of the one sees
//!   two of the other. A condition that is bound to stops the unit when it no longer holds.
//! * `Conflicts`: seen from both ends. Of two only one has the goal up (see `ties`); it waits until
//!   nothing of the other lives.

use crate::relate::Range;
use crate::slot::Slot;
use crate::{Blocker, Class, MAX_UNITS, NeedKind, State, Supervisor, UnitId};

/// The most needs of all units together: eight a unit. A Debian system states three to four a
/// unit, and a target that wants everything adds one for each.
pub const MAX_NEEDS: usize = MAX_UNITS * 8;

/// The most conditions known at a time: one bit each in a u64. A Pi has about ten devices and
/// three interfaces that a unit could wait for.
pub const MAX_CONDITIONS: usize = 64;

/// One need, seen from either end; all kinds of need between the same two units are one edge.
/// There are sixteen thousand of these: four bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    /// The unit at the other end.
    pub(crate) unit: u16,
    marks: u8,
}

const AFTER: u8 = 1;
const WANTS: u8 = 2;
const REQUIRES: u8 = 4;
const BOUND: u8 = 8;
const CONFLICTS: u8 = 16;
const PART_OF: u8 = 32;
const ON_FAILURE: u8 = 64;
const CUT: u8 = 128;

impl Edge {
    /// Says nothing yet.
    pub(crate) const fn to(unit: u16) -> Self {
        Self { unit, marks: 0 }
    }

    /// The same, seen from the other end.
    pub(crate) const fn turned(self, unit: u16) -> Self {
        Self { unit, ..self }
    }

    pub(crate) const fn add(&mut self, kind: NeedKind) {
        self.marks |= match kind {
            NeedKind::After => AFTER,
            NeedKind::Wants => WANTS,
            NeedKind::Requires => REQUIRES,
            NeedKind::BindsTo => REQUIRES | BOUND,
            NeedKind::Conflicts => CONFLICTS,
            NeedKind::PartOf => PART_OF,
            NeedKind::OnFailure => ON_FAILURE,
        };
    }

    const fn has(self, marks: u8) -> bool {
        self.marks & marks != 0
    }

    /// Cut to break a cycle: only the wish is left, and what says nothing about order.
    pub(crate) const fn is_cut(self) -> bool {
        self.has(CUT)
    }

    pub(crate) const fn cut(&mut self) {
        self.marks |= CUT;
    }

    pub(crate) const fn mend(&mut self) {
        self.marks &= !CUT;
    }

    /// Says something about order.
    pub(crate) const fn orders(self) -> bool {
        self.has(AFTER | REQUIRES) && !self.is_cut()
    }

    /// A requirement, in force or not.
    pub(crate) const fn requires(self) -> bool {
        self.has(REQUIRES)
    }

    /// Is a requirement in force.
    pub(crate) const fn binds(self) -> bool {
        self.requires() && !self.is_cut()
    }

    /// Is a strict requirement in force.
    pub(crate) const fn is_strict(self) -> bool {
        self.has(BOUND) && !self.is_cut()
    }

    /// Starts along.
    pub(crate) const fn pulls(self) -> bool {
        self.has(WANTS | REQUIRES)
    }

    pub(crate) const fn conflicts(self) -> bool {
        self.has(CONFLICTS)
    }

    /// Stops and restarts with the other.
    pub(crate) const fn is_part(self) -> bool {
        self.has(PART_OF)
    }

    /// The other starts when this one fails.
    pub(crate) const fn alarms(self) -> bool {
        self.has(ON_FAILURE)
    }

    /// A change at one end may let the other start, or make it stop.
    pub(crate) const fn concerns(self) -> bool {
        self.orders() || self.conflicts()
    }
}

/// One need, as somebody who looks sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tie<'a> {
    /// What is needed.
    pub on: Blocker<'a>,
    /// Is waited for.
    pub after: bool,
    /// Is asked to start along.
    pub wants: bool,
    /// Is needed all the time.
    pub requires: bool,
    /// Is needed all the time, and of each run only one of the other is seen.
    pub binds_to: bool,
    /// Is never up together with it.
    pub conflicts: bool,
    /// It stops and restarts with this.
    pub part_of: bool,
    /// Is started when it fails.
    pub on_failure: bool,
    /// Only the wish is left: it was part of a circle.
    pub cut: bool,
}

impl Tie<'_> {
    fn of(edge: Edge) -> Self {
        Self {
            on: Blocker::Unit(UnitId(edge.unit)),
            after: edge.has(AFTER),
            wants: edge.has(WANTS),
            requires: edge.has(REQUIRES),
            binds_to: edge.has(BOUND),
            conflicts: edge.has(CONFLICTS),
            part_of: edge.has(PART_OF),
            on_failure: edge.has(ON_FAILURE),
            cut: edge.has(CUT),
        }
    }
}

/// Why a unit cannot start yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Missing,
    Unit(UnitId),
    /// The number of the condition.
    Condition(u8),
    /// What it conflicts with is not gone yet.
    Rival(UnitId),
    /// What is bound to it, and to its last run, is not gone yet.
    Bound(UnitId),
}

/// The entries of `range`, of whichever list.
pub(crate) fn entries(list: &[Edge], range: Range) -> &[Edge] {
    list.get(range.indices()).unwrap_or(&[])
}

impl Supervisor {
    pub(crate) fn needs_of(&self, slot: &Slot) -> &[Edge] {
        entries(&self.needs, slot.relations.needs)
    }

    /// Need number `nth` of a unit: units, then conditions, then what it requires and nobody
    /// defines. None past the last.
    #[must_use]
    pub fn tie(&self, id: UnitId, nth: usize) -> Option<Tie<'_>> {
        let slot = self.slot(id)?;
        let edges = self.needs_of(slot);
        if let Some(edge) = edges.get(nth) {
            return Some(Tie::of(*edge));
        }
        let nth = nth.saturating_sub(edges.len());
        let strict = |on| Tie { on, ..Tie::of(Edge { unit: 0, marks: AFTER | REQUIRES }) };
        let waited = (0_u32..64)
            .filter(|bit| slot.relations.conditions.checked_shr(*bit).unwrap_or(0) & 1 == 1);
        if let Some(bit) = waited.clone().nth(nth) {
            let condition = self.conditions.get(usize::try_from(bit).ok()?)?;
            let tie = strict(Blocker::Condition(condition.name.as_str()));
            let binds_to = slot.relations.bound.checked_shr(bit).unwrap_or(0) & 1 == 1;
            return Some(Tie { requires: false, binds_to, ..tie });
        }
        let mut missing = self.missing.iter().filter(|(unit, _)| *unit == id.0);
        let (_, name) = missing.nth(nth.saturating_sub(waited.count()))?;
        Some(strict(Blocker::Missing(name.as_str())))
    }

    pub(crate) fn dependants_of(&self, slot: &Slot) -> &[Edge] {
        entries(&self.dependants, slot.relations.dependants)
    }

    /// What keeps the unit from starting, with the number of the need where it was found. The
    /// blocker found last time is looked at first, so that a target of a thousand units does not
    /// look at all of them each time one comes up.
    pub(crate) fn blocked(&self, id: UnitId) -> Option<(Block, u16)> {
        let slot = self.slot(id)?;
        if slot.relations.missing {
            return Some((Block::Missing, 0));
        }
        let edges = self.needs_of(slot);
        let (early, late) =
            edges.split_at_checked(usize::from(slot.relations.hint)).unwrap_or((edges, &[]));
        let rotated = late.iter().chain(early);
        if let Some((ahead, edge)) = rotated.enumerate().find(|(_, edge)| self.blocks(**edge)) {
            let at = usize::from(slot.relations.hint).saturating_add(ahead);
            let at = at.checked_rem(edges.len()).unwrap_or(0);
            return Some((Block::Unit(UnitId(edge.unit)), u16::try_from(at).unwrap_or(0)));
        }
        let unmet = slot.relations.conditions & !self.holding;
        if unmet != 0 {
            let bit = u8::try_from(unmet.trailing_zeros()).unwrap_or(0);
            return Some((Block::Condition(bit), 0));
        }
        self.obstacle(slot).map(|block| (block, slot.relations.hint))
    }

    /// What has to be gone before the unit starts.
    fn obstacle(&self, slot: &Slot) -> Option<Block> {
        if !slot.relations.wary {
            return None;
        }
        // One that is about to be laid to rest is told of first.
        let yields = |slot: &Slot| !slot.is_wanted() && slot.state != State::Down;
        let lives = |id: &UnitId| self.slot(*id).is_some_and(|s| s.is_live() || yields(s));
        if let Some(rival) = self.rivals_of(slot).find(lives) {
            return Some(Block::Rival(rival));
        }
        let bound = self.dependants_of(slot).iter().filter(|edge| edge.is_strict());
        let mut users = bound.map(|edge| UnitId(edge.unit));
        users.find(|id| self.slot(*id).is_some_and(Slot::is_awaited)).map(Block::Bound)
    }

    /// The units that this one conflicts with, whoever of the two says so.
    pub(crate) fn rivals_of(&self, slot: &Slot) -> impl Iterator<Item = UnitId> {
        let edges = self.needs_of(slot).iter().chain(self.dependants_of(slot));
        edges.filter(|edge| edge.conflicts()).map(|edge| UnitId(edge.unit))
    }

    fn blocks(&self, edge: Edge) -> bool {
        let Some(other) = self.slot(UnitId(edge.unit)) else { return false };
        (edge.binds() && !other.serves()) || (edge.orders() && is_coming(other))
    }

    /// Whether something the unit requires is gone.
    pub(crate) fn lost_requirement(&self, slot: &Slot) -> bool {
        self.needs_of(slot).iter().any(|edge| {
            edge.binds() && self.slot(UnitId(edge.unit)).is_some_and(|other| !other.carries())
        })
    }

    /// The first unit it requires that is gone, or was never there.
    pub(crate) fn gone_requirement(&self, slot: &Slot) -> Option<Block> {
        if slot.relations.missing {
            return Some(Block::Missing);
        }
        let required = self.needs_of(slot).iter().filter(|edge| edge.binds());
        let mut others = required.map(|edge| UnitId(edge.unit));
        others.find(|id| self.slot(*id).is_some_and(|other| !other.carries())).map(Block::Unit)
    }

    /// Whether something the unit is bound to is gone.
    pub(crate) fn lost_bond(&self, slot: &Slot) -> bool {
        self.gone_bond(slot).is_some()
    }

    pub(crate) fn gone_bond(&self, slot: &Slot) -> Option<Block> {
        let gone = slot.relations.bound & !self.holding;
        if gone != 0 {
            return Some(Block::Condition(u8::try_from(gone.trailing_zeros()).unwrap_or(0)));
        }
        let strict = self.needs_of(slot).iter().filter(|edge| edge.is_strict());
        let mut others = strict.map(|edge| UnitId(edge.unit));
        others.find(|id| self.slot(*id).is_some_and(|other| !other.stands())).map(Block::Unit)
    }

    /// Whether the unit cannot start, and not only because its turn has not come: what it
    /// requires is not wanted, failed at least once, or is itself without hope.
    pub(crate) fn without_hope(&self, slot: &Slot) -> bool {
        let fails = |other: &Slot| !other.carries() && !other.is_expected();
        let mut required = self.needs_of(slot).iter().filter(|edge| edge.binds());
        slot.relations.missing
            || required.any(|edge| self.slot(UnitId(edge.unit)).is_some_and(fails))
    }

    /// Whether the unit must wait with its own stop: something that comes after it still runs and
    /// has to go first.
    pub(crate) fn is_held(&self, slot: &Slot) -> bool {
        if slot.pressed {
            return false;
        }
        self.dependants_of(slot).iter().any(|edge| {
            edge.orders()
                && self.slot(UnitId(edge.unit)).is_some_and(|user| {
                    let goes = edge.requires() || edge.is_part() && user.is_ending();
                    user.is_awaited() && (goes || self.must_stop(user))
                })
        })
    }

    /// Whether a live unit has to go.
    pub(crate) fn must_stop(&self, slot: &Slot) -> bool {
        !slot.is_wanted() || slot.wish.bounce || self.lost_requirement(slot) || self.lost_bond(slot)
    }
}

/// On its way up for the first time since it was asked for.
fn is_coming(slot: &Slot) -> bool {
    let under_way = match slot.state.class() {
        Class::AtRest => slot.state != State::Failed,
        Class::Up => slot.wish.bounce,
        Class::Rising | Class::Ending => true,
    };
    under_way && slot.is_expected()
}
