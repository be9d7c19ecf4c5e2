//! The ways of a unit: begin, be up, stop, be swept, be gone, begin again. Called once it is
//! decided; asks nobody's leave.

use crate::backoff::{self, CRASH_LOOP, MIN_RUN_MS, RESET_MS, Verdict};
use crate::due::PATIENCE_MS;
use crate::slot::Next;
use crate::{Action, Goal, Kind, Notice, Phase, Pid, Reason, State, Supervisor, UnitId, Whom};

/// From the stop signal to KILL where no main process is known whose end could be awaited.
const BLIND_STOP_MS: u64 = 1_000;

/// A stop time-out of 0 waits for ever, but not when the machine goes down; nor do long ones.
pub(crate) const SHUTDOWN_STOP_MAX_MS: u64 = 90_000;
pub(crate) const SHUTDOWN_STOP_DEFAULT_MS: u64 = 30_000;

impl Supervisor {
    /// Starts a unit that is down. Its needs are met.
    pub(crate) fn begin(&mut self, id: UnitId) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        slot.done = false;
        slot.bounce = false;
        slot.retry = false;
        let reason = slot.reason;
        let reason = match reason {
            Reason::None | Reason::Requirement => Reason::Needed,
            Reason::Asked
            | Reason::Needed
            | Reason::Exited(_)
            | Reason::Spawn(_)
            | Reason::StartTimeout
            | Reason::MainLost(_)
            | Reason::Reloaded
            | Reason::Shutdown => reason,
        };
        match slot.unit.kind {
            Kind::Target => self.rise(id, None, reason),
            Kind::Simple | Kind::Forking | Kind::Oneshot { .. } => {
                slot.spawning = true;
                slot.occupied = true;
                self.push(Action::Spawn { unit: id });
                self.enter(id, State::Starting { pid: None, since: now }, reason);
            }
        }
    }

    /// The unit is up.
    pub(crate) fn rise(&mut self, id: UnitId, pid: Option<Pid>, reason: Reason) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        if !slot.moving {
            slot.up_since = now;
        }
        slot.moving = false;
        slot.carries = true;
        slot.tried = true;
        let since = slot.up_since;
        self.enter(id, State::Up { pid, since }, reason);
    }

    /// Ends a unit that is starting or up: the stop signal first, KILL after its time-out.
    pub(crate) fn stop(&mut self, id: UnitId, reason: Reason, next: Next) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        let blind = matches!(slot.state, State::Seeking { .. });
        let known = slot.pid();
        slot.bounce = false;
        slot.carries = false;
        slot.moving = false;
        slot.next = next;
        if !slot.occupied {
            self.gone(id, reason);
            return;
        }
        if known.is_none() && !slot.spawning && !blind {
            // A oneshot that remains: nothing to end in good order, only leftovers.
            self.sweep(id, None, reason);
            return;
        }
        let span = if blind { Some(BLIND_STOP_MS) } else { self.stop_span(id) };
        if known.is_some() || blind {
            self.signal_stop(id);
        }
        let kill_at = span.map(|span| now.after(span));
        self.enter(id, State::Stopping { pid: known, kill_at }, reason);
    }

    /// The unit's time from stop signal to KILL; None is for ever.
    pub(crate) fn stop_span(&self, id: UnitId) -> Option<u64> {
        let span = u64::from(self.slot(id)?.unit.stop_timeout_ms);
        match (self.phase, span) {
            (Phase::Running, 0) => None,
            (Phase::Running, span) => Some(span),
            (_, 0) => Some(SHUTDOWN_STOP_DEFAULT_MS),
            (_, span) => Some(span.min(SHUTDOWN_STOP_MAX_MS)),
        }
    }

    /// Sends the unit's stop signal to all of its processes.
    pub(crate) fn signal_stop(&mut self, id: UnitId) {
        if let Some(slot) = self.slot(id) {
            let signal = slot.unit.kill_signal;
            self.push(Action::Signal { unit: id, signal, whom: Whom::All });
        }
    }

    /// KILL for all that is left. `pid` is the main process, if it is not reaped yet.
    pub(crate) fn sweep(&mut self, id: UnitId, pid: Option<Pid>, reason: Reason) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        slot.moving = false;
        slot.complain_at = now.after(PATIENCE_MS);
        // While the answer to `Spawn` is due, what it made could escape: sweep when it is here.
        if !slot.spawning {
            self.push(Action::Sweep { unit: id });
        }
        self.enter(id, State::Sweeping { pid, since: now }, reason);
    }

    /// No process of the unit is left. Now, and not earlier, another may start.
    pub(crate) fn gone(&mut self, id: UnitId, reason: Reason) {
        let running = self.phase == Phase::Running;
        let Some(slot) = self.slot_mut(id) else { return };
        slot.occupied = false;
        slot.moving = false;
        let pid = slot.pid();
        let next = core::mem::replace(&mut slot.next, Next::Goal);
        let stays = slot.goal == Goal::Down || slot.orphaned || !running;
        if core::mem::replace(&mut slot.seeking, false) {
            self.push(Action::Forget { unit: id });
        }
        self.unmap(id, pid);
        if stays {
            self.rest(id, State::Down, reason);
            return;
        }
        match next {
            Next::Goal => self.resume(id, reason),
            Next::Done => self.finish(id, reason),
            Next::Quit => {
                self.set_goal(id, Goal::Down);
                self.rest(id, State::Down, reason);
            }
            Next::Fail => self.rest(id, State::Failed, reason),
            Next::Again { delay_ms: 0 } => self.restart(id, reason),
            Next::Again { delay_ms } => self.wait(id, delay_ms, reason),
        }
    }

    /// Starts at once if its needs are met, else is down until they are.
    fn resume(&mut self, id: UnitId, reason: Reason) {
        if self.blocked(id).is_none() {
            if let Some(slot) = self.slot_mut(id) {
                slot.reason = reason;
            }
            self.begin(id);
        } else {
            if let Some(slot) = self.slot_mut(id) {
                slot.carries = false;
            }
            self.enter(id, State::Down, reason);
        }
    }

    fn restart(&mut self, id: UnitId, reason: Reason) {
        if let Some(slot) = self.slot_mut(id) {
            slot.restarts = slot.restarts.saturating_add(1);
        }
        self.resume(id, reason);
    }

    /// The back-off is over.
    pub(crate) fn start_again(&mut self, id: UnitId) {
        let Some(reason) = self.slot(id).map(|slot| slot.reason) else { return };
        if self.phase == Phase::Running {
            self.restart(id, reason);
        } else {
            self.rest(id, State::Down, Reason::Shutdown);
        }
    }

    /// Down or failed, and nothing is to follow.
    fn rest(&mut self, id: UnitId, state: State, reason: Reason) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.carries = false;
        slot.done = false;
        slot.tried = true;
        self.enter(id, state, reason);
    }

    /// A oneshot did its work: down, and what requires it may start.
    fn finish(&mut self, id: UnitId, reason: Reason) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.goal = Goal::Down;
        slot.done = true;
        slot.carries = true;
        slot.tried = true;
        slot.in_a_row = 0;
        slot.delays = 0;
        self.enter(id, State::Down, reason);
    }

    fn wait(&mut self, id: UnitId, delay_ms: u64, reason: Reason) {
        let until = self.now.after(delay_ms);
        let Some(slot) = self.slot_mut(id) else { return };
        slot.carries = false;
        let in_a_row = slot.in_a_row;
        self.enter(id, State::Backoff { until }, reason);
        if in_a_row >= CRASH_LOOP {
            let delay_ms = u32::try_from(delay_ms).unwrap_or(u32::MAX);
            self.publish(Notice::CrashLooping { unit: id, in_a_row, delay_ms });
        }
    }

    /// What follows on this end: by policy, and by how long it ran (None: it never was up).
    pub(crate) fn after_end(&mut self, id: UnitId, verdict: Verdict, run: Option<u64>) -> Next {
        let Some(slot) = self.slots.get_mut(usize::from(id.0)) else { return Next::Goal };
        if !backoff::again(slot.unit.restart, verdict) {
            return match (verdict, slot.unit.kind) {
                (Verdict::Success, Kind::Oneshot { .. }) => Next::Done,
                (Verdict::Success, Kind::Simple | Kind::Forking | Kind::Target) => Next::Quit,
                (Verdict::Failure | Verdict::Abnormal, _) => {
                    slot.in_a_row = slot.in_a_row.saturating_add(1);
                    Next::Fail
                }
            };
        }
        if run.is_some_and(|run| run >= RESET_MS) {
            slot.in_a_row = 0;
            slot.delays = 0;
        }
        let long = u64::from(slot.unit.min_uptime_ms).max(MIN_RUN_MS);
        if run.is_some_and(|run| run >= long) {
            return Next::Again { delay_ms: 0 };
        }
        slot.tried = true;
        slot.in_a_row = slot.in_a_row.saturating_add(1);
        self.delayed(id)
    }

    /// Again, after the next delay.
    pub(crate) fn delayed(&mut self, id: UnitId) -> Next {
        let Some(slot) = self.slots.get_mut(usize::from(id.0)) else { return Next::Goal };
        let span = backoff::delay_ms(&slot.unit, slot.delays, &mut self.dice);
        slot.delays = slot.delays.saturating_add(1);
        Next::Again { delay_ms: span }
    }

    pub(crate) fn set_goal(&mut self, id: UnitId, goal: Goal) {
        let Some(slot) = self.slot_mut(id) else { return };
        if slot.goal != goal {
            slot.goal = goal;
            self.touch(id);
        }
    }

    /// The process is no longer this unit's.
    pub(crate) fn unmap(&mut self, id: UnitId, pid: Option<Pid>) {
        if let Some(pid) = pid.filter(|pid| self.pids.get(pid) == Some(&id.0)) {
            let _ = self.pids.remove(&pid);
        }
    }
}
