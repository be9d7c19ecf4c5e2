//! Core values → words. The one place where a state, a reason or an exit becomes text, for PID 1's
//! log as for the control socket.

use super::Facts;
use super::facts::{Complaints, Many};
use super::words::state_word;
use crate::hook::{Called, Ended};
use crate::loading::Loaded;
use core::fmt::{self, Display, Formatter, Write};
use ettan_core::{
    Blocker, Class, ExitStatus, Goal, HookEnd, Hooking, MAX_CONDITIONS, MAX_NEEDS, MAX_UNITS,
    Millis, Notice, Phase, Reason, Restart, SpawnFault, Stage, StartLimit, State, Statuses, Step,
    Supervisor, Unit, UnitId, View,
};
use ettan_wire::{Signal, Span, Text, error_text, signal_name};

/// `exited with status 1`, `killed by signal 11 (SEGV), core dumped`.
pub(crate) struct Exit(pub(crate) ExitStatus);

impl Display for Exit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            ExitStatus::Code(code) => write!(f, "exited with status {code}"),
            ExitStatus::Signal { signal, core } => {
                write!(f, "killed by signal {}", Signal(signal))?;
                f.write_str(if core { ", core dumped" } else { "" })
            }
        }
    }
}

/// `no such file or directory`, or `error 133` for what has no words.
pub(crate) struct Errno(pub(crate) i32);

impl Display for Errno {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match error_text(self.0) {
            Some(text) => f.write_str(text),
            None => write!(f, "error {}", self.0),
        }
    }
}

/// `exec /usr/sbin/telldusd: no such file or directory`.
pub(crate) struct Unspawned<'a> {
    pub(crate) fault: SpawnFault,
    pub(crate) program: &'a str,
    /// Where it was to begin; empty when that is not known.
    pub(crate) directory: &'a str,
}

impl Display for Unspawned<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let program = if self.program.is_empty() { "the program" } else { self.program };
        let errno = Errno(self.fault.errno);
        match self.fault.step {
            Step::Exec => write!(f, "exec {program}: {errno}"),
            Step::Interpreter => write!(
                f,
                "exec {program}: the file is there, the interpreter it names (#! line or ELF loader) is not: {errno}"
            ),
            Step::Table => f.write_str("it is not in the unit table any more"),
            Step::Pipe => write!(f, "make its log pipe: {errno}"),
            Step::Cgroup => write!(f, "make its cgroup: {errno}"),
            Step::Fork => write!(f, "make a process: {errno}"),
            Step::Tty => write!(f, "open its tty-path: {errno}"),
            Step::Descriptors => write!(f, "set up descriptors 0 to 2: {errno}"),
            Step::Limits => write!(f, "set its limits: {errno}"),
            Step::Group => write!(f, "take on its group: {errno}"),
            Step::User => write!(f, "take on its user: {errno}"),
            Step::WorkingDirectory if self.directory.is_empty() => {
                write!(f, "enter its working-directory: {errno}")
            }
            Step::WorkingDirectory => {
                write!(f, "enter its working-directory {}: {errno}", self.directory)
            }
            Step::Scheduling => {
                write!(f, "set its nice, io-scheduling-class or cpu-affinity: {errno}")
            }
            Step::Capabilities => write!(f, "set its capabilities: {errno}"),
            Step::Directory => {
                write!(f, "make its runtime-, state- or logs-directory: {errno}")
            }
            Step::Stream => {
                write!(
                    f,
                    "open its standard-input, standard-output or standard-error: {errno} (ettan logs says which)"
                )
            }
            Step::Mount => {
                write!(f, "mount for private-tmp, protect-system or read-write-paths: {errno}")
            }
            Step::Network => write!(f, "make its private-network: {errno}"),
            Step::Root => write!(f, "enter its root-directory: {errno}"),
        }
    }
}

