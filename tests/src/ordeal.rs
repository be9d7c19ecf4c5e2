//! PID 1 at work while its system calls fail: services are killed and restarted, clients ask, unit
//! files are read again. Afterwards everything has to be as it was, and soon.

use crate::inject::{Injector, Plan, Tally, name};
use crate::units::{forking, shell};
use crate::{Builder, Client, Limit, Machine, Namespace, Operate, Process, Received};
use nix::libc;
use serde_json::Value;
use std::path::Path;
use std::time::Instant;

/// How calls fail: nothing left, for a moment or for long; broken; not there; forbidden.
pub const ERRNOS: [i32; 9] = [
    libc::EMFILE,
    libc::ENOMEM,
    libc::EAGAIN,
    libc::EIO,
    libc::EINTR,
    libc::ENOSYS,
    libc::EPERM,
    libc::ENFILE,
    libc::ENOSPC,
];

/// More failures of one kind than this in each begun tenth of a second mean that PID 1 spins.
const SPINS: u64 = 100;

/// All must be well again this many seconds after the last failure.
const HEALED_S: u64 = 5;

/// Services that are to be up whatever happens, and how their main process is found.
const SERVICES: [(&str, &str); 3] =
    [("web", "sleep 100001"), ("daemon", "--name daemon"), ("toggle", "sleep 100003")];

/// What is done to PID 1 in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A service and a forking daemon are killed, a third is restarted, clients look.
    Services,
    /// As `Services`, and unit files are read again. Takes a second, as often as one may.
    Reload,
}

/// A machine with services under an injector.
#[derive(Debug)]
pub struct Ordeal {
    machine: Namespace,
    injector: Injector,
    /// Of PID 1. While it boots, a call may fail that nothing but a new execution makes good.
    most_faults: u64,
}

/// What went wrong in a round, with what failed.
#[derive(Clone, Debug)]
pub struct Damage {
    /// What failed.
    pub plan: Plan,
    /// The last call that failed.
    pub call: String,
    /// What was found.
    pub found: String,
}

impl Ordeal {
    /// With services up and nothing failing. `seconds`: the limit of the whole test.
    ///
    /// # Panics
    /// When they do not come up.
    #[must_use]
    pub fn begin(seconds: u64) -> Self {
        let mut machine = with_services(seconds);
        machine.boot();
        machine.until("all services are up", |machine| disorder(machine, &[], 0).is_none());
        let injector = Injector::attach(machine.init(), "");
        Self { machine, injector, most_faults: 0 }
    }

    /// A boot under this plan, counted from the first call of `/sbin/init`.
    ///
    /// # Errors
    /// What is not as it should be 5 s later.
    pub fn boot(plan: Plan, seconds: u64) -> Result<Tally, Damage> {
        let mut machine = with_services(seconds);
        let injector = Injector::attach(machine.init(), "init");
        injector.plan(plan);
        machine.boot();
        let mut ordeal = Self { machine, injector, most_faults: 1 };
        let begun = Instant::now();
        if let Plan::Every { .. } = plan {
            let limit = Limit::seconds(HEALED_S);
            while ordeal.injector.tally().hits == 0 && !limit.over() && ordeal.machine.turn() {}
            ordeal.endure(&[]);
        }
        let outcome = ordeal.heal(plan, &[], begun);
        if outcome.is_err() {
            ordeal.machine.give_up();
        }
        outcome
    }

    /// Does some work under this plan, lifts it, and looks whether all is well.
    ///
    /// # Errors
    /// What is not as it should be 5 s later.
    pub fn round(&mut self, plan: Plan, work: Work) -> Result<Tally, Damage> {
        let begun = Instant::now();
        self.injector.plan(plan);
        let killed = self.work(work);
        match plan {
            // One failure heals without being lifted.
            Plan::Nothing | Plan::Nth { .. } => {}
            Plan::Every { .. } => self.endure(&killed),
        }
        self.heal(plan, &killed, begun)
    }

    /// A round for each of these calls, until there are no more calls in a round. The way they fail
    /// changes from one to the next, beginning with `from`.
    pub fn each_call(
        &mut self,
        calls: impl Iterator<Item = u64>,
        from: usize,
        work: Work,
    ) -> Vec<Damage> {
        let mut damages = Vec::new();
        for (nth, errno) in calls.zip(ERRNOS.into_iter().cycle().skip(from)) {
            match self.round(Plan::Nth { nth, errno }, work) {
                Ok(Tally { hits: 0, .. }) => break,
                Ok(_) => {}
                Err(damage) => damages.push(damage),
            }
        }
        damages
    }

    /// A round for each kind of call that PID 1 has made so far and each way of failing. For ever
    /// interrupted is none of them: nothing else could be done than to try again.
    pub fn each_kind(&mut self, errnos: impl Iterator<Item = i32> + Clone) -> Vec<Damage> {
        let mut damages = Vec::new();
        for call in self.kinds() {
            for errno in errnos.clone() {
                damages.extend(self.round(Plan::Every { call, errno }, Work::Services).err());
            }
        }
        damages
    }

