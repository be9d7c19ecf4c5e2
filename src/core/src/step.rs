//! One event changes one unit. What that means for the others is for `settle` to find out.

use crate::backoff::{self, Verdict};
use crate::run::{Next, Running};
use crate::{
    Action, Event, ExitStatus, HookEnd, KillMode, Kind, Pid, Reason, SpawnFault, State, Supervisor,
    UnitId,
};

impl Supervisor {
    pub(crate) fn step(&mut self, event: Event<'_>) {
        match event {
            Event::Ask { unit, ask } => self.ask(unit, ask),
            Event::Entering { unit, pid } => self.entering(unit, pid),
            Event::Spawned { unit, pid } => self.spawned(unit, pid),
            Event::SpawnFailed { unit, fault } => self.spawn_failed(unit, fault),
            Event::Runs { unit } => self.runs(unit),
            Event::Exited { pid, status } => self.exited(pid, status),
            Event::Emptied { unit } => self.emptied(unit),
            Event::MainFound { unit, pid } => self.main_found(unit, pid),
            Event::MainLost { unit, status } => self.main_lost(unit, status),
            Event::Announced { unit } => self.announced(unit),
            Event::Ready { unit } => self.ready(unit),
            Event::Reloaded { unit, since } => self.reloaded(unit, since),
            Event::Extend { unit, span_ms } => self.extend(unit, span_ms),
            Event::Health { unit, unwell } => self.health(unit, unwell),
            Event::Condition { name, holds } => self.condition(name, holds),
            Event::Wall { ahead_ms } => self.wall_set(ahead_ms),
            Event::Ran { unit, second } => self.ran_before(unit, second),
            Event::Shutdown { power, haste } => self.shut_down(power, haste),
            Event::StraysGone => self.strays_gone(),
            Event::FilesystemsClosed => self.filesystems_closed(),
            Event::Tick => {}
        }
    }