/// A reason, with what the unit's policy and program add to it. Empty for `Reason::None`.
pub(crate) struct Why<'a> {
    /// The reason.
    pub(crate) reason: Reason,
    /// The unit, for its time-outs.
    pub(crate) unit: Option<&'a Unit>,
    /// The path of the unit's program; empty when it is not known.
    pub(crate) program: &'a str,
    /// Where it begins; empty when that is not known.
    pub(crate) directory: &'a str,
    /// What is awaited, or wrong; empty when that is not known. Where a main process was not found, its PID file.
    pub(crate) told: &'a str,
    /// The unit or condition behind the reason, and what it is now.
    pub(crate) culprit: Option<(&'a str, &'static str)>,
}

impl Why<'_> {
    /// What the unit's file makes of an end.
    fn judge(&self, f: &mut Formatter<'_>, status: ExitStatus) -> fmt::Result {
        let Some(unit) = self.unit else { return Ok(()) };
        if unit.success.has(status) {
            f.write_str(" (success-exit-status)")?;
        }
        if unit.no_restart.has(status) {
            f.write_str(" (restart-prevent-exit-status)")?;
        }
        Ok(())
    }

    fn overdue(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.unit {
            Some(unit) => write!(f, "not ready within {}", Span(u64::from(unit.start_timeout_ms))),
            None => f.write_str("not ready in time"),
        }
    }

    fn told(&self, f: &mut Formatter<'_>, lead: &str) -> fmt::Result {
        if self.told.is_empty() { Ok(()) } else { write!(f, "{lead}{}", self.told) }
    }
}

impl Display for Why<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::None => Ok(()),
            Reason::Asked => f.write_str("asked for"),
            Reason::Needed => f.write_str("needed"),
            Reason::Exited(status) => {
                write!(f, "{}", Exit(status))?;
                self.judge(f, status)
            }
            Reason::Spawn(fault) => {
                let Self { program, directory, .. } = *self;
                write!(f, "{}", Unspawned { fault, program, directory })
            }
            Reason::StartTimeout => {
                self.overdue(f)?;
                self.told(f, "; still awaited: ")
            }
            Reason::Unforked => {
                self.overdue(f)?;
                f.write_str("; its first process has not exited: does it fork?")
            }
            Reason::Unfound => {
                self.overdue(f)?;
                match self.told {
                    "" => f.write_str("; still awaited: its main process"),
                    path => write!(f, "; still awaited: PID file {path}"),
                }
            }
            Reason::Hook(stage, nth, end) => {
                write!(f, "{}", Ended { stage, nth, end, program: self.program })
            }
            Reason::Requirement => match self.culprit {
                Some((name, is)) => write!(f, "requires {name}, which is {is}"),
                None => f.write_str("a unit it requires failed, stopped or is missing"),
            },
            Reason::MainLost(Some(status)) => write!(f, "died during start, {}", Exit(status)),
            Reason::MainLost(None) => f.write_str("its main process was not found"),
            Reason::Unhealthy => {
                f.write_str("it did not work")?;
                self.told(f, ": ")
            }
            Reason::Watchdog => {
                f.write_str("watchdog")?;
                self.told(f, ": ")
            }
            Reason::Reloaded => f.write_str("its definition changed"),
            Reason::Conflict => match self.culprit {
                Some((name, is)) => write!(f, "conflicts with {name}, which is {is}"),
                None => f.write_str("a unit it conflicts with was started"),
            },
            Reason::Bound => match self.culprit {
                Some((name, is)) => write!(f, "bound to {name}, which is {is}"),
                None => f.write_str("what it is bound to was gone"),
            },
            Reason::PartOf => match self.culprit {
                Some((name, _)) => write!(f, "part of {name}, which was stopped or restarted"),
                None => f.write_str("a unit it is part of was stopped or restarted"),
            },
            Reason::OnFailure => f.write_str("a unit that names it in on-failure failed"),
            Reason::Skipped => {
                f.write_str("skipped, it is not for this machine")?;
                self.told(f, ": ")
            }
            Reason::Timer => f.write_str("started by its timer"),
            Reason::Shutdown => f.write_str("the machine goes down"),
        }
    }
}

