//! The machine: clock, processes, queue of things to come; performs actions as `init` would.

use super::checks::Checks;
use super::fleet::Fleet;
use super::script::{Rng, Script};
use ettan_core::{
    Action, Event, ExitStatus, Millis, Notice, Phase, Power, State, Supervisor, UnitId,
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
    Hook,
}

#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub unit: UnitId,
    pub role: Role,
    pub script: Script,
    /// Not ended with the run: its unit's kill-mode was `process` when it began.
    pub spared: bool,
    /// It got KILL, and takes its time.
    pub killed: bool,
}

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
pub enum Coming {
    Event(Event<'static>),
    /// The process ends, if it still lives.
    End(i32, ExitStatus),
    /// The unit whose main process this is, is ready.
    Ready(UnitId, i32),
    /// The daemon of the launcher with this pid comes into being, or dies at once.
    Daemon(UnitId, i32, Script),
    /// The process has prepared its place, and executes.
    Executes(UnitId, i32, Script),
}

/// The machine and the supervisor under test.
pub struct World {
    pub supervisor: Box<Supervisor>,
    pub now: u64,
    pub rng: Rng,
    pub fleet: Fleet,
    pub processes: BTreeMap<i32, Process>,
    /// Scripts of the next starts, per unit name; the last one stays.
    pub(super) scripts: HashMap<String, VecDeque<Script>>,
    /// Where there is no script: any behaviour, or a good one.
    pub chaos: bool,
    pub(super) queue: BTreeMap<(u64, u64, u64), Coming>,
    pub(super) sequence: u64,
    pub(super) next_pid: i32,
    pub(super) seeking: BTreeSet<u16>,
    pub(super) sweeping: BTreeSet<u16>,
    /// The launcher of each unit's present start, until it is swept.
    pub(super) launches: BTreeMap<u16, i32>,
    /// Daemons that died before they were found.
    pub(super) dead_daemons: BTreeMap<u16, Option<ExitStatus>>,
    /// Daemons that show themselves only to those who wait (a PID file not written yet).
    pub(super) silent: BTreeSet<i32>,
    /// Strays end this long after TERM, and after KILL; None never.
    pub strays: (Option<u64>, Option<u64>),
    pub close_ms: Option<u64>,
    /// What KILL ended is reaped this long after its unit's group shows that it is gone.
    pub late_ms: Option<u64>,
    /// How often file systems were to be closed.
    pub closings: u32,
    pub power: Option<Power>,
    pub checks: Checks,
    /// State changes and the like since the last `expect`.
    pub news: VecDeque<String>,
    /// The signals that were sent, a thousand at most: `web 15 Main`.
    pub signals: Vec<String>,
    pub(super) lines: VecDeque<String>,
    pub(super) hash: DefaultHasher,
    pub events: u64,
    pub spawns: BTreeMap<String, u64>,
    pub(super) seed: u64,
    /// Answers come while the actions are being taken, as `init` gives them, and not later.
    pub instant: bool,
    pub(super) draining: bool,
    pub(super) answers: VecDeque<Event<'static>>,
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
            late_ms: None,
            closings: 0,
            power: None,
            checks: Checks::default(),
            news: VecDeque::new(),
            signals: Vec::new(),
            lines: VecDeque::new(),
            hash: DefaultHasher::new(),
            events: 0,
            spawns: BTreeMap::new(),
            seed,
            told: false,
            instant: false,
            draining: false,
            answers: VecDeque::new(),
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

    pub(super) fn happen(&mut self, coming: Coming) {
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
            // `init` finds its unit by name: one that is gone is not told.
            Coming::Event(Event::Announced { unit }) if self.supervisor.unit(unit).is_none() => {}
            Coming::Event(event) => self.handle(event),
            Coming::End(pid, status) => self.end(pid, status),
            Coming::Executes(unit, pid, script) => self.executes(unit, pid, script),
            Coming::Ready(unit, pid) => {
                // `init` drops what was said of a former run.
                let state = self.supervisor.view(unit).map(|view| view.state);
                if state.and_then(|state| state.pid()).is_some_and(|now| now.raw() == pid) {
                    self.handle(Event::Ready { unit });
                }
            }
            Coming::Daemon(unit, launcher, script) => {
                if self.launches.get(&unit.0) == Some(&launcher) {
                    self.daemon_appears(unit, script);
                }
            }
        }
    }

