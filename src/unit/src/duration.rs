//! Spans of time: `"100ms"`, `"5s"`, `"2min 30s"`, or a bare number of seconds.

use crate::diagnostic::Complaint;
use crate::reference::shown;

/// The units systemd knows, from milliseconds up. The first of each is the one we write.
const UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("msec", 1),
    ("s", 1_000),
    ("sec", 1_000),
    ("second", 1_000),
    ("seconds", 1_000),
    ("min", 60_000),
    ("m", 60_000),
    ("minute", 60_000),
    ("minutes", 60_000),
    ("h", 3_600_000),
    ("hr", 3_600_000),
    ("hour", 3_600_000),
    ("hours", 3_600_000),
    ("d", 86_400_000),
    ("day", 86_400_000),
    ("days", 86_400_000),
    ("w", 604_800_000),
    ("week", 604_800_000),
    ("weeks", 604_800_000),
];

const EXAMPLES: &str = "for example \"100ms\", \"5s\", \"2min 30s\", or a number of seconds";

/// The span in milliseconds.
pub(crate) fn parse(text: &str) -> Result<u32, Complaint> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(Complaint::new("an empty span of time").hint(EXAMPLES));
    }
    if rest.eq_ignore_ascii_case("infinity") {
        return Err(Complaint::new("`infinity` is not a span of time").hint("0 waits for ever"));
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = split(rest, |b| b.is_ascii_digit() || b == b'.');
        let letters = split(digits.1.trim_start(), |b| b.is_ascii_alphabetic());
        let factor = match letters.0 {
            // Only a number that stands alone may leave its unit out.
            "" if digits.0 == text.trim() => 1_000,
            name => factor(name, text)?,
        };
        let part = scaled(digits.0, factor).ok_or_else(|| bad(text))?;
        total = total.saturating_add(part);
        rest = letters.1.trim_start();
    }
    u32::try_from(total)
        .map_err(|_| Complaint::new(format!("`{}` is longer than 49 days", shown(text))))
}

fn factor(name: &str, text: &str) -> Result<u64, Complaint> {
    if ["us", "usec", "µs", "ns", "nsec"].contains(&name) {
        return Err(Complaint::new("a millisecond is the shortest span").hint(EXAMPLES));
    }
    let found = UNITS.iter().find(|(known, _)| *known == name);
    found.map(|(_, factor)| *factor).ok_or_else(|| bad(text))
}

fn bad(text: &str) -> Complaint {
    Complaint::new(format!("`{}` is not a span of time", shown(text))).hint(EXAMPLES)
}

fn split(text: &str, keep: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|b| !keep(b)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A decimal number times `factor`, in whole milliseconds (a finer rest is cut off).
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let places = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = fraction.parse::<u64>().ok()?.checked_mul(factor)?.checked_div(places)?;
    whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_nothing_that_a_terminal_obeys() {
        let message = parse("5s\u{1b}[2J\n\0").unwrap_err().message;
        assert!(!message.contains(char::is_control), "{message:?}");
    }

    #[test]
    fn reads_every_form() {
        let cases = [
            ("100ms", 100),
            ("5s", 5_000),
            ("2min 30s", 150_000),
            ("2min30s", 150_000),
            ("1.5s", 1_500),
            ("30", 30_000),
            ("0", 0),
            ("0.25", 250),
            ("1h", 3_600_000),
            (" 1 day  2 hours ", 93_600_000),
            ("49d", 4_233_600_000),
        ];
        for (text, ms) in cases {
            assert_eq!(parse(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        let cases = [
            "",
            " ",
            "s",
            "5 6",
            "5s 6",
            "-1",
            "-1s",
            "+1s",
            "1e3",
            "1..2s",
            ".5s",
            "5.",
            "5x",
            "1us",
            "infinity",
            "50d",
            "99999999999999999999s",
            "5s;",
            "٣s",
            "1,5s",
            "0x10",
            "NaN",
            "18446744073709551615ms",
            "1.0000000001s",
        ];
        for text in cases {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
