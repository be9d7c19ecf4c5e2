//! Goes on where the execution before this one was: takes its units and descriptors over, finds
//! what ended or began without being written down. Never makes a second instance of anything.

use crate::group::{COOKIE_KEY, Groups, Launched, each_pid, runs_beside};
use crate::helper::Helper;
use crate::past::Past;
use crate::pid1::Pid1;
use crate::pipes::{LogPolicy, Pipes};
use crate::probes::Probing;
use crate::start::errors_are_apart;
use crate::state::{NONE, Part};
use ettan_core::{
    Ask, Event, ExitStatus, Kind, Pid, Program, SpawnFault, State, Step, Supervisor, UnitId,
};
use ettan_sys::procfs::{self, Stat};
use ettan_sys::{Errno, clock, pipe, signals};

/// How a process ended that nobody saw end: as the worst of ends.
const UNSEEN: ExitStatus = ExitStatus::Signal { signal: signals::KILL, core: false };

/// The log pipe of PID 1 itself, and the logger's socket.
pub(crate) fn pipes(past: &mut Past) -> Pipes {
    let Some(whole) = past.whole().copied() else { return Pipes::new() };
    let Some(record) = whole.own_pipe else { return Pipes::new() };
    let Some(ends) = past.take_pipe(&record.output) else { return Pipes::new() };
    let logger = past.take(whole.logger);
    let doors = whole.doors.map(|number| past.take(number));
    Pipes::again(ends, logger, doors)
}

