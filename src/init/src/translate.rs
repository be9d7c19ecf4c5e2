//! What the kernel said → `Event`. Takes news from descriptors; decides nothing.

use crate::degraded::Task;
use crate::pid1::Pid1;
use crate::places::Outcome;
use crate::seek::{Seekers, View};
use crate::start::fault_of;
use crate::state;
use crate::wake::token;
use ettan_core::{Event, ExitStatus, Pid, State, UnitId};
use ettan_sys::poll::Ready;
use ettan_sys::reap::{self, Status};
use ettan_sys::reexec;

/// Children reaped in one turn; the rest wait for the next, so that a storm of orphans leaves
/// room for everything else (`tests/FAULTS.md` 1.13, 1.14).
const REAP_MAX: u32 = 1_024;

impl Pid1 {
    /// One ready descriptor.
    pub(crate) fn translate(&mut self, ready: &Ready) {
        match ready.token {
            token::SIGNALS => self.read_signals(),
            token::INOTIFY => self.read_changes(),
            // Written to at the end of the turn.
            token::LOGGER => {}
            token::PROBER => self.hear_prober(),
            token::WALL => self.wall_was_set(),
            place if place & token::PLACES != 0 => {
                let unit = u16::try_from(place & !token::PLACES).ok().map(UnitId);
                if let Some(unit) = unit.filter(|unit| self.places.is_over(*unit)) {
                    self.prepared(unit);
                }
            }
            _ => self.serve(ready),
        }
    }

    /// Children that have ended, a bounded number of them.
    pub(crate) fn reap(&mut self) {
        self.wake.reap_more = true;
        for _ in 0..REAP_MAX {
            let reaped = match reap::reap() {
                Ok(Some(reaped)) => reaped,
                Ok(None) => {
                    self.degraded.heal(self.now, Task::Reaping);
                    self.wake.reap_more = false;
                    break;
                }
                Err(errno) => {
                    self.degraded.note(self.now, Task::Reaping, errno);
                    self.wake.reap_more = false;
                    break;
                }
            };
            self.guard.work = true;
            if let Some(pid) = Pid::new(reaped.pid) {
                self.tell_exited(pid, status_of(reaped.status));
            }
        }
        self.seekers.look_soon(self.now);
        self.look_for_strays();
    }

    /// What changed in a watched directory. A descriptor that cannot be read is made anew.
    pub(crate) fn read_changes(&mut self) {
        match self.seekers.read_changes(self.now) {
            Ok(changed) => self.guard.work |= changed,
            Err(errno) => {
                self.degraded.note(self.now, Task::Watching, errno);
                self.groups.lose_watches();
                self.wake.lose_changes();
            }
        }
    }

    /// The process that prepares the unit's place has executed the program, or can say no more.
    pub(crate) fn prepared(&mut self, unit: UnitId) {
        self.guard.work = true;
        let name = self.supervisor.unit(unit).map_or("", |unit| unit.name.as_str());
        if let Some((pid, Outcome::Executed)) =
            self.places.close(unit, name, self.wake.epoll.as_ref())
        {
            self.feed(Event::Spawned { unit, pid });
        }
    }

    /// A process has ended; of one that prepared a place, why it executes nothing.
    pub(crate) fn tell_end(&mut self, unit: Option<UnitId>, pid: Pid, status: ExitStatus) {
        if let Some(unit) = self.places.unit_of(pid) {
            self.prepared(unit);
        }
        match (unit, self.places.fault_of(pid)) {
            (Some(unit), Some(fault)) => {
                self.feed(Event::SpawnFailed { unit, fault: fault_of(fault) });
            }
            (_, _) => self.feed(Event::Exited { pid, status }),
        }
    }

    fn tell_exited(&mut self, pid: Pid, status: ExitStatus) {
        let unit = self.supervisor.unit_of(pid);
        if unit.is_some() {
            // Nobody else will ever learn of it: a fault before it is written down takes it along.
            reexec::hold(state::held(pid, status));
        }
        match unit {
            Some(unit) => {
                self.inherit(unit, pid);
                self.groups.forget_reaped(unit, pid);
            }
            None => self.seekers.remember_reaped(pid, status),
        }
        self.check_ended(pid, status);
        self.closer_ended(pid, status);
        let loader = self.builtins.map(|builtins| builtins.loader);
        let loaded = unit.is_some() && unit == loader;
        if loaded {
            // Before the next loader, which may follow at once, gets a table of its own.
            self.tables.finish(status == ExitStatus::Code(0));
        }
        self.tell_end(unit, pid, status);
        if unit.is_some() && self.supervisor.has_changed() {
            self.save(true);
        }
        reexec::hold(0);
        if loaded {
            self.finish_loading();
        }
    }

    /// Units of whose last run nothing is left by now.
    pub(crate) fn tell_swept(&mut self) {
        loop {
            let swept = self.with_reserve(
                |pid1| pid1.groups.swept(&pid1.supervisor, pid1.seekers.inotify()),
                |pid1, swept| pid1.groups.trouble().filter(|_| swept.is_none()),
            );
            let Some(event) = swept else { break };
            self.feed(event);
        }
        match self.groups.trouble() {
            Some(errno) => self.degraded.note(self.now, Task::Looking, errno),
            None => self.degraded.heal(self.now, Task::Looking),
        }
    }

    /// What a look at processes and PID files needs to see.
    pub(crate) fn split(&mut self) -> (&mut Seekers, View<'_>) {
        let view =
            View { supervisor: &self.supervisor, groups: &self.groups, tables: &self.tables };
        (&mut self.seekers, view)
    }

    /// PID files that name a main process by now.
    pub(crate) fn look_for_main_processes(&mut self) {
        loop {
            let now = self.now;
            let (seekers, view) = self.split();
            let Some(found) = seekers.look(now, &view) else { return };
            self.guard.work = true;
            let Some(event) = found else { continue };
            if let Event::MainFound { unit, pid } = event {
                self.remember_main(unit, pid);
            }
            self.feed(event);
        }
    }

    /// What the core is about to be told. It goes on with the one it knows where that is ending.
    pub(crate) fn remember_main(&mut self, unit: UnitId, pid: Pid) {
        let ends = self.supervisor.view(unit).is_some_and(|view| {
            matches!(view.state, State::Stopping { pid: Some(_), .. } | State::Sweeping { .. })
        });
        if !ends {
            self.groups.remember_main(unit, pid);
        }
    }
}

pub(crate) fn status_of(status: Status) -> ExitStatus {
    match status {
        Status::Code(code) => ExitStatus::Code(code),
        Status::Signal { signal, core } => ExitStatus::Signal { signal, core },
    }
}