    /// `tie` 0 comes before anything else of the same moment; else the dice decide.
    pub(super) fn later(&mut self, span: u64, first: bool, coming: Coming) {
        let tie = if first { 0 } else { 1 + self.rng.below(1 << 20) };
        self.sequence += 1;
        self.queue.insert((self.now + span, tie, self.sequence), coming);
    }

    /// What `init` learns from performing an action: at once, or before anything else happens.
    pub(super) fn answer(&mut self, first: bool, event: Event<'static>) {
        if self.instant && self.draining {
            self.answers.push_back(event);
        } else {
            self.later(0, first, Coming::Event(event));
        }
    }

    pub fn handle(&mut self, event: Event<'_>) {
        self.events += 1;
        if !matches!(event, Event::Tick) {
            self.note(&format!("> {event:?}"));
        }
        self.supervisor.handle(Millis(self.now), event);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        let mut actions = 0;
        while let Some(action) = self.supervisor.next_action() {
            actions += 1;
            if actions > 200_000 {
                self.fail("it does not come to rest");
            }
            self.draining = true;
            self.perform(action);
            self.draining = false;
            while let Some(event) = self.answers.pop_front() {
                self.note(&format!("> {event:?}"));
                self.supervisor.handle(Millis(self.now), event);
            }
        }
        Checks::after_event(self);
    }

    pub(super) fn perform(&mut self, action: Action) {
        if self.power.is_some() {
            self.fail(&format!("after the power action: {action:?}"));
        }
        Checks::before_action(self, &action);
        if !matches!(action, Action::Publish(_)) {
            self.note(&format!("< {action:?}"));
        }
        match action {
            Action::Spawn { unit, what } => self.spawn(unit, what),
            Action::Announce { unit } => {
                self.later(2, false, Coming::Event(Event::Announced { unit }));
            }
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
            Action::KillRest => {
                self.news.push_back("killed the rest".into());
                self.sweep_rest();
            }
            Action::CloseFilesystems => {
                self.closings += 1;
                if let Some(span) = self.close_ms {
                    self.later(span, false, Coming::Event(Event::FilesystemsClosed));
                }
            }
            Action::Power(power) => self.power = Some(power),
        }
    }

    // ---- the trace ---------------------------------------------------------------------------

    pub fn name(&self, unit: UnitId) -> String {
        self.supervisor.unit(unit).map_or_else(|| "?".into(), |unit| unit.name.to_string())
    }

    /// The prober learns that a unit is to become ready.
    fn probe(&mut self, notice: Notice) {
        let Notice::State { unit, to: State::Awaiting { pid, .. }, .. } = notice else { return };
        let ready_ms = self.processes.get(&pid.raw()).and_then(|known| known.script.ready_ms);
        if let Some(span) = ready_ms {
            self.later(span, false, Coming::Ready(unit, pid.raw()));
        }
    }

    pub(super) fn publish(&mut self, notice: Notice) {
        self.probe(notice);
        let news = match notice {
            Notice::State { unit, to, .. } => format!("{} {}", self.name(unit), to.name()),
            Notice::Hook { unit, stage, nth, .. } => {
                format!("{} hook {stage:?} {nth}", self.name(unit))
            }
            Notice::Reload { unit, end: Ok(()) } => format!("{} reloaded", self.name(unit)),
            Notice::Reload { unit, .. } => format!("{} not-reloaded", self.name(unit)),
            Notice::GaveUp { unit } => format!("{} gave-up", self.name(unit)),
            Notice::CrashLooping { unit, .. } => format!("{} crash-looping", self.name(unit)),
            Notice::Unkillable { unit, .. } => format!("{} unkillable", self.name(unit)),
            Notice::Health { unit, well } => {
                format!("{} {}", self.name(unit), if well { "well" } else { "unwell" })
            }
            Notice::PassedOver { unit } => format!("{} passed-over", self.name(unit)),
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

    pub(super) fn note(&mut self, text: &str) {
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
