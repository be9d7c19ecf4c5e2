//! The machine: clock, processes, queue of things to come; performs actions as `init` would.

use super::checks::Checks;
use super::fleet::Fleet;
use super::script::{KILLED, Main, Rng, Script, TERMED};
use ettan_core::{
    Action, Ask, Event, ExitStatus, Kind, Millis, Notice, Phase, Pid, Power, State, Supervisor,
    UnitId, View, Whom,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};

/// How many lines of the trace are kept for a failing test.
const KEPT: usize = 200;

/// What a process is to its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Main,
    Launcher,
    Leftover,
}

#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub unit: UnitId,
    pub role: Role,
    pub script: Script,
}

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
enum Coming {
    Event(Event<'static>),
    /// The process ends, if it still lives.
    End(i32, ExitStatus),
    /// The daemon of the launcher with this pid comes into being, or dies at once.
    Daemon(UnitId, i32, Script),
}

/// The machine and the supervisor under test.
pub struct World {
    pub supervisor: Box<Supervisor>,
    pub now: u64,
    pub rng: Rng,
    pub fleet: Fleet,
    pub processes: BTreeMap<i32, Process>,
    /// Scripts of the next starts, per unit name; the last one stays.
    scripts: HashMap<String, VecDeque<Script>>,
    /// Where there is no script: any behaviour, or a good one.
    pub chaos: bool,
    queue: BTreeMap<(u64, u64, u64), Coming>,
    sequence: u64,
    next_pid: i32,
    seeking: BTreeSet<u16>,
    sweeping: BTreeSet<u16>,
    /// The launcher of each unit's present start, until it is swept.
    launches: BTreeMap<u16, i32>,
    /// Daemons that died before they were found.
    dead_daemons: BTreeMap<u16, Option<ExitStatus>>,
    /// Daemons that show themselves only to those who wait (a PID file not written yet).
    silent: BTreeSet<i32>,
    /// Strays end this long after TERM, and after KILL; None never.
    pub strays: (Option<u64>, Option<u64>),
    pub close_ms: Option<u64>,
    pub power: Option<Power>,
    pub checks: Checks,
    /// State changes and the like since the last `expect`.
    news: VecDeque<String>,
    lines: VecDeque<String>,
    hash: DefaultHasher,
    pub events: u64,
    pub spawns: BTreeMap<String, u64>,
    seed: u64,
    /// Every line of the trace goes to standard output.
    pub told: bool,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut supervisor = Box::new(Supervisor::new());
        supervisor.seed(seed);
        Self {
            supervisor,
            now: 1_000,
            rng: Rng(seed),
            fleet: Fleet::default(),
            processes: BTreeMap::new(),
            scripts: HashMap::new(),
            chaos: false,
            queue: BTreeMap::new(),
            sequence: 0,
            next_pid: 100,
            seeking: BTreeSet::new(),
            sweeping: BTreeSet::new(),
            launches: BTreeMap::new(),
            dead_daemons: BTreeMap::new(),
            silent: BTreeSet::new(),
            strays: (Some(1), Some(1)),
            close_ms: Some(50),
            power: None,
            checks: Checks::default(),
            news: VecDeque::new(),
            lines: VecDeque::new(),
            hash: DefaultHasher::new(),
            events: 0,
            spawns: BTreeMap::new(),
            seed,
            told: false,
        }
    }

    /// Loads the units and lets the boot run until nothing happens at this moment any more.
    pub fn boot(specs: impl IntoIterator<Item = super::Spec>) -> Self {
        let mut world = Self::new(1);
        world.load(Fleet(specs.into_iter().collect()));
        world
    }

    /// As `boot`, with scripts in place before anything starts.
    pub fn boot_with(
        specs: impl IntoIterator<Item = super::Spec>,
        scripts: &[(&str, Script)],
    ) -> Self {
        let mut world = Self::new(1);
        for (name, script) in scripts {
            world.script(name, *script);
        }
        world.load(Fleet(specs.into_iter().collect()));
        world
    }

    // ---- what a story does -------------------------------------------------------------------

    pub fn load(&mut self, fleet: Fleet) {
        self.note(&format!("load {} units", fleet.0.len()));
        self.fleet = fleet;
        self.checks.cut.clear();
        let fleet = std::mem::take(&mut self.fleet);
        self.supervisor.load(Millis(self.now), &fleet);
        self.fleet = fleet;
        self.drain();
    }

    /// The next start of this unit goes like this; the last script given stays.
    pub fn script(&mut self, name: &str, script: Script) {
        self.scripts.entry(name.to_owned()).or_default().push_back(script);
    }

