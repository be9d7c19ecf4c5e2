//! What a story does to the machine, and what it sees of it.

use super::checks::Checks;
use super::fleet::{Fewer, Fleet};
use super::machine::{Coming, Role, World};
use super::script::{KILLED, Script};
use ettan_core::{Ask, Event, Haste, Millis, Pid, Power, State, UnitId, View};
use std::collections::{BTreeSet, VecDeque};
use std::hash::Hasher;

impl World {
    // ---- what a story does -------------------------------------------------------------------

    pub fn load(&mut self, fleet: Fleet) {
        self.note(&format!("load {} units", fleet.0.len()));
        self.fleet = fleet;
        self.checks.cut.clear();
        let fleet = std::mem::take(&mut self.fleet);
        self.supervisor.load(Millis(self.now), &fleet);
        self.fleet = fleet;
        Checks::learn(self);
        self.drain();
    }

    /// As `load`, of a catalog that says of these that they are one less of what was asked for.
    pub fn load_ending(&mut self, fleet: Fleet, ended: &'static [&'static str]) {
        self.note(&format!("load {} units, {} ended", fleet.0.len(), ended.len()));
        self.checks.cut.clear();
        self.supervisor.load(Millis(self.now), &Fewer { fleet: &fleet, ended });
        self.fleet = fleet;
        Checks::learn(self);
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
    pub fn reload(&mut self, name: &str) {
        self.ask(name, Ask::Reload);
    }
    pub fn condition(&mut self, name: &'static str, holds: bool) {
        self.handle(Event::Condition { name, holds });
    }
    /// The wall clock is set to this second.
    pub fn wall(&mut self, second: i64) {
        let up_ms = i64::try_from(self.now).expect("not that long");
        self.handle(Event::Wall { ahead_ms: second * 1000 - up_ms });
    }
    pub fn shutdown(&mut self, power: Power, force: bool) {
        let haste = if force { Haste::Force } else { Haste::Orderly };
        self.handle(Event::Shutdown { power, haste });
    }
    pub fn power_fails(&mut self) {
        self.handle(Event::Shutdown { power: Power::PowerOff, haste: Haste::PowerFails });
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
            | State::Finishing { pid, .. }
            | State::Stopping { pid, .. }
            | State::Sweeping { pid, .. } => pid.map(Pid::raw),
            State::Awaiting { pid, .. } => Some(pid.raw()),
            State::Down
            | State::Preparing { .. }
            | State::Seeking { .. }
            | State::Cleaning { .. }
            | State::Backoff { .. }
            | State::Failed => None,
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

    /// The news since the last `expect` or `skip`.
    pub fn news(&self) -> impl Iterator<Item = &str> {
        self.news.iter().map(AsRef::as_ref)
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

    /// Runs until the power action, which must come in time.
    pub fn run_to_power(&mut self) -> (Power, u64) {
        let began = self.now;
        // Some units ask for it themselves, and soon.
        let limit =
            |world: &Self| world.supervisor.shutdown_ends().map_or(began + 30_000, |at| at.0);
        while self.power.is_none() && self.turn(limit(self)) {}
        match self.power {
            Some(power) => (power, self.now - began),
            None => self.fail("no power action in time"),
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
                Event::Entering { unit, .. }
                | Event::Spawned { unit, .. }
                | Event::SpawnFailed { unit, .. }
                | Event::Announced { unit }
                | Event::Emptied { unit }
                | Event::MainFound { unit, .. }
                | Event::MainLost { unit, .. },
            )
            | Coming::Daemon(unit, ..)
            | Coming::Executes(unit, ..) => *unit == id,
            Coming::Event(Event::Exited { pid, .. }) => self.supervisor.unit_of(*pid) == Some(id),
            Coming::Event(_) | Coming::End(..) | Coming::Ready(..) => false,
        })
    }
}
