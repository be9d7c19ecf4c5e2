//! `Action` → what the kernel is told. Performs; the outcome is an event, never a decision.

use crate::builtin;
use crate::degraded::Task;
use crate::group::{COOKIE_LEN, Launched, cookie_cstr, cookie_digits, runs_beside};
use crate::helper::{Helper, PROGRAM};
use crate::hook;
use crate::marks::Mark;
use crate::pid1::Pid1;
use crate::pipes::LogPolicy;
use crate::report::Cause;
use crate::seek::Seekers;
use crate::start::{self, Start, Surroundings, USUAL, descriptors, fault, run};
use crate::wake::token;
use core::ffi::CStr;
use ettan_core::{
    Action, Event, Notice, Phase, Pid, Probes, Program, Reason, SpawnFault, Stage, State, Step,
    UnitId, Whom,
};
use ettan_sys::spawn::{self, SpawnPlan, Strings};
use ettan_sys::{Errno, procfs, signals};
use ettan_table::{Extra, Launch};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The environment of our own helpers and of the rescue shell.
const BUILTIN_ENVIRONMENT: [&CStr; 3] = [
    c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    c"HOME=/root",
    c"TERM=linux",
];

/// Where memory runs out it is not the logger that took it (`tests/FAULTS.md` 3.12).
const HELPER_OOM_SCORE_ADJ: i16 = -900;

