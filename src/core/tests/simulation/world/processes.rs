//! The fake processes: how they come, what signals do to them, how they go.

use super::machine::{Coming, Process, Role, World};
use super::script::{KILLED, Main, Script, TERMED};
use ettan_core::{Event, ExitStatus, Kind, Pid, State, UnitId, Whom};

impl World {
    pub(super) fn process(&mut self, unit: UnitId, role: Role, script: Script) -> i32 {
        let pid = self.next_pid;
        self.next_pid += 1;
        self.processes.insert(pid, Process { unit, role, script });
        pid
    }

    pub(super) fn script_for(&mut self, unit: UnitId) -> Script {
        let policy = self.supervisor.unit(unit).expect("spawned").clone();
        if let Some(queue) = self.scripts.get_mut(policy.name.as_str()) {
            if queue.len() > 1 {
                return queue.pop_front().expect("some");
            }
            if let Some(script) = queue.front() {
                return *script;
            }
        }
        let oneshot = matches!(policy.kind, Kind::Oneshot { .. });
        if self.chaos {
            Script::random(&mut self.rng, oneshot)
        } else if oneshot {
            Script::runs(50, ExitStatus::Code(0))
        } else {
            Script::GOOD
        }
    }

    pub(super) fn spawn(&mut self, unit: UnitId) {
        let name = self.name(unit);
        *self.spawns.entry(name).or_default() += 1;
        let script = self.script_for(unit);
        if let Some(fault) = script.fault {
            return self.answer(true, Event::SpawnFailed { unit, fault });
        }
        let forking = self.supervisor.unit(unit).is_some_and(|unit| unit.kind == Kind::Forking);
        let role = if forking { Role::Launcher } else { Role::Main };
        let pid = self.process(unit, role, script);
        for _ in 0..script.leftovers {
            self.process(unit, Role::Leftover, script);
        }
        let id = Pid::new(pid).expect("positive");
        self.answer(true, Event::Spawned { unit, pid: id });
        if forking {
            self.dead_daemons.remove(&unit.0);
            self.launches.insert(unit.0, pid);
            let (span, status) = script.launcher;
            self.later(span.max(1), false, Coming::End(pid, status));
            match script.main {
                Main::After(span) | Main::Dies(span, _) => {
                    self.later(span.max(1), false, Coming::Daemon(unit, pid, script));
                }
                Main::Silent => {
                    let daemon = self.process(unit, Role::Main, script);
                    self.silent.insert(daemon);
                }
            }
        } else if let Some(span) = script.runs_ms {
            self.later(span.max(1), false, Coming::End(pid, script.ends));
        }
    }

    pub(super) fn daemon_appears(&mut self, unit: UnitId, script: Script) {
        match script.main {
            Main::Dies(_, status) => {
                self.dead_daemons.insert(unit.0, Some(status));
            }
            Main::After(_) | Main::Silent => {
                let pid = self.process(unit, Role::Main, script);
                if let Some(span) = script.runs_ms {
                    self.later(span.max(1), false, Coming::End(pid, script.ends));
                }
            }
        }
        self.look(unit);
    }

    /// What `init` finds when it reads the PID file of a unit that it seeks.
    pub(super) fn look(&mut self, unit: UnitId) {
        if !self.seeking.contains(&unit.0) {
            return;
        }
        let known = self.supervisor.view(unit).and_then(|view| match view.state {
            State::Up { pid, .. } => pid,
            _ => None,
        });
        let found = self.processes.iter().rev().find(|(pid, process)| {
            process.unit == unit && process.role == Role::Main && !self.silent.contains(pid)
        });
        if let Some((pid, _)) = found {
            let pid = Pid::new(*pid).expect("positive");
            if known != Some(pid) {
                self.later(0, false, Coming::Event(Event::MainFound { unit, pid }));
            }
        } else if let Some(status) = self.dead_daemons.remove(&unit.0) {
            self.later(0, false, Coming::Event(Event::MainLost { unit, status }));
        }
    }

    /// A process ends now.
    pub fn end(&mut self, pid: i32, status: ExitStatus) {
        self.tell_of_spawn(pid);
        let Some(process) = self.processes.remove(&pid) else { return };
        self.silent.remove(&pid);
        let unit = process.unit;
        if process.role == Role::Main
            && self.supervisor.unit(unit).is_some_and(|unit| unit.kind == Kind::Forking)
        {
            self.dead_daemons.insert(unit.0, Some(status));
        }
        let id = Pid::new(pid).expect("positive");
        self.check_empty(unit);
        self.look(unit);
        self.handle(Event::Exited { pid: id, status });
    }

    /// `init` tells of a spawn as soon as it has made it: never after the end of the process.
    pub(super) fn tell_of_spawn(&mut self, ended: i32) {
        let told = self.queue.iter().find_map(|(key, coming)| match coming {
            Coming::Event(Event::Spawned { pid, .. }) if pid.raw() == ended => Some(*key),
            Coming::Event(_) | Coming::End(..) | Coming::Daemon(..) => None,
        });
        if let Some(coming) = told.and_then(|key| self.queue.remove(&key)) {
            self.happen(coming);
        }
    }

    pub(super) fn check_empty(&mut self, unit: UnitId) {
        if self.sweeping.contains(&unit.0) && !self.processes.values().any(|p| p.unit == unit) {
            self.sweeping.remove(&unit.0);
            self.answer(false, Event::Emptied { unit });
        }
    }

    pub(super) fn signal(&mut self, unit: UnitId, signal: u8, whom: Whom) {
        let main = self.supervisor.view(unit).and_then(|view| match view.state {
            State::Up { pid, .. } | State::Starting { pid, .. } | State::Stopping { pid, .. } => {
                pid
            }
            _ => None,
        });
        let targets: Vec<(i32, Process)> = self
            .processes
            .iter()
            .map(|(pid, p)| (*pid, *p))
            .filter(|(_, p)| p.unit == unit)
            .collect();
        for (pid, process) in targets {
            if whom == Whom::Main && Some(pid) != main.map(Pid::raw) {
                continue;
            }
            match (signal, process.script.term_ms) {
                (9, _) => self.later(process.script.kill_ms, false, Coming::End(pid, KILLED)),
                (_, Some(span)) if process.role != Role::Leftover => {
                    self.later(span, false, Coming::End(pid, TERMED));
                }
                (_, Some(_) | None) => {}
            }
        }
    }

    pub(super) fn sweep(&mut self, unit: UnitId) {
        self.launches.remove(&unit.0);
        self.sweeping.insert(unit.0);
        let targets: Vec<(i32, Process)> = self
            .processes
            .iter()
            .map(|(pid, p)| (*pid, *p))
            .filter(|(_, p)| p.unit == unit)
            .collect();
        for (pid, process) in targets {
            self.later(process.script.kill_ms, false, Coming::End(pid, KILLED));
        }
        self.check_empty(unit);
    }

    /// KILL to everything that is no built-in unit's.
    pub(super) fn sweep_world(&mut self, signal: u8) {
        let targets: Vec<(i32, Process)> = self.processes.iter().map(|(p, q)| (*p, *q)).collect();
        for (pid, process) in targets {
            let builtin = self.supervisor.unit(process.unit).is_some_and(|unit| unit.builtin);
            if signal == 9 && !builtin {
                self.later(process.script.kill_ms, false, Coming::End(pid, KILLED));
            }
        }
    }
}
