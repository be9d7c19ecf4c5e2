//! Giving up: a unit that its file limits to so many starts in a time is not started once more.
//! Opt-in; without a limit nothing is ever given up.
//!
//! Starts are counted from the first one on, until the time is over, whoever asked for them. One
//! that the machine had nothing for (no memory, no descriptor) does not count. A start by hand and
//! `reset` begin to count anew.

use crate::backoff::is_temporary;
use crate::{
    Goal, Haste, HookEnd, LimitAction, Notice, Power, Reason, SpawnFault, State, Supervisor, UnitId,
};

impl Supervisor {
    /// A start begins.
    pub(crate) fn count_start(&mut self, id: UnitId) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        let interval_ms = u64::from(slot.unit.start_limit.interval_ms);
        if slot.counts.starts == 0 || now.since(slot.counts.starts_from) > interval_ms {
            slot.counts.starts_from = now;
            slot.counts.starts = 0;
        }
        slot.counts.starts = slot.counts.starts.saturating_add(1);
    }

    /// Whether a start after this delay would be one too many.
    pub(crate) fn is_too_often(&mut self, id: UnitId, delay_ms: u32, reason: Reason) -> bool {
        let at = self.now.after(u64::from(delay_ms));
        let Some(slot) = self.slot_mut(id) else { return false };
        if lacked(reason).is_some_and(is_temporary) {
            slot.counts.starts = slot.counts.starts.saturating_sub(1);
            return false;
        }
        let limit = slot.unit.start_limit;
        limit.burst > 0
            && slot.counts.starts >= limit.burst
            && at.since(slot.counts.starts_from) <= u64::from(limit.interval_ms)
    }

    /// It is given up.
    pub(crate) fn give_up(&mut self, id: UnitId, reason: Reason) {
        let Some(slot) = self.slot_mut(id) else { return };
        let action = slot.unit.start_limit.action;
        slot.counts.gave_up = true;
        self.rest(id, State::Failed, reason);
        self.publish(Notice::GaveUp { unit: id });
        match action {
            LimitAction::Nothing => {}
            LimitAction::Reboot => self.shut_down(Power::Reboot, Haste::Orderly),
            LimitAction::RebootForce => self.shut_down(Power::Reboot, Haste::Force),
            LimitAction::PowerOff => self.shut_down(Power::PowerOff, Haste::Orderly),
        }
    }

    /// Nothing is counted any more, and what had failed is down.
    pub(crate) fn ask_reset(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.counts.forget();
        slot.counts.restarts = 0;
        if slot.state != State::Failed {
            return self.set_deadline(id);
        }
        slot.wish.goal = Goal::Down;
        slot.wish.retry = false;
        slot.wish.once = false;
        self.enter(id, State::Down, Reason::Asked);
    }
}

/// What could not be executed, if it was for that.
fn lacked(reason: Reason) -> Option<SpawnFault> {
    match reason {
        Reason::Spawn(fault) | Reason::Hook(_, _, HookEnd::Spawn(fault)) => Some(fault),
        Reason::None
        | Reason::Asked
        | Reason::Needed
        | Reason::Exited(_)
        | Reason::StartTimeout
        | Reason::Unforked
        | Reason::Unfound
        | Reason::Hook(_, _, HookEnd::Exited(_) | HookEnd::TimedOut)
        | Reason::Requirement
        | Reason::MainLost(_)
        | Reason::Unhealthy
        | Reason::Watchdog
        | Reason::Reloaded
        | Reason::Conflict
        | Reason::Bound
        | Reason::PartOf
        | Reason::OnFailure
        | Reason::Skipped
        | Reason::Timer
        | Reason::Shutdown => None,
    }
}
