//! Timers as bytes and back: the part of `codec` that few records have.

use crate::codec::{Read, Reader, Writer};
use crate::image::Damage;
use crate::timer::Bell;
use crate::{Calendar, Millis, Summer, Timer, Turn, UnitId, Zone};

impl Writer<'_> {
    pub(crate) fn bell(&mut self, bell: Option<&Bell>) {
        self.flag(bell.is_some());
        let Some(bell) = bell else { return };
        self.u32(bell.timer.on_boot_ms.unwrap_or(u32::MAX));
        self.u32(bell.timer.every_ms);
        self.flag(bell.timer.persistent);
        self.flag(bell.timer.at.is_some());
        if let Some(at) = bell.timer.at {
            self.calendar(&at);
        }
        self.moment(bell.span_at);
        self.moment(bell.moment_at);
        for number in [bell.moment, bell.past, bell.ran] {
            self.number(number);
        }
        self.moment(bell.started.unwrap_or(Millis::NEVER));
        self.flag(bell.booted);
    }

    fn calendar(&mut self, at: &Calendar) {
        self.u8(at.days);
        self.u32(at.hours);
        self.u64(at.minutes);
        self.u32(at.zone.ahead_s.cast_unsigned());
        self.flag(at.zone.summer.is_some());
        if let Some(summer) = at.zone.summer {
            self.u32(summer.ahead_s.cast_unsigned());
            for turn in [summer.begins, summer.ends] {
                self.u8(turn.month);
                self.u8(turn.week);
                self.u8(turn.weekday);
                self.u32(turn.time_s.cast_unsigned());
            }
        }
    }
}

impl Reader<'_> {
    pub(crate) fn bell(&mut self, unit: UnitId) -> Read<Option<Bell>> {
        if !self.flag()? {
            return Ok(None);
        }
        let on_boot_ms = Some(self.u32()?).filter(|span| *span != u32::MAX);
        let (every_ms, persistent) = (self.u32()?, self.flag()?);
        let at = if self.flag()? { Some(self.calendar()?) } else { None };
        let timer = Timer { on_boot_ms, every_ms, at, persistent };
        let (span_at, moment_at) = (self.moment()?, self.moment()?);
        let (moment, past, ran) = (self.number()?, self.number()?, self.number()?);
        let started = self.moment()?.unless_never();
        let booted = self.flag()?;
        let new = Bell::new(unit.0, timer);
        Ok(Some(Bell { span_at, moment, moment_at, past, started, ran, booted, ..new }))
    }

    fn calendar(&mut self) -> Read<Calendar> {
        let (days, hours, minutes) = (self.u8()?, self.u32()?, self.u64()?);
        let ahead_s = self.u32()?.cast_signed();
        let summer = match self.flag()? {
            true => Some(Summer {
                ahead_s: self.u32()?.cast_signed(),
                begins: self.turn()?,
                ends: self.turn()?,
            }),
            false => None,
        };
        let at = Calendar { days, hours, minutes, zone: Zone { ahead_s, summer } };
        if at.is_sound() { Ok(at) } else { Err(Damage::Value) }
    }

    fn turn(&mut self) -> Read<Turn> {
        Ok(Turn {
            month: self.u8()?,
            week: self.u8()?,
            weekday: self.u8()?,
            time_s: self.u32()?.cast_signed(),
        })
    }
}
