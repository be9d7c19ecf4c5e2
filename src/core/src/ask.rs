//! What operators ask for. Sets goals; `settle` walks the states there.

use crate::bits::Bits;
use crate::ties::Way;
use crate::{Action, Ask, Class, Phase, Reason, State, Supervisor, UnitId, Whom};

impl Supervisor {
    pub(crate) fn ask(&mut self, id: UnitId, ask: Ask) {
        if self.slot(id).is_none() {
            return self.unexpected(None, "Ask");
        }
        match ask {
            Ask::Start => self.ask_start(id, false),
            Ask::Once => self.ask_start(id, true),
            Ask::Stop => self.lay_off(id, Reason::Asked, &Bits::EMPTY),
            Ask::Restart => self.ask_restart(id, Reason::Asked),
            Ask::Reload => self.ask_reload(id),
            Ask::Reset => self.ask_reset(id),
            Ask::Signal(signal) => {
                if self.slot(id).is_some_and(|slot| slot.pid().is_some()) {
                    self.push(Action::Signal { unit: id, signal, whom: Whom::Main });
                }
            }
        }
    }

    fn may_start(&self, id: UnitId) -> bool {
        self.phase == Phase::Running && self.slot(id).is_some_and(|slot| !slot.is_orphaned())
    }

    /// `once`: what follows on its end is not by policy, but nothing.
    fn ask_start(&mut self, id: UnitId, once: bool) {
        if self.may_start(id) {
            if let Some(slot) = self.slot_mut(id) {
                slot.wish.once = once;
            }
            self.forgive(id);
            self.pull(id, Reason::Asked, Way::Clears);
        }
    }

    /// Stops what is live and starts it again; starts what is not.
    pub(crate) fn ask_restart(&mut self, id: UnitId, reason: Reason) {
        if !self.may_start(id) {
            return;
        }
        self.forgive(id);
        if let Some(slot) = self.slot_mut(id) {
            slot.wish.once = false;
        }
        self.bounce(id, reason);
        self.pull(id, reason, Way::Clears);
        self.touch(id);
        self.bounce_parts(id);
    }

    /// A start by hand, or by the timer, clears the counters and ends a back-off.
    pub(crate) fn forgive(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.counts.forget();
        slot.alarm.failing = false;
        match slot.state.class() {
            Class::AtRest if matches!(slot.state, State::Backoff { .. }) => {
                slot.wish.retry = true;
                self.touch(id);
            }
            Class::Ending => self.follow_goal(id),
            Class::Up => self.set_deadline(id),
            Class::AtRest | Class::Rising => {}
        }
    }
}
