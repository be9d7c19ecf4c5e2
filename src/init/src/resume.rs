//! Goes on where the execution before this one was: takes its units and descriptors over, finds
//! what ended or began without being written down. Never makes a second instance of anything.

use crate::group::{Launched, each_pid};
use crate::past::Past;
use crate::pid1::Pid1;
use crate::pipes::{LogPolicy, Pipes};
use crate::state::Part;
use ettan_core::{Event, ExitStatus, Kind, Pid, SpawnFault, State, Step, Supervisor, UnitId};
use ettan_sys::{Errno, procfs, signals};

/// How a process ended that nobody saw end: as the worst of ends.
const UNSEEN: ExitStatus = ExitStatus::Signal { signal: signals::KILL, core: false };

/// The log pipe of PID 1 itself, and the logger's socket.
pub(crate) fn pipes(past: &mut Past) -> Pipes {
    let Some(whole) = past.whole().copied() else { return Pipes::new() };
    let Some(record) = whole.own_pipe else { return Pipes::new() };
    let Some(ends) = past.take_pipe(&record) else { return Pipes::new() };
    let logger = past.take(whole.logger);
    let doors = whole.doors.map(|number| past.take(number));
    Pipes::again(ends, &record, logger, doors)
}

/// The units as they were, if there was an execution before and its records are whole.
pub(crate) fn units(past: &mut Past, supervisor: &mut Supervisor) -> Option<Vec<(UnitId, Part)>> {
    if !past.exists() {
        return None;
    }
    let parts = past.restore(supervisor);
    if parts.is_none() {
        // What was taken over so far is worth nothing without the rest.
        *supervisor = Supervisor::new();
        past.adopts = true;
        past.forget_records();
    }
    parts
}

impl Pid1 {
    /// Takes over what belongs to the units, and goes on.
    pub(crate) fn resume(&mut self, parts: &[(UnitId, Part)]) {
        #[cfg(feature = "fault-injection")]
        crate::fault::at("resume");
        let Some(whole) = self.past.whole().copied() else { return };
        let (table, coming) = (self.past.take(whole.table), self.past.take(whole.coming));
        self.tables.again(table, coming);
        for (unit, part) in parts {
            self.groups.remember(*unit, part.launched);
            if let Some(record) = &part.pipe
                && let Some(ends) = self.past.take_pipe(record)
            {
                self.pipes.take_over(*unit, ends, record);
            }
        }
        self.closer = Pid::new(whole.closer);
        self.reload_at = whole.reload_at.map(ettan_core::Millis);
        self.last_reload = ettan_core::Millis(whole.last_reload);
        self.control.set_boot_over(whole.boot_over);
        let listener = self.past.take(whole.listener);
        self.past.close_rest();
        self.begin(listener);
        let table = self.tables.table();
        let catalog = table.as_ref().map(|table| table as &dyn ettan_core::Catalog);
        self.supervisor.restored(self.now, catalog, whole.acting);
        self.answer_spawns();
        self.reap_all();
        self.miss_the_vanished();
        self.feed(Event::Tick);
        if self.tables.table().is_none() {
            // None yet, or one of another version: the unit files say the same.
            self.reload();
        }
        self.save(false);
        log::info!("{} units taken over", parts.len());
    }

    /// The records are lost: what our helpers were doing is done anew, what runs in a unit's
    /// cgroup waits to be taken over, and where there are none, nothing may be left.
    pub(crate) fn clear_away(&mut self) {
        self.past.close_rest();
        log::error!("the state of the execution before is lost: units are found by their cgroups");
        let tree = self.groups.has_tree();
        each_pid(|pid| {
            if pid != 1 && is_launched(pid) && (!tree || is_helper(pid)) {
                let _ = ettan_sys::process::kill(pid, signals::KILL);
            }
        });
    }

    /// Starts under way when the records were written: each has happened, or has not.
    fn answer_spawns(&mut self) {
        let waiting: Vec<UnitId> =
            self.supervisor.units().filter(|id| self.supervisor.awaits_spawn(*id)).collect();
        if waiting.is_empty() {
            return;
        }
        let known: Vec<i32> =
            self.supervisor.units().filter_map(|id| self.main_of_any(id)).collect();
        let mut strangers = false;
        for unit in waiting {
            let found = self.first_member(unit);
            strangers |= found.is_none();
            let event = match found {
                Some(pid) => {
                    self.groups.remember(unit, launched(pid));
                    Event::Spawned { unit, pid }
                }
                None => Event::SpawnFailed { unit, fault: AGAIN },
            };
            self.feed(event);
        }
        if strangers {
            // Started just before the fault, for a unit that has no cgroup: it starts again.
            each_pid(|pid| {
                let is_ours = procfs::stat(pid)
                    .is_some_and(|stat| stat.ppid == 1 && stat.session == pid && !stat.is_zombie());
                if is_ours && !known.contains(&pid) && is_launched(pid) && !self.has_group(pid) {
                    let _ = ettan_sys::process::kill(pid, signals::KILL);
                }
            });
        }
    }

    fn main_of_any(&self, unit: UnitId) -> Option<i32> {
        self.supervisor.view(unit).and_then(|view| view.state.pid()).map(Pid::raw)
    }

