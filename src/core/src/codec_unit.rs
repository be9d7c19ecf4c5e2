//! Units as bytes and back: the part of `codec` that a catalog says, and no event changes.

use crate::codec::{Read, Reader, STAGES, Writer};
use crate::image::Damage;
use crate::{
    Commands, Hooks, KillMode, Kind, LimitAction, Probes, Restart, StartLimit, Statuses, Unit,
};

impl Writer<'_> {
    pub(crate) fn unit(&mut self, unit: &Unit) {
        self.name(&unit.name);
        self.u8(match unit.kind {
            Kind::Simple => 0,
            Kind::Forking => 1,
            Kind::Oneshot { remain_after_exit: false } => 2,
            Kind::Oneshot { remain_after_exit: true } => 3,
            Kind::Target => 4,
            Kind::Notify => 5,
        });
        self.u8(unit.restart as u8);
        for span in [
            unit.restart_delay_ms,
            unit.restart_delay_max_ms,
            unit.restart_reset_ms,
            unit.start_limit.interval_ms,
            unit.min_uptime_ms,
            unit.start_timeout_ms,
            unit.stop_timeout_ms,
        ] {
            self.u32(span);
        }
        self.u16(unit.start_limit.burst);
        self.u8(unit.start_limit.action as u8);
        self.u8(unit.kill_signal);
        self.u8(unit.kill_mode as u8);
        self.u8(unit.reload_signal.unwrap_or(0));
        self.flag(unit.reload_answers);
        self.statuses(&unit.success);
        self.statuses(&unit.no_restart);
        for stage in STAGES {
            let Commands { count, tolerant } = unit.hooks.of(stage);
            self.bytes(&[count, tolerant]);
        }
        self.u8(unit.probes as u8);
        self.flag(unit.autostart);
        self.flag(unit.skipped);
        self.flag(unit.critical);
        self.flag(unit.holds_data);
        self.u8(unit.nice.cast_unsigned());
        self.flag(unit.builtin);
        self.u64(unit.fingerprint);
    }

    fn statuses(&mut self, statuses: &Statuses) {
        let codes = statuses.codes();
        self.u8(u8::try_from(codes.len()).unwrap_or(0));
        self.bytes(codes);
        self.u32(statuses.signals());
    }
}

impl Reader<'_> {
    pub(crate) fn unit(&mut self) -> Read<Unit> {
        let name = self.name()?;
        let kind = self.one_of(&KINDS)?;
        let restart = self.one_of(&RESTARTS)?;
        let (restart_delay_ms, restart_delay_max_ms) = (self.u32()?, self.u32()?);
        let (restart_reset_ms, interval_ms) = (self.u32()?, self.u32()?);
        let (min_uptime_ms, start_timeout_ms) = (self.u32()?, self.u32()?);
        let stop_timeout_ms = self.u32()?;
        let (burst, action) = (self.u16()?, self.one_of(&LIMIT_ACTIONS)?);
        Ok(Unit {
            name,
            kind,
            restart,
            restart_delay_ms,
            restart_delay_max_ms,
            restart_reset_ms,
            start_limit: StartLimit { burst, interval_ms, action },
            min_uptime_ms,
            start_timeout_ms,
            stop_timeout_ms,
            kill_signal: self.u8()?,
            kill_mode: self.one_of(&KILL_MODES)?,
            reload_signal: Some(self.u8()?).filter(|signal| *signal > 0),
            reload_answers: self.flag()?,
            success: self.statuses()?,
            no_restart: self.statuses()?,
            hooks: self.hooks()?,
            probes: self.one_of(&[Probes::Nothing, Probes::Up, Probes::Ready])?,
            autostart: self.flag()?,
            skipped: self.flag()?,
            critical: self.flag()?,
            holds_data: self.flag()?,
            nice: self.u8()?.cast_signed(),
            builtin: self.flag()?,
            fingerprint: self.u64()?,
        })
    }

    fn statuses(&mut self) -> Read<Statuses> {
        let count = usize::from(self.u8()?);
        let codes = self.bytes(count)?;
        Statuses::of(codes, self.u32()?).ok_or(Damage::Length)
    }

    fn hooks(&mut self) -> Read<Hooks> {
        let mut hooks = Hooks::default();
        for stage in STAGES {
            *hooks.of_mut(stage) = Commands { count: self.u8()?, tolerant: self.u8()? };
        }
        Ok(hooks)
    }
}

/// In the order of their declarations: a value's number is its place.
const RESTARTS: [Restart; 5] =
    [Restart::No, Restart::Always, Restart::OnSuccess, Restart::OnFailure, Restart::OnAbnormal];

const LIMIT_ACTIONS: [LimitAction; 4] =
    [LimitAction::Nothing, LimitAction::Reboot, LimitAction::RebootForce, LimitAction::PowerOff];

const KILL_MODES: [KillMode; 3] = [KillMode::ControlGroup, KillMode::Mixed, KillMode::Process];

const KINDS: [Kind; 6] = [
    Kind::Simple,
    Kind::Forking,
    Kind::Oneshot { remain_after_exit: false },
    Kind::Oneshot { remain_after_exit: true },
    Kind::Target,
    Kind::Notify,
];