impl Pid1 {
    /// Performs one action. What is known at once of its outcome is returned as the next event.
    pub(crate) fn perform(&mut self, action: Action) -> Option<Event<'static>> {
        #[cfg(feature = "fault-injection")]
        crate::fault::count_down(self);
        match action {
            Action::Spawn { unit, what: Program::Hook(Stage::Pre, _) } if self.adoptable(unit) => {
                Some(Event::Runs { unit })
            }
            Action::Spawn { unit, what } => {
                let adopted = if what == Program::Main { self.adopt(unit) } else { None };
                Some(match adopted.unwrap_or_else(|| self.spawn(unit, what)) {
                    Ok(pid) if self.places.holds(unit, pid) => Event::Entering { unit, pid },
                    Ok(pid) => Event::Spawned { unit, pid },
                    Err(fault) => Event::SpawnFailed { unit, fault },
                })
            }
            Action::Announce { unit } => {
                self.mend_notify();
                self.probes.begin(unit, false);
                self.probes.note(unit);
                None
            }
            Action::Signal { unit, signal, whom } => {
                self.signal(unit, signal, whom);
                None
            }
            Action::Sweep { unit } => {
                let main = self.main_of(unit);
                let looked = self.with_reserve(
                    |pid1| {
                        let inotify = pid1.seekers.inotify();
                        pid1.groups.sweep(&pid1.supervisor, inotify, unit, main)
                    },
                    |_, looked| looked.err(),
                );
                looked.ok().flatten()
            }
            Action::SeekMain { unit } => {
                let now = self.now;
                let (seekers, view) = self.split();
                seekers.begin(now, unit, &view);
                None
            }
            Action::Forget { unit } => {
                let (seekers, view) = self.split();
                seekers.end(unit, &view);
                None
            }
            Action::Publish(notice) => {
                self.publish(&notice);
                self.tidy_up(&notice);
                None
            }
            Action::KillStrays { signal } => self.kill_strays(signal),
            Action::KillRest => {
                crate::close::kill_rest();
                None
            }
            Action::CloseFilesystems if self.leave_disk() => None,
            Action::CloseFilesystems => self.close_file_systems(),
            Action::Power(power) => {
                self.power(power);
                None
            }
        }
    }

    /// Whether this is the first thing that is done for a new launch. The prober knows the launch of
    /// a program that it is told of before by its cookie: that one has it from then on.
    pub(crate) fn begins_a_launch(&self, action: &Action) -> bool {
        match *action {
            Action::Announce { .. } => true,
            Action::Spawn { unit, what: Program::Main } => {
                let policy = self.supervisor.unit(unit);
                policy.is_none_or(|unit| unit.probes == Probes::Nothing)
            }
            Action::Spawn { what: what @ Program::Hook(..), .. } => !runs_beside(what),
            Action::Signal { .. }
            | Action::Sweep { .. }
            | Action::SeekMain { .. }
            | Action::Forget { .. }
            | Action::Publish(_)
            | Action::KillStrays { .. }
            | Action::KillRest
            | Action::CloseFilesystems
            | Action::Power(_) => false,
        }
    }

    /// A unit that is down needs no cgroup, and nothing below /run; the next start makes it again.
    fn tidy_up(&self, notice: &Notice) {
        let Notice::State { unit, to: State::Down | State::Failed, .. } = *notice else { return };
        let Some(policy) = self.supervisor.unit(unit) else { return };
        self.groups.remove_group(&policy.name);
        let leaves = |launch: &Launch<'_>| launch.extras.clone().any(|e| e == Extra::Leaves);
        if self.supervisor.phase() == Phase::Running
            && let Some(launch) = self.tables.launch(&policy.name).filter(leaves)
            && let Err(fault) = self.spawn_leaver(unit, launch.place)
        {
            let errno = Cause(Errno::from_raw_os_error(fault.errno));
            log::warn!("{}: its runtime-directory stays for now: {errno}", launch.name);
        }
    }

    /// A child that removes what the unit's last run has left; the next start would too.
    fn spawn_leaver(&self, unit: UnitId, place: &CStr) -> Result<Pid, SpawnFault> {
        let mut room = [0; COOKIE_LEN + 1];
        let cookie = cookie_digits(self.groups.launched(unit).cookie, &mut room);
        let argv = [PROGRAM, Helper::Leave.word(), place, cookie];
        self.execute_builtin(builtin::Program::helper(&argv), 0, [None; 2])
    }

    pub(crate) fn main_of(&self, unit: UnitId) -> Option<Pid> {
        self.supervisor.view(unit).and_then(|view| view.state.pid())
    }

    pub(crate) fn signal(&mut self, unit: UnitId, signal: u8, whom: Whom) {
        if signal == signals::TERM && self.builtins.is_some_and(|builtins| builtins.logger == unit)
        {
            return self.end_logger();
        }
        let main = self.main_of(unit);
        let sent = match whom {
            Whom::Main => self.groups.signal_main(unit, main, signal),
            Whom::All => self.groups.signal_all(&self.supervisor, unit, main, signal),
            // Ours, and not reaped: the core would have been told first.
            Whom::Process(pid) => match ettan_sys::process::kill(pid.raw(), signal) {
                Err(Errno::SRCH) => Ok(()),
                sent => sent,
            },
        };
        if let Err(errno) = sent {
            self.not_sent(unit, signal, whom, errno);
        }
    }

    /// With the reserve, when no descriptor is left; and says when nothing can be started at all.
    fn spawn(&mut self, unit: UnitId, what: Program) -> Result<Pid, SpawnFault> {
        self.reserve.mend_null();
        let spawned =
            self.with_reserve(|pid1| pid1.spawn_once(unit, what), |_, spawned| shortage(spawned));
        match shortage(&spawned) {
            Some(errno) => self.degraded.note(self.now, Task::Starting, errno),
            None => self.degraded.heal(self.now, Task::Starting),
        }
        spawned
    }

    fn spawn_once(&mut self, unit: UnitId, what: Program) -> Result<Pid, SpawnFault> {
        let cookie = self.groups.launched(unit).cookie;
        let (pid, forking) = match self.builtins.and_then(|builtins| builtins.program(unit)) {
            Some(program) => (self.spawn_builtin(unit, program, cookie)?, false),
            None => self.spawn_unit(unit, what, cookie)?,
        };
        if runs_beside(what) {
            self.groups.remember_beside(unit, pid);
            return Ok(pid);
        }
        // Only the checks of a PID file, and tracking without cgroups, ask for the start time.
        let born = if forking || !self.groups.has_tree() {
            procfs::stat(pid.raw()).map_or(0, |stat| stat.start_time)
        } else {
            0
        };
        self.groups.remember(
            unit,
            Launched {
                cookie,
                born,
                first: pid.raw(),
                first_lives: true,
                main: 0,
                main_born: 0,
                beside: 0,
            },
        );
        Ok(pid)
    }

    fn spawn_unit(
        &mut self,
        unit: UnitId,
        what: Program,
        cookie: u64,
    ) -> Result<(Pid, bool), SpawnFault> {
        // After an upgrade to another table format there is none before the loader has run.
        let errno = if self.tables.table().is_some() { Errno::NOENT } else { Errno::AGAIN };
        let gone = fault(Step::Table, errno);
        let policy = self.supervisor.unit(unit).ok_or(gone)?;
        let is_main = what == Program::Main;
        let forking = is_main && policy.kind == ettan_core::Kind::Forking;
        let launch = self.tables.launch(&policy.name).ok_or(gone)?;
        if forking {
            Seekers::clear_stale(&self.tables, &policy.name);
        }
        let log = LogPolicy::of(&launch);
        let owner = &policy.name;
        let apart = start::errors_are_apart(&launch);
        self.pipes.of(unit, owner, log, apart).map_err(|errno| fault(Step::Pipe, errno))?;
        if is_main {
            // Before it can say a word, so that the log shows where the run begins.
            let starting = State::Starting { pid: None, since: self.now };
            self.pipes.mark(Mark { unit, to: starting, reason: Reason::None });
        }
        self.tell_logger();
        let policy = self.supervisor.unit(unit).ok_or(gone)?;
        let table = self.tables.table().ok_or(gone)?;
        let start = Start::of(&table, &policy.name, what);
        let output = self.pipes.of(unit, &policy.name, log, apart);
        let output = output.map_err(|errno| fault(Step::Pipe, errno))?.map(Some);
        let view = self.supervisor.view(unit).ok_or(gone)?;
        if is_main && view.reason == Reason::Reloaded {
            // The limits of before must not stay.
            self.groups.remove_group(&policy.name);
        }
        let mut start = start.ok_or(gone)?;
        let polled =
            self.wake.epoll.as_ref().map(|epoll| (epoll, token::PLACES | u64::from(unit.0)));
        let report = start::report_pipe(polled, &start.launch)?;
        let ready = match start.ready_fd() {
            Some(_) => {
                let pipe = self.probes.ready_pipe(unit, &policy.name);
                Some(pipe.map_err(|errno| fault(Step::Descriptors, errno))?)
            }
            None => None,
        };
        let said = report.as_ref().map(|report| report.write.as_fd());
        let null = self.reserve.null();
        let fds = descriptors(null, output, start.streams, start.reporting(said));
        let variables = &hook::Variables::of(what, &view);
        let whose = (unit, policy.name.as_str());
        let pid =
            start.spawn(&self.groups, whose, &Surroundings { cookie, variables, fds, ready })?;
        if let Some(report) = report {
            self.places.put(unit, pid, report.read);
        }
        Ok((pid, forking))
    }

    fn spawn_builtin(
        &mut self,
        unit: UnitId,
        program: builtin::Program<'_>,
        cookie: u64,
    ) -> Result<Pid, SpawnFault> {
        let own = self.own_descriptor(unit).map_err(|errno| fault(Step::Pipe, errno))?;
        let is_loader = self.builtins.is_some_and(|builtins| builtins.loader == unit);
        let former = if is_loader { self.tables.former() } else { None };
        self.execute_builtin(program, cookie, [own.as_ref().map(AsFd::as_fd), former])
    }

    /// What a helper finds as descriptor 3.
    fn own_descriptor(&mut self, unit: UnitId) -> Result<Option<OwnedFd>, Errno> {
        let Some(builtins) = self.builtins else { return Ok(None) };
        if unit == builtins.loader {
            self.tables.prepare(self.now).map(Some)
        } else if unit == builtins.logger {
            self.pipes.new_logger().map(Some)
        } else if unit == builtins.prober {
            self.probes.new_prober().map(Some)
        } else {
            Ok(None)
        }
    }

    pub(crate) fn execute_builtin(
        &self,
        program: builtin::Program<'_>,
        cookie: u64,
        extra: [Option<BorrowedFd<'_>>; 2],
    ) -> Result<Pid, SpawnFault> {
        let mut room = [0; COOKIE_LEN + 1];
        let envp = core::iter::once(cookie_cstr(cookie, &mut room)).chain(BUILTIN_ENVIRONMENT);
        let too_long = |errno| fault(Step::Exec, errno);
        run(&SpawnPlan {
            program: program.path,
            argv: &Strings::of(program.argv.iter().copied()).map_err(too_long)?,
            envp: &Strings::of(envp).map_err(too_long)?,
            fds: &descriptors(self.reserve.null(), [self.pipes.own(); 2], USUAL, extra),
            tty_path: program.tty,
            tty_fds: [true; 3],
            identity: None,
            working_directory: None,
            umask: 0o022,
            cgroup: None,
            // A shell for people is like what they start in it.
            oom_score_adj: if program.tty.is_some() { 0 } else { HELPER_OOM_SCORE_ADJ },
            rights: spawn::Rights::default(),
        })
    }

    /// Starts a child that copies our own file into `copy`.
    pub(crate) fn spawn_copier(&self, copy: &OwnedFd) -> Result<Pid, Errno> {
        let argv = Helper::Copy.argv();
        self.execute_builtin(builtin::Program::helper(&argv), 0, [Some(copy.as_fd()), None])
            .map_err(|fault| Errno::from_raw_os_error(fault.errno))
    }
}

/// Why nothing could be started, as far as that is not the unit's own business.
fn shortage(spawned: &Result<Pid, SpawnFault>) -> Option<Errno> {
    let fault = spawned.as_ref().err()?;
    let ours = match fault.step {
        Step::Pipe | Step::Cgroup | Step::Fork | Step::Descriptors => true,
        Step::Table
        | Step::Tty
        | Step::Limits
        | Step::Group
        | Step::User
        | Step::WorkingDirectory
        | Step::Exec
        | Step::Interpreter
        | Step::Scheduling
        | Step::Capabilities
        | Step::Directory
        | Step::Stream
        | Step::Mount
        | Step::Network
        | Step::Root => false,
    };
    ours.then(|| Errno::from_raw_os_error(fault.errno))
}
