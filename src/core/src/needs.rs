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

use crate::slot::{Range, Slot};
use crate::{Goal, MAX_UNITS, State, Supervisor, UnitId};

/// The most needs of all units together: eight a unit. A Debian system states three to four a
/// unit, and a target that wants everything adds one for each.
pub const MAX_NEEDS: usize = MAX_UNITS * 8;

/// The most conditions known at a time: one bit each in a u64. A Pi has about ten devices and
/// three interfaces that a unit could wait for.
pub const MAX_CONDITIONS: usize = 64;

/// One need, seen from either end; all kinds of need between the same two units are one edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    /// The unit at the other end.
    pub(crate) unit: u16,
    pub(crate) after: bool,
    pub(crate) wants: bool,
    pub(crate) requires: bool,
    /// Cut to break a cycle: only the wish is left.
    pub(crate) cut: bool,
}

impl Edge {
    /// Says something about order.
    pub(crate) const fn orders(self) -> bool {
        (self.after || self.requires) && !self.cut
    }

    /// Is a requirement in force.
    pub(crate) const fn binds(self) -> bool {
        self.requires && !self.cut
    }
}

/// Why a unit cannot start yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Missing,
    Unit(UnitId),
    /// The number of the condition.
    Condition(u8),
}

/// The entries of `range`, of whichever list.
pub(crate) fn entries(list: &[Edge], range: Range) -> &[Edge] {
    let start = usize::from(range.start);
    list.get(start..start.saturating_add(usize::from(range.len))).unwrap_or(&[])
}

impl Supervisor {
    pub(crate) fn needs_of(&self, slot: &Slot) -> &[Edge] {
        entries(&self.needs, slot.needs)
    }

    pub(crate) fn dependants_of(&self, slot: &Slot) -> &[Edge] {
        entries(&self.dependants, slot.dependants)
    }

    /// What keeps the unit from starting, with the number of the need where it was found. The
    /// blocker found last time is looked at first, so that a target of a thousand units does not
    /// look at all of them each time one comes up.
    pub(crate) fn blocked(&self, id: UnitId) -> Option<(Block, u16)> {
        let slot = self.slot(id)?;
        if slot.missing {
            return Some((Block::Missing, 0));
        }
        let edges = self.needs_of(slot);
        let (early, late) = edges.split_at_checked(usize::from(slot.hint)).unwrap_or((edges, &[]));
        let rotated = late.iter().chain(early);
        if let Some((ahead, edge)) = rotated.enumerate().find(|(_, edge)| self.blocks(**edge)) {
            let at = usize::from(slot.hint).saturating_add(ahead);
            let at = at.checked_rem(edges.len()).unwrap_or(0);
            return Some((Block::Unit(UnitId(edge.unit)), u16::try_from(at).unwrap_or(0)));
        }
        let unmet = slot.conditions & !self.holding;
        if unmet != 0 {
            let bit = u8::try_from(unmet.trailing_zeros()).unwrap_or(0);
            return Some((Block::Condition(bit), 0));
        }
        None
    }

    fn blocks(&self, edge: Edge) -> bool {
        let Some(other) = self.slot(UnitId(edge.unit)) else { return false };
        (edge.binds() && !other.serves()) || (edge.orders() && is_coming(other))
    }

    /// Whether something the unit requires is gone.
    pub(crate) fn lost_requirement(&self, slot: &Slot) -> bool {
        self.needs_of(slot).iter().any(|edge| {
            edge.binds() && self.slot(UnitId(edge.unit)).is_some_and(|other| !other.carries)
        })
    }

    /// Whether the unit cannot start, and not only because its turn has not come: what it
    /// requires is not wanted, failed at least once, or is itself without hope.
    pub(crate) fn without_hope(&self, slot: &Slot) -> bool {
        slot.missing
            || self.needs_of(slot).iter().any(|edge| {
                edge.binds()
                    && self.slot(UnitId(edge.unit)).is_some_and(|other| {
                        !other.carries
                            && (other.goal == Goal::Down || other.tried || other.hopeless)
                    })
            })
    }

    /// Whether the unit must wait with its own stop: something that comes after it still runs and
    /// has to go first.
    pub(crate) fn is_held(&self, slot: &Slot) -> bool {
        self.dependants_of(slot).iter().any(|edge| {
            edge.orders()
                && self.slot(UnitId(edge.unit)).is_some_and(|user| {
                    user.is_awaited() && (edge.requires || self.must_stop(user))
                })
        })
    }

    /// Whether a live unit has to go.
    pub(crate) fn must_stop(&self, slot: &Slot) -> bool {
        slot.goal == Goal::Down || slot.bounce || self.lost_requirement(slot)
    }
}

/// On its way up for the first time since it was asked for.
fn is_coming(slot: &Slot) -> bool {
    let under_way = match slot.state {
        State::Down
        | State::Starting { .. }
        | State::Seeking { .. }
        | State::Stopping { .. }
        | State::Sweeping { .. }
        | State::Backoff { .. } => true,
        State::Up { .. } => slot.bounce,
        State::Failed => false,
    };
    under_way && slot.goal == Goal::Up && !slot.tried && !slot.hopeless
}
