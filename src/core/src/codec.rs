//! Values as bytes and back, little-endian. Writing stops at the end of its room; reading
//! believes no byte it has not looked at.

use crate::image::{Damage, name_of};
use crate::slot::Next;
use crate::{
    ExitStatus, Kind, Millis, Name, Phase, Pid, Power, Reason, Restart, SpawnFault, State, Step,
    Unit,
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

    fn bytes(&mut self, bytes: &[u8]) {
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

    pub(crate) fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn name(&mut self, name: &str) {
        self.u8(u8::try_from(name.len()).unwrap_or(0));
        self.bytes(name.as_bytes());
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
                self.u64(since.0);
            }
            State::Seeking { since } => {
                self.u8(2);
                self.u64(since.0);
            }
            State::Up { pid, since } => {
                self.u8(3);
                self.pid(pid);
                self.u64(since.0);
            }
            State::Stopping { pid, kill_at } => {
                self.u8(4);
                self.pid(pid);
                self.u64(kill_at.map_or(u64::MAX, |at| at.0));
            }
            State::Sweeping { pid, since } => {
                self.u8(5);
                self.pid(pid);
                self.u64(since.0);
            }
            State::Backoff { until } => {
                self.u8(6);
                self.u64(until.0);
            }
            State::Failed => self.u8(7),
        }
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
            Reason::Spawn(SpawnFault { step, errno }) => {
                self.u8(4);
                self.u8(step as u8);
                self.u32(errno.unsigned_abs());
            }
            Reason::StartTimeout => self.u8(5),
            Reason::Requirement => self.u8(6),
            Reason::MainLost(status) => {
                self.u8(7);
                self.exit(status);
            }
            Reason::Reloaded => self.u8(8),
            Reason::Shutdown => self.u8(9),
        }
    }

    pub(crate) fn next(&mut self, next: Next) {
        match next {
            Next::Goal => self.u8(0),
            Next::Done => self.u8(1),
            Next::Quit => self.u8(2),
            Next::Fail => self.u8(3),
            Next::Again { delay_ms } => {
                self.u8(4);
                self.u64(delay_ms);
            }
        }
    }

    pub(crate) fn phase(&mut self, phase: Phase) {
        self.u8(phase as u8);
    }

    pub(crate) fn power(&mut self, power: Power) {
        self.u8(power as u8);
    }

    pub(crate) fn unit(&mut self, unit: &Unit) {
        self.name(&unit.name);
        self.u8(match unit.kind {
            Kind::Simple => 0,
            Kind::Forking => 1,
            Kind::Oneshot { remain_after_exit: false } => 2,
            Kind::Oneshot { remain_after_exit: true } => 3,
            Kind::Target => 4,
        });
        self.u8(unit.restart as u8);
        for span in [
            unit.restart_delay_ms,
            unit.restart_delay_max_ms,
            unit.min_uptime_ms,
            unit.start_timeout_ms,
            unit.stop_timeout_ms,
        ] {
            self.u32(span);
        }
        self.u8(unit.kill_signal);
        self.flag(unit.autostart);
        self.flag(unit.builtin);
        self.u64(unit.fingerprint);
    }
}

/// Takes values one after the other.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

type Read<T> = Result<T, Damage>;

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Read<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(Damage::Length) }
    }

    fn bytes(&mut self, len: usize) -> Read<&'a [u8]> {
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

    pub(crate) fn flag(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Damage::Value),
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
            1 => State::Starting { pid: self.pid()?, since: Millis(self.u64()?) },
            2 => State::Seeking { since: Millis(self.u64()?) },
            3 => State::Up { pid: self.pid()?, since: Millis(self.u64()?) },
            4 => {
                let (pid, at) = (self.pid()?, self.u64()?);
                State::Stopping { pid, kill_at: (at != u64::MAX).then_some(Millis(at)) }
            }
            5 => State::Sweeping { pid: self.pid()?, since: Millis(self.u64()?) },
            6 => State::Backoff { until: Millis(self.u64()?) },
            7 => State::Failed,
            _ => return Err(Damage::Value),
        })
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
            4 => {
                let step = self.one_of(&STEPS)?;
                let errno = i32::try_from(self.u32()?).map_err(|_| Damage::Value)?;
                Reason::Spawn(SpawnFault { step, errno })
            }
            5 => Reason::StartTimeout,
            6 => Reason::Requirement,
            7 => Reason::MainLost(self.exit()?),
            8 => Reason::Reloaded,
            9 => Reason::Shutdown,
            _ => return Err(Damage::Value),
        })
    }

    pub(crate) fn next(&mut self) -> Read<Next> {
        Ok(match self.u8()? {
            0 => Next::Goal,
            1 => Next::Done,
            2 => Next::Quit,
            3 => Next::Fail,
            4 => Next::Again { delay_ms: self.u64()? },
            _ => return Err(Damage::Value),
        })
    }

    pub(crate) fn phase(&mut self) -> Read<Phase> {
        self.one_of(&PHASES)
    }

    pub(crate) fn power(&mut self) -> Read<Power> {
        self.one_of(&[Power::Reboot, Power::PowerOff, Power::Halt])
    }

    pub(crate) fn unit(&mut self) -> Read<Unit> {
        let name = self.name()?;
        let kind = self.one_of(&KINDS)?;
        let restart = self.one_of(&RESTARTS)?;
        Ok(Unit {
            name,
            kind,
            restart,
            restart_delay_ms: self.u32()?,
            restart_delay_max_ms: self.u32()?,
            min_uptime_ms: self.u32()?,
            start_timeout_ms: self.u32()?,
            stop_timeout_ms: self.u32()?,
            kill_signal: self.u8()?,
            autostart: self.flag()?,
            builtin: self.flag()?,
            fingerprint: self.u64()?,
        })
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Read<T> {
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

const RESTARTS: [Restart; 5] =
    [Restart::No, Restart::Always, Restart::OnSuccess, Restart::OnFailure, Restart::OnAbnormal];

const KINDS: [Kind; 5] = [
    Kind::Simple,
    Kind::Forking,
    Kind::Oneshot { remain_after_exit: false },
    Kind::Oneshot { remain_after_exit: true },
    Kind::Target,
];

const STEPS: [Step; 14] = [
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
];
