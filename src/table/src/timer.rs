//! A unit's timer as a list of words. A unit without one has an empty list.

#[cfg(feature = "write")]
extern crate alloc;

use ettan_core::{Calendar, Summer, Timer, Turn, Zone};

use crate::format::Word;

/// Words of a timer: span after boot · span · flags, days · hours · minutes (2) · zone · its summer ·
/// its begin (2) · its end (2)
const TIMER_WORDS: usize = 12;

/// "No span after boot."
const NEVER: u32 = u32::MAX;

const PERSISTENT: u8 = 1;
const AT: u8 = 2;
const SUMMER: u8 = 4;

/// No part of the year.
const NO_TURN: Turn = Turn { month: 0, week: 0, weekday: 0, time_s: 0 };

/// As the table has it.
#[cfg(feature = "write")]
pub(crate) fn to_words(timer: Option<&Timer>) -> alloc::vec::Vec<u32> {
    let Some(timer) = timer else { return alloc::vec::Vec::new() };
    let none = Calendar { days: 0, hours: 0, minutes: 0, zone: Zone::UTC };
    let at = timer.at.unwrap_or(none);
    let no_summer = Summer { ahead_s: 0, begins: NO_TURN, ends: NO_TURN };
    let summer = at.zone.summer.unwrap_or(no_summer);
    let flag = |holds, flag| if holds { flag } else { 0 };
    let flags = flag(timer.persistent, PERSISTENT)
        | flag(timer.at.is_some(), AT)
        | flag(at.zone.summer.is_some(), SUMMER);
    let [a, b, c, d, e, f, g, h] = at.minutes.to_le_bytes();
    let day = |turn: Turn| u32::from_le_bytes([turn.month, turn.week, turn.weekday, 0]);
    [
        timer.on_boot_ms.unwrap_or(NEVER),
        timer.every_ms,
        u32::from_le_bytes([flags, at.days, 0, 0]),
        at.hours,
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
        at.zone.ahead_s.cast_unsigned(),
        summer.ahead_s.cast_unsigned(),
        day(summer.begins),
        summer.begins.time_s.cast_unsigned(),
        day(summer.ends),
        summer.ends.time_s.cast_unsigned(),
    ]
    .into()
}

/// What the words say; None where they mean nothing.
pub(crate) fn of_words(words: &[Word]) -> Option<Option<Timer>> {
    if words.is_empty() {
        return Some(None);
    }
    let words: &[Word; TIMER_WORDS] = words.try_into().ok()?;
    let [on_boot, every_ms, packed, hours, low, high, zone, summer, begins, begin_s, ends, end_s] =
        words.map(u32::from_le_bytes);
    let [flags, days, 0, 0] = packed.to_le_bytes() else { return None };
    if flags & !(PERSISTENT | AT | SUMMER) != 0 {
        return None;
    }
    let summer = Summer {
        ahead_s: summer.cast_signed(),
        begins: turn(begins, begin_s)?,
        ends: turn(ends, end_s)?,
    };
    let zone =
        Zone { ahead_s: zone.cast_signed(), summer: (flags & SUMMER != 0).then_some(summer) };
    let minutes = u64::from(low) | (u64::from(high) << 32);
    let at = Some(Calendar { days, hours, minutes, zone }).filter(|_| flags & AT != 0);
    let timer = Timer {
        on_boot_ms: Some(on_boot).filter(|span| *span != NEVER),
        every_ms,
        at,
        persistent: flags & PERSISTENT != 0,
    };
    at.is_none_or(|at| at.is_sound()).then_some(Some(timer))
}

fn turn(day: u32, time_s: u32) -> Option<Turn> {
    let [month, week, weekday, 0] = day.to_le_bytes() else { return None };
    Some(Turn { month, week, weekday, time_s: time_s.cast_signed() })
}
