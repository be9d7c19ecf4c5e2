//! `ettan-init run UNIT`: one unit in the foreground, for whoever looks for a mistake in it. Its
//! programs are started as PID 1 starts them (`start`), with the caller's output in place of the
//! log. Restarts nothing, waits for nothing else, asks PID 1 nothing: `ettan run` has done that.

use crate::control::describe::{Exit, Unspawned};
use crate::group::{Groups, Launched};
use crate::helper::{Helper, PROGRAM};
use crate::hook::{Called, Variables};
use crate::places::{Outcome, Places};
use crate::report;
use crate::reserve::open_null;
use crate::start::{self, Start, Surroundings, descriptors, fault, fault_of};
use crate::translate::status_of;
use crate::wake::token;
use core::fmt::Display;
use ettan_core::{
    Catalog, ExitStatus, Kind, Name, Pid, Program, SpawnFault, Stage, Step, Supervisor, Unit,
    UnitId,
};
use ettan_sys::poll::{Epoll, Interest, Ready};
use ettan_sys::signals::{self, Signals};
use ettan_sys::{Errno, OwnedFd, cgroup, clock, limits, pipe, process, procfs, reap};
use ettan_table::{Extra, Launch, Table};
use ettan_wire::Signal;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// These ask us to stop the unit. A second one, or none within timeout-stop-sec, is KILL.
const ASKED: [u8; 4] = [signals::INT, signals::TERM, signals::HUP, signals::QUIT];

/// While KILL is at work, and while a stop signal is.
const LOOK_AGAIN_MS: u64 = 50;

/// So long KILL may take.
const SWEEP_MS: u64 = 5_000;

/// Which descriptor is ready, beside those of [`token`].
const READY: u64 = token::CONTROL;

/// What a shell says of a program that a signal ended is this and the signal's number.
const SIGNALLED: i32 = 128;

/// Exit codes of our own.
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const UNKNOWN: i32 = 5;
const REFUSED: i32 = 6;

/// Runs the unit that the second argument names. The exit code is its program's.
#[must_use]
pub(crate) fn main(name: Option<&str>) -> i32 {
    let Some(name) = name else {
        eprintln!("usage: ettan run UNIT");
        return USAGE;
    };
    report::start_here();
    let loaded = ettan_unit::load(Path::new("/"));
    let Ok(table) = Table::read(&loaded.table) else { return FAILED };
    let Some(unit) = table.index_of(name).and_then(|index| table.unit(index)) else {
        if let Some(one) = (0..table.len()).find(|index| table.group(*index) == name) {
            let one = table.name(one).unwrap_or_default();
            eprintln!("{name}: has instances, and one of them is run at a time: ettan run {one}");
            return USAGE;
        }
        let file = format!("/{name}.toml");
        let about: Vec<_> = loaded
            .diagnostics
            .iter()
            .map(ToString::to_string)
            .filter(|d| d.contains(&file))
            .collect();
        about.iter().for_each(|line| eprintln!("{line}"));
        let (why, code) = match about.is_empty() {
            true => ("there is no such unit (ettan new NAME writes one)", UNKNOWN),
            false => ("its file is refused (ettan check shows the lines)", REFUSED),
        };
        eprintln!("{name}: {why}");
        return code;
    };
    let done = Foreground::new(&table, unit).and_then(|mut run| run.whole());
    done.unwrap_or_else(|why| {
        eprintln!("{name}: {why}");
        FAILED
    })
}

/// The unit and what it runs in.
struct Foreground<'a> {
    table: &'a Table<'a>,
    unit: Unit,
    /// Knows this one unit, by the name of its cgroup, so that `groups` can be asked.
    supervisor: Box<Supervisor>,
    id: UnitId,
    groups: Groups,
    places: Places,
    signals: Signals,
    epoll: Epoll,
    null: Option<OwnedFd>,
    /// What became of the preparation of its place.
    prepared: Option<Outcome>,
    /// Our end of the pipe that says that it is ready.
    ready: Option<OwnedFd>,
    /// It was asked to stop; then KILL comes at this time.
    kill_at_ms: Option<u64>,
}

impl<'a> Foreground<'a> {
    /// Makes this process as much like PID 1 as its children can tell.
    fn new(table: &'a Table<'a>, unit: Unit) -> Result<Self, String> {
        let cannot = |what: &'static str| move |errno: Errno| format!("{what}: {errno}");
        std::env::set_current_dir("/").map_err(|error| format!("/: {error}"))?;
        limits::take_from(1).map_err(cannot("PID 1's limits"))?;
        limits::hurry(0).map_err(cannot("its priority"))?;
        process::become_subreaper().map_err(cannot("its orphans"))?;
        let mut watched = ASKED.to_vec();
        watched.push(signals::CHLD);
        let signals = signals::block_these(&watched).map_err(cannot("signals"))?;
        let epoll = Epoll::new().map_err(cannot("epoll"))?;
        epoll.add(&signals, token::SIGNALS, Interest::Read).map_err(cannot("signals"))?;
        let mut supervisor = Box::new(Supervisor::new());
        let alone = Unit { name: apart(&unit.name), autostart: false, ..unit.clone() };
        let id = supervisor.builtin(alone).ok_or_else(|| "no room for it".to_owned())?;
        let groups = Groups::new(cgroup::Tree::beside(1, cgroup::BASE));
        Ok(Self {
            table,
            unit,
            supervisor,
            id,
            groups,
            places: Places::new(),
            signals,
            epoll,
            null: open_null(),
            prepared: None,
            ready: None,
            kill_at_ms: None,
        })
    }

