//! The machine's time zone as a rule: the last line of /etc/localtime (RFC 9636), a TZ of POSIX. It holds
//! for all years to come, so that PID 1 needs no file to know local time.

use std::path::Path;

use ettan_core::{Summer, Turn, Zone};

use crate::tree::read_system;

const HOUR_S: i32 = 3_600;

/// When clocks are set, unless the rule says so: at two.
const USUAL_TIME_S: i32 = 2 * HOUR_S;

/// The zone of the machine with this root; UTC where none is set. None: its rule is not understood.
pub(crate) fn of(root: &Path) -> Option<Zone> {
    let Some(bytes) = read_system(root, "/etc/localtime") else { return Some(Zone::UTC) };
    let text = String::from_utf8_lossy(&bytes);
    rule(text.strip_suffix('\n')?.rsplit('\n').next()?)
}

/// `CET-1CEST,M3.5.0,M10.5.0/3`.
fn rule(text: &str) -> Option<Zone> {
    let rest = after_name(text)?;
    let (west_s, rest) = span(rest)?;
    let ahead_s = west_s.checked_neg()?;
    if rest.is_empty() {
        return Some(Zone { ahead_s, summer: None });
    }
    let rest = after_name(rest)?;
    let (summer_s, rest) = match rest.starts_with(',') {
        true => (ahead_s.checked_add(HOUR_S)?, rest),
        false => span(rest).and_then(|(west_s, rest)| Some((west_s.checked_neg()?, rest)))?,
    };
    let (begins, ends) = rest.strip_prefix(',')?.split_once(',')?;
    let summer = Summer { ahead_s: summer_s, begins: turn(begins)?, ends: turn(ends)? };
    Some(Zone { ahead_s, summer: Some(summer) })
}

/// What follows `CET` or `<+0530>`.
fn after_name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>').map(|(_, rest)| rest);
    }
    let rest = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    (text.len().saturating_sub(rest.len()) >= 3).then_some(rest)
}

/// `-5`, `+5:30`, `3:30:15`, in seconds, and what follows.
fn span(text: &str) -> Option<(i32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !":+-".contains(c)).unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end)?;
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => (-1, number),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let mut total = 0_i32;
    let mut unit = HOUR_S;
    for part in number.split(':') {
        // POSIX allows for a week.
        let value = part.parse::<u8>().ok().filter(|value| *value <= 167)?;
        total = total.checked_add(i32::from(value).checked_mul(unit)?)?;
        unit /= 60;
    }
    Some((total.checked_mul(sign)?, rest))
}

/// `M10.5.0/3`. Days without a week, which no zone has any more, are not understood.
fn turn(text: &str) -> Option<Turn> {
    let (day, time) = text.split_once('/').unwrap_or((text, ""));
    let mut parts = day.strip_prefix('M')?.split('.').map(|part| part.parse::<u8>().ok());
    let (month, week, weekday) = (parts.next()??, parts.next()??, parts.next()??);
    let time_s = match time {
        "" => USUAL_TIME_S,
        time => span(time).filter(|(_, rest)| rest.is_empty())?.0,
    };
    parts.next().is_none().then_some(Turn { month, week, weekday, time_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(month: u8, week: u8, hour: i32) -> Turn {
        Turn { month, week, weekday: 0, time_s: hour * HOUR_S }
    }

    fn zone(ahead_s: i32, summer_s: i32, begins: Turn, ends: Turn) -> Option<Zone> {
        let summer = Summer { ahead_s: summer_s, begins, ends };
        Some(Zone { ahead_s, summer: Some(summer) })
    }

    #[test]
    fn rules_of_all_parts_of_the_world_are_read() {
        let hour = HOUR_S;
        for (text, expected) in [
            ("UTC0", Some(Zone::UTC)),
            ("<+0545>-5:45", Some(Zone { ahead_s: 20_700, summer: None })),
            ("<-03>3", Some(Zone { ahead_s: -3 * hour, summer: None })),
            ("CET-1CEST,M3.5.0,M10.5.0/3", zone(hour, 2 * hour, day(3, 5, 2), day(10, 5, 3))),
            ("EST5EDT,M3.2.0,M11.1.0", zone(-5 * hour, -4 * hour, day(3, 2, 2), day(11, 1, 2))),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", zone(hour, 0, day(10, 5, 2), day(3, 5, 1))),
            (
                "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
                zone(-2 * hour, -hour, day(3, 5, -1), day(10, 5, 0)),
            ),
            (
                "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
                zone(37_800, 11 * hour, day(10, 1, 2), day(4, 1, 2)),
            ),
        ] {
            assert_eq!(rule(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_rule_is_none() {
        for text in [
            "",
            "C",
            "CET",
            "CET-",
            "CET-1CEST",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,J60,J300",
            "CET-1x",
            "CET-1CEST,M3.5,M10.5.0",
            "CET-1CEST,M3.5.0/x,M10.5.0",
            "<CET-1",
            "CET-999",
            "CET-1:2:3:4CEST,M3.5.0,M10.5.0,",
            "TZif2\0\0",
        ] {
            assert_eq!(rule(text), None, "{text}");
        }
    }
}