/// The prober's socket, and that of sd_notify.
pub(crate) fn probes(past: &mut Past) -> Probing {
    let [prober, notify] = past.whole().map_or([NONE; 2], |whole| whole.probes);
    let (prober, notify) = (past.take(prober), past.take(notify));
    Probing::new(notify, prober)
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
                && let Some(output) = self.past.take_pipe(&record.output)
            {
                let errors = record.errors.and_then(|errors| self.past.take_pipe(&errors));
                let owner = self.supervisor.unit(*unit).map(|unit| unit.name.clone());
                self.pipes.take_over(*unit, &owner.unwrap_or_default(), (output, errors), record);
            }
        }
        self.take_places_over(parts);
        self.closing.take_over(Pid::new(whole.closer));
        self.loading.again_at = whole.reload_at.map(ettan_core::Millis);
        self.loading.last = ettan_core::Millis(whole.last_reload);
        self.control.set_boot_over(whole.boot_over);
        let listener = self.past.take(whole.listener);
        self.past.close_rest();
        self.begin(listener);
        let table = self.tables.table();
        let catalog = table.as_ref().map(|table| table as &dyn ettan_core::Catalog);
        self.supervisor.restored(self.now, catalog, whole.acting);
        self.answer_spawns();
        self.answer_preparations();
        // What ended while nobody looked.
        self.reap();
        self.miss_the_vanished();
        self.feed(Event::Tick);
        if self.tables.table().is_none() {
            // None yet, or one of another version: the unit files say the same.
            self.reload();
        }
        self.save(false);
        log::info!("{} units taken over", parts.len());
    }

    /// Who prepared a unit's place goes on, and tells us.
    fn take_places_over(&mut self, parts: &[(UnitId, Part)]) {
        for (unit, part) in parts.iter().filter(|(_, part)| part.place != NONE) {
            // A hook prepares beside the program; at most one of the two does.
            let pid = self
                .supervisor
                .view(*unit)
                .and_then(|view| view.hook.map_or_else(|| view.state.pid(), |hook| hook.pid));
            // A number that stands for something else by now is no end of a pipe to read from.
            let report = self.past.take(part.place).filter(|report| {
                pipe::identity(report).is_ok() && pipe::is_write_end(report) == Ok(false)
            });
            if let (Some(pid), Some(report)) = (pid, report) {
                self.places.put(*unit, pid, report);
            }
        }
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

    /// Starts under way when the records were written: each has happened, or has not. A child
    /// that was born has been executed since, so that its cookie or its cgroup shows.
    fn answer_spawns(&mut self) {
        let awaited = |id| self.supervisor.awaits_spawn(id).map(|what| (id, what));
        let waiting: Vec<(UnitId, Program)> = self.supervisor.units().filter_map(awaited).collect();
        if !waiting.is_empty() {
            await_executions();
        }
        for (unit, what) in waiting {
            if let Program::Hook(..) = what {
                let event = self.answer_hook(unit, what);
                self.feed(event);
                continue;
            }
            let is_helper = self.supervisor.unit(unit).is_some_and(|unit| unit.builtin);
            // What an earlier run has left may be older than what was started.
            let alone = !self.supervisor.spares(unit);
            let found = self
                .first_member(unit)
                .filter(|_| alone)
                .or_else(|| self.child_with(|groups, pid| groups.has_cookie(unit, pid)));
            let event = match found {
                Some(pid) if is_helper || is_in_stage(pid.raw()) => {
                    // What it was given is lost: it starts again, with new sockets and pipes.
                    let _ = ettan_sys::process::kill(pid.raw(), signals::KILL);
                    Event::SpawnFailed { unit, fault: AGAIN }
                }
                Some(pid) => {
                    let cookie = self.groups.launched(unit).cookie;
                    self.groups.remember(unit, Launched { cookie, ..launched(pid) });
                    Event::Spawned { unit, pid }
                }
                None => Event::SpawnFailed { unit, fault: AGAIN },
            };
            self.feed(event);
        }
    }

    /// Whoever prepared a unit's place had said that it is done, and a fault came before that was
    /// written down: the program runs, or never will.
    fn answer_preparations(&mut self) {
        let enters = |unit: &UnitId| self.supervisor.is_entering(*unit);
        let units: Vec<UnitId> = self.supervisor.units().filter(enters).collect();
        for unit in units {
            let view = self.supervisor.view(unit);
            let pid = view.and_then(|v| v.hook.map_or_else(|| v.state.pid(), |hook| hook.pid));
            let Some(pid) = pid.filter(|pid| !self.places.holds(unit, *pid)) else { continue };
            if is_in_stage(pid.raw()) {
                // Nobody would hear what it says; its end is heard.
                let _ = ettan_sys::process::kill(pid.raw(), signals::KILL);
            } else {
                self.feed(Event::Spawned { unit, pid });
            }
        }
    }

    /// A hook's cookie is its own: the program, which may run beside it, has another.
    fn answer_hook(&mut self, unit: UnitId, what: Program) -> Event<'static> {
        let Some(pid) = self.child_with(|groups, pid| groups.has_cookie_of(unit, what, pid)) else {
            return Event::SpawnFailed { unit, fault: AGAIN };
        };
        if runs_beside(what) {
            self.groups.remember_beside(unit, pid);
        } else {
            let cookie = self.groups.launched(unit).cookie;
            self.groups.remember(unit, Launched { cookie, ..launched(pid) });
        }
        Event::Spawned { unit, pid }
    }

    /// Our oldest child that `is_its`.
    fn child_with(&self, is_its: impl Fn(&Groups, i32) -> bool) -> Option<Pid> {
        let mut oldest = Oldest::default();
        each_pid(|pid| {
            if let Some(child) = child(pid).filter(|child| !child.is_zombie())
                && is_its(&self.groups, pid)
            {
                oldest.meet(pid, &child);
            }
        });
        oldest.pid()
    }

    /// Our oldest child in the unit's cgroup: what was executed for it.
    fn first_member(&self, unit: UnitId) -> Option<Pid> {
        if !self.groups.has_tree() || self.supervisor.unit(unit).is_none_or(|unit| unit.builtin) {
            return None;
        }
        let mut oldest = Oldest::default();
        self.groups.each_member(&self.supervisor, unit, |pid| {
            if let Some(child) = child(pid) {
                oldest.meet(pid, &child);
            }
        });
        oldest.pid()
    }

    /// Ends that were reaped and not written down any more: the process is gone, and nobody
    /// will ever say how.
    fn miss_the_vanished(&mut self) {
        let units: Vec<UnitId> = self.supervisor.units().collect();
        for unit in units {
            let Some(view) = self.supervisor.view(unit) else { continue };
            let hook = view.hook.and_then(|hook| hook.pid);
            for pid in [view.state.pid(), hook].into_iter().flatten() {
                self.miss(unit, pid);
            }
        }
    }

    /// Tells of the end of a process that is gone.
    fn miss(&mut self, unit: UnitId, pid: Pid) {
        // A child that was not reaped is there, and after an execution that was asked for
        // everything reaped was written down.
        let launched = self.groups.launched(unit);
        let is_child = launched.first == pid.raw() && launched.first_lives;
        if !(self.past.asked_for && is_child || self.is_still(unit, pid)) {
            let name = self.supervisor.unit(unit).map_or("", |unit| unit.name.as_str());
            let status = match self.past.held {
                Some((held, status)) if held == pid => status,
                Some(_) | None => {
                    log::warn!("{name}: process {} ended while nobody looked", pid.raw());
                    UNSEEN
                }
            };
            self.groups.forget_reaped(unit, pid);
            self.tell_end(Some(unit), pid, status);
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

    /// Whether something of a unit whose record was lost runs, and is taken over.
    pub(crate) fn adoptable(&self, unit: UnitId) -> bool {
        self.past.adopts && !self.past.met.contains(&unit) && self.first_member(unit).is_some()
    }

    /// A start of a unit whose record was lost: what already runs of it is taken over, or ended
    /// first. None: nothing runs, it may start.
    pub(crate) fn adopt(&mut self, unit: UnitId) -> Option<Result<Pid, SpawnFault>> {
        if !self.past.adopts || self.past.met.contains(&unit) {
            return None;
        }
        let policy = self.supervisor.unit(unit).filter(|unit| !unit.builtin)?;
        let kind = policy.kind;
        let launch = self.tables.launch(&policy.name)?;
        let (log, apart) = (LogPolicy::of(&launch), errors_are_apart(&launch));
        let (mut members, mut outputs) = (0_u32, [None; 2]);
        self.groups.each_member(&self.supervisor, unit, |pid| {
            members = members.saturating_add(1);
            for (output, number) in outputs.iter_mut().zip(1..) {
                *output = output.or_else(|| procfs::output_of(pid, number));
            }
        });
        if members == 0 {
            self.meet(unit);
            return None;
        }
        let name = self.supervisor.unit(unit).map_or("", |unit| unit.name.as_str());
        let Some(pid) = self.first_member(unit) else {
            log::warn!("{name}: {members} processes of a run before are ended first");
            self.groups.end_members(&self.supervisor, unit);
            return Some(Err(AGAIN));
        };
        log::warn!("{name}: process {} was found running and is kept", pid.raw());
        self.meet(unit);
        // What it would say of being ready it has said.
        self.probes.begin(unit, true);
        let is_launcher = kind == Kind::Forking;
        self.groups.remember(
            unit,
            if is_launcher {
                Launched { first: 0, first_lives: false, ..launched(pid) }
            } else {
                launched(pid)
            },
        );
        let owner = self.supervisor.unit(unit).map(|unit| unit.name.clone());
        let owner = owner.unwrap_or_default();
        self.pipes.find_ends(unit, &owner, log, &mut self.past.spare, (outputs, apart));
        if is_launcher {
            // It ended long ago, and well, since the daemon is there: now the PID file says who.
            self.past.launched = Some(pid);
        }
        Some(Ok(pid))
    }

    /// Whatever is of the unit from now on was started by us.
    fn meet(&mut self, unit: UnitId) {
        // Its memory is taken at boot, for all units there can be.
        if self.past.met.len() < ettan_core::MAX_UNITS {
            self.past.met.push(unit);
        }
    }

    /// The end of a launcher that was found gone: what follows an adopted forking unit's start.
    pub(crate) fn end_of_launcher(&mut self) -> Option<Event<'static>> {
        let pid = self.past.launched.take()?;
        Some(Event::Exited { pid, status: ExitStatus::Code(0) })
    }

    /// Units whose processes outlived the records, but that nothing starts by itself, were started
    /// by somebody: so they are now, and are taken over.
    pub(crate) fn start_what_runs(&mut self) {
        if !self.past.adopts {
            return;
        }
        for unit in (0..u16::try_from(ettan_core::MAX_UNITS).unwrap_or(0)).map(UnitId) {
            let is_down =
                self.supervisor.view(unit).is_some_and(|view| view.goal == ettan_core::Goal::Down);
            let is_service = self.supervisor.unit(unit).is_some_and(|unit| !unit.builtin);
            let is_lost = !self.past.met.contains(&unit);
            if is_down && is_service && is_lost && self.first_member(unit).is_some() {
                self.feed(Event::Ask { unit, ask: Ask::Start });
            }
        }
    }
}

