//! Fifty services that announce themselves, every other one forking, and what was counted of
//! them. Whoever is due is killed; a start that nobody asked for shows, and so does one that
//! does not come.

use super::channel::{Channel, Handle};
use super::dice::Dice;
use super::lines::Lines;
use super::watch::Watch;
use crate::binaries::{Program, look};
use crate::{Builder, Cgroups, Machine, Namespace, Operate};
use std::time::{Duration, Instant};

/// How many there are.
pub(crate) const SERVICES: usize = 50;

/// A service that is not back by then is missed.
const MISSED: Duration = Duration::from_secs(10);

/// Where the services find the channel and their locks.
pub(crate) const PLACE: &str = "/soak";

/// As fast as a unit file can ask for: the build with fault injection has no floor of its own.
const EAGER: &str =
    "min-uptime-sec = \"1ms\"\nrestart-sec = \"1ms\"\nrestart-max-delay-sec = \"1ms\"\n";

/// What is asked of a herd.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The time limit of it all.
    pub(crate) seconds: u64,
    /// Services that are never killed and write line after line.
    pub(crate) chatterers: usize,
    /// Units besides, by name and text.
    pub(crate) more: Vec<(&'static str, String)>,
    /// A shell command that is run inside before process 1 starts.
    pub(crate) before: String,
    pub(crate) cgroups: Cgroups,
    /// Services are killed by others too, so that starts nobody asked for mean nothing.
    pub(crate) others_kill: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seconds: 120,
            chatterers: 0,
            more: Vec::new(),
            before: String::new(),
            cgroups: Cgroups::Own,
            others_kill: false,
        }
    }
}

/// The machine and all its services.
#[derive(Debug)]
pub(crate) struct Herd {
    pub(crate) machine: Namespace,
    pub(crate) watch: Watch,
    pub(crate) dice: Dice,
    channel: Channel,
    services: Vec<Service>,
    /// What the chatterers write.
    lines: Vec<Lines>,
    others_kill: bool,
    /// What was counted of all of them.
    pub(crate) counts: Counts,
}

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) starts: u64,
    pub(crate) kills: u64,
    /// Starts that found another instance alive.
    pub(crate) doubles: u64,
    /// Starts of what nobody had killed.
    pub(crate) unasked: u64,
    /// Services that did not come back in time.
    pub(crate) missed: u64,
    /// From each kill to the announcement of the successor.
    pub(crate) delays: Vec<Duration>,
}

#[derive(Debug, Default)]
struct Service {
    life: Option<Life>,
    /// When it was killed, if it was.
    killed: Option<Instant>,
}

#[derive(Debug)]
struct Life {
    process: Handle,
    ends: Instant,
}

impl Herd {
    /// Boots a machine with all of them; returns when all have announced themselves.
    pub(crate) fn boot(plan: Plan) -> Self {
        for program in [Program::FailingInit, Program::SoakWorker] {
            assert!(look(program).is_some(), "{program:?} is not built: tests/run soak does it");
        }
        let builder = Builder::default().seconds(plan.seconds).command(&["/sbin/init-failing"]);
        let mut machine = builder.cgroups(plan.cgroups).build();
        machine.write(&format!("{PLACE}/locks"), b"");
        let channel = Channel::new(&machine.root().join("soak/channel"));
        for number in 0..SERVICES {
            machine.unit(&name(number), &unit(number));
        }
        for (name, text) in &plan.more {
            machine.unit(name, text);
        }
        let chatterers = SERVICES..SERVICES + plan.chatterers;
        let mut lines = Vec::new();
        for number in chatterers.clone() {
            let (name, logs) = (name(number), machine.root().join("run/log/ettan"));
            machine.unit(&name, &chatterer(number));
            lines.push(Lines::new(logs.join(name).join("current")));
        }
        assert_eq!(machine.sh(&plan.before).code, 0, "{}", plan.before);
        machine.boot();
        let watch = Watch::new(machine.init());
        let services = (0..chatterers.end).map(|_| Service::default()).collect();
        let others_kill = plan.others_kill;
        let (dice, counts) = (Dice::new(), Counts::default());
        let mut herd = Self { machine, watch, dice, channel, services, lines, others_kill, counts };
        herd.gather();
        herd
    }

    /// Waits until every service is there, or is missed.
    pub(crate) fn gather(&mut self) {
        while self.services.iter().any(|service| service.life.is_none()) && self.counts.missed == 0
        {
            assert!(!self.machine.limit().over(), "not all services are there: {:?}", self.counts);
            self.wait(Duration::from_millis(50));
            self.take_in(|_| Duration::MAX);
        }
    }