    fn say(&self, what: impl Display) {
        eprintln!("{}: {what}", self.unit.name);
    }

    /// The commands before the program, the program, and the end of whatever it leaves.
    fn whole(&mut self) -> Result<i32, String> {
        if self.unit.kind == Kind::Target {
            return Err("is a target: there is nothing to run".into());
        }
        self.sweep();
        self.groups.promise(self.id);
        let code = self.programs();
        self.sweep();
        self.groups.remove_group(&apart(&self.unit.name));
        self.leave();
        code
    }

    fn programs(&mut self) -> Result<i32, String> {
        for nth in 0..=u8::MAX {
            let hook = self.table.index_of(&self.unit.name);
            let hook = hook.and_then(|index| self.table.hook_command(index, Stage::Pre, nth));
            let Some(hook) = hook else { break };
            let status = self.one(Program::Hook(Stage::Pre, nth))?;
            if self.kill_at_ms.is_some() {
                return Ok(code(status));
            }
            if status != ExitStatus::Code(0) && !hook.may_fail {
                return Err(format!("{} {}", Called(Stage::Pre, nth), Exit(status)));
            }
        }
        let status = self.one(Program::Main)?;
        self.say(Exit(status));
        if self.unit.kind == Kind::Forking && status == ExitStatus::Code(0) {
            self.say("what it left in the background goes on here; Ctrl-C stops it");
            while self.has_members() {
                self.wait_a_while();
                reap_all();
            }
        }
        Ok(code(status))
    }

    /// One program, to its end.
    fn one(&mut self, what: Program) -> Result<ExitStatus, String> {
        let pid = self.spawn(what).map_err(|fault| self.unspawned(what, fault))?;
        let stat = procfs::stat(pid.raw());
        let born = stat.map_or(0, |stat| stat.start_time);
        let cookie = self.groups.launched(self.id).cookie;
        let first = pid.raw();
        let launched =
            Launched { cookie, born, first, first_lives: true, main: 0, main_born: 0, beside: 0 };
        self.groups.remember(self.id, launched);
        if what == Program::Main {
            self.say(format_args!("runs here (pid {first}); Ctrl-C stops it"));
        }
        let status = self.wait_for(pid);
        self.hear_stage();
        match self.prepared.take() {
            Some(Outcome::Failed(fault)) => Err(self.unspawned(what, fault_of(fault))),
            Some(Outcome::Executed | Outcome::Ended) | None => Ok(status),
        }
    }

    fn spawn(&mut self, what: Program) -> Result<Pid, SpawnFault> {
        let gone = fault(Step::Table, Errno::NOENT);
        let mut start = Start::of(self.table, &self.unit.name, what).ok_or(gone)?;
        let polled = Some((&self.epoll, token::PLACES));
        let report = start::report_pipe(polled, &start.launch)?;
        let ready = match start.ready_fd() {
            Some(_) => Some(self.ready_pipe().map_err(|errno| fault(Step::Descriptors, errno))?),
            None => None,
        };
        let (output, errors) = (std::io::stdout(), std::io::stderr());
        let log = [Some(output.as_fd()), Some(errors.as_fd())];
        let said = report.as_ref().map(|report| report.write.as_fd());
        let view = self.supervisor.view(self.id).ok_or(gone)?;
        let own = self.supervisor.unit(self.id).ok_or(gone)?;
        let fds = descriptors(self.null.as_ref(), log, start.streams, start.reporting(said));
        let cookie = self.groups.launched(self.id).cookie;
        let variables = &Variables::of(what, &view);
        let ready = ready.as_ref().map(AsFd::as_fd);
        let whose = (self.id, own.name.as_str());
        let pid =
            start.spawn(&self.groups, whose, &Surroundings { cookie, variables, fds, ready })?;
        if let Some(report) = report {
            self.places.put(self.id, pid, report.read);
        }
        Ok(pid)
    }

    /// The end of a new pipe that the program writes a newline to; the other one is ours.
    fn ready_pipe(&mut self) -> Result<OwnedFd, Errno> {
        let pipe::Pipe { read, write } = pipe::pipe()?;
        pipe::set_nonblocking(&read, true)?;
        self.epoll.add(&read, READY, Interest::Read)?;
        self.ready = Some(read);
        Ok(write)
    }

    fn unspawned(&self, what: Program, fault: SpawnFault) -> String {
        let start = Start::of(self.table, &self.unit.name, what);
        let program = start.map(|start| start.program.to_string_lossy().into_owned());
        let program = program.as_deref().unwrap_or_default();
        let launch = self.table.index_of(&self.unit.name).and_then(|at| self.table.launch(at));
        let directory = launch.and_then(|launch| launch.working_directory.to_str().ok());
        Unspawned { fault, program, directory: directory.unwrap_or_default() }.to_string()
    }

