//! One event changes one unit. What that means for the others is for `settle` to find out.

use crate::backoff::{self, Verdict};
use crate::slot::Next;
use crate::{Action, Event, ExitStatus, Kind, Pid, Reason, SpawnFault, State, Supervisor, UnitId};

impl Supervisor {
    pub(crate) fn step(&mut self, event: Event<'_>) {
        match event {
            Event::Ask { unit, ask } => self.ask(unit, ask),
            Event::Spawned { unit, pid } => self.spawned(unit, pid),
            Event::SpawnFailed { unit, fault } => self.spawn_failed(unit, fault),
            Event::Exited { pid, status } => self.exited(pid, status),
            Event::Emptied { unit } => self.emptied(unit),
            Event::MainFound { unit, pid } => self.main_found(unit, pid),
            Event::MainLost { unit, status } => self.main_lost(unit, status),
            Event::Condition { name, holds } => self.condition(name, holds),
            Event::Shutdown { power, force } => self.shut_down(power, force),
            Event::StraysGone => self.strays_gone(),
            Event::FilesystemsClosed => self.filesystems_closed(),
            Event::Tick => {}
        }
    }

    fn spawned(&mut self, id: UnitId, pid: Pid) {
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "Spawned") };
        if !slot.spawning {
            return self.unexpected(Some(id), "Spawned");
        }
        slot.spawning = false;
        let (state, kind, reason) = (slot.state, slot.unit.kind, slot.reason);
        let _ = self.pids.insert(pid, id.0);
        match state {
            State::Starting { since, .. } => match kind {
                Kind::Simple => self.rise(id, Some(pid), reason),
                Kind::Forking | Kind::Oneshot { .. } | Kind::Target => {
                    self.enter(id, State::Starting { pid: Some(pid), since }, reason);
                }
            },
            State::Stopping { kill_at, .. } => {
                self.signal_stop(id);
                self.enter(id, State::Stopping { pid: Some(pid), kill_at }, reason);
            }
            State::Sweeping { since, .. } => {
                self.push(Action::Sweep { unit: id });
                self.enter(id, State::Sweeping { pid: Some(pid), since }, reason);
            }
            State::Down
            | State::Seeking { .. }
            | State::Up { .. }
            | State::Backoff { .. }
            | State::Failed => self.unexpected(Some(id), "Spawned"),
        }
    }

    fn spawn_failed(&mut self, id: UnitId, fault: SpawnFault) {
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "SpawnFailed") };
        if !slot.spawning {
            return self.unexpected(Some(id), "SpawnFailed");
        }
        slot.spawning = false;
        let (state, reason) = (slot.state, slot.reason);
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
            State::Stopping { .. } | State::Sweeping { .. } => self.gone(id, reason),
            State::Down
            | State::Seeking { .. }
            | State::Up { .. }
            | State::Backoff { .. }
            | State::Failed => self.unexpected(Some(id), "SpawnFailed"),
        }
    }

    /// Processes that are nobody's main process are reaped by `init`; nothing follows here.
    fn exited(&mut self, pid: Pid, status: ExitStatus) {
        let Some(id) = self.pids.remove(&pid).map(UnitId) else { return };
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        slot.last_exit = Some(status);
        let (kind, reason) = (slot.unit.kind, slot.reason);
        match slot.state {
            State::Starting { since, .. } => self.starter_exited(id, status, now.since(since)),
            State::Up { since, .. } => match kind {
                Kind::Forking => {
                    slot.moving = true;
                    self.seek(id, reason);
                }
                Kind::Simple | Kind::Oneshot { .. } | Kind::Target => {
                    let verdict = backoff::verdict(kind, status);
                    let next = self.after_end(id, verdict, Some(now.since(since)));
                    self.set_next(id, next);
                    self.sweep(id, None, Reason::Exited(status));
                }
            },
            State::Stopping { .. } => self.sweep(id, None, reason),
            State::Sweeping { since, .. } => {
                self.enter(id, State::Sweeping { pid: None, since }, reason);
            }
            State::Down | State::Seeking { .. } | State::Backoff { .. } | State::Failed => {
                self.unexpected(Some(id), "Exited");
            }
        }
    }

    /// A oneshot came to its end, or a launcher did.
    fn starter_exited(&mut self, id: UnitId, status: ExitStatus, run: u64) {
        let Some(slot) = self.slot_mut(id) else { return };
        let (kind, reason) = (slot.unit.kind, Reason::Exited(status));
        let verdict = backoff::verdict(kind, status);
        match (kind, status) {
            (Kind::Forking, ExitStatus::Code(0)) => {
                let reason = slot.reason;
                self.seek(id, reason);
            }
            (Kind::Oneshot { remain_after_exit: true }, ExitStatus::Code(0)) => {
                self.rise(id, None, reason);
            }
            (Kind::Oneshot { .. }, ExitStatus::Code(0)) => {
                let next = self.after_end(id, verdict, Some(run));
                self.set_next(id, next);
                self.sweep(id, None, reason);
            }
            (Kind::Simple | Kind::Forking | Kind::Oneshot { .. } | Kind::Target, _) => {
                // A launcher that a clean signal ended has still not started anything.
                let verdict = match verdict {
                    Verdict::Success => Verdict::Abnormal,
                    Verdict::Failure | Verdict::Abnormal => verdict,
                };
                let next = self.after_end(id, verdict, None);
                self.set_next(id, next);
                self.sweep(id, None, reason);
            }
        }
    }

    fn seek(&mut self, id: UnitId, reason: Reason) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        slot.seeking = true;
        let since = match slot.state {
            State::Starting { since, .. } => since,
            State::Down
            | State::Seeking { .. }
            | State::Up { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => now,
        };
        self.push(Action::SeekMain { unit: id });
        self.enter(id, State::Seeking { since }, reason);
    }

    fn emptied(&mut self, id: UnitId) {
        let Some(slot) = self.slot(id) else { return self.unexpected(None, "Emptied") };
        match slot.state {
            // Of a spawn whose answer is still to come.
            State::Sweeping { .. } if slot.spawning => {}
            State::Sweeping { .. } => self.gone(id, slot.reason),
            State::Down
            | State::Starting { .. }
            | State::Seeking { .. }
            | State::Up { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Failed => self.unexpected(Some(id), "Emptied"),
        }
    }

    fn main_found(&mut self, id: UnitId, pid: Pid) {
        let Some(slot) = self.slot(id) else { return self.unexpected(None, "MainFound") };
        let (state, reason) = (slot.state, slot.reason);
        let taken = self.pids.get(&pid).is_some_and(|owner| *owner != id.0);
        if taken || !slot.seeking {
            // Before `SeekMain` the launcher lives and the claim is provisional: not believed yet.
            if taken || !matches!(state, State::Starting { .. }) {
                self.unexpected(Some(id), "MainFound");
            }
            return;
        }
        match state {
            State::Seeking { .. } => {
                let _ = self.pids.insert(pid, id.0);
                self.rise(id, Some(pid), reason);
            }
            State::Up { pid: old, since } => {
                if old != Some(pid) {
                    self.unmap(id, old);
                    let _ = self.pids.insert(pid, id.0);
                    self.enter(id, State::Up { pid: Some(pid), since }, reason);
                }
            }
            State::Stopping { pid: None, .. } => {
                let _ = self.pids.insert(pid, id.0);
                let kill_at = self.stop_span(id).map(|span| self.now.after(span));
                self.enter(id, State::Stopping { pid: Some(pid), kill_at }, reason);
            }
            State::Stopping { pid: Some(_), .. } | State::Sweeping { .. } => {}
            State::Down | State::Starting { .. } | State::Backoff { .. } | State::Failed => {
                self.unexpected(Some(id), "MainFound");
            }
        }
    }

    fn main_lost(&mut self, id: UnitId, status: Option<ExitStatus>) {
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "MainLost") };
        let reason = slot.reason;
        if status.is_some() {
            slot.last_exit = status;
        }
        let pid = slot.pid();
        match slot.state {
            State::Seeking { .. } if slot.moving => self.main_is_gone(id),
            State::Seeking { .. } => {
                let verdict = match status {
                    Some(ExitStatus::Code(_)) => Verdict::Failure,
                    Some(ExitStatus::Signal { .. }) | None => Verdict::Abnormal,
                };
                let next = self.after_end(id, verdict, None);
                self.set_next(id, next);
                self.sweep(id, None, Reason::MainLost(status));
            }
            State::Up { pid: Some(_), .. } if slot.seeking => {
                slot.last_exit = status;
                self.unmap(id, pid);
                self.main_is_gone(id);
            }
            State::Stopping { .. } if slot.seeking => {
                self.unmap(id, pid);
                self.sweep(id, None, reason);
            }
            // The launcher still decides, or nothing is left to decide.
            State::Starting { .. } | State::Sweeping { .. } => {}
            State::Up { .. }
            | State::Stopping { .. }
            | State::Down
            | State::Backoff { .. }
            | State::Failed => {
                self.unexpected(Some(id), "MainLost");
            }
        }
    }

    fn condition(&mut self, name: &str, holds: bool) {
        let Some(bit) = self.condition_bit(name, holds) else { return };
        let mask = 1_u64.wrapping_shl(u32::from(bit));
        let held = self.holding & mask != 0;
        if held == holds {
            return;
        }
        self.holding ^= mask;
        self.facts_changed = true;
        for id in self.each() {
            if let Some(slot) = self.slot(id).filter(|slot| slot.conditions & mask != 0) {
                let position = slot.position;
                self.dirty.put(position);
            }
        }
    }

    pub(crate) fn follow_goal(&mut self, id: UnitId) {
        self.set_next(id, Next::Goal);
    }
}
