//! The commands around a unit's program: before and after its start, before and after its end,
//! and on reload. One after the other, at most one of a unit at a time.

use crate::backoff::{self, Verdict};
use crate::run::{Next, Running};
use crate::{
    Action, ExitStatus, HookEnd, Millis, Notice, Phase, Pid, Program, Reason, SpawnFault, Stage,
    State, Supervisor, UnitId, Whom, signals,
};

impl Supervisor {
    /// Executes hook number `nth` of a stage; false: there is none.
    pub(crate) fn run_hook(&mut self, id: UnitId, stage: Stage, nth: u8) -> bool {
        let (now, phase) = (self.now, self.phase);
        let Some(slot) = self.slot_mut(id) else { return false };
        slot.hook = None;
        let may = match stage {
            Stage::Pre | Stage::Post | Stage::Reload => phase == Phase::Running,
            // Later, everything that is left is being killed: nothing starts any more.
            Stage::Stop | Stage::StopPost => phase <= Phase::StoppingUnits,
        };
        if !may || nth >= slot.unit.hooks.of(stage).count {
            return false;
        }
        let until = match stage {
            Stage::Reload => slot.reload_until(now),
            // Bounded by the state that the unit is in.
            Stage::Pre | Stage::Post | Stage::Stop | Stage::StopPost => Millis::NEVER,
        };
        slot.hook = Some(Running::Hook { stage, nth, pid: None, until });
        slot.pending.spawning = true;
        slot.processes.occupied = true;
        self.push(Action::Spawn { unit: id, what: Program::Hook(stage, nth) });
        true
    }

    /// The hook that was asked for runs.
    pub(crate) fn hook_spawned(&mut self, id: UnitId, pid: Pid) {
        let _ = self.pids.insert(pid, id.0);
        let running = self.slot_mut(id).and_then(|slot| slot.hook.as_mut());
        if let Some(Running::Hook { pid: unknown, .. }) = running {
            *unknown = Some(pid);
        }
        self.set_deadline(id);
    }

