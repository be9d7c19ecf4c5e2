//! What a record of a log is, for everybody who reads one: its time, its kind, its text, and what
//! a clock record says about the times around it. Writes nothing; `docs/logs.md` has the format.

/// How the time is written at the head of a service's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamps {
    /// `2026-11-21T01:02:03.456Z`.
    #[default]
    Iso,
    /// `@` and 24 hexadecimal digits, as daemontools has it.
    Tai64n,
    /// A service's lines stand alone, and those of Ettan's have ISO.
    None,
}

impl Stamps {
    /// The word of the unit file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Stamps::Iso => "iso",
            Stamps::Tai64n => "tai64n",
            Stamps::None => "none",
        }
    }

    /// The reverse of [`Stamps::word`].
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Stamps::Iso, Stamps::Tai64n, Stamps::None].into_iter().find(|stamps| stamps.word() == word)
    }
}

/// Bytes of an ISO time.
pub const ISO_BYTES: usize = 24;
/// Bytes of a TAI64N label.
pub const TAI_BYTES: usize = 25;
/// What a label's seconds count from: 2^62, and the 10 s that TAI was ahead in 1970. Leap seconds
/// since then are not in it, as with daemontools.
pub const TAI_BASE: u64 = (1 << 62) + 10;

/// What a record is, by the byte after its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A space: a line that the service wrote to its output.
    Line,
    /// `!`: a line that the service wrote to standard error, where that is kept apart.
    Error,
    /// `+`: more of the output line before.
    Rest,
    /// `-`: more of the line of standard error before.
    ErrorRest,
    /// `*`: a note of Ettan's own.
    Note,
    /// `<N>`: a message with facility and severity, from syslog(3) or from the kernel.
    Message(u16),
    /// `=`: how the clocks stood.
    Clock,
}

/// A record, taken apart. A line of another shape is text alone: of a log without times, or torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The time as written, or nothing.
    pub stamp: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// What was written.
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Takes a line apart; `line` is without its end.
    #[must_use]
    pub fn of(line: &'a [u8]) -> Self {
        stamped(line).unwrap_or(Self { stamp: b"", kind: Kind::Line, text: line })
    }

    /// The time as written, in milliseconds since 1970.
    #[must_use]
    pub fn wall_ms(&self) -> Option<i64> {
        stamp_ms(self.stamp)
    }
}

fn stamped(line: &[u8]) -> Option<Line<'_>> {
    let length = if line.first() == Some(&b'@') { TAI_BYTES } else { ISO_BYTES };
    let (stamp, rest) = line.split_at_checked(length)?;
    stamp_ms(stamp)?;
    let (lead, text) = rest.split_first()?;
    let kind = match lead {
        b' ' => Kind::Line,
        b'!' => Kind::Error,
        b'+' => Kind::Rest,
        b'-' => Kind::ErrorRest,
        b'*' => Kind::Note,
        b'=' => Kind::Clock,
        b'<' => return message(stamp, text),
        _ => return None,
    };
    Some(Line { stamp, kind, text })
}

fn message<'a>(stamp: &'a [u8], text: &'a [u8]) -> Option<Line<'a>> {
    let (priority, text) = priority(text)?;
    Some(Line { stamp, kind: Kind::Message(priority), text })
}

/// `N>` and the rest: N is eight times the facility, and the severity.
pub(crate) fn priority(text: &[u8]) -> Option<(u16, &[u8])> {
    const MOST_DIGITS: usize = 4;
    let end = text.iter().take(MOST_DIGITS + 1).position(|byte| *byte == b'>')?;
    let digits = text.get(..end)?;
    let rest = text.get(end + 1..)?;
    Some((number(digits)?.try_into().ok()?, rest))
}

/// What a `=` record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockNote<'a> {
    /// The wall clock less the time since boot, in milliseconds: what is written as the time of
    /// the records that follow, less this, is their time since boot.
    pub offset_ms: i64,
    /// The kernel's number of this boot; `-` where it has none.
    pub boot: &'a str,
}

impl<'a> ClockNote<'a> {
    /// Reads `up 12.345 boot 0123…`; None when the record is no `=` or is damaged.
    #[must_use]
    pub fn of(line: &Line<'a>) -> Option<Self> {
        if line.kind != Kind::Clock {
            return None;
        }
        let text = str::from_utf8(line.text).ok()?.strip_prefix("up ")?;
        let (up, boot) = text.split_once(" boot ")?;
        let (seconds, ms) = up.split_once('.').filter(|(_, ms)| ms.len() == 3)?;
        let up_ms =
            number(seconds.as_bytes())?.checked_mul(1000)?.checked_add(number(ms.as_bytes())?)?;
        let offset_ms = line.wall_ms()?.checked_sub(up_ms.try_into().ok()?)?;
        Some(Self { offset_ms, boot })
    }
}

