//! Which records somebody wants to see: since when, until when, how bad.

use ettan_log::record::{Kind, Line, date_to_days, stamp_ms};
use ettan_sys::clock;

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Milliseconds since 1970; nothing before that.
    pub(crate) since_ms: Option<i64>,
    /// Nothing after that.
    pub(crate) until_ms: Option<i64>,
    /// Nothing less severe; 0 to 7.
    pub(crate) severity: Option<u8>,
    /// Only what was written since the machine was started.
    pub(crate) this_boot: bool,
}

/// syslog(3)'s words for severities, the worst first.
const SEVERITIES: [&str; 8] =
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
/// An error is one up to this severity.
pub(super) const ERROR: u8 = 3;
const NOTICE: u8 = 5;
const INFO: u8 = 6;

impl Wish {
    /// Whether a record written then is wanted.
    pub(super) fn has_time(&self, ms: i64) -> bool {
        self.since_ms.is_none_or(|since| ms >= since)
            && self.until_ms.is_none_or(|until| ms <= until)
    }

    /// Whether a record of this severity is wanted.
    pub(super) fn has_severity(&self, line: &Line<'_>) -> bool {
        self.severity.is_none_or(|most| severity(line) <= most)
    }
}

/// How severe a record is. A line may begin with `<N>`, as services of systemd write it.
pub(super) fn severity(line: &Line<'_>) -> u8 {
    match line.kind {
        Kind::Message(priority) => (priority % 8) as u8,
        Kind::Note => NOTICE,
        Kind::Line | Kind::Rest | Kind::Clock => said(line.text).unwrap_or(INFO),
        Kind::Error => said(line.text).unwrap_or(ERROR),
        Kind::ErrorRest => ERROR,
    }
}

/// What a line says of itself at its beginning.
fn said(text: &[u8]) -> Option<u8> {
    match text {
        [b'<', digit @ b'0'..=b'7', b'>', ..] => Some(digit - b'0'),
        _ => None,
    }
}

/// `err`, `error`, `3`: the number of a severity.
pub(crate) fn severity_of(word: &str) -> Result<u8, String> {
    let word = word.to_ascii_lowercase();
    let same = match word.as_str() {
        "error" => "err",
        "warn" => "warning",
        "critical" => "crit",
        "emergency" | "panic" => "emerg",
        other => other,
    };
    let by_word = SEVERITIES.iter().position(|severity| *severity == same);
    let by_number = || word.parse().ok().filter(|number| *number < SEVERITIES.len());
    let found = by_word.or_else(by_number).and_then(|number| u8::try_from(number).ok());
    found.ok_or_else(|| format!("one of {} or 0 to 7", SEVERITIES.join(", ")))
}

/// A moment in milliseconds since 1970: `2026-11-21`, `2026-11-21 01:02[:03[.456]]` (UTC, `T` and
/// `Z` if one likes), `@1795222923`, `today`, or a span that is taken as so long ago (`10min`).
pub(crate) fn moment(text: &str) -> Result<i64, String> {
    const DAY_MS: i64 = 86_400_000;
    let now_ms = clock::wall();
    if text == "now" {
        return Ok(now_ms);
    }
    if text == "today" {
        return Ok(now_ms.div_euclid(DAY_MS).saturating_mul(DAY_MS));
    }
    if let Some(seconds) = text.strip_prefix('@').and_then(|seconds| seconds.parse::<i64>().ok()) {
        return Ok(seconds.saturating_mul(1000));
    }
    let absolute = date(text).or_else(|| stamp_ms(text.as_bytes()));
    let ago = || ettan_unit::span_ms(text.strip_suffix(" ago").unwrap_or(text));
    let found = absolute.or_else(|| ago().ok().map(|span| now_ms.saturating_sub(span.into())));
    found.ok_or_else(|| {
        "a time as 2026-11-21, \"2026-11-21 01:02:03\" (UTC), @SECONDS, today, or how long ago: 10min".into()
    })
}

fn date(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let mut parts = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let sound =
        (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    // Hours and minutes, seconds, milliseconds.
    if !sound || parts.next().is_some() || ![5, 8, 12].contains(&time.len()) {
        return None;
    }
    // Missing parts are zeros.
    let whole = "00:00:00.000".get(time.len()..).map(|rest| format!("{time}{rest}"))?;
    let midnight_ms = date_to_days(year, month, day).checked_mul(86_400_000)?;
    Some(midnight_ms + stamp_ms(format!("1970-01-01T{whole}Z").as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let day = 1_795_219_200_000;
        for (text, ms) in [
            ("2026-11-21", day),
            ("2026-11-21 01:02", day + 3_720_000),
            ("2026-11-21T01:02:03Z", day + 3_723_000),
            ("2026-11-21T01:02:03.456Z", day + 3_723_456),
            ("@4000000069f8a90a00000000", 1_777_903_872_000),
            ("@1795219200", day),
        ] {
            assert_eq!(moment(text), Ok(ms), "{text}");
        }
        let now = clock::wall();
        assert!((moment("10min").unwrap() - (now - 600_000)).abs() < 5_000);
        assert!((moment("1h ago").unwrap() - (now - 3_600_000)).abs() < 5_000);
        for text in ["", "yesterday-ish", "2026-13-01", "2026-11-21 1", "-5"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn severities_are_read() {
        assert_eq!(severity_of("err"), Ok(3));
        assert_eq!(severity_of("WARN"), Ok(4));
        assert_eq!(severity_of("7"), Ok(7));
        assert!(severity_of("8").is_err() && severity_of("loud").is_err());
    }

    #[test]
    fn a_record_is_as_severe_as_it_says() {
        let of = |rest: &str| {
            let text = format!("2026-11-21T01:02:03.456Z{rest}");
            severity(&Line::of(text.as_bytes()))
        };
        assert_eq!(of("<27>x: y"), 3);
        assert_eq!(of(" <4>careful"), 4);
        assert_eq!(of(" plain"), INFO);
        assert_eq!(of("!plain"), ERROR);
        assert_eq!(of("!<6>of a library that knows severities"), INFO);
        assert_eq!(of("-the rest"), ERROR);
        assert_eq!(of("*ended"), NOTICE);
    }
}
