//! Writes the wall clock as `2026-11-21T01:02:03.456Z`. Formats a second once, not a line.

/// Bytes of one time stamp.
pub(crate) const STAMP_BYTES: usize = 24;

/// The last time stamp that was asked for.
pub(crate) struct Stamp {
    text: [u8; STAMP_BYTES],
    second: Option<u64>,
}

impl Stamp {
    /// The epoch, until told otherwise.
    pub(crate) const fn new() -> Self {
        Stamp { text: *b"1970-01-01T00:00:00.000Z", second: None }
    }

    /// The text of the last time set.
    pub(crate) fn text(&self) -> &[u8; STAMP_BYTES] {
        &self.text
    }

    /// Sets the time, in milliseconds since 1970. A year past 9999 is shown modulo 10,000.
    pub(crate) fn set(&mut self, wall_ms: u64) {
        let second = wall_ms / 1000;
        if self.second != Some(second) {
            self.second = Some(second);
            self.set_second(second);
        }
        digits(&mut self.text[20..23], wall_ms % 1000);
    }

    fn set_second(&mut self, second: u64) {
        let (year, month, day) = civil(second / 86_400);
        let in_day = second % 86_400;
        digits(&mut self.text[0..4], year % 10_000);
        digits(&mut self.text[5..7], month);
        digits(&mut self.text[8..10], day);
        digits(&mut self.text[11..13], in_day / 3600);
        digits(&mut self.text[14..16], in_day / 60 % 60);
        digits(&mut self.text[17..19], in_day % 60);
    }
}

/// Fills the field with the number's last digits.
fn digits(field: &mut [u8], mut number: u64) {
    for place in field.iter_mut().rev() {
        *place = b"0123456789"[(number % 10) as usize];
        number /= 10;
    }
}

/// Year, month, day of the Gregorian calendar, of a day counted from 1970-01-01.
/// Counts in years that begin in March, so that the leap day is the last of its year.
fn civil(days_since_1970: u64) -> (u64, u64, u64) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(wall_ms: u64) -> String {
        let mut stamp = Stamp::new();
        stamp.set(wall_ms);
        String::from_utf8_lossy(stamp.text()).into_owned()
    }

    #[test]
    fn known_moments() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(text(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(text(2_147_483_648_000), "2038-01-19T03:14:08.000Z");
        assert_eq!(text(4_107_542_400_001), "2100-03-01T00:00:00.001Z");
    }

    #[test]
    fn milliseconds_change_within_a_cached_second() {
        let mut stamp = Stamp::new();
        stamp.set(1_000_001);
        stamp.set(1_000_999);
        assert_eq!(stamp.text(), b"1970-01-01T00:16:40.999Z");
        stamp.set(1_000);
        assert_eq!(stamp.text(), b"1970-01-01T00:00:01.000Z");
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let _ = text(u64::MAX);
    }
}
