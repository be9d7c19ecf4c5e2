//! Core values → words. The one place where a state, a reason or an exit becomes text, for PID 1's
//! log as for the control socket.

use super::Facts;
use core::fmt::{self, Display, Formatter};
use ettan_core::{
    ExitStatus, Goal, Kind, Millis, Notice, Phase, Reason, Restart, SpawnFault, State, Step,
    Supervisor, Unit, UnitId,
};
use ettan_wire::{GoalWord, KindWord, PhaseWord, Signal, Span, StateWord, Text, error_text};

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
struct Unspawned<'a> {
    fault: SpawnFault,
    program: &'a str,
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
            Step::WorkingDirectory => write!(f, "enter its working-directory: {errno}"),
            Step::Scheduling => {
                write!(f, "set its nice, io-scheduling-class or cpu-affinity: {errno}")
            }
            Step::Capabilities => write!(f, "set its capabilities: {errno}"),
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
}

impl Display for Why<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::None => Ok(()),
            Reason::Asked => f.write_str("asked for"),
            Reason::Needed => f.write_str("needed"),
            Reason::Exited(status) => write!(f, "{}", Exit(status)),
            Reason::Spawn(fault) => write!(f, "{}", Unspawned { fault, program: self.program }),
            Reason::StartTimeout => match self.unit {
                Some(unit) => {
                    write!(f, "not ready within {}", Span(u64::from(unit.start_timeout_ms)))
                }
                None => f.write_str("not ready in time"),
            },
            Reason::Requirement => f.write_str("a unit it requires failed, stopped or is missing"),
            Reason::MainLost(Some(status)) => write!(f, "died during start, {}", Exit(status)),
            Reason::MainLost(None) => f.write_str("its main process was not found"),
            Reason::Reloaded => f.write_str("its definition changed"),
            Reason::Shutdown => f.write_str("the machine goes down"),
        }
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
            | State::Up { pid: Some(pid), .. }
            | State::Sweeping { pid: Some(pid), .. } => write!(f, "{word} (pid {})", pid.raw()),
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
            | State::Starting { pid: None, .. }
            | State::Seeking { .. }
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
        let program = unit.map_or("", |unit| self.facts.program(&unit.name));
        Why { reason, unit, program }
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
            State::Seeking { .. } => None,
            State::Sweeping { .. } => matters.then(|| Text::format(format_args!("ended: {why}"))),
            // Why it ended was said then.
            State::Starting { .. } | State::Up { .. } | State::Backoff { .. } => {
                Some(Text::format(format_args!("{stand}")))
            }
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
        let why = self.why(id, view.reason);
        match reason_matters(view.state, view.reason) {
            true => Text::format(format_args!("{name}: {stand}: {why}")),
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
            Notice::CycleBroken { unit, after } => write!(
                f,
                "{0}: dependencies go in a circle; {0} no longer waits for {1}",
                name(unit),
                name(after)
            ),
            Notice::LeftOut { units } => write!(
                f,
                "{units} units were left out of the last load: no room for them or their needs"
            ),
            Notice::Shutdown { phase } => write!(f, "shutdown: {}", phase_text(phase)),
            Notice::Unexpected { unit, event, state } => {
                let name = unit.map_or("PID 1", name);
                write!(f, "{name}: unexpected {event} in state {state}; nothing changed (a bug)")
            }
        }
    }
}

/// What came of reading the unit files, in one line.
pub(crate) fn reloaded(succeeded: bool, facts: &dyn Facts) -> Text<256> {
    match (succeeded, facts.diagnostics()) {
        (false, _) => Text::from("the loader failed, the old units stay: see ettan logs"),
        (true, 0) => Text::format(format_args!("{} units read", facts.units())),
        (true, said) => Text::format(format_args!(
            "{} units read; {said} messages about unit files: see ettan status",
            facts.units()
        )),
    }
}

/// Whether the reason says more than the state does. Why it was down before says nothing of a
/// unit that is up again.
fn reason_matters(state: State, reason: Reason) -> bool {
    if matches!(state, State::Starting { .. } | State::Seeking { .. } | State::Up { .. }) {
        return false;
    }
    match reason {
        Reason::None | Reason::Asked | Reason::Needed => false,
        Reason::Exited(_)
        | Reason::Spawn(_)
        | Reason::StartTimeout
        | Reason::Requirement
        | Reason::MainLost(_)
        | Reason::Reloaded
        | Reason::Shutdown => true,
    }
}

/// The state's word on the wire.
pub(crate) fn state_word(state: State) -> StateWord {
    match state {
        State::Down => StateWord::Down,
        State::Starting { .. } => StateWord::Starting,
        State::Seeking { .. } => StateWord::Seeking,
        State::Up { .. } => StateWord::Up,
        State::Stopping { .. } => StateWord::Stopping,
        State::Sweeping { .. } => StateWord::Sweeping,
        State::Backoff { .. } => StateWord::Backoff,
        State::Failed => StateWord::Failed,
    }
}

/// The goal's word on the wire.
pub(crate) fn goal_word(goal: Goal) -> GoalWord {
    match goal {
        Goal::Up => GoalWord::Up,
        Goal::Down => GoalWord::Down,
    }
}

/// The kind's word on the wire.
pub(crate) fn kind_word(kind: Kind) -> KindWord {
    match kind {
        Kind::Simple => KindWord::Simple,
        Kind::Forking => KindWord::Forking,
        Kind::Oneshot { .. } => KindWord::Oneshot,
        Kind::Target => KindWord::Target,
    }
}

/// The phase's word on the wire.
pub(crate) fn phase_word(phase: Phase) -> PhaseWord {
    match phase {
        Phase::Running => PhaseWord::Running,
        Phase::StoppingUnits => PhaseWord::StoppingUnits,
        Phase::KillingStrays => PhaseWord::KillingStrays,
        Phase::StoppingBuiltins => PhaseWord::StoppingBuiltins,
        Phase::ClosingFilesystems => PhaseWord::ClosingFilesystems,
        Phase::Off => PhaseWord::Off,
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

/// The restart policy in words.
pub(crate) fn restart(unit: &Unit) -> Text<96> {
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
    Text::format(format_args!("{when}; after a run under {short} in {first}, doubling to {most}"))
}