/// What became of a reload: `web: reloaded`, or why not and what follows.
struct Reload<'a> {
    name: &'a str,
    end: Result<(), Reason>,
    why: Why<'a>,
}

impl Display for Reload<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { name, end, why } = self;
        let Err(end) = end else { return write!(f, "{name}: reloaded") };
        match end {
            Reason::Hook(..) => write!(
                f,
                "{name}: reload failed: {why}; it runs on with what it had (ettan logs {name})"
            ),
            Reason::StartTimeout => {
                let span = why.unit.map_or(0, |unit| u64::from(unit.start_timeout_ms));
                let span = Span(span);
                write!(
                    f,
                    "{name}: reload failed: it did not say within {span} (timeout-start-sec) that it \
                     has reloaded, RELOADING=1 and READY=1; it runs on (ettan logs {name})"
                )
            }
            Reason::Exited(_) | Reason::MainLost(_) => {
                write!(f, "{name}: reload failed: its main process was lost meanwhile, {why}")
            }
            Reason::None
            | Reason::Asked
            | Reason::Needed
            | Reason::Spawn(_)
            | Reason::Unforked
            | Reason::Unfound
            | Reason::Requirement
            | Reason::Unhealthy
            | Reason::Watchdog
            | Reason::Reloaded
            | Reason::Conflict
            | Reason::Bound
            | Reason::PartOf
            | Reason::OnFailure
            | Reason::Skipped
            | Reason::Timer
            | Reason::Shutdown => {
                write!(f, "{name}: reload failed: the unit was to stop meanwhile")
            }
        }
    }
}

/// `5 starts within 10 s`
struct Limit<'a>(&'a Unit);

impl Display for Limit<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let StartLimit { burst, interval_ms, .. } = self.0.start_limit;
        let s = if burst == 1 { "" } else { "s" };
        write!(f, "{burst} start{s} within {}", Span(u64::from(interval_ms)))
    }
}

/// A state with what it carries: `up (pid 212)`, `backoff, next start in 250 ms`.
struct Stand {
    state: State,
    now: Millis,
}

impl Display for Stand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = state_word(self.state).word();
        match self.state {
            State::Starting { pid: Some(pid), .. }
            | State::Finishing { pid: Some(pid), .. }
            | State::Up { pid: Some(pid), .. }
            | State::Sweeping { pid: Some(pid), .. } => write!(f, "{word} (pid {})", pid.raw()),
            State::Awaiting { pid, .. } => write!(f, "{word} (pid {})", pid.raw()),
            State::Stopping { pid, kill_at } => {
                f.write_str(word)?;
                if let Some(pid) = pid {
                    write!(f, " (pid {})", pid.raw())?;
                }
                match kill_at {
                    Some(at) => write!(f, ", KILL in {}", Span(at.since(self.now))),
                    None => Ok(()),
                }
            }
            State::Backoff { until } => {
                write!(f, "{word}, next start in {}", Span(until.since(self.now)))
            }
            State::Down
            | State::Preparing { .. }
            | State::Starting { pid: None, .. }
            | State::Seeking { .. }
            | State::Finishing { pid: None, .. }
            | State::Cleaning { .. }
            | State::Up { pid: None, .. }
            | State::Sweeping { pid: None, .. }
            | State::Failed => f.write_str(word),
        }
    }
}

/// Where to look things up while a line is written.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// Names and policies.
    pub(crate) supervisor: &'a Supervisor,
    /// Programs.
    pub(crate) facts: &'a dyn Facts,
    /// PID 1's clock.
    pub(crate) now: Millis,
}

