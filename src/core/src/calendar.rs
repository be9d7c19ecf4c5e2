//! Moments of the wall clock that come again: days of the week and times of day, in a time zone. Says
//! which is the next one after a given second. Knows no clock: seconds are since 1970, in UTC.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "every second is brought into four-digit years first, and all else is a few days from it"
)]

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// The last second of the year 9999; nothing is due after it.
const LAST: i64 = 253_402_300_799;

/// The hours of eight days and the minutes of a few of them: somewhere in there is a moment.
const MAX_HOPS: u32 = 1_024;

/// All hours of a day.
const EVERY_HOUR: u32 = 0xff_ffff;

/// Days of the week and times of day, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Bit 0 is Monday.
    pub days: u8,
    /// Bits 0 to 23.
    pub hours: u32,
    /// Bits 0 to 59.
    pub minutes: u64,
    /// Where the clock on the wall hangs.
    pub zone: Zone,
}

/// How local time follows from UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Local time is so many seconds ahead of UTC; but in summer, where there is one.
    pub ahead_s: i32,
    /// The part of the year in which it is another number.
    pub summer: Option<Summer>,
}

/// The part of the year in which clocks are set to something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summer {
    /// Local time is so many seconds ahead of UTC then.
    pub ahead_s: i32,
    /// When it begins, by the time that was before.
    pub begins: Turn,
    /// When it ends, by its own time.
    pub ends: Turn,
}

/// A day of every year, and a time on it: the last Sunday of March, at 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// 1 to 12.
    pub month: u8,
    /// 1 to 5: which of these days of the month; 5 is the last.
    pub week: u8,
    /// 0 is Sunday.
    pub weekday: u8,
    /// Seconds after midnight; may be before it, or on another day.
    pub time_s: i32,
}

impl Calendar {
    /// Whether it means something: every number is what it can be, and there is a moment.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let day = |span: i32| i64::from(span).abs() <= DAY;
        let turn = |turn: Turn| {
            (1..=12).contains(&turn.month)
                && (1..=5).contains(&turn.week)
                && turn.weekday < 7
                // POSIX allows for a week.
                && i64::from(turn.time_s).abs() <= 7 * DAY
        };
        let zone = self
            .zone
            .summer
            .is_none_or(|summer| day(summer.ahead_s) && turn(summer.begins) && turn(summer.ends));
        let within =
            self.days >> 7 == 0 && self.hours & !EVERY_HOUR == 0 && self.minutes >> 60 == 0;
        let some = self.days != 0 && self.hours != 0 && self.minutes != 0;
        within && some && day(self.zone.ahead_s) && zone
    }

    /// The first moment after this second; None where there is none.
    #[must_use]
    pub fn next_after(&self, second: i64) -> Option<i64> {
        let mut at = second.clamp(0, LAST).div_euclid(MINUTE) * MINUTE + MINUTE;
        for _ in 0..MAX_HOPS {
            if at > LAST {
                return None;
            }
            let local = at + self.zone.ahead(at);
            if self.is_due(at, local) {
                return Some(at);
            }
            let within = self.has_day(local) && self.has_hour(local);
            at += if within { MINUTE } else { HOUR - local.rem_euclid(HOUR) };
            // A zone may be off by seconds.
            at -= at.rem_euclid(MINUTE);
        }
        None
    }

    /// A time of day that comes twice when summer ends counts the first time; one that does not come
    /// when it begins counts at that moment. What comes every hour goes by hours that pass.
    fn is_due(&self, at: i64, local: i64) -> bool {
        if self.hours == EVERY_HOUR {
            return self.has(local);
        }
        let skipped = self.zone.ahead(at) - self.zone.ahead(at - MINUTE);
        let passed_over =
            (1..=skipped.clamp(0, DAY) / MINUTE).any(|back| self.has(local - back * MINUTE));
        passed_over || self.has(local) && !self.zone.repeats(at)
    }

    fn has(&self, local: i64) -> bool {
        let minute = local.rem_euclid(HOUR) / MINUTE;
        self.has_day(local) && self.has_hour(local) && self.minutes >> minute & 1 == 1
    }

    fn has_day(&self, local: i64) -> bool {
        // 1970 began on a Thursday.
        let day = (local.div_euclid(DAY) + 3).rem_euclid(7);
        self.days >> day & 1 == 1
    }

    fn has_hour(&self, local: i64) -> bool {
        self.hours >> (local.rem_euclid(DAY) / HOUR) & 1 == 1
    }
}

impl Zone {
    /// Nothing but UTC.
    pub const UTC: Self = Self { ahead_s: 0, summer: None };

    /// How far local time is ahead of UTC at this second, which is in UTC.
    #[must_use]
    pub fn ahead(&self, at: i64) -> i64 {
        let usual = i64::from(self.ahead_s);
        let Some(summer) = self.summer else { return usual };
        let year = year_of(at + usual);
        let begins = summer.begins.second(year) - usual;
        let ends = summer.ends.second(year) - i64::from(summer.ahead_s);
        // In the south it is over in autumn, which is in the first half of the year.
        let is_summer =
            if begins < ends { begins <= at && at < ends } else { at < ends || begins <= at };
        if is_summer { i64::from(summer.ahead_s) } else { usual }
    }

    /// Whether the clock on the wall has shown this time before, when it was set back.
    fn repeats(&self, at: i64) -> bool {
        let Some(summer) = self.summer else { return false };
        let step = (i64::from(summer.ahead_s) - i64::from(self.ahead_s)).abs();
        step > 0 && self.ahead(at - step) == self.ahead(at) + step
    }
}

impl Turn {
    /// When it is in this year, in seconds since 1970 of whatever time it is given in.
    fn second(&self, year: i64) -> i64 {
        let month = i64::from(self.month.clamp(1, 12));
        let first = days_before(year, month);
        let weekday = (first + 4).rem_euclid(7);
        let ahead = (i64::from(self.weekday) - weekday).rem_euclid(7);
        let mut day = first + ahead + 7 * (i64::from(self.week.clamp(1, 5)) - 1);
        let next =
            if month == 12 { days_before(year + 1, 1) } else { days_before(year, month + 1) };
        if day >= next {
            day -= 7;
        }
        day * DAY + i64::from(self.time_s)
    }
}

/// Days from 1970 to the first of this month.
const fn days_before(year: i64, month: i64) -> i64 {
    // Years that begin in March: the odd day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The year that this second is in.
const fn year_of(second: i64) -> i64 {
    let days = second.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Day 306 from the first of March is the first of January.
    let turned = if of_year >= 306 { 1 } else { 0 };
    era * 400 + year + turned
}
