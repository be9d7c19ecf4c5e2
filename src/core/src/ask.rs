//! What operators ask for, and what starts along. Sets goals; `settle` walks the states there.

use crate::bits::Bits;
use crate::{Action, Ask, Goal, Phase, Reason, State, Supervisor, UnitId, Whom};

impl Supervisor {
    pub(crate) fn ask(&mut self, id: UnitId, ask: Ask) {
        if self.slot(id).is_none() {
            return self.unexpected(None, "Ask");
        }
        match ask {
            Ask::Start => self.ask_start(id),
            Ask::Stop => self.ask_stop(id),
            Ask::Restart => self.ask_restart(id, Reason::Asked),
            Ask::Signal(signal) => {
                if self.slot(id).is_some_and(|slot| slot.pid().is_some()) {
                    self.push(Action::Signal { unit: id, signal, whom: Whom::Main });
                }
            }
        }
    }

    fn may_start(&self, id: UnitId) -> bool {
        self.phase == Phase::Running && self.slot(id).is_some_and(|slot| !slot.orphaned)
    }

    fn ask_start(&mut self, id: UnitId) {
        if self.may_start(id) {
            self.forgive(id);
            self.pull(id, Reason::Asked);
        }
    }

    fn ask_stop(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.bounce = false;
        slot.retry = false;
        slot.done = false;
        slot.goal = Goal::Down;
        if !slot.is_live() {
            slot.carries = false;
        }
        self.touch(id);
        if let Some(slot) = self.slot_mut(id) {
            match slot.state {
                State::Down
                | State::Starting { .. }
                | State::Seeking { .. }
                | State::Up { .. }
                | State::Stopping { .. }
                | State::Sweeping { .. } => slot.reason = Reason::Asked,
                State::Backoff { .. } | State::Failed => {
                    self.enter(id, State::Down, Reason::Asked);
                }
            }
        }
    }

    /// Stops what is live and starts it again; starts what is not.
    pub(crate) fn ask_restart(&mut self, id: UnitId, reason: Reason) {
        if !self.may_start(id) {
            return;
        }
        self.forgive(id);
        if let Some(slot) = self.slot_mut(id) {
            match slot.state {
                State::Starting { .. } | State::Seeking { .. } | State::Up { .. } => {
                    slot.bounce = true;
                    slot.tried = false;
                    slot.reason = reason;
                }
                State::Down
                | State::Stopping { .. }
                | State::Sweeping { .. }
                | State::Backoff { .. }
                | State::Failed => {}
            }
        }
        self.pull(id, reason);
        self.touch(id);
    }

    /// A start by hand clears the counters and ends a back-off.
    fn forgive(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.in_a_row = 0;
        slot.delays = 0;
        match slot.state {
            State::Backoff { .. } => {
                slot.retry = true;
                self.touch(id);
            }
            State::Stopping { .. } | State::Sweeping { .. } => self.follow_goal(id),
            State::Up { .. } => self.set_deadline(id),
            State::Down | State::Starting { .. } | State::Seeking { .. } | State::Failed => {}
        }
    }

    /// Asks for the unit, and for everything it wants and requires, and so on. One pass over a
    /// set, each unit at most once.
    pub(crate) fn pull(&mut self, first: UnitId, reason: Reason) {
        let mut todo = Bits::EMPTY;
        self.raise(first, reason);
        todo.put(first.0);
        while let Some(puller) = todo.take_first() {
            let Some(range) = self.slot(UnitId(puller)).map(|slot| slot.needs) else { continue };
            for nth in 0..range.len {
                let at = usize::from(range.start.saturating_add(nth));
                let Some(edge) = self.needs.get(at).copied() else { break };
                if (edge.wants || edge.requires) && self.raise(UnitId(edge.unit), Reason::Needed) {
                    todo.put(edge.unit);
                }
            }
        }
    }

    /// Sets the goal of one unit; true if that changed anything.
    fn raise(&mut self, id: UnitId, reason: Reason) -> bool {
        let Some(slot) = self.slot_mut(id) else { return false };
        let failed = slot.state == State::Failed;
        if slot.goal == Goal::Up && (!failed || slot.retry) {
            return false;
        }
        slot.goal = Goal::Up;
        // A unit that is up and was about to stop stays up, and has no start to wait for.
        slot.tried = matches!(slot.state, State::Up { .. }) && !slot.bounce;
        slot.reason = reason;
        // Runs again; what requires it keeps running on its last success meanwhile.
        slot.done = false;
        slot.retry = failed;
        self.touch(id);
        true
    }
}