impl<'a> Sources<'a> {
    fn name(self, id: UnitId) -> &'a str {
        self.supervisor.unit(id).map_or("(gone)", |unit| unit.name.as_str())
    }

    /// A reason of this unit in words.
    pub(crate) fn why(self, id: UnitId, reason: Reason) -> Why<'a> {
        let unit = self.supervisor.unit(id);
        let program = match (unit, reason) {
            (None, _) => "",
            (Some(unit), Reason::Hook(stage, nth, _)) => self.facts.command(&unit.name, stage, nth),
            (Some(unit), _) => self.facts.program(&unit.name),
        };
        let told = if reason == Reason::Skipped {
            self.skipped(id)
        } else if reason == Reason::Unfound {
            self.facts.pid_file(self.name(id))
        } else {
            self.facts.told(id).0
        };
        let directory = unit.map_or("", |unit| self.facts.directory(&unit.name));
        Why { reason, unit, program, directory, told, culprit: self.culprit(id, reason) }
    }

    /// What the loader said of the condition that does not hold.
    fn skipped(self, id: UnitId) -> &'a str {
        let name = self.name(id);
        let said = (0..).map_while(|nth| self.facts.diagnostic(nth));
        let mut about = said.filter(|message| message.unit == Some(name));
        let note = about.find_map(|message| message.text.split_once(": note: skipped: "));
        note.map_or("", |(_, why)| why)
    }

    fn culprit(self, id: UnitId, reason: Reason) -> Option<(&'a str, &'static str)> {
        match self.supervisor.culprit(id, reason)? {
            Blocker::Unit(other) | Blocker::Rival(other) | Blocker::Bound(other) => {
                let state = self.supervisor.view(other)?.state;
                Some((self.name(other), state_word(state).word()))
            }
            Blocker::Condition(name) => Some((name, "gone")),
            Blocker::Missing(name) => Some((name, "missing")),
        }
    }

    /// Why this unit is where it is, in words: start-limit first, then what led there.
    pub(crate) fn why_now(self, id: UnitId, unit: &Unit, view: &View<'_>) -> Text<192> {
        let why = self.why(id, view.reason);
        match view.gave_up {
            true => Text::format(format_args!("start-limit: {}, the last {why}", Limit(unit))),
            false => Text::format(format_args!("{why}")),
        }
    }

    /// How a hook of this unit ended.
    pub(crate) fn ended(self, id: UnitId, stage: Stage, nth: u8, end: HookEnd) -> Ended<'a> {
        let unit = self.supervisor.unit(id);
        let program = unit.map_or("", |unit| self.facts.command(&unit.name, stage, nth));
        Ended { stage, nth, end, program }
    }

    /// How a reload of this unit ended, in words.
    pub(crate) fn reload(self, id: UnitId, end: Result<(), Reason>) -> Text<512> {
        Text::format(format_args!("{}", self.reloading(id, end)))
    }

    fn reloading(self, id: UnitId, end: Result<(), Reason>) -> Reload<'a> {
        let why = self.why(id, end.err().unwrap_or(Reason::None));
        Reload { name: self.name(id), end, why }
    }

    /// `exec-stop (pid 212)`.
    pub(crate) fn hooking(self, hook: Hooking) -> Text<64> {
        let called = Called(hook.stage, hook.nth);
        match hook.pid {
            Some(pid) => Text::format(format_args!("{called} (pid {})", pid.raw())),
            None => Text::format(format_args!("{called}")),
        }
    }

    /// A notice as one line: what, which, why, next.
    pub(crate) fn notice(self, notice: &'a Notice) -> impl Display + 'a {
        Line { notice, sources: self }
    }

    /// What a unit's own log says of this change, if it is worth a note there: where a run begins
    /// and ends, and why.
    pub(crate) fn mark(self, unit: UnitId, to: State, reason: Reason) -> Option<Text<256>> {
        let stand = Stand { state: to, now: self.now };
        let why = self.why(unit, reason);
        let matters = reason_matters(to, reason);
        match to {
            State::Seeking { .. } | State::Finishing { .. } | State::Cleaning { .. } => None,
            State::Sweeping { .. } => matters.then(|| Text::format(format_args!("ended: {why}"))),
            // There was no run whose end would have said it.
            State::Backoff { .. } if matches!(reason, Reason::Spawn(_)) => {
                Some(Text::format(format_args!("{stand}: {why}")))
            }
            // Why it ended was said then.
            State::Preparing { .. }
            | State::Starting { .. }
            | State::Awaiting { .. }
            | State::Up { .. }
            | State::Backoff { .. } => Some(Text::format(format_args!("{stand}"))),
            State::Stopping { .. } | State::Down | State::Failed => Some(match matters {
                true => Text::format(format_args!("{stand}: {why}")),
                false => Text::format(format_args!("{stand}")),
            }),
        }
    }

    /// How it stands with a unit, as one line: `web: failed: exited with status 1`.
    pub(crate) fn unit(self, id: UnitId) -> Text<512> {
        let name = self.name(id);
        let Some(view) = self.supervisor.view(id) else {
            return Text::format(format_args!("{name}: gone"));
        };
        let stand = Stand { state: view.state, now: self.now };
        match reason_matters(view.state, view.reason) {
            true => {
                let why = self.supervisor.unit(id).map(|unit| self.why_now(id, unit, &view));
                Text::format(format_args!("{name}: {stand}: {}", why.unwrap_or_default()))
            }
            false => Text::format(format_args!("{name}: {stand}")),
        }
    }
}

