//! The ways of a unit: begin, be up, stop, be swept, be gone, begin again. Called once it is
//! decided; asks nobody's leave.

use crate::backoff::{self, CRASH_LOOP, MIN_RUN_MS, Verdict};
use crate::run::{Next, Processes, Run, Running};
use crate::{
    Action, Goal, KillMode, Kind, Millis, Notice, Phase, Pid, Probes, Program, Reason, Restart,
    Stage, State, Supervisor, UnitId, Whom, signals,
};

/// From the stop signal to KILL where no main process is known whose end could be awaited.
const BLIND_STOP_MS: u64 = 1_000;

impl Supervisor {
    /// Starts a unit that is down. Its needs are met.
    pub(crate) fn begin(&mut self, id: UnitId) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        slot.standing.done = false;
        slot.wish.bounce = false;
        slot.wish.retry = false;
        if slot.unit.skipped {
            return self.finish(id, Reason::Skipped);
        }
        slot.first.note_start(now);
        slot.counts.gave_up = false;
        self.count_start(id);
        self.note_run(id);
        let Some(slot) = self.slot_mut(id) else { return };
        let reason = slot.reason;
        let reason = match reason {
            Reason::None | Reason::Requirement | Reason::Conflict | Reason::Bound => Reason::Needed,
            Reason::Asked
            | Reason::Needed
            | Reason::Exited(_)
            | Reason::Spawn(_)
            | Reason::StartTimeout
            | Reason::Unforked
            | Reason::Unfound
            | Reason::Hook(..)
            | Reason::MainLost(_)
            | Reason::Unhealthy
            | Reason::Watchdog
            | Reason::Reloaded
            | Reason::PartOf
            | Reason::OnFailure
            | Reason::Skipped
            | Reason::Timer
            | Reason::Shutdown => reason,
        };
        slot.unwell = false;
        slot.extended_to = now;
        // A hook of the run before, gone with its group and not reaped yet, is nobody's.
        let hook = slot.hook.take().and_then(Running::pid);
        self.unmap(id, hook);
        let Some(slot) = self.slot_mut(id) else { return };
        match slot.unit.kind {
            Kind::Target => self.rise(id, None, reason),
            Kind::Simple | Kind::Notify | Kind::Forking | Kind::Oneshot { .. } => {
                slot.run = Run::of(slot.unit.kind);
                self.enter_start(id, now, reason);
            }
        }
    }

    /// The hooks before the program, or the program at once.
    fn enter_start(&mut self, id: UnitId, since: Millis, reason: Reason) {
        if self.slot(id).is_some_and(|slot| slot.unit.hooks.of(Stage::Pre).count == 0) {
            return self.execute(id, since, reason);
        }
        self.enter(id, State::Preparing { next: 0, since }, reason);
        self.prepare(id);
    }

    /// Executes the program; the prober knows of it first, where it has to do with it.
    pub(crate) fn execute(&mut self, id: UnitId, since: Millis, reason: Reason) {
        let Some(slot) = self.slot_mut(id) else { return };
        match slot.unit.probes {
            Probes::Nothing => self.spawn(id),
            Probes::Up | Probes::Ready => {
                slot.pending.announcing = true;
                self.push(Action::Announce { unit: id });
            }
        }
        self.enter(id, State::Starting { pid: None, since }, reason);
    }

    pub(crate) fn spawn(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.pending.spawning = true;
        slot.processes.occupied = true;
        self.push(Action::Spawn { unit: id, what: Program::Main });
    }

    /// The program is there: a process, or the success of a oneshot. What is left of the start.
    pub(crate) fn started(&mut self, id: UnitId, pid: Option<Pid>, reason: Reason) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.run.was_up = true;
        match (slot.unit.probes, slot.state, pid) {
            (
                Probes::Ready,
                State::Starting { since, .. } | State::Seeking { since },
                Some(pid),
            ) => self.enter(id, State::Awaiting { pid, since }, reason),
            (Probes::Nothing | Probes::Up | Probes::Ready, _, _) => {
                self.finish_start(id, pid, reason);
            }
        }
    }

    /// Nothing is left of the start.
    pub(crate) fn complete(&mut self, id: UnitId, pid: Option<Pid>, since: Millis) {
        let run = self.now.since(since);
        let Some(slot) = self.slot(id) else { return };
        let reason = slot.reason;
        match slot.unit.kind {
            Kind::Oneshot { remain_after_exit: false } => {
                let next = self.after_end(id, Verdict::Success, Some(run));
                self.set_next(id, next);
                self.sweep(id, None, reason);
            }
            Kind::Simple | Kind::Notify | Kind::Forking | Kind::Oneshot { .. } | Kind::Target => {
                self.rise(id, pid, reason);
            }
        }
    }

    /// The unit is up.
    pub(crate) fn rise(&mut self, id: UnitId, pid: Option<Pid>, reason: Reason) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        if !slot.processes.moving {
            slot.since = now;
        }
        slot.first.note_up(now);
        slot.processes.moving = false;
        slot.standing.rise();
        let since = slot.since;
        self.enter(id, State::Up { pid, since }, reason);
    }

    /// Ends a unit that is starting or up: the stop signal first, KILL after its time-out.
    pub(crate) fn stop(&mut self, id: UnitId, reason: Reason, next: Next) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        let blind = matches!(slot.state, State::Seeking { .. });
        let up = matches!(slot.state, State::Up { .. });
        let between = matches!(slot.state, State::Preparing { .. }) && slot.hook.is_none();
        let known = slot.pid();
        self.break_reload(id, reason);
        if blind {
            self.forget_hook(id);
        }
        let Some(slot) = self.slot_mut(id) else { return };
        slot.wish.bounce = false;
        slot.standing.carries = false;
        slot.processes.moving = false;
        slot.pending.announcing = false;
        slot.next = next;
        if !slot.processes.occupied {
            self.gone(id, reason);
            return;
        }
        // What hangs would not do what they ask.
        let asks = up && reason != Reason::Watchdog;
        if asks && (slot.hook.is_some() || self.run_hook(id, Stage::Stop, 0)) {
            let kill_at = self.kill_at(id, Some(Stage::Stop));
            self.enter(id, State::Stopping { pid: known, kill_at }, reason);
            return;
        }
        if between {
            return self.await_sweep(id, None, reason);
        }
        let known = self.drop_hook(id, known);
        let spawning = self.slot(id).is_some_and(|slot| slot.pending.spawning);
        if known.is_none() && !spawning && !blind {
            // A oneshot that remains: nothing to end in good order, only leftovers.
            self.sweep(id, None, reason);
            return;
        }
        let span = match self.stop_span(id, None) {
            Some(span) if blind && self.phase != Phase::Running => Some(span.min(BLIND_STOP_MS)),
            _ if blind => Some(BLIND_STOP_MS),
            span => span,
        };
        if known.is_some() || blind {
            self.signal_stop(id);
        }
        let kill_at = span.map(|span| now.after(span));
        self.enter(id, State::Stopping { pid: known, kill_at }, reason);
    }

    /// How long a stage of the unit's end may take: its hooks, or without a name its program, from the
    /// stop signal to KILL. None is for ever.
    fn stop_span(&self, id: UnitId, stage: Option<Stage>) -> Option<u64> {
        let slot = self.slot(id)?;
        if self.phase == Phase::Running {
            return slot.unit.stop_timeout();
        }
        Some(self.shutdown_span(slot, stage))
    }

    /// When KILL comes if the stage begins now.
    pub(crate) fn kill_at(&self, id: UnitId, stage: Option<Stage>) -> Option<Millis> {
        self.stop_span(id, stage).map(|span| self.now.after(span))
    }

    /// Sends the unit's stop signal.
    pub(crate) fn signal_stop(&mut self, id: UnitId) {
        if let Some(slot) = self.slot(id) {
            let hung = slot.reason == Reason::Watchdog;
            let signal = if hung { signals::ABRT } else { slot.unit.kill_signal };
            let whom = match slot.unit.kill_mode {
                KillMode::ControlGroup => Whom::All,
                KillMode::Mixed | KillMode::Process => Whom::Main,
            };
            self.push(Action::Signal { unit: id, signal, whom });
        }
    }

    /// Whether a sweep is for the main process alone. For all it is also where a launcher has ended
    /// and nobody knows which of its processes is the main one: a second one must never be.
    #[must_use]
    pub fn spares(&self, id: UnitId) -> bool {
        self.slot(id)
            .is_some_and(|slot| slot.unit.kill_mode == KillMode::Process && !slot.run.hides_main())
    }

    /// KILL for all that is left. `pid` is the main process, if it is not reaped yet.
    pub(crate) fn sweep(&mut self, id: UnitId, pid: Option<Pid>, reason: Reason) {
        let Some(slot) = self.slot(id) else { return };
        // While the answer to `Spawn` is due, what it made could escape: sweep when it is here.
        if !slot.pending.spawning {
            self.push(Action::Sweep { unit: id });
        }
        self.await_sweep(id, pid, reason);
    }

    /// `Sweep` was asked for.
    fn await_sweep(&mut self, id: UnitId, pid: Option<Pid>, reason: Reason) {
        let now = self.now;
        let patience = self.patience_ms(id);
        let Some(slot) = self.slot_mut(id) else { return };
        slot.processes.moving = false;
        slot.complain_at = now.after(patience);
        self.enter(id, State::Sweeping { pid, since: now }, reason);
    }

    /// No process of the unit is left. Now, and not earlier, another may start.
    pub(crate) fn gone(&mut self, id: UnitId, reason: Reason) {
        let running = self.phase == Phase::Running;
        let Some(slot) = self.slot_mut(id) else { return };
        let has_hooks = slot.unit.hooks.of(Stage::StopPost).count > 0;
        if slot.processes.occupied && !slot.run.cleaned && has_hooks {
            return self.clean(id, reason);
        }
        let Processes { seeking, .. } = core::mem::take(&mut slot.processes);
        let pid = slot.pid();
        let next = core::mem::replace(&mut slot.next, Next::Goal);
        let stays = !slot.is_wanted() || slot.is_orphaned() || !running;
        if seeking {
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
            Next::Again { delay_ms } if self.is_too_often(id, delay_ms, reason) => {
                self.give_up(id, reason);
            }
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
                slot.standing.carries = false;
            }
            self.enter(id, State::Down, reason);
        }
    }

    fn restart(&mut self, id: UnitId, reason: Reason) {
        if let Some(slot) = self.slot_mut(id) {
            slot.counts.restarts = slot.counts.restarts.saturating_add(1);
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
    pub(crate) fn rest(&mut self, id: UnitId, state: State, reason: Reason) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.standing.rest();
        self.enter(id, state, reason);
    }

    /// A oneshot did its work, or there is none to do here: down, and what requires it may start.
    fn finish(&mut self, id: UnitId, reason: Reason) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        slot.first.note_up(now);
        slot.wish.goal = Goal::Down;
        slot.standing.rise();
        slot.standing.done = true;
        slot.alarm.failing = false;
        slot.counts.end_row();
        self.enter(id, State::Down, reason);
    }

    fn wait(&mut self, id: UnitId, delay_ms: u32, reason: Reason) {
        let until = self.now.after(u64::from(delay_ms));
        let Some(slot) = self.slot_mut(id) else { return };
        slot.standing.carries = false;
        let in_a_row = slot.counts.in_a_row;
        if in_a_row >= CRASH_LOOP {
            slot.alarm.note_failure();
        }
        self.enter(id, State::Backoff { until }, reason);
        if in_a_row >= CRASH_LOOP {
            self.publish(Notice::CrashLooping { unit: id, in_a_row, delay_ms });
        }
    }

    /// What follows on this end: by policy, and by how long it ran (None: it never was up).
    pub(crate) fn after_end(&mut self, id: UnitId, verdict: Verdict, run: Option<u64>) -> Next {
        let Some(slot) = self.slots.get_mut(usize::from(id.0)) else { return Next::Goal };
        let unit = &slot.unit;
        let final_end =
            slot.last_exit.filter(|_| slot.run.ended).is_some_and(|exit| unit.no_restart.has(exit));
        let restart = if slot.wish.once || final_end { Restart::No } else { unit.restart };
        let long = u64::from(unit.min_uptime_ms).max(MIN_RUN_MS);
        let was_long = run.is_some_and(|run| run >= long);
        slot.alarm.failing &= !was_long;
        if !backoff::again(restart, verdict) {
            return match (verdict, slot.unit.kind) {
                (Verdict::Success, Kind::Oneshot { .. }) => Next::Done,
                (Verdict::Success, Kind::Simple | Kind::Notify | Kind::Forking | Kind::Target) => {
                    Next::Quit
                }
                (Verdict::Failure | Verdict::Abnormal, _) => {
                    slot.counts.in_a_row = slot.counts.in_a_row.saturating_add(1);
                    Next::Fail
                }
            };
        }
        if run.is_some_and(|run| run >= u64::from(slot.unit.restart_reset_ms)) {
            slot.counts.end_row();
        }
        if was_long {
            return Next::Again { delay_ms: 0 };
        }
        slot.standing.tried = true;
        slot.counts.in_a_row = slot.counts.in_a_row.saturating_add(1);
        self.delayed(id)
    }

    /// Again, after the next delay.
    pub(crate) fn delayed(&mut self, id: UnitId) -> Next {
        let Some(slot) = self.slots.get_mut(usize::from(id.0)) else { return Next::Goal };
        let span = backoff::delay_ms(&slot.unit, slot.counts.delays, &mut self.dice);
        slot.counts.delays = slot.counts.delays.saturating_add(1);
        Next::Again { delay_ms: u32::try_from(span).unwrap_or(u32::MAX) }
    }

    pub(crate) fn set_goal(&mut self, id: UnitId, goal: Goal) {
        let Some(slot) = self.slot_mut(id) else { return };
        if slot.wish.goal != goal {
            slot.wish.goal = goal;
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