    /// How this child ended; the ends of others are taken along.
    fn wait_for(&mut self, pid: Pid) -> ExitStatus {
        loop {
            while let Ok(Some(reaped)) = reap::reap() {
                if reaped.pid == pid.raw() {
                    self.groups.forget_reaped(self.id, pid);
                    return status_of(reaped.status);
                }
            }
            self.wait_a_while();
        }
    }

    /// Waits until something happens, and does what is asked.
    fn wait_a_while(&mut self) {
        let timeout_ms = self.kill_at_ms.map(|_| LOOK_AGAIN_MS);
        let mut ready = [Ready::default(); 8];
        let count = self.epoll.wait(&mut ready, timeout_ms).unwrap_or(0);
        for one in ready.iter().take(count) {
            match one.token {
                token::SIGNALS => self.hear_signals(),
                READY => self.hear_ready(),
                // The only other one: the end of the stage.
                _ => self.hear_stage(),
            }
        }
        if self.kill_at_ms.is_some_and(|at| clock::now() >= at) {
            self.signal(signals::KILL);
        }
    }

    fn hear_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read() {
            if ASKED.contains(&signal.number) {
                self.stop();
            }
        }
    }

    fn stop(&mut self) {
        if self.kill_at_ms.is_some() {
            self.kill_at_ms = Some(0);
            return;
        }
        let Unit { kill_signal, stop_timeout_ms, .. } = self.unit;
        self.say(format_args!("stopping, with {}; Ctrl-C again: with KILL", Signal(kill_signal)));
        self.kill_at_ms = Some(match stop_timeout_ms {
            0 => u64::MAX,
            span => clock::now().saturating_add(u64::from(span)),
        });
        self.signal(kill_signal);
    }

    fn signal(&self, signal: u8) {
        let launched = self.groups.launched(self.id);
        let main = Pid::new(launched.first).filter(|_| launched.first_lives);
        // What is gone needs none, and KILL comes again.
        let _ = self.groups.signal_all(&self.supervisor, self.id, main, signal);
    }

    fn hear_ready(&mut self) {
        let mut said = [0; 64];
        let Some(pipe) = &self.ready else { return };
        match pipe::read(pipe, &mut said) {
            Err(Errno::AGAIN) => {}
            Ok(length) if length > 0 => {
                if said.iter().take(length).any(|byte| *byte == b'\n') {
                    self.say("is ready");
                }
            }
            Ok(_) | Err(_) => self.ready = None,
        }
    }

    fn hear_stage(&mut self) {
        if let Some((_, outcome)) = self.places.close(self.id, &self.unit.name, Some(&self.epoll)) {
            self.prepared = Some(outcome);
        }
    }

    fn has_members(&self) -> bool {
        let mut any = false;
        let looked = self.groups.each_member(&self.supervisor, self.id, |_| any = true);
        any || !looked
    }

    /// KILL for what is left, as PID 1 sees to it that a run is over.
    fn sweep(&mut self) {
        let give_up_ms = clock::now().saturating_add(SWEEP_MS);
        while !matches!(self.groups.sweep(&self.supervisor, None, self.id, None), Ok(Some(_))) {
            if clock::now() >= give_up_ms {
                return self.say("a process of it survives KILL (state D, or traced)");
            }
            let mut ready = [Ready::default(); 1];
            let _ = self.epoll.wait(&mut ready, Some(LOOK_AGAIN_MS));
            while let Ok(Some(_)) = self.signals.read() {}
            reap_all();
        }
        reap_all();
    }

    /// What PID 1 removes after a run, in a child as there.
    fn leave(&self) {
        let launch =
            self.table.index_of(&self.unit.name).and_then(|index| self.table.launch(index));
        let leaves =
            |launch: &Launch<'_>| launch.extras.clone().any(|extra| extra == Extra::Leaves);
        let Some(launch) = launch.filter(leaves) else { return };
        let cookie = format!("{:016x}", self.groups.launched(self.id).cookie);
        let place = OsStr::from_bytes(launch.place.to_bytes());
        let program = OsStr::from_bytes(PROGRAM.to_bytes());
        let mut leaver = Helper::Leave.command();
        // It says itself what it cannot remove.
        let _ = leaver.arg0(program).arg(place).arg(cookie).status();
    }
}

fn reap_all() {
    while let Ok(Some(_)) = reap::reap() {}
}

fn code(status: ExitStatus) -> i32 {
    match status {
        ExitStatus::Code(code) => i32::from(code),
        ExitStatus::Signal { signal, .. } => SIGNALLED.saturating_add(i32::from(signal)),
    }
}

/// The name of the unit's cgroup here. PID 1 knows no unit that is called so, since names have no
/// `+`.
fn apart(name: &str) -> Name {
    let mut apart = Name::new();
    for letter in core::iter::once('+').chain(name.chars()) {
        // Of the longest name the end is cut.
        let _ = apart.push(letter);
    }
    apart
}