struct Line<'a> {
    notice: &'a Notice,
    sources: Sources<'a>,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Sources { now, .. } = self.sources;
        let name = |id| self.sources.name(id);
        match *self.notice {
            Notice::State { unit, to, reason, .. } => {
                write!(f, "{}: {}", name(unit), Stand { state: to, now })?;
                if reason_matters(to, reason) {
                    write!(f, ": {}", self.sources.why(unit, reason))?;
                }
                Ok(())
            }
            Notice::Hook { unit, stage, nth, end } => {
                write!(f, "{}: {}", name(unit), self.sources.ended(unit, stage, nth, end))
            }
            Notice::Reload { unit, end } => write!(f, "{}", self.sources.reloading(unit, end)),
            Notice::GaveUp { unit } => {
                let name = name(unit);
                f.write_str(name)?;
                f.write_str(": given up")?;
                if let Some(unit) = self.sources.supervisor.unit(unit) {
                    write!(f, " after {}", Limit(unit))?;
                }
                write!(f, " (ettan start {name} to try again)")
            }
            Notice::CrashLooping { unit, in_a_row, delay_ms } => {
                let (name, delay) = (name(unit), Span(u64::from(delay_ms)));
                write!(
                    f,
                    "{name}: crash-looping, ended {in_a_row} times quickly; waiting {delay} (ettan start {name} to retry now)"
                )
            }
            Notice::Unkillable { unit, for_ms } => write!(
                f,
                "{}: a process survives KILL for {} (state D, or traced); nothing else waits for it",
                name(unit),
                Span(for_ms)
            ),
            Notice::PassedOver { unit } => {
                let view = self.sources.supervisor.view(unit);
                let name = name(unit);
                write!(f, "{name}: its timer went off, and ")?;
                match view.filter(|view| view.goal == Goal::Up && view.state != State::Failed) {
                    Some(view) => write!(f, "it is {} already", state_word(view.state).word())?,
                    None => f.write_str("this is a rescue")?,
                }
                write!(f, ": passed over (ettan why {name})")
            }
            Notice::Health { unit, well: true } => write!(f, "{}: works again", name(unit)),
            Notice::Health { unit, well: false } => {
                let (why, _) = self.sources.facts.told(unit);
                write!(f, "{}: does not work: {why}", name(unit))
            }
            Notice::CycleBroken { unit, after } => write!(
                f,
                "{0}: dependencies go in a circle; {0} no longer waits for {1}",
                name(unit),
                name(after)
            ),
            Notice::LeftOut { units } => write!(
                f,
                "{units} units were left out of the last load: there is room for {MAX_UNITS} units, \
                 {MAX_NEEDS} dependencies and {MAX_CONDITIONS} conditions; units whose file is gone \
                 count until they are stopped (ettan list shows all)"
            ),
            Notice::Shutdown { phase } => write!(f, "shutdown: {}", phase_text(phase)),
            Notice::Unexpected { unit, event, state } => {
                let name = unit.map_or("PID 1", name);
                write!(
                    f,
                    "{name}: unexpected {event} in state {state}; nothing changed (a bug of Ettan: \
                     please report this line)"
                )
            }
        }
    }
}

