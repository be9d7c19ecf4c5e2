//! Values as bytes and back, little-endian. Writing stops at the end of its room; reading
//! believes no byte it has not looked at.

use crate::image::{Damage, name_of};
use crate::run::{Next, Running};
use crate::shutdown::Pressure;
use crate::{
    ExitStatus, HookEnd, Millis, Name, Phase, Pid, Power, Reason, SpawnFault, Stage, State, Step,
};

/// Puts values one after the other.
pub(crate) struct Writer<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(room: &'a mut [u8]) -> Self {
        Self { room, len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(to) = self.room.get_mut(self.len..end) {
            to.copy_from_slice(bytes);
            self.len = end;
        }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn moment(&mut self, at: Millis) {
        self.u64(at.0);
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn name(&mut self, name: &str) {
        self.u8(u8::try_from(name.len()).unwrap_or(0));
        self.bytes(name.as_bytes());
    }

    pub(crate) fn number(&mut self, number: Option<i64>) {
        self.flag(number.is_some());
        self.u64(number.unwrap_or(0).cast_unsigned());
    }

    /// 0 is none; no process has that number.
    fn pid(&mut self, pid: Option<Pid>) {
        self.u32(pid.map_or(0, |pid| pid.raw().unsigned_abs()));
    }

    pub(crate) fn state(&mut self, state: State) {
        match state {
            State::Down => self.u8(0),
            State::Starting { pid, since } => {
                self.u8(1);
                self.pid(pid);
                self.moment(since);
            }
            State::Seeking { since } => {
                self.u8(2);
                self.moment(since);
            }
            State::Up { pid, since } => {
                self.u8(3);
                self.pid(pid);
                self.moment(since);
            }
            State::Stopping { pid, kill_at } => {
                self.u8(4);
                self.pid(pid);
                self.moment(kill_at.unwrap_or(Millis::NEVER));
            }
            State::Sweeping { pid, since } => {
                self.u8(5);
                self.pid(pid);
                self.moment(since);
            }
            State::Backoff { until } => {
                self.u8(6);
                self.moment(until);
            }
            State::Failed => self.u8(7),
            State::Preparing { next, since } => {
                self.bytes(&[8, next]);
                self.moment(since);
            }
            State::Finishing { pid, since } => {
                self.u8(9);
                self.pid(pid);
                self.moment(since);
            }
            State::Cleaning { kill_at } => {
                self.u8(10);
                self.moment(kill_at.unwrap_or(Millis::NEVER));
            }
            State::Awaiting { pid, since } => {
                self.u8(11);
                self.pid(Some(pid));
                self.moment(since);
            }
        }
    }

    /// What runs beside, or in place of, the program.
    pub(crate) fn hook(&mut self, hook: Option<Running>) {
        self.flag(hook.is_some());
        let Some(running) = hook else { return };
        match running {
            Running::Hook { stage, nth, .. } => self.bytes(&[stage as u8, nth]),
            Running::Word { .. } => self.bytes(&[Stage::Reload as u8, WORD]),
        }
        self.pid(running.pid());
        self.moment(running.until());
    }

    pub(crate) fn last_hook(&mut self, last: Option<(Stage, u8, HookEnd)>) {
        self.flag(last.is_some());
        if let Some((stage, nth, end)) = last {
            self.bytes(&[stage as u8, nth]);
            self.hook_end(end);
        }
    }

    fn hook_end(&mut self, end: HookEnd) {
        match end {
            HookEnd::Exited(status) => self.exit(Some(status)),
            HookEnd::TimedOut => self.u8(3),
            HookEnd::Spawn(fault) => {
                self.u8(4);
                self.fault(fault);
            }
        }
    }

    fn fault(&mut self, SpawnFault { step, errno }: SpawnFault) {
        self.u8(step as u8);
        self.u32(errno.unsigned_abs());
    }

    pub(crate) fn exit(&mut self, exit: Option<ExitStatus>) {
        match exit {
            None => self.u8(0),
            Some(ExitStatus::Code(code)) => self.bytes(&[1, code]),
            Some(ExitStatus::Signal { signal, core }) => self.bytes(&[2, signal, u8::from(core)]),
        }
    }

    pub(crate) fn reason(&mut self, reason: Reason) {
        match reason {
            Reason::None => self.u8(0),
            Reason::Asked => self.u8(1),
            Reason::Needed => self.u8(2),
            Reason::Exited(status) => {
                self.u8(3);
                self.exit(Some(status));
            }
            Reason::Spawn(fault) => {
                self.u8(4);
                self.fault(fault);
            }
            Reason::StartTimeout => self.u8(5),
            Reason::Requirement => self.u8(6),
            Reason::MainLost(status) => {
                self.u8(7);
                self.exit(status);
            }
            Reason::Reloaded => self.u8(8),
            Reason::Shutdown => self.u8(9),
            Reason::Hook(stage, nth, end) => {
                self.bytes(&[10, stage as u8, nth]);
                self.hook_end(end);
            }
            Reason::Unhealthy => self.u8(11),
            Reason::Watchdog => self.u8(12),
            Reason::Conflict => self.u8(13),
            Reason::Bound => self.u8(14),
            Reason::PartOf => self.u8(15),
            Reason::OnFailure => self.u8(16),
            Reason::Skipped => self.u8(17),
            Reason::Timer => self.u8(18),
            Reason::Unforked => self.u8(19),
            Reason::Unfound => self.u8(20),
        }
    }

    /// As a reason: that of nothing is that it went well.
    pub(crate) fn reload_end(&mut self, end: Result<(), Reason>) {
        self.reason(match end {
            Ok(()) => Reason::None,
            Err(Reason::None) => Reason::Asked,
            Err(reason) => reason,
        });
    }

    pub(crate) fn next(&mut self, next: Next) {
        match next {
            Next::Goal => self.u8(0),
            Next::Done => self.u8(1),
            Next::Quit => self.u8(2),
            Next::Fail => self.u8(3),
            Next::Again { delay_ms } => {
                self.u8(4);
                self.u32(delay_ms);
            }
        }
    }

    pub(crate) fn phase(&mut self, phase: Phase) {
        self.u8(phase as u8);
    }

    pub(crate) fn pressure(&mut self, pressure: Pressure) {
        self.u8(pressure as u8);
    }

    pub(crate) fn power(&mut self, power: Power) {
        self.u8(power as u8);
    }
}

/// Takes values one after the other.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

pub(crate) type Read<T> = Result<T, Damage>;

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Read<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(Damage::Length) }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Damage::Length)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| Damage::Length)
    }

    pub(crate) fn u8(&mut self) -> Read<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn moment(&mut self) -> Read<Millis> {
        self.u64().map(Millis)
    }

    pub(crate) fn flag(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Damage::Value),
        }
    }

    pub(crate) fn number(&mut self) -> Read<Option<i64>> {
        match (self.flag()?, self.u64()?.cast_signed()) {
            (true, number) => Ok(Some(number)),
            (false, 0) => Ok(None),
            (false, _) => Err(Damage::Value),
        }
    }

    pub(crate) fn name(&mut self) -> Read<Name> {
        let len = usize::from(self.u8()?);
        name_of(self.bytes(len)?)
    }

    fn pid(&mut self) -> Read<Option<Pid>> {
        let raw = i32::try_from(self.u32()?).map_err(|_| Damage::Value)?;
        match (raw, Pid::new(raw)) {
            (0, _) => Ok(None),
            // No unit's process is PID 1.
            (1, _) | (_, None) => Err(Damage::Value),
            (_, Some(pid)) => Ok(Some(pid)),
        }
    }

    pub(crate) fn state(&mut self) -> Read<State> {
        Ok(match self.u8()? {
            0 => State::Down,
            1 => State::Starting { pid: self.pid()?, since: self.moment()? },
            2 => State::Seeking { since: self.moment()? },
            3 => State::Up { pid: self.pid()?, since: self.moment()? },
            4 => State::Stopping { pid: self.pid()?, kill_at: self.moment()?.unless_never() },
            5 => State::Sweeping { pid: self.pid()?, since: self.moment()? },
            6 => State::Backoff { until: self.moment()? },
            7 => State::Failed,
            8 => State::Preparing { next: self.u8()?, since: self.moment()? },
            9 => State::Finishing { pid: self.pid()?, since: self.moment()? },
            10 => State::Cleaning { kill_at: self.moment()?.unless_never() },
            11 => {
                let pid = self.pid()?.ok_or(Damage::Value)?;
                State::Awaiting { pid, since: self.moment()? }
            }
            _ => return Err(Damage::Value),
        })
    }

    pub(crate) fn hook(&mut self) -> Read<Option<Running>> {
        if !self.flag()? {
            return Ok(None);
        }
        let (stage, nth) = (self.one_of(&STAGES)?, self.u8()?);
        let (pid, until) = (self.pid()?, self.moment()?);
        Ok(Some(match (stage, nth) {
            (Stage::Reload, WORD) if pid.is_none() => Running::Word { until },
            (Stage::Reload, WORD) => return Err(Damage::Value),
            _ => Running::Hook { stage, nth, pid, until },
        }))
    }

    pub(crate) fn last_hook(&mut self) -> Read<Option<(Stage, u8, HookEnd)>> {
        if !self.flag()? {
            return Ok(None);
        }
        Ok(Some((self.one_of(&STAGES)?, self.u8()?, self.hook_end()?)))
    }

    fn hook_end(&mut self) -> Read<HookEnd> {
        Ok(match self.u8()? {
            1 => HookEnd::Exited(ExitStatus::Code(self.u8()?)),
            2 => HookEnd::Exited(ExitStatus::Signal { signal: self.u8()?, core: self.flag()? }),
            3 => HookEnd::TimedOut,
            4 => HookEnd::Spawn(self.fault()?),
            _ => return Err(Damage::Value),
        })
    }

    fn fault(&mut self) -> Read<SpawnFault> {
        let step = self.one_of(&STEPS)?;
        let errno = i32::try_from(self.u32()?).map_err(|_| Damage::Value)?;
        Ok(SpawnFault { step, errno })
    }

    pub(crate) fn exit(&mut self) -> Read<Option<ExitStatus>> {
        Ok(match self.u8()? {
            0 => None,
            1 => Some(ExitStatus::Code(self.u8()?)),
            2 => Some(ExitStatus::Signal { signal: self.u8()?, core: self.flag()? }),
            _ => return Err(Damage::Value),
        })
    }

    pub(crate) fn reason(&mut self) -> Read<Reason> {
        Ok(match self.u8()? {
            0 => Reason::None,
            1 => Reason::Asked,
            2 => Reason::Needed,
            3 => Reason::Exited(self.exit()?.ok_or(Damage::Value)?),
            4 => Reason::Spawn(self.fault()?),
            5 => Reason::StartTimeout,
            6 => Reason::Requirement,
            7 => Reason::MainLost(self.exit()?),
            8 => Reason::Reloaded,
            9 => Reason::Shutdown,
            10 => Reason::Hook(self.one_of(&STAGES)?, self.u8()?, self.hook_end()?),
            11 => Reason::Unhealthy,
            12 => Reason::Watchdog,
            13 => Reason::Conflict,
            14 => Reason::Bound,
            15 => Reason::PartOf,
            16 => Reason::OnFailure,
            17 => Reason::Skipped,
            18 => Reason::Timer,
            19 => Reason::Unforked,
            20 => Reason::Unfound,
            _ => return Err(Damage::Value),
        })
    }

    pub(crate) fn reload_end(&mut self) -> Read<Result<(), Reason>> {
        let reason = self.reason()?;
        Ok(if reason == Reason::None { Ok(()) } else { Err(reason) })
    }

    pub(crate) fn next(&mut self) -> Read<Next> {
        Ok(match self.u8()? {
            0 => Next::Goal,
            1 => Next::Done,
            2 => Next::Quit,
            3 => Next::Fail,
            4 => Next::Again { delay_ms: self.u32()? },
            _ => return Err(Damage::Value),
        })
    }

    pub(crate) fn phase(&mut self) -> Read<Phase> {
        self.one_of(&PHASES)
    }

    pub(crate) fn pressure(&mut self) -> Read<Pressure> {
        self.one_of(&[Pressure::None, Pressure::Rest, Pressure::All])
    }

    pub(crate) fn power(&mut self) -> Read<Power> {
        self.one_of(&[Power::Reboot, Power::PowerOff, Power::Halt])
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> Read<T> {
        all.get(usize::from(self.u8()?)).copied().ok_or(Damage::Value)
    }
}

/// In the order of their declarations: a value's number is its place.
const PHASES: [Phase; 6] = [
    Phase::Running,
    Phase::StoppingUnits,
    Phase::KillingStrays,
    Phase::StoppingBuiltins,
    Phase::ClosingFilesystems,
    Phase::Off,
];

/// In place of a hook's number, which is less: the unit's word is waited for.
const WORD: u8 = u8::MAX;

pub(crate) const STAGES: [Stage; 5] =
    [Stage::Pre, Stage::Post, Stage::Stop, Stage::StopPost, Stage::Reload];

const STEPS: [Step; 19] = [
    Step::Table,
    Step::Pipe,
    Step::Cgroup,
    Step::Fork,
    Step::Tty,
    Step::Descriptors,
    Step::Limits,
    Step::Group,
    Step::User,
    Step::WorkingDirectory,
    Step::Exec,
    Step::Interpreter,
    Step::Scheduling,
    Step::Capabilities,
    Step::Directory,
    Step::Stream,
    Step::Mount,
    Step::Network,
    Step::Root,
];