/// Not now, but soon.
const AGAIN: SpawnFault = SpawnFault { step: Step::Fork, errno: Errno::AGAIN.raw_os_error() };

/// What can be known of a launch whose record was lost.
fn launched(pid: Pid) -> Launched {
    let born = procfs::stat(pid.raw()).map_or(0, |stat| stat.start_time);
    Launched {
        cookie: 0,
        born,
        first: pid.raw(),
        first_lives: true,
        main: 0,
        main_born: 0,
        beside: 0,
    }
}

/// Started by Ettan, or by something that Ettan started.
fn is_launched(pid: i32) -> bool {
    procfs::first_environment_begins(pid, COOKIE_KEY) == Some(true)
}

/// Has not executed the unit's program yet.
fn is_in_stage(pid: i32) -> bool {
    Helper::Enter.runs_as(pid)
}

/// How long a child may show neither environment nor arguments, milliseconds.
const EXECUTING_MS: u32 = 50;

/// The kernel lets PID 1 go on in the middle of its child's execve(2), when the old memory is let
/// go of; until the new one is laid out, the child has no environment that anybody could look at.
/// Some program may have been executed without any: so there is an end to the waiting.
fn await_executions() {
    for _ in 0..EXECUTING_MS {
        let mut is_executing = false;
        each_pid(|pid| {
            let is_child = |stat: procfs::Stat| stat.ppid == 1 && !stat.is_zombie();
            is_executing |= procfs::stat(pid).is_some_and(is_child)
                && procfs::first_environment_has(pid, COOKIE_KEY).is_none();
        });
        if !is_executing {
            return;
        }
        clock::pause(1);
    }
}

