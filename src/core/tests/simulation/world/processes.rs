//! The fake processes: how they come, what signals do to them, how they go.

use super::machine::{Coming, Process, Role, World};
use super::script::{KILLED, Main, Script, TERMED};
use ettan_core::{Event, ExitStatus, KillMode, Kind, Pid, Program, Stage, State, UnitId, Whom};

impl World {
    pub(super) fn process(&mut self, unit: UnitId, role: Role, script: Script) -> i32 {
        let pid = self.next_pid;
        self.next_pid += 1;
        let mode = self.supervisor.unit(unit).map(|unit| unit.kill_mode);
        let spared = mode == Some(KillMode::Process) && matches!(role, Role::Leftover | Role::Hook);
        self.processes.insert(pid, Process { unit, role, script, spared, killed: false });
        pid
    }

    fn hook_script(&mut self, name: &str) -> Script {
        if let Some(queue) = self.scripts.get_mut(name) {
            if queue.len() > 1 {
                return queue.pop_front().expect("some");
            }
            if let Some(script) = queue.front() {
                return *script;
            }
        }
        if self.chaos {
            let script = Script::random(&mut self.rng, true);
            // Some never end by themselves.
            let runs_ms = script.runs_ms.filter(|_| self.rng.chance(95));
            Script { runs_ms, ..script }
        } else {
            Script::runs(10, ExitStatus::Code(0))
        }
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

    pub(super) fn spawn(&mut self, unit: UnitId, what: Program) {
        match what {
            Program::Main => self.spawn_main(unit),
            Program::Hook(stage, nth) => self.spawn_hook(unit, stage, nth),
        }
    }

    /// A hook behaves as the script of `unit/Stage`; without one it ends well after 10 ms.
    fn spawn_hook(&mut self, unit: UnitId, stage: Stage, nth: u8) {
        let name = self.name(unit);
        *self.spawns.entry(format!("{name}/{stage:?}{nth}")).or_default() += 1;
        let script = self.hook_script(&format!("{name}/{stage:?}"));
        if let Some(span) = script.prepares_ms {
            let pid = self.process(unit, Role::Hook, script);
            self.answer(true, Event::Entering { unit, pid: Pid::new(pid).expect("positive") });
            return self.later(span, false, Coming::Executes(unit, pid, script));
        }
        if let Some(fault) = script.fault {
            return self.answer(true, Event::SpawnFailed { unit, fault });
        }
        let pid = self.process(unit, Role::Hook, script);
        self.hook_executed(unit, pid, script);
    }

    fn hook_executed(&mut self, unit: UnitId, pid: i32, script: Script) {
        for _ in 0..script.leftovers {
            self.process(unit, Role::Leftover, script);
        }
        self.answer(true, Event::Spawned { unit, pid: Pid::new(pid).expect("positive") });
        if let Some(span) = script.runs_ms {
            self.later(span.max(1), false, Coming::End(pid, script.ends));
        }
    }

    fn spawn_main(&mut self, unit: UnitId) {
        let name = self.name(unit);
        *self.spawns.entry(name).or_default() += 1;
        let script = self.script_for(unit);
        let forking = self.supervisor.unit(unit).is_some_and(|unit| unit.kind == Kind::Forking);
        let role = if forking { Role::Launcher } else { Role::Main };
        if let Some(span) = script.prepares_ms {
            let pid = self.process(unit, role, script);
            self.answer(true, Event::Entering { unit, pid: Pid::new(pid).expect("positive") });
            return self.later(span, false, Coming::Executes(unit, pid, script));
        }
        if let Some(fault) = script.fault {
            return self.answer(true, Event::SpawnFailed { unit, fault });
        }
        let pid = self.process(unit, role, script);
        self.executed(unit, pid, script);
    }

    /// The preparation is over, if nobody ended it.
    pub(super) fn executes(&mut self, unit: UnitId, pid: i32, script: Script) {
        let Some(role) = self.processes.get(&pid).map(|process| process.role) else { return };
        let Some(fault) = script.fault else {
            return match role {
                Role::Hook => self.hook_executed(unit, pid, script),
                Role::Main | Role::Launcher | Role::Leftover => self.executed(unit, pid, script),
            };
        };
        self.processes.remove(&pid);
        self.check_empty(unit);
        self.handle(Event::SpawnFailed { unit, fault });
    }

    fn executed(&mut self, unit: UnitId, pid: i32, script: Script) {
        let forking = self.supervisor.unit(unit).is_some_and(|unit| unit.kind == Kind::Forking);
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
            State::Up { pid, .. } | State::Finishing { pid, .. } => pid,
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
        let event = Event::Exited { pid: Pid::new(pid).expect("positive"), status };
        let late = self.late_ms(unit).filter(|_| status == KILLED);
        self.check_empty(unit);
        self.look(unit);
        match late {
            Some(span) => self.later(span, false, Coming::Event(event)),
            None => self.handle(event),
        }
    }

    /// The kernel empties a group before what was in it can be reaped.
    fn late_ms(&mut self, unit: UnitId) -> Option<u64> {
        let late = self.late_ms.or_else(|| self.chaos.then(|| self.rng.below(3)));
        late.filter(|_| self.sweeping.contains(&unit.0))
    }

    /// `init` tells of a spawn as soon as it has made it: never after the end of the process.
    pub(super) fn tell_of_spawn(&mut self, ended: i32) {
        let told = self.queue.iter().find_map(|(key, coming)| match coming {
            Coming::Event(Event::Spawned { pid, .. }) if pid.raw() == ended => Some(*key),
            Coming::Event(Event::Entering { pid, .. }) if pid.raw() == ended => Some(*key),
            Coming::Event(_)
            | Coming::End(..)
            | Coming::Ready(..)
            | Coming::Daemon(..)
            | Coming::Executes(..) => None,
        });
        if let Some(coming) = told.and_then(|key| self.queue.remove(&key)) {
            self.happen(coming);
        }
    }

    pub(super) fn check_empty(&mut self, unit: UnitId) {
        let left = |(pid, p): (&i32, &Process)| p.unit == unit && self.is_swept(unit, *pid);
        if self.sweeping.contains(&unit.0) && !self.processes.iter().any(left) {
            self.sweeping.remove(&unit.0);
            self.answer(false, Event::Emptied { unit });
        }
    }

    pub(super) fn signal(&mut self, unit: UnitId, signal: u8, whom: Whom) {
        if self.signals.len() < 1_000 {
            let name = self.name(unit);
            self.signals.push(format!("{name} {signal} {whom:?}"));
        }
        let main = self.supervisor.view(unit).and_then(|view| match view.state {
            State::Up { pid, .. }
            | State::Starting { pid, .. }
            | State::Finishing { pid, .. }
            | State::Stopping { pid, .. } => pid,
            _ => None,
        });
        let targets: Vec<(i32, Process)> = self
            .processes
            .iter()
            .map(|(pid, p)| (*pid, *p))
            .filter(|(_, p)| p.unit == unit)
            .collect();
        for (pid, process) in targets {
            let meant = match whom {
                Whom::All => true,
                Whom::Main => Some(pid) == main.map(Pid::raw),
                Whom::Process(one) => pid == one.raw(),
            };
            if !meant {
                continue;
            }
            match (signal, process.script.term_ms) {
                // To reload; who gets it is noted as if it were executed.
                (1, _) => {
                    let name = self.name(unit);
                    *self.spawns.entry(format!("{name}/HUP")).or_default() += 1;
                }
                (9, _) => {
                    if let Some(process) = self.processes.get_mut(&pid) {
                        process.killed = true;
                    }
                    self.later(process.script.kill_ms, false, Coming::End(pid, KILLED));
                }
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
        // One asked for again is answered once.
        let answer = Event::Emptied { unit };
        self.queue.retain(|_, coming| !matches!(coming, Coming::Event(event) if *event == answer));
        let targets: Vec<(i32, Process)> = self
            .processes
            .iter()
            .map(|(pid, p)| (*pid, *p))
            .filter(|(pid, p)| p.unit == unit && self.is_swept(unit, *pid))
            .collect();
        // The mode that counts is that of the end: a load may have changed it since the start.
        if self.supervisor.unit(unit).is_some_and(|unit| unit.kill_mode == KillMode::Process) {
            let stays = |pid: &i32| !targets.iter().any(|(target, _)| target == pid);
            let left = self.processes.iter_mut().filter(|(pid, p)| p.unit == unit && stays(pid));
            let others = |p: &Process| matches!(p.role, Role::Leftover | Role::Hook);
            left.filter(|(_, p)| others(p)).for_each(|(_, p)| p.spared = true);
        }
        for (pid, process) in targets {
            self.later(process.script.kill_ms, false, Coming::End(pid, KILLED));
        }
        self.check_empty(unit);
    }

    /// Whether a sweep of the unit is for this process of it.
    fn is_swept(&self, unit: UnitId, pid: i32) -> bool {
        let main = self.supervisor.view(unit).and_then(|view| view.state.pid());
        !self.supervisor.spares(unit) || main.is_some_and(|main| main.raw() == pid)
    }

    /// KILL to everything.
    pub(super) fn sweep_rest(&mut self) {
        let all: Vec<(i32, u64)> =
            self.processes.iter().map(|(pid, p)| (*pid, p.script.kill_ms)).collect();
        for (pid, span) in all {
            self.later(span, false, Coming::End(pid, KILLED));
        }
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