/// What came of reading the unit files, in one line.
pub(crate) fn reloaded(loaded: Loaded, facts: &dyn Facts) -> Text<256> {
    if loaded == Loaded::OldStays {
        return Text::from("the loader failed, the old units stay: see ettan logs");
    }
    let (read, said) = (Many(facts.units(), "unit"), facts.complaints());
    match said == Complaints::default() {
        true => Text::format(format_args!("{read} read")),
        false => {
            Text::format(format_args!("{read} read; {said} about unit files: see ettan status"))
        }
    }
}

/// Whether the reason says more than the state does. Why it was down before says nothing of a
/// unit that is up again.
fn reason_matters(state: State, reason: Reason) -> bool {
    if let Class::Rising | Class::Up = state.class() {
        return false;
    }
    match reason {
        Reason::None | Reason::Asked | Reason::Needed | Reason::OnFailure | Reason::Timer => false,
        Reason::Exited(_)
        | Reason::Spawn(_)
        | Reason::StartTimeout
        | Reason::Unforked
        | Reason::Unfound
        | Reason::Hook(..)
        | Reason::Requirement
        | Reason::MainLost(_)
        | Reason::Unhealthy
        | Reason::Watchdog
        | Reason::Reloaded
        | Reason::Conflict
        | Reason::Bound
        | Reason::PartOf
        | Reason::Skipped
        | Reason::Shutdown => true,
    }
}

fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::Running => "not under way",
        Phase::StoppingUnits => "stopping units",
        Phase::KillingStrays => "ending what is left",
        Phase::StoppingBuiltins => "stopping logger and watcher",
        Phase::ClosingFilesystems => "closing file systems",
        Phase::Off => "off",
    }
}

/// Exit statuses in words: `3, 70, KILL`.
struct Named<'a>(&'a Statuses);

impl Display for Named<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (nth, status) in self.0.iter().enumerate() {
            f.write_str(if nth == 0 { "" } else { ", " })?;
            match status {
                ExitStatus::Code(code) => write!(f, "{code}")?,
                ExitStatus::Signal { signal, .. } => match signal_name(signal) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "signal {signal}")?,
                },
            }
        }
        Ok(())
    }
}

/// The restart policy in words.
pub(crate) fn restart(unit: &Unit) -> Text<192> {
    let when = match unit.restart {
        Restart::No => return Text::from("no"),
        Restart::Always => "always",
        Restart::OnSuccess => "on-success",
        Restart::OnFailure => "on-failure",
        Restart::OnAbnormal => "on-abnormal",
    };
    let first = Span(u64::from(unit.restart_delay_ms));
    let most = Span(u64::from(unit.restart_delay_max_ms));
    let short = Span(u64::from(unit.min_uptime_ms));
    let mut text = Text::format(format_args!(
        "{when}; after a run under {short} in {first}, doubling to {most}"
    ));
    if unit.start_limit.burst > 0 {
        let _ = write!(text, "; given up after {}", Limit(unit));
    }
    if !unit.no_restart.is_empty() {
        let _ = write!(text, "; never after {}", Named(&unit.no_restart));
    }
    if !unit.success.is_empty() {
        let _ = write!(text, "; {} are success too", Named(&unit.success));
    }
    text
}
