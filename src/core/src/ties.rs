//! What a change of one unit's goal means for the goals of others: what starts along, what gives
//! way, what stops or restarts along, what answers a failure. Each is one pass over a set, a unit
//! at most once. Sets goals; `settle` walks the states there.
//!
//! Of two units that conflict, at most one has the goal up. Every way to that goal leads through
//! `pull`, and a load that brings a new conflict decides it at once.

use crate::bits::Bits;
use crate::slot::Slot;
use crate::wish::Wish;
use crate::{Class, Goal, Phase, Reason, State, Supervisor, UnitId};

/// What happens when a unit is to start and another, that it conflicts with, is to be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The other is stopped: somebody asked for this one, or a failure did.
    Clears,
    /// This one stays down: it only starts because it is there.
    Gives,
}

impl Supervisor {
    /// Asks for the unit, and for everything it wants and requires, and so on. What was asked for
    /// first in one pass is not displaced by what comes later in it.
    pub(crate) fn pull(&mut self, first: UnitId, reason: Reason, way: Way) {
        let (mut todo, mut pulled) = (Bits::EMPTY, Bits::EMPTY);
        if !self.clear(first, way, &mut pulled) {
            return;
        }
        self.raise(first, reason);
        todo.put(first.0);
        while let Some(puller) = todo.take_first() {
            let Some(range) = self.slot(UnitId(puller)).map(|slot| slot.relations.needs) else {
                continue;
            };
            for at in range.indices() {
                let Some(edge) = self.needs.get(at).copied() else { break };
                let id = UnitId(edge.unit);
                if edge.pulls()
                    && self.clear(id, way, &mut pulled)
                    && self.raise(id, Reason::Needed)
                {
                    todo.put(edge.unit);
                }
            }
        }
    }