    /// Waits at most so long for whatever comes first: an announcement, a look, an end.
    pub(crate) fn wait(&mut self, at_most: Duration) {
        let now = Instant::now();
        let lives = self.services.iter().filter_map(|service| service.life.as_ref());
        let next_end = lives.map(|life| life.ends.saturating_duration_since(now)).min();
        let time = at_most.min(self.watch.due_in()).min(next_end.unwrap_or(at_most));
        self.channel.wait(time);
        if self.watch.look() {
            self.lines.iter_mut().for_each(Lines::follow);
        }
    }

    /// Counts who has started; `lives` says how long each may.
    pub(crate) fn take_in(&mut self, mut lives: impl FnMut(&mut Dice) -> Duration) {
        while let Some(announced) = self.channel.next() {
            let now = Instant::now();
            let service = self.services.get_mut(announced.number).expect("one of the services");
            self.counts.starts += 1;
            self.counts.doubles += u64::from(!announced.alone);
            if let Some(before) = service.life.as_ref().filter(|_| !self.others_kill) {
                self.counts.unasked += 1;
                let (number, lives) = (announced.number, before.process.lives());
                eprintln!("soak: {number} started unasked; the one before lives: {lives}");
            }
            if let Some(killed) = service.killed.take() {
                self.counts.delays.push(now - killed);
            }
            let mortal = announced.number < SERVICES;
            let span = if mortal { lives(&mut self.dice) } else { Duration::MAX };
            let span = span.min(Duration::from_secs(86_400));
            service.life = Some(Life { process: announced.process, ends: now + span });
        }
        self.look_for_missed();
    }

    /// Those who live may do so as long as `lives` says from now on.
    pub(crate) fn doom(&mut self, mut lives: impl FnMut(&mut Dice) -> Duration) {
        let mortals = self.services.iter_mut().take(SERVICES);
        for life in mortals.filter_map(|service| service.life.as_mut()) {
            life.ends = Instant::now() + lives(&mut self.dice);
        }
    }

    /// Kills those whose time is over, and all at once if `all`; at most so many.
    pub(crate) fn kill_due(&mut self, all: bool, at_most: u64) {
        let now = Instant::now();
        let mut left = at_most;
        for service in self.services.iter_mut().take(SERVICES) {
            let due = service.life.as_ref().is_some_and(|life| all || life.ends <= now);
            if !due || left == 0 {
                continue;
            }
            if let Some(life) = service.life.take() {
                left -= 1;
                service.killed = Some(Instant::now());
                self.counts.kills += u64::from(life.process.kill());
            }
        }
    }

    fn look_for_missed(&mut self) {
        for (number, service) in self.services.iter_mut().enumerate() {
            if service.killed.is_some_and(|killed| killed.elapsed() > MISSED) {
                service.killed = None;
                self.counts.missed += 1;
                eprintln!("soak: {} is missed: {}", number, self.machine.status(&name(number)));
            }
        }
    }

    /// Lines that the chatterers' logs have, and how many of them are not as they were written.
    pub(crate) fn lines(&mut self) -> (u64, u64) {
        self.lines.iter_mut().for_each(Lines::follow);
        let all = self.lines.iter().map(|lines| (lines.seen, lines.lost));
        all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// What PID 1 itself has counted: starts nobody asked for.
    pub(crate) fn restarts(&self) -> u64 {
        let one = |number| {
            let request = format!(r#"{{"verb":"status","unit":"{}"}}"#, name(number));
            let answer = self.machine.ask(&request, &["unit"]);
            answer.iter().filter_map(|packet| packet["restarts"].as_u64()).sum::<u64>()
        };
        (0..SERVICES).map(one).sum()
    }
}

fn chatterer(number: usize) -> String {
    format!("[service]\nexec-start = \"/usr/bin/soak-worker {PLACE} {number} chatter\"\n")
}

fn name(number: usize) -> String {
    format!("s{number:02}")
}

/// Simple and forking take turns; of the forking ones some write the PID file themselves.
fn unit(number: usize) -> String {
    let (name, worker) = (name(number), format!("/usr/bin/soak-worker {PLACE} {number}"));
    let file = format!("/run/{name}.pid");
    let forking = |writer| {
        format!(
            "type = \"forking\"\npid-file = \"{file}\"\nexec-start = \"{worker} {writer} {file}\"\n"
        )
    };
    let kind = match number % 4 {
        1 => forking("launcher"),
        3 => forking("parent"),
        _ => format!("exec-start = \"{worker}\"\n"),
    };
    format!("[service]\n{kind}{EAGER}")
}