    /// From now on every start goes like this.
    pub fn always(&mut self, name: &str, script: Script) {
        self.scripts.insert(name.to_owned(), VecDeque::from([script]));
    }

    pub fn ask(&mut self, name: &str, ask: Ask) {
        let unit = self.id(name);
        self.handle(Event::Ask { unit, ask });
    }
    pub fn start(&mut self, name: &str) {
        self.ask(name, Ask::Start);
    }
    pub fn stop(&mut self, name: &str) {
        self.ask(name, Ask::Stop);
    }
    pub fn restart(&mut self, name: &str) {
        self.ask(name, Ask::Restart);
    }
    pub fn condition(&mut self, name: &'static str, holds: bool) {
        self.handle(Event::Condition { name, holds });
    }
    pub fn shutdown(&mut self, power: Power, force: bool) {
        self.handle(Event::Shutdown { power, force });
    }

    /// kill -9 of the main process.
    pub fn kill(&mut self, name: &str) {
        let unit = self.id(name);
        let pid = self.pid(name).unwrap_or_else(|| self.fail(&format!("{name} has no process")));
        let _ = unit;
        self.end(pid, KILLED);
        self.run_ms(0);
    }

    /// The daemon replaces itself: another process, then the old one ends.
    pub fn daemon_moves(&mut self, name: &str) {
        let unit = self.id(name);
        let old = self.pid(name).expect("has a process");
        let script = self.processes[&old].script;
        let new = self.process(unit, Role::Main, script);
        self.end(old, super::script::CLEAN);
        let _ = new;
        self.run_ms(0);
    }

    // ---- what a story sees -------------------------------------------------------------------