/// What is known of the process, if it is a child of ours.
fn child(pid: i32) -> Option<Stat> {
    procfs::stat(pid).filter(|stat| stat.ppid == 1)
}

/// The oldest of the processes that it meets.
#[derive(Default)]
struct Oldest(Option<(u64, Pid)>);

impl Oldest {
    fn meet(&mut self, pid: i32, stat: &Stat) {
        if let Some(pid) = Pid::new(pid)
            && self.0.is_none_or(|(born, _)| stat.start_time < born)
        {
            self.0 = Some((stat.start_time, pid));
        }
    }

    fn pid(&self) -> Option<Pid> {
        self.0.map(|(_, pid)| pid)
    }
}

/// A helper that is to be there once; the logger ends by itself when it has written everything.
fn is_helper(pid: i32) -> bool {
    let helpers = [Helper::Load, Helper::Watch, Helper::Probe];
    procfs::stat(pid).is_some_and(|stat| stat.ppid == 1)
        && helpers.iter().any(|helper| helper.runs_as(pid))
}

/// The main process that the unit's state names, if it is up or its commands after the start run.
pub(crate) fn known_main(supervisor: &Supervisor, unit: UnitId) -> Option<Pid> {
    match supervisor.view(unit)?.state {
        State::Finishing { pid, .. } | State::Up { pid, .. } => pid,
        State::Down
        | State::Preparing { .. }
        | State::Starting { .. }
        | State::Seeking { .. }
        | State::Awaiting { .. }
        | State::Stopping { .. }
        | State::Sweeping { .. }
        | State::Cleaning { .. }
        | State::Backoff { .. }
        | State::Failed => None,
    }
}
