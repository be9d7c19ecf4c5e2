//! Deadlines: which one each state has, and what happens when it passes.

use crate::backoff::Verdict;
use crate::run::{Next, Running};
use crate::slot::Slot;
use crate::{Kind, Millis, Notice, Reason, State, Supervisor, UnitId};

/// How long a forking unit's main process is looked for after it ended while up: a daemon that
/// replaces itself writes its PID file before the old process ends (pid-files.md).
pub(crate) const MOVE_MS: u64 = 1_000;

/// How long KILL may take before the unit is called unkillable and nobody waits for it any more.
pub(crate) const PATIENCE_MS: u64 = 10_000;

/// The longest pause between two complaints about the same process: once an hour.
const COMPLAIN_MAX_MS: u64 = 3_600_000;

/// When something must happen in this state, whatever else does.
pub(crate) fn deadline(slot: &Slot) -> Millis {
    match slot.state {
        State::Down | State::Failed => Millis::NEVER,
        State::Seeking { since } if slot.processes.moving => {
            since.after(MOVE_MS).min(hook_until(slot))
        }
        State::Preparing { .. }
        | State::Starting { .. }
        | State::Seeking { .. }
        | State::Awaiting { .. }
        | State::Finishing { .. } => ready_by(slot).unwrap_or(Millis::NEVER),
        State::Up { since, .. } => {
            let reset = since.after(u64::from(slot.unit.restart_reset_ms));
            if slot.counts.has_row() { reset.min(hook_until(slot)) } else { hook_until(slot) }
        }
        State::Stopping { kill_at, .. } | State::Cleaning { kill_at } => {
            kill_at.unwrap_or(Millis::NEVER)
        }
        State::Sweeping { .. } => slot.complain_at,
        State::Backoff { until } => until,
    }
}

/// When the hook of a unit that is up has taken too long. One whose answer is still due comes to
/// that once it is there.
fn hook_until(slot: &Slot) -> Millis {
    slot.hook.filter(|_| !slot.pending.spawning).map_or(Millis::NEVER, Running::until)
}

/// When a start under way has failed; None where it may take for ever, or none is under way.
pub(crate) fn ready_by(slot: &Slot) -> Option<Millis> {
    let since = slot.state.start_since()?;
    let span = slot.unit.start_timeout().filter(|_| !slot.processes.moving)?;
    Some(since.after(span).max(slot.extended_to))
}

impl Supervisor {
    /// The unit's deadline has passed, unless it moved in the meantime.
    pub(crate) fn expire(&mut self, id: UnitId) {
        let now = self.now;
        if self.bell_at(id) <= now {
            self.ring(id);
        }
        let Some(slot) = self.slot_mut(id) else { return };
        if deadline(slot) > now {
            return self.set_deadline(id);
        }
        match slot.state {
            State::Down | State::Failed => {}
            State::Preparing { .. }
            | State::Starting { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. } => {
                self.start_timed_out(id);
            }
            State::Seeking { .. } | State::Up { .. } if hook_until(slot) <= now => {
                self.hook_timed_out(id);
            }
            State::Seeking { .. } if slot.processes.moving => self.main_is_gone(id),
            State::Seeking { .. } => self.start_timed_out(id),
            State::Up { .. } => {
                slot.counts.end_row();
                self.set_deadline(id);
            }
            State::Stopping { .. } if slot.hook.is_some() => self.hook_timed_out(id),
            State::Cleaning { .. } => self.hook_timed_out(id),
            State::Stopping { pid, .. } => {
                let reason = slot.reason;
                self.sweep(id, pid, reason);
            }
            State::Sweeping { since, .. } => self.complain(id, since),
            State::Backoff { .. } => self.start_again(id),
        }
    }

    fn start_timed_out(&mut self, id: UnitId) {
        let reason = self.slot(id).map_or(Reason::StartTimeout, overdue);
        let next = self.after_end(id, Verdict::Abnormal, None);
        self.stop(id, reason, next);
    }

    /// Neither found again nor moved: what ended was the unit.
    pub(crate) fn main_is_gone(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return };
        let reason = match slot.last_exit {
            Some(status) => Reason::Exited(status),
            None => Reason::MainLost(None),
        };
        let verdict = slot
            .last_exit
            .map_or(Verdict::Abnormal, |exit| crate::backoff::verdict(&slot.unit, exit));
        // The run ended when the search began.
        let (ended, began) = match slot.state {
            State::Seeking { since } => (since, slot.since),
            State::Up { since, .. } => (Millis::NEVER, since),
            State::Down
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Cleaning { .. }
            | State::Backoff { .. }
            | State::Failed => return,
        };
        let run = ended.min(self.now).since(began);
        self.end_run(id, verdict, Some(run), reason);
    }

    fn complain(&mut self, id: UnitId, since: Millis) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        let (builtin, was_awaited) = (slot.unit.builtin, slot.is_awaited());
        let for_ms = now.since(since);
        slot.unkillable = true;
        // Doubles: after 10, 20, 40 seconds and so on.
        slot.complain_at = now.after(for_ms.clamp(PATIENCE_MS, COMPLAIN_MAX_MS));
        self.count(builtin, was_awaited, false);
        self.set_deadline(id);
        self.publish(Notice::Unkillable { unit: id, for_ms });
        self.touch(id);
    }

    pub(crate) fn set_next(&mut self, id: UnitId, next: Next) {
        if let Some(slot) = self.slot_mut(id) {
            slot.next = next;
        }
    }
}

/// What did not come in time. Where a program was still being prepared it had no chance to.
fn overdue(slot: &Slot) -> Reason {
    match slot.state {
        State::Starting { pid: Some(_), .. }
            if slot.unit.kind == Kind::Forking && !slot.processes.entering =>
        {
            Reason::Unforked
        }
        State::Seeking { .. } => Reason::Unfound,
        State::Preparing { .. }
        | State::Starting { .. }
        | State::Awaiting { .. }
        | State::Finishing { .. }
        | State::Down
        | State::Up { .. }
        | State::Stopping { .. }
        | State::Sweeping { .. }
        | State::Cleaning { .. }
        | State::Backoff { .. }
        | State::Failed => Reason::StartTimeout,
    }
}