    /// Waits until PID 1 itself says that nothing is degraded any more.
    ///
    /// # Panics
    /// When it does not come to that in time.
    #[track_caller]
    pub fn await_healed(&mut self) {
        self.machine.until("nothing is degraded", |machine| {
            answer(machine, r#"{"verb":"stats"}"#).is_some_and(|stats| stats["degraded"] == "")
        });
    }

    /// The kinds of calls that PID 1 has made.
    #[must_use]
    pub fn kinds(&self) -> Vec<u64> {
        self.injector.kinds()
    }

    /// The machine, for other questions.
    pub fn machine(&mut self) -> &mut Namespace {
        &mut self.machine
    }

    /// Gives the numbers of the processes that were killed.
    fn work(&mut self, work: Work) -> Vec<i32> {
        let clients =
            [r#"{"verb":"list"}"#, r#"{"verb":"restart","unit":"toggle"}"#, r#"{"verb":"stats"}"#];
        let clients: Vec<Client> =
            clients.iter().filter_map(|request| ask(&self.machine, request)).collect();
        if work == Work::Reload {
            let _ = ask(&self.machine, r#"{"verb":"reload-units"}"#);
        }
        let children = children(&self.machine);
        let mains = children.iter().filter(|child| {
            SERVICES.iter().take(2).any(|(_, command)| child.command.contains(command))
        });
        let killed: Vec<i32> = mains.map(|main| main.pid).collect();
        for pid in &killed {
            let pid = rustix::process::Pid::from_raw(*pid).expect("a process");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        drop(clients);
        killed
    }

    /// Lets a while pass in which the calls fail, or until all is well nevertheless.
    fn endure(&mut self, killed: &[i32]) {
        let limit = Limit::moment();
        while !limit.over() && self.machine.turn() {
            if self.injector.tally().hits > 3
                && disorder(&self.machine, killed, self.most_faults).is_none()
            {
                return;
            }
        }
    }

    fn heal(&mut self, plan: Plan, killed: &[i32], begun: Instant) -> Result<Tally, Damage> {
        if let Plan::Every { .. } = plan {
            let tally = self.injector.lift();
            let calm = calm(tally, begun);
            let order = self.await_order(killed);
            return judged(plan, tally, order.and(calm));
        }
        let order = self.await_order(killed);
        judged(plan, self.injector.lift(), order)
    }

    fn await_order(&mut self, killed: &[i32]) -> Result<(), String> {
        let limit = Limit::seconds(HEALED_S);
        loop {
            let Some(found) = disorder(&self.machine, killed, self.most_faults) else {
                return Ok(());
            };
            if limit.over() || !self.machine.turn() {
                return Err(found);
            }
        }
    }
}

fn judged(plan: Plan, tally: Tally, order: Result<(), String>) -> Result<Tally, Damage> {
    let damage = |found| Damage { plan, call: name(tally.last_hit), found };
    order.map(|()| tally).map_err(damage)
}

/// A busy machine stretches the tenth of a second that the calls fail for.
fn calm(tally: Tally, begun: Instant) -> Result<(), String> {
    let tenths = u64::try_from(begun.elapsed().as_millis().div_ceil(100)).unwrap_or(u64::MAX);
    let most = SPINS.saturating_mul(tenths);
    let spins = || format!("PID 1 spins, {tenths} tenths of a second: {tally:?}");
    (tally.hits <= most).then_some(()).ok_or_else(spins)
}

fn with_services(seconds: u64) -> Namespace {
    const AT_ONCE: &str =
        "min-uptime-sec = \"1ms\"\nrestart-sec = \"1ms\"\nrestart-max-delay-sec = \"1ms\"\n";
    let mut machine = Builder::default().seconds(seconds).build();
    machine.unit("web", &format!("{}{AT_ONCE}", shell("exec sleep 100001")));
    machine.unit("daemon", &format!("{}{AT_ONCE}", forking("daemon", "")));
    machine.unit("toggle", &format!("{}{AT_ONCE}", shell("exec sleep 100003")));
    machine
}

/// What is not as it should be: PID 1 has faulted or does not answer, a service is not up, not
/// there once, or still the process that was killed, or there is a zombie. PID 1 may have had
/// `most` faults.
fn disorder(machine: &Namespace, killed: &[i32], most: u64) -> Option<String> {
    let children = children(machine);
    for (unit, command) in SERVICES {
        let mine: Vec<_> =
            children.iter().filter(|child| child.command.contains(command)).collect();
        let [main] = mine.as_slice() else {
            return Some(format!("{unit} is there {} times: {children:?}", mine.len()));
        };
        if killed.contains(&main.pid) {
            return Some(format!("{unit} has not been killed: {children:?}"));
        }
    }
    if let Some(zombie) = children.iter().find(|child| child.is_zombie()) {
        return Some(format!("a zombie: {zombie:?}"));
    }
    for (unit, _) in SERVICES {
        let request = format!(r#"{{"verb":"is-active","unit":"{unit}"}}"#);
        match answer(machine, &request) {
            Some(told) if told["active"] == true => {}
            told => return Some(format!("{unit} is not up: {told:?}")),
        }
    }
    match answer(machine, r#"{"verb":"stats"}"#) {
        Some(stats) if stats["allocations_after_boot"] == 0 && faults(&stats) <= most => None,
        stats => Some(format!("PID 1 itself: {stats:?}")),
    }
}

fn faults(stats: &Value) -> u64 {
    stats["crashes"].as_u64().unwrap_or(u64::MAX)
}

/// The children of process 1, as this host numbers them.
fn children(machine: &Namespace) -> Vec<Process> {
    let init = machine.init();
    let list = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children"));
    let list = list.unwrap_or_default();
    let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter_map(|pid| Process::read(Path::new("/proc"), pid)).collect()
}

fn ask(machine: &Namespace, request: &str) -> Option<Client> {
    let client = Client::connect(&machine.socket()).ok()?;
    client.send(request.as_bytes()).ok()?;
    Some(client)
}

fn answer(machine: &Namespace, request: &str) -> Option<Value> {
    match ask(machine, request)?.receive(Limit::moment()) {
        Received::Packet(packet) => serde_json::from_str(&packet).ok(),
        Received::Closed | Received::Late => None,
    }
}
