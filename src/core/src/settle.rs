//! Looks at one unit whose own state, goal or needs changed, and starts or stops it if that is
//! what goal and needs ask for. Units are taken in dependency order, until none is left.
//!
//! It comes to an end: every change here moves a unit one way along
//! down → starting and up → stopping, and the way back needs an event, but for targets, whose
//! moves follow those of units that need events. Goals change here only where a failure is
//! answered by on-failure units, and that happens once for each unit that fails.

use crate::run::Next;
use crate::slot::Slot;
use crate::{Class, Goal, Phase, Reason, State, Supervisor, UnitId};

impl Supervisor {
    pub(crate) fn settle(&mut self, id: UnitId) {
        self.weigh_hope(id);
        self.answer_alarm(id);
        let Some(slot) = self.slot(id) else { return };
        match slot.state.class() {
            Class::AtRest if slot.is_orphaned() => self.release(id),
            Class::AtRest if slot.state == State::Down => self.settle_down(id),
            Class::AtRest if !slot.is_wanted() => self.enter(id, State::Down, slot.reason),
            Class::AtRest if self.may_retry(slot) => self.try_again(id),
            Class::Rising | Class::Up => self.settle_live(id),
            Class::AtRest | Class::Ending => {}
        }
    }

    /// Whether what failed or waits is to be tried now: asked to, or what it failed for lack of has appeared.
    fn may_retry(&self, slot: &Slot) -> bool {
        let found = slot.state == State::Failed && slot.reason == Reason::Requirement;
        slot.is_wanted()
            && self.phase == Phase::Running
            && (slot.wish.retry || found && !slot.relations.missing)
    }

    fn try_again(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.wish.retry = false;
        slot.standing.tried = false;
        let reason = slot.reason;
        match self.blocked(id) {
            None => self.begin(id),
            Some(_) => self.enter(id, State::Down, reason),
        }
    }

    fn weigh_hope(&mut self, id: UnitId) {
        let Some(slot) = self.slot(id) else { return };
        let hopeless = slot.is_wanted() && slot.state == State::Down && self.without_hope(slot);
        if hopeless != slot.standing.hopeless {
            if let Some(slot) = self.slot_mut(id) {
                slot.standing.hopeless = hopeless;
            }
            self.touch(id);
        }
    }

    fn settle_down(&mut self, id: UnitId) {
        if !self.is_wanted(id) || self.phase != Phase::Running {
            return;
        }
        let Some((block, at)) = self.blocked(id) else { return self.begin(id) };
        let Some(slot) = self.slot_mut(id) else { return };
        slot.relations.hint = at;
        match block {
            crate::needs::Block::Missing => {
                slot.standing.tried = true;
                self.enter(id, State::Failed, Reason::Requirement);
            }
            crate::needs::Block::Unit(_)
            | crate::needs::Block::Condition(_)
            | crate::needs::Block::Rival(_)
            | crate::needs::Block::Bound(_) => {}
        }
    }

    fn settle_live(&mut self, id: UnitId) {
        let Some(slot) = self.slot(id) else { return };
        let up = slot.state.class() == Class::Up;
        let (carries, reason) = (slot.carries(), slot.reason);
        let leaves = self.must_stop(slot);
        let reason = match (slot.wish.goal, self.lost_bond(slot)) {
            (Goal::Up, true) if !slot.wish.bounce => Reason::Bound,
            (Goal::Up, false) if !slot.wish.bounce => Reason::Requirement,
            (Goal::Up | Goal::Down, _) => reason,
        };
        if carries && leaves || !carries && !leaves && up {
            if let Some(slot) = self.slot_mut(id) {
                slot.standing.carries = !leaves;
            }
            self.touch(id);
        }
        if leaves && !self.slot(id).is_some_and(|slot| self.is_held(slot)) {
            self.stop(id, reason, Next::Goal);
        }
    }
}