    /// A hook is over, well or not, or could not be executed.
    pub(crate) fn hook_ended(&mut self, id: UnitId, end: HookEnd) {
        let Some(slot) = self.slot_mut(id) else { return };
        let reloads = slot.reloads();
        let Some(Running::Hook { stage, nth, .. }) = slot.hook else { return };
        slot.hook = None;
        slot.last_hook = Some((stage, nth, end));
        let well = end == HookEnd::Exited(ExitStatus::Code(0));
        let goes_on = well || slot.unit.hooks.of(stage).tolerates(nth);
        let state = slot.state;
        let next = nth.saturating_add(1);
        // A reload that ends with it is told of as a whole.
        if !well && (goes_on || !reloads) {
            self.publish(Notice::Hook { unit: id, stage, nth, end });
        }
        match state {
            State::Preparing { since, .. } if goes_on => {
                // Nothing of it may be left beside what comes next.
                self.push(Action::Sweep { unit: id });
                self.enter(id, State::Preparing { next, since }, self.reason_of(id));
            }
            State::Preparing { .. } => {
                let reason = self.fail_start(id, stage, nth, end);
                self.sweep(id, None, reason);
            }
            State::Finishing { pid, since } if goes_on => {
                if !self.run_hook(id, Stage::Post, next) {
                    self.complete(id, pid, since);
                }
            }
            State::Finishing { .. } => {
                let reason = self.fail_start(id, stage, nth, end);
                let next = self.slot(id).map_or(Next::Goal, |slot| slot.next);
                self.stop(id, reason, next);
            }
            State::Up { .. } | State::Seeking { .. } if reloads => match goes_on {
                true => self.go_on_reloading(id, next),
                false => self.end_reload(id, Err(Reason::Hook(stage, nth, end))),
            },
            State::Stopping { .. } => {
                let first = if stage == Stage::Reload { 0 } else { next };
                if !(goes_on || stage == Stage::Reload) || !self.run_hook(id, Stage::Stop, first) {
                    self.end_program(id);
                }
            }
            State::Cleaning { .. } => {
                if !(goes_on && self.run_hook(id, Stage::StopPost, next)) {
                    self.sweep(id, None, self.reason_of(id));
                }
            }
            State::Down
            | State::Starting { .. }
            | State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Up { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => self.unexpected(Some(id), "HookEnded"),
        }
    }

    fn reason_of(&self, id: UnitId) -> Reason {
        self.slot(id).map_or(Reason::None, |slot| slot.reason)
    }

    /// What follows a hook that spoils a start.
    fn fail_start(&mut self, id: UnitId, stage: Stage, nth: u8, end: HookEnd) -> Reason {
        let next = match end {
            HookEnd::Spawn(fault) if backoff::is_temporary(fault) => self.delayed(id),
            HookEnd::Exited(ExitStatus::Code(_)) | HookEnd::Spawn(_) => {
                self.after_end(id, Verdict::Failure, None)
            }
            HookEnd::Exited(ExitStatus::Signal { .. }) | HookEnd::TimedOut => {
                self.after_end(id, Verdict::Abnormal, None)
            }
        };
        self.set_next(id, next);
        Reason::Hook(stage, nth, end)
    }

    /// Nothing is left of the hook before: the next one, or the program.
    pub(crate) fn prepare(&mut self, id: UnitId) {
        let Some(slot) = self.slot(id) else { return };
        let State::Preparing { next, since } = slot.state else { return };
        let reason = slot.reason;
        if self.phase != Phase::Running || self.must_stop(slot) {
            // Whoever holds its stop up is not served by a program that has not begun.
            self.set_next(id, Next::Goal);
            self.gone(id, reason);
        } else if !self.run_hook(id, Stage::Pre, next) {
            self.execute(id, since, reason);
        }
    }

    /// The program is there, and all that the start waited for: the hooks after it.
    pub(crate) fn finish_start(&mut self, id: UnitId, pid: Option<Pid>, reason: Reason) {
        let Some(slot) = self.slot(id) else { return };
        let since = slot.state.start_since().unwrap_or(self.now);
        if self.run_hook(id, Stage::Post, 0) {
            self.enter(id, State::Finishing { pid, since }, reason);
        } else {
            if let Some(slot) = self.slot_mut(id) {
                slot.reason = reason;
            }
            self.complete(id, pid, since);
        }
    }

    /// Drops the hook that runs, which becomes one of the unit's processes; or says of the one that
    /// stands alone that its end is waited for as that of the program.
    pub(crate) fn drop_hook(&mut self, id: UnitId, main: Option<Pid>) -> Option<Pid> {
        if main.is_some() {
            self.forget_hook(id);
            return main;
        }
        self.slot_mut(id).and_then(|slot| slot.hook.take()).and_then(Running::pid)
    }

    /// The hook that runs, if one does, becomes one of the unit's processes; where those are spared
    /// it is ended, for it is none that is to stay.
    pub(crate) fn forget_hook(&mut self, id: UnitId) {
        let hook = self.slot_mut(id).and_then(|slot| slot.hook.take());
        let pid = hook.and_then(Running::pid);
        self.unmap(id, pid);
        if self.spares(id) {
            self.kill_hook(id, pid);
        }
        if let Some(slot) = self.slot_mut(id).filter(|_| pid.is_some()) {
            slot.forget_entering();
        }
    }

    pub(crate) fn kill_hook(&mut self, id: UnitId, hook: Option<Pid>) {
        if let Some(pid) = hook {
            self.push(Action::Signal { unit: id, signal: signals::KILL, whom: Whom::Process(pid) });
        }
    }

    /// The time of the hook is over.
    pub(crate) fn hook_timed_out(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return };
        let (stage, nth, pid) = match slot.hook {
            None => return,
            Some(Running::Hook { stage, nth, pid, .. }) => (stage, nth, pid),
            Some(Running::Word { .. }) => {
                slot.hook = None;
                return self.end_reload(id, Err(Reason::StartTimeout));
            }
        };
        let end = HookEnd::TimedOut;
        slot.last_hook = Some((stage, nth, end));
        let state = slot.state;
        if !slot.reloads() {
            self.publish(Notice::Hook { unit: id, stage, nth, end });
        }
        match state {
            State::Up { .. } | State::Seeking { .. } => {
                self.kill_hook(id, pid);
                self.forget_hook(id);
                self.end_reload(id, Err(Reason::Hook(stage, nth, end)));
            }
            State::Stopping { .. } => self.end_program(id),
            State::Cleaning { .. } => {
                let pid = self.drop_hook(id, None);
                self.sweep(id, pid, self.reason_of(id));
            }
            State::Down
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// The hooks before the end are over, or took too long: the stop signal.
    fn end_program(&mut self, id: UnitId) {
        let Some(State::Stopping { pid, .. }) = self.slot(id).map(|slot| slot.state) else {
            return;
        };
        let reason = self.reason_of(id);
        let main = pid;
        let pid = self.drop_hook(id, main);
        let spawning = self.slot(id).is_some_and(|slot| slot.pending.spawning);
        if pid.is_none() && !spawning {
            return self.sweep(id, None, reason);
        }
        let kill_at = self.kill_at(id, None);
        match (main, pid) {
            // Nobody but the hook is known to whom a sweep could be.
            (None, Some(_)) if self.spares(id) => self.kill_hook(id, pid),
            (_, Some(_)) => self.signal_stop(id),
            (_, None) => {}
        }
        self.enter(id, State::Stopping { pid, kill_at }, reason);
    }

    /// Nothing is left of the run: the hooks after it, before anything else follows.
    pub(crate) fn clean(&mut self, id: UnitId, reason: Reason) {
        let kill_at = self.kill_at(id, Some(Stage::StopPost));
        let Some(slot) = self.slot_mut(id) else { return };
        slot.run.cleaned = true;
        let pid = slot.pid();
        if core::mem::replace(&mut slot.processes.seeking, false) {
            self.push(Action::Forget { unit: id });
        }
        self.unmap(id, pid);
        self.enter(id, State::Cleaning { kill_at }, reason);
        if !self.run_hook(id, Stage::StopPost, 0) {
            self.sweep(id, None, reason);
        }
    }

    /// No hook is needed, for the program was found running.
    pub(crate) fn runs(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "Runs") };
        let asked = slot.pending.spawning && slot.hook.is_some();
        let (State::Preparing { since, .. }, true) = (slot.state, asked) else {
            return self.unexpected(Some(id), "Runs");
        };
        slot.hook = None;
        slot.pending.spawning = false;
        let reason = slot.reason;
        self.execute(id, since, reason);
    }

    /// A hook could not be executed.
    pub(crate) fn hook_failed(&mut self, id: UnitId, fault: SpawnFault) {
        self.hook_ended(id, HookEnd::Spawn(fault));
    }
}