    /// Makes way for a unit. False: it is the one to give way.
    fn clear(&mut self, id: UnitId, way: Way, pulled: &mut Bits) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        let mut rivals = Bits::EMPTY;
        if slot.relations.wary && !slot.is_wanted() {
            let wanted = |rival: &UnitId| *rival != id && self.is_wanted(*rival);
            self.rivals_of(slot).filter(wanted).for_each(|rival| rivals.put(rival.0));
        }
        let gives = way == Way::Gives && !rivals.is_empty() || rivals.meets(pulled);
        if gives {
            self.note_conflict(id);
            return false;
        }
        pulled.put(id.0);
        while let Some(rival) = rivals.take_first() {
            self.lay_off(UnitId(rival), Reason::Conflict, pulled);
        }
        true
    }

    fn note_conflict(&mut self, id: UnitId) {
        if let Some(slot) = self.slot_mut(id).filter(|slot| slot.state == State::Down) {
            slot.reason = Reason::Conflict;
        }
    }

    /// The goal of the unit is down from now on, and of all that is part of it but what is `kept`.
    pub(crate) fn lay_off(&mut self, first: UnitId, reason: Reason, kept: &Bits) {
        self.lower(first, reason);
        self.visit_parts(first, |all, part| {
            let stops = !kept.has(part.0);
            if stops {
                all.lower(part, Reason::PartOf);
            }
            stops
        });
    }

    /// Visits what is wanted and part of the unit, and what is part of that where `visit` says so.
    fn visit_parts(&mut self, first: UnitId, mut visit: impl FnMut(&mut Self, UnitId) -> bool) {
        let mut todo = Bits::EMPTY;
        todo.put(first.0);
        while let Some(whole) = todo.take_first() {
            let Some(range) = self.slot(UnitId(whole)).map(|slot| slot.relations.dependants) else {
                continue;
            };
            for at in range.indices() {
                let Some(edge) = self.dependants.get(at).copied() else { break };
                let part = UnitId(edge.unit);
                if edge.is_part() && self.is_wanted(part) && visit(self, part) {
                    todo.put(part.0);
                }
            }
        }
    }

    pub(crate) fn is_wanted(&self, id: UnitId) -> bool {
        self.slot(id).is_some_and(Slot::is_wanted)
    }

    /// What is part of a unit that restarts, restarts with it.
    pub(crate) fn bounce_parts(&mut self, first: UnitId) {
        let mut seen = Bits::EMPTY;
        seen.put(first.0);
        self.visit_parts(first, |all, part| {
            let is_new = !seen.has(part.0);
            if is_new {
                seen.put(part.0);
                all.bounce(part, Reason::PartOf);
                all.touch(part);
            }
            is_new
        });
    }

    /// Is to stop and start once, if it is live.
    pub(crate) fn bounce(&mut self, id: UnitId, reason: Reason) {
        let Some(slot) = self.slot_mut(id) else { return };
        match slot.state.class() {
            Class::Rising | Class::Up => {
                slot.wish.bounce = true;
                slot.standing.tried = false;
                slot.reason = reason;
            }
            Class::AtRest | Class::Ending => {}
        }
    }

    /// Starts what is to start when this unit fails.
    pub(crate) fn answer_alarm(&mut self, id: UnitId) {
        let Some(slot) = self.slot(id).filter(|slot| slot.alarm.unanswered) else { return };
        let range = slot.relations.needs;
        if let Some(slot) = self.slot_mut(id) {
            slot.alarm.unanswered = false;
        }
        if self.phase != Phase::Running {
            return;
        }
        for at in range.indices() {
            let Some(edge) = self.needs.get(at).copied() else { break };
            if edge.alarms() && edge.unit != id.0 {
                self.pull(UnitId(edge.unit), Reason::OnFailure, Way::Clears);
            }
        }
    }

    /// After a load: of two units that conflict and are both to be up, the one that is not live
    /// gives way; of two that are alike, the later one by name.
    pub(crate) fn part_rivals(&mut self) {
        for at in 0..self.by_name.len() {
            let Some(id) = self.by_name.get(at).map(|id| UnitId(*id)) else { break };
            while let Some(loser) = self.loser(id) {
                self.lay_off(loser, Reason::Conflict, &Bits::EMPTY);
            }
        }
    }

    /// Who has to give way, of this unit and the first of those that are to be up against it.
    fn loser(&self, id: UnitId) -> Option<UnitId> {
        let slot = self.slot(id).filter(|slot| slot.relations.wary && slot.is_wanted())?;
        let wanted = |rival: &UnitId| *rival != id && self.is_wanted(*rival);
        let rival = self.rivals_of(slot).find(wanted)?;
        let other = self.slot(rival)?;
        let mine = (!slot.is_live(), slot.rank);
        let theirs = (!other.is_live(), other.rank);
        Some(if mine < theirs { rival } else { id })
    }

    /// Sets the goal of one unit to down.
    fn lower(&mut self, id: UnitId, reason: Reason) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.wish = Wish::DOWN;
        slot.standing.done = false;
        if !slot.is_live() {
            slot.standing.carries = false;
        }
        let rests = matches!(slot.state, State::Backoff { .. } | State::Failed);
        slot.reason = reason;
        // Whoever else is stopped along may be many, and what is said of all at once would not fit:
        // `settle` goes on.
        if rests && reason == Reason::Asked {
            self.enter(id, State::Down, reason);
        } else {
            self.touch(id);
        }
    }

    /// Sets the goal of one unit to up; true if that changed anything.
    fn raise(&mut self, id: UnitId, reason: Reason) -> bool {
        let Some(slot) = self.slot_mut(id) else { return false };
        let failed = slot.state == State::Failed;
        if slot.is_wanted() && (!failed || slot.wish.retry) {
            return false;
        }
        slot.wish.goal = Goal::Up;
        // A unit that is up and was about to stop stays up, and has no start to wait for.
        slot.standing.tried = matches!(slot.state, State::Up { .. }) && !slot.wish.bounce;
        slot.reason = reason;
        // Runs again; what requires it keeps running on its last success meanwhile.
        slot.standing.done = false;
        slot.wish.retry = failed;
        self.touch(id);
        true
    }
}