    pub fn id(&self, name: &str) -> UnitId {
        self.supervisor.find(name).unwrap_or_else(|| self.fail(&format!("no unit {name}")))
    }
    pub fn view(&self, name: &str) -> View<'_> {
        self.supervisor.view(self.id(name)).expect("found")
    }
    pub fn state(&self, name: &str) -> &'static str {
        self.view(name).state.name()
    }
    pub fn pid(&self, name: &str) -> Option<i32> {
        match self.view(name).state {
            State::Up { pid, .. }
            | State::Starting { pid, .. }
            | State::Stopping { pid, .. }
            | State::Sweeping { pid, .. } => pid.map(Pid::raw),
            State::Down | State::Seeking { .. } | State::Backoff { .. } | State::Failed => None,
        }
    }
    pub fn spawned(&self, name: &str) -> u64 {
        self.spawns.get(name).copied().unwrap_or(0)
    }
    pub fn living(&self, name: &str) -> usize {
        let unit = self.id(name);
        self.processes.values().filter(|process| process.unit == unit).count()
    }
    pub fn trace_hash(&self) -> u64 {
        self.hash.finish()
    }

    /// Lets time pass until exactly this news has come, of the units it names. Two virtual
    /// minutes at most.
    pub fn expect<const N: usize>(&mut self, expected: [&str; N]) {
        let limit = self.now + 120_000;
        let names: BTreeSet<&str> =
            expected.iter().filter_map(|line| line.split(' ').next()).collect();
        for line in expected {
            loop {
                match self.news.pop_front() {
                    Some(news) if news == line => break,
                    Some(news) if names.contains(news.split(' ').next().unwrap_or("")) => {
                        self.fail(&format!("expected `{line}`, but it was `{news}`"));
                    }
                    Some(_) => {}
                    None if self.now < limit && self.turn(limit) => {}
                    None => self.fail(&format!("expected `{line}`, and nothing came")),
                }
            }
        }
    }

    /// Forgets the news so far.
    pub fn skip(&mut self) {
        self.news.clear();
    }

    /// Nothing was said of these units since the last `expect`.
    pub fn expect_quiet(&self, names: &[&str]) {
        for news in &self.news {
            if names.contains(&news.split(' ').next().unwrap_or("")) {
                self.fail(&format!("nothing was to happen, but `{news}`"));
            }
        }
    }

    pub fn run_ms(&mut self, span: u64) {
        let end = self.now + span;
        while self.turn(end) {}
        self.now = self.now.max(end);
    }

    /// Runs until the power action, which must come within the bound.
    pub fn run_to_power(&mut self) -> (Power, u64) {
        let began = self.now;
        let limit = began + self.supervisor.shutdown_bound_ms();
        while self.power.is_none() && self.turn(limit) {}
        match self.power {
            Some(power) => (power, self.now - began),
            None => self.fail("no power action within the bound"),
        }
    }

    pub fn fail(&self, why: &str) -> ! {
        let lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        panic!(
            "{why}\n  at {} ms; again with ETTAN_SEED={}\n{}\n",
            self.now,
            self.seed,
            lines.join("\n")
        );
    }

    /// Whether an event about this unit is on its way.
    pub fn is_coming(&self, id: UnitId) -> bool {
        self.queue.values().any(|coming| match coming {
            Coming::Event(
                Event::Spawned { unit, .. }
                | Event::SpawnFailed { unit, .. }
                | Event::Emptied { unit }
                | Event::MainFound { unit, .. }
                | Event::MainLost { unit, .. },
            )
            | Coming::Daemon(unit, ..) => *unit == id,
            Coming::Event(_) | Coming::End(..) => false,
        })
    }

    // ---- the turning of time -----------------------------------------------------------------

    /// The next thing that happens until `end`; false: nothing does.
    pub fn turn(&mut self, end: u64) -> bool {
        if self.power.is_some() {
            return false;
        }
        let queued = self.queue.keys().next().copied();
        let deadline = self.supervisor.next_deadline().map(|at| at.0);
        let next = match (queued, deadline) {
            (Some(key), Some(deadline)) => key.0.min(deadline),
            (Some(key), None) => key.0,
            (None, Some(deadline)) => deadline,
            (None, None) => return false,
        };
        if next > end {
            return false;
        }
        self.now = self.now.max(next);
        match queued.filter(|key| key.0 <= self.now) {
            Some(key) => {
                if let Some(coming) = self.queue.remove(&key) {
                    self.happen(coming);
                }
            }
            None => self.handle(Event::Tick),
        }
        true
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Event(Event::MainFound { unit, pid }) => {
                // `init` looks and tells at the same moment; here something may come between.
                if self.processes.contains_key(&pid.raw()) && self.seeking.contains(&unit.0) {
                    self.handle(Event::MainFound { unit, pid });
                } else {
                    self.look(unit);
                }
            }
            Coming::Event(Event::MainLost { unit, status }) => {
                if self.seeking.contains(&unit.0) {
                    self.handle(Event::MainLost { unit, status });
                }
            }
            Coming::Event(event) => self.handle(event),
            Coming::End(pid, status) => self.end(pid, status),
            Coming::Daemon(unit, launcher, script) => {
                if self.launches.get(&unit.0) == Some(&launcher) {
                    self.daemon_appears(unit, script);
                }
            }
        }
    }

    /// `tie` 0 comes before anything else of the same moment; else the dice decide.
    fn later(&mut self, span: u64, first: bool, coming: Coming) {
        let tie = if first { 0 } else { 1 + self.rng.below(1 << 20) };
        self.sequence += 1;
        self.queue.insert((self.now + span, tie, self.sequence), coming);
    }

    pub fn handle(&mut self, event: Event<'_>) {
        self.events += 1;
        if !matches!(event, Event::Tick) {
            self.note(&format!("> {event:?}"));
        }
        self.supervisor.handle(Millis(self.now), event);
        self.drain();
    }

    fn drain(&mut self) {
        let mut actions = 0;
        while let Some(action) = self.supervisor.next_action() {
            actions += 1;
            if actions > 200_000 {
                self.fail("it does not come to rest");
            }
            self.perform(action);
        }
        Checks::after_event(self);
    }

    fn perform(&mut self, action: Action) {
        if self.power.is_some() {
            self.fail(&format!("after the power action: {action:?}"));
        }
        Checks::before_action(self, &action);
        if !matches!(action, Action::Publish(_)) {
            self.note(&format!("< {action:?}"));
        }
        match action {
            Action::Spawn { unit } => self.spawn(unit),
            Action::Signal { unit, signal, whom } => self.signal(unit, signal, whom),
            Action::Sweep { unit } => self.sweep(unit),
            Action::SeekMain { unit } => {
                self.seeking.insert(unit.0);
                self.look(unit);
            }
            Action::Forget { unit } => {
                self.seeking.remove(&unit.0);
                self.dead_daemons.remove(&unit.0);
            }
            Action::Publish(notice) => self.publish(notice),
            Action::KillStrays { signal } => {
                let span = if signal == 9 { self.strays.1 } else { self.strays.0 };
                self.sweep_world(signal);
                if let Some(span) = span {
                    self.later(span, false, Coming::Event(Event::StraysGone));
                }
            }
            Action::CloseFilesystems => {
                if let Some(span) = self.close_ms {
                    self.later(span, false, Coming::Event(Event::FilesystemsClosed));
                }
            }
            Action::Power(power) => self.power = Some(power),
        }
    }

    // ---- processes ---------------------------------------------------------------------------

    fn process(&mut self, unit: UnitId, role: Role, script: Script) -> i32 {
        let pid = self.next_pid;
        self.next_pid += 1;
        self.processes.insert(pid, Process { unit, role, script });
        pid
    }

    fn script_for(&mut self, unit: UnitId) -> Script {
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

    fn spawn(&mut self, unit: UnitId) {
        let name = self.name(unit);
        *self.spawns.entry(name).or_default() += 1;
        let script = self.script_for(unit);
        if let Some(fault) = script.fault {
            return self.later(0, true, Coming::Event(Event::SpawnFailed { unit, fault }));
        }
        let forking = self.supervisor.unit(unit).is_some_and(|unit| unit.kind == Kind::Forking);
        let role = if forking { Role::Launcher } else { Role::Main };
        let pid = self.process(unit, role, script);
        for _ in 0..script.leftovers {
            self.process(unit, Role::Leftover, script);
        }
        let id = Pid::new(pid).expect("positive");
        self.later(0, true, Coming::Event(Event::Spawned { unit, pid: id }));
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

    fn daemon_appears(&mut self, unit: UnitId, script: Script) {
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
    fn look(&mut self, unit: UnitId) {
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
    fn tell_of_spawn(&mut self, ended: i32) {
        let told = self.queue.iter().find_map(|(key, coming)| match coming {
            Coming::Event(Event::Spawned { pid, .. }) if pid.raw() == ended => Some(*key),
            Coming::Event(_) | Coming::End(..) | Coming::Daemon(..) => None,
        });
        if let Some(coming) = told.and_then(|key| self.queue.remove(&key)) {
            self.happen(coming);
        }
    }

    fn check_empty(&mut self, unit: UnitId) {
        if self.sweeping.contains(&unit.0) && !self.processes.values().any(|p| p.unit == unit) {
            self.sweeping.remove(&unit.0);
            self.later(0, false, Coming::Event(Event::Emptied { unit }));
        }
    }

    fn signal(&mut self, unit: UnitId, signal: u8, whom: Whom) {
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

    fn sweep(&mut self, unit: UnitId) {
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
    fn sweep_world(&mut self, signal: u8) {
        let targets: Vec<(i32, Process)> = self.processes.iter().map(|(p, q)| (*p, *q)).collect();
        for (pid, process) in targets {
            let builtin = self.supervisor.unit(process.unit).is_some_and(|unit| unit.builtin);
            if signal == 9 && !builtin {
                self.later(process.script.kill_ms, false, Coming::End(pid, KILLED));
            }
        }
    }

    // ---- the trace ---------------------------------------------------------------------------

    pub fn name(&self, unit: UnitId) -> String {
        self.supervisor.unit(unit).map_or_else(|| "?".into(), |unit| unit.name.to_string())
    }

    fn publish(&mut self, notice: Notice) {
        let news = match notice {
            Notice::State { unit, to, .. } => format!("{} {}", self.name(unit), to.name()),
            Notice::CrashLooping { unit, .. } => format!("{} crash-looping", self.name(unit)),
            Notice::Unkillable { unit, .. } => format!("{} unkillable", self.name(unit)),
            Notice::CycleBroken { unit, after } => {
                self.checks.cut.insert((unit, after));
                format!("{} cycle-broken {}", self.name(unit), self.name(after))
            }
            Notice::LeftOut { units } => format!("{units} left-out"),
            Notice::Shutdown { phase } => format!("shutdown {}", phase_name(phase)),
            Notice::Unexpected { .. } => self.fail(&format!("{notice:?}")),
        };
        self.note(&format!("! {news}"));
        // A long simulation reads none of it.
        if self.news.len() > 10_000 {
            self.news.clear();
        }
        self.news.push_back(news);
    }

    fn note(&mut self, text: &str) {
        let line = format!("{:>10} {text}", self.now);
        self.hash.write(line.as_bytes());
        if self.told {
            println!("{line}");
        }
        if self.lines.len() >= KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

pub fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Running => "running",
        Phase::StoppingUnits => "stopping-units",
        Phase::KillingStrays => "killing-strays",
        Phase::StoppingBuiltins => "stopping-builtins",
        Phase::ClosingFilesystems => "closing-filesystems",
        Phase::Off => "off",
    }
}
