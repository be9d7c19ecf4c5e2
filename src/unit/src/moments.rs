//! `at`: days of the week and times of day, written as in systemd's OnCalendar, of which it is a part:
//! what comes again every week. Knows no zone: see `zone`.

use crate::diagnostic::Complaint;
use crate::reference::shown;

/// What `at` says; one bit for each day from Monday on, each hour, each minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moments {
    pub(crate) days: u8,
    pub(crate) hours: u32,
    pub(crate) minutes: u64,
    /// By UTC, wherever the machine is.
    pub(crate) utc: bool,
}

const EVERY_DAY: u8 = 0x7f;

const DAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Words for moments.
const WORDS: &[(&str, &str)] =
    &[("minutely", "*:*"), ("hourly", "*:00"), ("daily", "00:00"), ("weekly", "mon 00:00")];

/// Such words, which mean what cannot be said here.
const LONGER: [&str; 5] = ["monthly", "quarterly", "semiannually", "yearly", "annually"];

const EXAMPLES: &str = "for example \"03:30\", \"Mon..Fri 08:00\", \"*:0/15\", \"Sun 12:00 UTC\"";

/// The moments of `text`.
pub(crate) fn parse(text: &str) -> Result<Moments, Complaint> {
    let lower = text.trim().to_ascii_lowercase();
    let mut words = Vec::new();
    for word in lower.split_whitespace() {
        if LONGER.contains(&word) {
            return Err(no_dates(text));
        }
        let known = WORDS.iter().find(|(known, _)| *known == word);
        words.extend(known.map_or(word, |(_, means)| means).split_whitespace());
    }
    let utc = words.last() == Some(&"utc");
    if utc {
        words.pop();
    }
    let bad = || Complaint::new(format!("`{}` is no moment", shown(text))).hint(EXAMPLES);
    if let Some(zone) = words.iter().find(|word| word.contains('/') && !word.contains(':')) {
        let message = format!("`{}`: a time zone of its own is not supported", shown(zone));
        return Err(Complaint::new(message).hint("the machine's zone, or `UTC` at the end"));
    }
    let mut rest = words.as_slice();
    let mut days = EVERY_DAY;
    if let [first, after @ ..] = rest
        && first.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        days = self::days(first).ok_or_else(bad)?;
        rest = after;
    }
    if let [first, after @ ..] = rest
        && first.contains('-')
    {
        if *first != "*-*-*" {
            return Err(no_dates(text));
        }
        rest = after;
    }
    let time = match rest {
        [time] => *time,
        // A day alone begins at midnight.
        [] if days != EVERY_DAY => "00:00",
        _ => return Err(bad()),
    };
    let mut parts = time.split(':');
    let (hours, minutes) = (parts.next().unwrap_or(""), parts.next().ok_or_else(bad)?);
    match (parts.next(), parts.next()) {
        (None | Some("00" | "0"), None) => {}
        (Some(_), None) => {
            let message = format!("`{}`: a moment is a whole minute", shown(text));
            return Err(Complaint::new(message).hint("`every` takes seconds"));
        }
        (_, Some(_)) => return Err(bad()),
    }
    let hours = field(hours, 24).and_then(|bits| u32::try_from(bits).ok()).ok_or_else(bad)?;
    Ok(Moments { days, hours, minutes: field(minutes, 60).ok_or_else(bad)?, utc })
}

fn no_dates(text: &str) -> Complaint {
    let message = format!("`{}`: days of the month and months are not supported", shown(text));
    Complaint::new(message)
        .hint("a moment comes every day or on days of the week; the program can look at the date")
}

/// `mon`, `mon..fri`, `mon-fri`, `sat,sun`.
fn days(text: &str) -> Option<u8> {
    let mut all = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once("..").or(part.split_once('-')).unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        if first > last {
            return None;
        }
        (first..=last).for_each(|day| all |= 1_u8 << day);
    }
    Some(all)
}