    fn has_group(&self, pid: i32) -> bool {
        self.supervisor
            .units()
            .filter(|id| self.supervisor.unit(*id).is_some_and(|unit| !unit.builtin))
            .any(|id| self.groups.has_tree() && self.groups.is_member(&self.supervisor, id, pid))
    }

    /// Our oldest child in the unit's cgroup: what was executed for it.
    fn first_member(&self, unit: UnitId) -> Option<Pid> {
        if !self.groups.has_tree() || self.supervisor.unit(unit).is_none_or(|unit| unit.builtin) {
            return None;
        }
        let mut oldest: Option<(u64, Pid)> = None;
        self.groups.each_member(&self.supervisor, unit, |pid| {
            let Some(stat) = procfs::stat(pid).filter(|stat| stat.ppid == 1) else { return };
            if let Some(pid) = Pid::new(pid)
                && oldest.is_none_or(|(born, _)| stat.start_time < born)
            {
                oldest = Some((stat.start_time, pid));
            }
        });
        oldest.map(|(_, pid)| pid)
    }

    /// Ends that were reaped and not written down any more: the process is gone, and nobody
    /// will ever say how.
    fn miss_the_vanished(&mut self) {
        let units: Vec<UnitId> = self.supervisor.units().collect();
        for unit in units {
            let Some(pid) = self.supervisor.view(unit).and_then(|view| view.state.pid()) else {
                continue;
            };
            if self.is_still(unit, pid) {
                continue;
            }
            let name = self.supervisor.unit(unit).map_or("", |unit| unit.name.as_str());
            log::warn!("{name}: process {} ended while nobody looked", pid.raw());
            self.groups.forget_first(unit, pid);
            self.feed(Event::Exited { pid, status: UNSEEN });
        }
    }

    /// Whether `pid` is still the process it was. Without /proc nobody can tell.
    fn is_still(&self, unit: UnitId, pid: Pid) -> bool {
        let Some(stat) = procfs::stat(pid.raw()) else {
            return procfs::stat(1).is_none();
        };
        if stat.is_zombie() {
            return stat.ppid == 1;
        }
        let launched = self.groups.launched(unit);
        if launched.main == pid.raw() && launched.main_born != 0 {
            return stat.start_time == launched.main_born;
        }
        let builtin = self.supervisor.unit(unit).is_some_and(|unit| unit.builtin);
        stat.ppid == 1
            && (builtin
                || !self.groups.has_tree()
                || self.groups.is_member(&self.supervisor, unit, pid.raw()))
    }

    /// A start of a unit whose record was lost: what already runs of it is taken over, or ended
    /// first. None: nothing runs, it may start.
    pub(crate) fn adopt(
        &mut self,
        unit: UnitId,
        kind: Kind,
        log: LogPolicy,
    ) -> Option<Result<Pid, SpawnFault>> {
        let (mut members, mut output) = (0_u32, None);
        self.groups.each_member(&self.supervisor, unit, |pid| {
            members = members.saturating_add(1);
            output = output.or(ettan_sys::procfs::output_of(pid));
        });
        if members == 0 {
            return None;
        }
        let survivor = self.first_member(unit);
        let name = self.supervisor.unit(unit).map_or("", |unit| unit.name.as_str());
        match (kind, survivor) {
            (Kind::Simple | Kind::Oneshot { .. }, Some(pid)) => {
                log::warn!("{name}: process {} was found running and is kept", pid.raw());
                self.groups.remember(unit, launched(pid));
                if let Some(identity) = output {
                    self.pipes.find_ends(unit, log, &mut self.past.spare, identity);
                }
                Some(Ok(pid))
            }
            (Kind::Simple | Kind::Oneshot { .. } | Kind::Forking | Kind::Target, _) => {
                log::warn!("{name}: {members} processes of a run before are ended first");
                self.groups.end_members(&self.supervisor, unit);
                Some(Err(AGAIN))
            }
        }
    }
}

/// Not now, but soon.
const AGAIN: SpawnFault = SpawnFault { step: Step::Fork, errno: Errno::AGAIN.raw_os_error() };

/// What can be known of a launch whose record was lost.
fn launched(pid: Pid) -> Launched {
    let born = procfs::stat(pid.raw()).map_or(0, |stat| stat.start_time);
    Launched { cookie: 0, born, first: pid.raw(), first_lives: true, main: 0, main_born: 0 }
}

/// Started by Ettan, or by something that Ettan started.
fn is_launched(pid: i32) -> bool {
    let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environ.split(|byte| *byte == 0).any(|entry| entry.starts_with(b"ETTAN_COOKIE="))
}

/// A helper that is to be there once; the logger ends by itself when it has written everything.
fn is_helper(pid: i32) -> bool {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let is_child = procfs::stat(pid).is_some_and(|stat| stat.ppid == 1);
    is_child
        && [&b"ettan-init\0load"[..], b"ettan-init\0watch"].iter().any(|h| command.starts_with(h))
}

/// Whether the unit is being looked for, or moved, by what its state says.
pub(crate) fn known_main(supervisor: &Supervisor, unit: UnitId) -> Option<Pid> {
    match supervisor.view(unit)?.state {
        State::Up { pid, .. } => pid,
        State::Down
        | State::Starting { .. }
        | State::Seeking { .. }
        | State::Stopping { .. }
        | State::Sweeping { .. }
        | State::Backoff { .. }
        | State::Failed => None,
    }
}