/// An ISO time or a TAI64N label in milliseconds since 1970.
#[must_use]
pub fn stamp_ms(stamp: &[u8]) -> Option<i64> {
    match stamp {
        [b'@', label @ ..] => {
            label_ns(label).map(|(second, ns)| second * 1000 + i64::from(ns) / 1_000_000)
        }
        _ => iso_ms(stamp),
    }
}

/// The 24 digits of a label: seconds since 1970, and nanoseconds.
#[must_use]
pub fn label_ns(digits: &[u8]) -> Option<(i64, u32)> {
    let text = str::from_utf8(digits).ok().filter(|text| text.len() == TAI_BYTES - 1)?;
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let (second, ns) = text.split_at_checked(16)?;
    let second = u64::from_str_radix(second, 16).ok()?.checked_sub(TAI_BASE)?;
    // What is further away than a year of ten digits is no time.
    let second = i64::try_from(second).ok().filter(|second| *second < 1 << 48)?;
    Some((second, u32::from_str_radix(ns, 16).ok()?))
}

fn iso_ms(stamp: &[u8]) -> Option<i64> {
    let [
        a,
        b,
        c,
        d,
        b'-',
        e,
        f,
        b'-',
        g,
        h,
        b'T',
        i,
        j,
        b':',
        k,
        l,
        b':',
        m,
        n,
        b'.',
        o,
        p,
        q,
        b'Z',
    ] = *stamp
    else {
        return None;
    };
    let year = number(&[a, b, c, d])?;
    let (month, day) = (number(&[e, f])?, number(&[g, h])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let in_day = (number(&[i, j])? * 60 + number(&[k, l])?) * 60 + number(&[m, n])?;
    let second = date_to_days(year, month, day) * 86_400 + in_day.cast_signed();
    Some(second * 1000 + number(&[o, p, q])?.cast_signed())
}

fn number(digits: &[u8]) -> Option<u64> {
    // 15 digits never overflow.
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    digits.iter().try_fold(0, |number: u64, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// Year, month, day of the Gregorian calendar, of a day counted from 1970-01-01.
/// Counts in years that begin in March, so that the leap day is the last of its year.
#[must_use]
pub fn days_to_date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// The reverse of [`days_to_date`]; negative before 1970.
#[must_use]
pub fn date_to_days(year: u64, month: u64, day: u64) -> i64 {
    // 400 years more keep year 0 positive.
    let year = year + 400 - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).cast_signed() - 146_097 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_each_others_reverse() {
        for days in (0..200_000).step_by(13) {
            let (year, month, day) = days_to_date(days);
            assert_eq!(date_to_days(year, month, day), days.cast_signed());
        }
        assert_eq!(date_to_days(1969, 12, 31), -1);
        assert!(date_to_days(0, 1, 1) < -700_000);
    }

    #[test]
    fn each_kind_of_record_is_taken_apart() {
        let cases: [(&[u8], Kind, &[u8]); 7] = [
            (b" hello", Kind::Line, b"hello"),
            (b"!oops", Kind::Error, b"oops"),
            (b"+more", Kind::Rest, b"more"),
            (b"-more", Kind::ErrorRest, b"more"),
            (b"*ended", Kind::Note, b"ended"),
            (b"<30>x[1]: y", Kind::Message(30), b"x[1]: y"),
            (b"=up 1.000 boot -", Kind::Clock, b"up 1.000 boot -"),
        ];
        for (rest, kind, text) in cases {
            for stamp in [&b"2026-11-21T01:02:07.001Z"[..], b"@400000004d52960a1dcd6500"] {
                let record = [stamp, rest].concat();
                assert_eq!(Line::of(&record), Line { stamp, kind, text });
            }
        }
    }

    #[test]
    fn f6_9_anything_else_is_text() {
        let long = [b"2026-11-21T01:02:07.001Z<99999>x".as_slice(), b"2026-13-21T01:02:07.001Z x"];
        let others: [&[u8]; 7] = [
            b"",
            b"short",
            b"2026-11-21T01:02:07.001Z",
            b"2026-11-21T01:02:07.001Z?x",
            b"@4000",
            b"\0\0\0",
            &[0xff; 40],
        ];
        for bytes in others.into_iter().chain(long) {
            assert_eq!(Line::of(bytes), Line { stamp: b"", kind: Kind::Line, text: bytes });
        }
    }

    #[test]
    fn clocks_are_read() {
        let line = Line::of(b"1970-01-01T00:00:20.500Z=up 12.345 boot 0123");
        assert_eq!(ClockNote::of(&line), Some(ClockNote { offset_ms: 8_155, boot: "0123" }));
        for damaged in ["", "up", "up 1 boot -", "up 1.1 boot -", "up x.000 boot -", "up 1.000"] {
            let record = format!("1970-01-01T00:00:20.500Z={damaged}");
            assert_eq!(ClockNote::of(&Line::of(record.as_bytes())), None, "{damaged}");
        }
    }
}