fn day(text: &str) -> Option<usize> {
    DAYS.iter().position(|name| *name == text || name.get(..3) == Some(text))
}

/// `*`, `7`, `8..18`, `0,30`, `*/15`, `0/15`, `8..18/2`: the numbers below `end`, one bit each.
fn field(text: &str, end: u64) -> Option<u64> {
    let mut all = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (first, last) = match (range, range.split_once("..")) {
            ("*", _) => (0, end.checked_sub(1)?),
            (_, Some((first, last))) => (number(first)?, number(last)?),
            (one, None) if step.is_some() => (number(one)?, end.checked_sub(1)?),
            (one, None) => (number(one)?, number(one)?),
        };
        if first > last || last >= end {
            return None;
        }
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        (first..=last).step_by(step).for_each(|bit| all |= 1_u64 << bit);
    }
    Some(all)
}

fn number(text: &str) -> Option<u64> {
    let plain = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY_HOUR: u32 = 0xff_ffff;

    #[test]
    fn moments_are_read_as_systemd_reads_them() {
        let working = 0x1f;
        let cases = [
            ("03:30", EVERY_DAY, 1 << 3, 1 << 30),
            ("3:30:00", EVERY_DAY, 1 << 3, 1 << 30),
            ("*-*-* 03:30:00", EVERY_DAY, 1 << 3, 1 << 30),
            ("Mon 03:30", 1, 1 << 3, 1 << 30),
            ("Monday *-*-* 03:30", 1, 1 << 3, 1 << 30),
            ("Mon..Fri 08:00", working, 1 << 8, 1),
            ("mon-fri 8:0", working, 1 << 8, 1),
            ("Sat,Sun 12:00", 0x60, 1 << 12, 1),
            ("*:15", EVERY_DAY, EVERY_HOUR, 1 << 15),
            ("*:0/15", EVERY_DAY, EVERY_HOUR, 1 | 1 << 15 | 1 << 30 | 1 << 45),
            ("*:*/30", EVERY_DAY, EVERY_HOUR, 1 | 1 << 30),
            ("8..18/5:30", EVERY_DAY, 1 << 8 | 1 << 13 | 1 << 18, 1 << 30),
            ("06,18:00", EVERY_DAY, 1 << 6 | 1 << 18, 1),
            ("hourly", EVERY_DAY, EVERY_HOUR, 1),
            ("Daily", EVERY_DAY, 1, 1),
            ("weekly", 1, 1, 1),
            ("Sun", 0x40, 1, 1),
        ];
        for (text, days, hours, minutes) in cases {
            let moments = Moments { days, hours, minutes, utc: false };
            assert_eq!(parse(text), Ok(moments), "{text}");
            let utc = format!(" {text} UTC ");
            assert_eq!(parse(&utc), Ok(Moments { utc: true, ..moments }), "{text}");
        }
    }

    #[test]
    fn what_is_not_supported_is_said_and_the_rest_refused() {
        for (text, word) in [
            ("*-*-01 03:30", "days of the month"),
            ("2026-12-24 18:00", "days of the month"),
            ("monthly", "days of the month"),
            ("03:30:15", "whole minute"),
            ("03:30 Europe/Stockholm", "time zone"),
            ("", "no moment"),
            ("03", "no moment"),
            ("24:00", "no moment"),
            ("03:60", "no moment"),
            ("Fri..Mon 03:30", "no moment"),
            ("Mox 03:30", "no moment"),
            ("18..8:00", "no moment"),
            ("*/0:00", "no moment"),
            ("03:30 04:30", "no moment"),
            ("-1:00", "days of the month"),
            ("3:30:00:00", "no moment"),
            ("003:30", "no moment"),
        ] {
            let complaint = parse(text).unwrap_err();
            assert!(complaint.message.contains(word), "{text}: {}", complaint.message);
        }
        assert!(!parse("\u{1b}[2J\n").unwrap_err().message.contains(char::is_control));
    }
}