    /// There is a process, which has not executed the program yet.
    fn entering(&mut self, id: UnitId, pid: Pid) {
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "Entering") };
        if !slot.pending.spawning {
            return self.unexpected(Some(id), "Entering");
        }
        slot.processes.entering = true;
        self.born(id, pid);
    }

    fn spawned(&mut self, id: UnitId, pid: Pid) {
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "Spawned") };
        let hook = slot.hook.and_then(Running::pid);
        let is_known = slot.pid() == Some(pid) || hook == Some(pid);
        if !(slot.pending.spawning || slot.processes.entering && is_known) {
            if !core::mem::replace(&mut slot.pending.forgotten, false) {
                self.unexpected(Some(id), "Spawned");
            }
            return;
        }
        slot.processes.entering = false;
        let (state, kind, reason) = (slot.state, slot.unit.kind, slot.reason);
        if slot.pending.spawning {
            self.born(id, pid);
        }
        if let (State::Starting { .. }, Kind::Simple | Kind::Notify) = (state, kind) {
            self.started(id, Some(pid), reason);
        }
    }

    /// The answer to `Spawn`: what was decided while it was due happens now.
    fn born(&mut self, id: UnitId, pid: Pid) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.pending.spawning = false;
        if slot.hook.is_some() {
            return self.hook_spawned(id, pid);
        }
        slot.run.launched = true;
        let (state, reason) = (slot.state, slot.reason);
        if state.pid().is_none() {
            let _ = self.pids.insert(pid, id.0);
        } else {
            slot.forget_entering();
        }
        match state {
            State::Starting { since, .. } => {
                self.enter(id, State::Starting { pid: Some(pid), since }, reason);
            }
            // The main process stands for the unit, if it lives; else what came late does.
            State::Stopping { pid: main, kill_at } => {
                self.signal_stop(id);
                self.enter(id, State::Stopping { pid: main.or(Some(pid)), kill_at }, reason);
            }
            State::Sweeping { pid: main, since } => {
                self.push(Action::Sweep { unit: id });
                self.enter(id, State::Sweeping { pid: main.or(Some(pid)), since }, reason);
            }
            State::Down
            | State::Preparing { .. }
            | State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Up { .. }
            | State::Cleaning { .. }
            | State::Backoff { .. }
            | State::Failed => self.unexpected(Some(id), "Spawned"),
        }
    }

    fn spawn_failed(&mut self, id: UnitId, fault: SpawnFault) {
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "SpawnFailed") };
        if !slot.pending.spawning && !slot.processes.entering {
            if !core::mem::replace(&mut slot.pending.forgotten, false) {
                self.unexpected(Some(id), "SpawnFailed");
            }
            return;
        }
        slot.pending.spawning = false;
        let was_born = core::mem::replace(&mut slot.processes.entering, false);
        if let Some(hook) = slot.hook {
            self.unmap(id, hook.pid());
            return self.hook_failed(id, fault);
        }
        let (state, reason, pid, was_up) = (slot.state, slot.reason, slot.pid(), slot.run.was_up);
        match state {
            State::Starting { .. } => {
                let next = if backoff::is_temporary(fault) {
                    self.delayed(id)
                } else {
                    self.after_end(id, Verdict::Failure, None)
                };
                self.set_next(id, next);
                self.gone(id, Reason::Spawn(fault));
            }
            State::Stopping { .. } if was_born => {
                self.unmap(id, pid);
                self.sweep(id, None, reason);
            }
            State::Sweeping { .. } if was_born => {
                self.unmap(id, pid);
                self.sweep_on(id);
            }
            // A hook of a program that still is there, or has left something.
            State::Stopping { pid: Some(_), .. } => {}
            State::Stopping { .. } if was_up => self.sweep(id, None, reason),
            State::Sweeping { .. } if was_up => self.push(Action::Sweep { unit: id }),
            State::Stopping { .. } | State::Sweeping { .. } => self.gone(id, reason),
            State::Down
            | State::Preparing { .. }
            | State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Up { .. }
            | State::Cleaning { .. }
            | State::Backoff { .. }
            | State::Failed => self.unexpected(Some(id), "SpawnFailed"),
        }
    }

    /// Processes that are nobody's main process are reaped by `init`; nothing follows here.
    fn exited(&mut self, pid: Pid, status: ExitStatus) {
        let Some(id) = self.pids.remove(&pid).map(UnitId) else { return };
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        if slot.hook.is_some_and(|hook| hook.pid() == Some(pid)) {
            slot.processes.entering = false;
            return self.hook_ended(id, HookEnd::Exited(status));
        }
        // A launcher that did its work ends nothing.
        let is_starting = matches!(slot.state, State::Starting { .. });
        if !(is_starting && slot.unit.kind == Kind::Forking && status == ExitStatus::Code(0)) {
            slot.last_exit = Some(status);
            slot.run.ended = true;
        }
        // With a hook beside it, it is the hook that may not be executed yet.
        slot.processes.entering &= slot.hook.is_some();
        let (kind, reason) = (slot.unit.kind, slot.reason);
        let verdict = backoff::verdict(&slot.unit, status);
        match slot.state {
            State::Starting { .. } => self.starter_exited(id, status),
            State::Awaiting { .. } => self.start_ended(id, status),
            State::Up { .. } if kind == Kind::Forking => {
                slot.processes.moving = true;
                self.seek(id, reason);
            }
            State::Up { since, .. } | State::Finishing { since, .. } => {
                self.end_run(id, verdict, Some(now.since(since)), Reason::Exited(status));
            }
            // The hooks before the end go on without it.
            State::Stopping { kill_at, .. } if slot.hook.is_some() => {
                self.enter(id, State::Stopping { pid: None, kill_at }, reason);
            }
            State::Stopping { .. } => self.sweep(id, None, reason),
            State::Sweeping { .. } => self.sweep_on(id),
            State::Down
            | State::Preparing { .. }
            | State::Seeking { .. }
            | State::Cleaning { .. }
            | State::Backoff { .. }
            | State::Failed => {
                self.unexpected(Some(id), "Exited");
            }
        }
    }

    /// A oneshot came to its end, or a launcher did.
    fn starter_exited(&mut self, id: UnitId, status: ExitStatus) {
        let Some(slot) = self.slot_mut(id) else { return };
        let (kind, reason) = (slot.unit.kind, Reason::Exited(status));
        let verdict = backoff::verdict(&slot.unit, status);
        match (kind, status, verdict) {
            // What is a success of the daemon is none of its launcher.
            (Kind::Forking, ExitStatus::Code(0), _) => {
                let reason = slot.reason;
                self.seek(id, reason);
            }
            (Kind::Oneshot { .. }, _, Verdict::Success) => self.started(id, None, reason),
            (
                Kind::Simple | Kind::Notify | Kind::Forking | Kind::Oneshot { .. } | Kind::Target,
                _,
                _,
            ) => self.start_ended(id, status),
        }
    }

    /// What was to become the unit's main process, or was it already, ended before it was up.
    fn start_ended(&mut self, id: UnitId, status: ExitStatus) {
        let Some(slot) = self.slot(id) else { return };
        // A launcher that a clean signal ended has still not started anything.
        let verdict = match backoff::verdict(&slot.unit, status) {
            Verdict::Success => Verdict::Abnormal,
            verdict @ (Verdict::Failure | Verdict::Abnormal) => verdict,
        };
        self.end_run(id, verdict, None, Reason::Exited(status));
    }

    fn seek(&mut self, id: UnitId, reason: Reason) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        slot.processes.seeking = true;
        let since = slot.state.start_since().unwrap_or(now);
        self.push(Action::SeekMain { unit: id });
        self.enter(id, State::Seeking { since }, reason);
    }

    fn emptied(&mut self, id: UnitId) {
        let Some(slot) = self.slot(id) else { return self.unexpected(None, "Emptied") };
        match slot.state {
            // Of a spawn whose answer is still to come.
            State::Sweeping { .. } if slot.pending.spawning => {}
            // How its main process ended is still to be told: it can be reaped only after that.
            State::Sweeping { pid: Some(_), .. } => {}
            State::Sweeping { pid: None, .. } => self.gone(id, slot.reason),
            State::Preparing { .. } if slot.hook.is_none() => self.prepare(id),
            State::Down
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Up { .. }
            | State::Stopping { .. }
            | State::Cleaning { .. }
            | State::Backoff { .. }
            | State::Failed => self.unexpected(Some(id), "Emptied"),
        }
    }

    /// The main process has ended, while what else there is is being swept. `Emptied` may have come
    /// before that.
    fn sweep_on(&mut self, id: UnitId) {
        let Some(slot) = self.slot(id) else { return };
        let State::Sweeping { since, .. } = slot.state else { return };
        let (spawning, reason) = (slot.pending.spawning, slot.reason);
        if !spawning {
            self.push(Action::Sweep { unit: id });
        }
        self.enter(id, State::Sweeping { pid: None, since }, reason);
    }

    fn main_found(&mut self, id: UnitId, pid: Pid) {
        let Some(slot) = self.slot(id) else { return self.unexpected(None, "MainFound") };
        // A hook that says so of itself is the main process of nothing.
        if slot.hook.and_then(Running::pid) == Some(pid) {
            return;
        }
        let taken = self.pids.get(&pid).is_some_and(|owner| *owner != id.0);
        // A notifying unit may name another process of its own at any time.
        let may = slot.processes.seeking || slot.unit.kind == Kind::Notify;
        if !taken && may {
            self.take_main(id, pid);
        } else if taken || !matches!(slot.state, State::Starting { .. }) {
            self.unexpected(Some(id), "MainFound");
        }
        // Before `SeekMain` the launcher lives and the claim is provisional: not believed yet.
    }

    /// The main process is this one.
    fn take_main(&mut self, id: UnitId, pid: Pid) {
        let Some(slot) = self.slot(id) else { return };
        let (reason, moving, hooking) = (slot.reason, slot.processes.moving, slot.hook.is_some());
        match slot.state {
            State::Seeking { .. } => {
                let _ = self.pids.insert(pid, id.0);
                if moving {
                    self.rise(id, Some(pid), reason);
                } else {
                    self.started(id, Some(pid), reason);
                }
            }
            State::Awaiting { since, .. } => {
                self.change_main(id, pid, State::Awaiting { pid, since });
            }
            State::Finishing { since, .. } => {
                self.change_main(id, pid, State::Finishing { pid: Some(pid), since });
            }
            State::Up { since, .. } => {
                self.change_main(id, pid, State::Up { pid: Some(pid), since });
            }
            State::Stopping { pid: None, kill_at } if hooking => {
                self.change_main(id, pid, State::Stopping { pid: Some(pid), kill_at });
            }
            State::Stopping { pid: None, .. } => {
                let had_signal = slot.unit.kill_mode == KillMode::ControlGroup;
                let kill_at = self.kill_at(id, None);
                self.change_main(id, pid, State::Stopping { pid: Some(pid), kill_at });
                // The stop signal was for it alone, and it was not known.
                if !had_signal {
                    self.signal_stop(id);
                }
            }
            State::Stopping { pid: Some(_), .. } | State::Sweeping { .. } => {}
            State::Down
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::Cleaning { .. }
            | State::Backoff { .. }
            | State::Failed => self.unexpected(Some(id), "MainFound"),
        }
    }

    /// The state stays, and this process stands for the unit from now on.
    fn change_main(&mut self, id: UnitId, pid: Pid, to: State) {
        let Some(slot) = self.slot(id) else { return };
        let (old, reason) = (slot.pid(), slot.reason);
        if old != Some(pid) {
            self.unmap(id, old);
            let _ = self.pids.insert(pid, id.0);
            self.enter(id, to, reason);
        }
    }

    fn main_lost(&mut self, id: UnitId, status: Option<ExitStatus>) {
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "MainLost") };
        if status.is_some() {
            slot.last_exit = status;
            slot.run.ended = true;
        }
        let (pid, reason) = (slot.pid(), slot.reason);
        match slot.state {
            State::Seeking { .. } if slot.processes.moving => self.main_is_gone(id),
            State::Seeking { .. } | State::Awaiting { .. } | State::Finishing { .. }
                if slot.processes.seeking =>
            {
                // What ends before it is up has not ended well.
                let verdict = match status {
                    Some(ExitStatus::Code(_)) => Verdict::Failure,
                    Some(ExitStatus::Signal { .. }) | None => Verdict::Abnormal,
                };
                self.unmap(id, pid);
                self.end_run(id, verdict, None, Reason::MainLost(status));
            }
            State::Up { pid: Some(_), .. } if slot.processes.seeking => {
                slot.last_exit = status;
                self.unmap(id, pid);
                self.main_is_gone(id);
            }
            State::Stopping { kill_at, .. } if slot.processes.seeking && slot.hook.is_some() => {
                self.unmap(id, pid);
                self.enter(id, State::Stopping { pid: None, kill_at }, reason);
            }
            State::Stopping { .. } if slot.processes.seeking => {
                self.unmap(id, pid);
                self.sweep(id, None, reason);
            }
            State::Sweeping { pid: Some(_), .. } => {
                self.unmap(id, pid);
                self.sweep_on(id);
            }
            // The launcher still decides, or nothing is left to decide.
            State::Starting { .. } | State::Sweeping { pid: None, .. } => {}
            State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Up { .. }
            | State::Preparing { .. }
            | State::Finishing { .. }
            | State::Stopping { .. }
            | State::Cleaning { .. }
            | State::Down
            | State::Backoff { .. }
            | State::Failed => {
                self.unexpected(Some(id), "MainLost");
            }
        }
    }

    /// The program has ended, or did not come to be: what follows is decided, its reload and its hook
    /// are over, and what is left is swept.
    pub(crate) fn end_run(
        &mut self,
        id: UnitId,
        verdict: Verdict,
        run: Option<u64>,
        reason: Reason,
    ) {
        let next = self.after_end(id, verdict, run);
        self.set_next(id, next);
        self.break_reload(id, reason);
        self.forget_hook(id);
        self.sweep(id, None, reason);
    }

    fn condition(&mut self, name: &str, holds: bool) {
        if holds && name == crate::timer::CLOCK {
            self.clock_is_right();
        }
        let Some(bit) = self.condition_bit(name, holds) else { return };
        let mask = 1_u64.wrapping_shl(u32::from(bit));
        let held = self.holding & mask != 0;
        if held == holds {
            return;
        }
        self.holding ^= mask;
        self.facts_changed = true;
        for id in self.each() {
            if let Some(slot) = self.slot(id).filter(|slot| slot.relations.conditions & mask != 0) {
                let position = slot.position;
                self.dirty.put(position);
            }
        }
    }

    pub(crate) fn follow_goal(&mut self, id: UnitId) {
        self.set_next(id, Next::Goal);
    }
}
