//! Writes the wall clock at the head of a record: `2026-11-21T01:02:03.456Z`, or a TAI64N label.
//! Formats once for all records of a turn, and a second once for all turns within it.

use crate::record::{ISO_BYTES, Stamps, TAI_BASE, TAI_BYTES, days_to_date};

/// The last time that was set, in both ways to write it.
pub(crate) struct Stamp {
    iso: [u8; ISO_BYTES],
    tai: [u8; TAI_BYTES],
    second: Option<u64>,
}

impl Stamp {
    /// The epoch, until told otherwise.
    pub(crate) const fn new() -> Self {
        Stamp {
            iso: *b"1970-01-01T00:00:00.000Z",
            tai: *b"@400000000000000a00000000",
            second: None,
        }
    }

    /// The text of the last time set. Where the service's lines have none, Ettan's own have ISO.
    pub(crate) fn text(&self, stamps: Stamps) -> &[u8] {
        match stamps {
            Stamps::Iso | Stamps::None => &self.iso,
            Stamps::Tai64n => &self.tai,
        }
    }

    /// Sets the time, in milliseconds since 1970. A year past 9999 is shown modulo 10,000.
    pub(crate) fn set(&mut self, wall_ms: u64) {
        let (second, ms) = (wall_ms / 1000, wall_ms % 1000);
        if self.second != Some(second) {
            self.second = Some(second);
            self.set_second(second);
        }
        decimal(&mut self.iso[20..23], ms);
        hexadecimal(&mut self.tai[17..], ms * 1_000_000);
    }

    fn set_second(&mut self, second: u64) {
        let (year, month, day) = days_to_date(second / 86_400);
        let in_day = second % 86_400;
        decimal(&mut self.iso[0..4], year % 10_000);
        decimal(&mut self.iso[5..7], month);
        decimal(&mut self.iso[8..10], day);
        decimal(&mut self.iso[11..13], in_day / 3600);
        decimal(&mut self.iso[14..16], in_day / 60 % 60);
        decimal(&mut self.iso[17..19], in_day % 60);
        hexadecimal(&mut self.tai[1..17], second.wrapping_add(TAI_BASE));
    }
}

/// Fills the field with the number's last digits.
fn decimal(field: &mut [u8], mut number: u64) {
    for place in field.iter_mut().rev() {
        *place = b"0123456789"[(number % 10) as usize];
        number /= 10;
    }
}

fn hexadecimal(field: &mut [u8], mut number: u64) {
    for place in field.iter_mut().rev() {
        *place = b"0123456789abcdef"[(number % 16) as usize];
        number /= 16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Line;

    fn texts(wall_ms: u64) -> [String; 2] {
        let mut stamp = Stamp::new();
        stamp.set(wall_ms);
        [Stamps::Iso, Stamps::Tai64n]
            .map(|stamps| String::from_utf8_lossy(stamp.text(stamps)).into_owned())
    }

    #[test]
    fn known_moments() {
        let iso = |wall_ms| texts(wall_ms)[0].clone();
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso(2_147_483_648_000), "2038-01-19T03:14:08.000Z");
        assert_eq!(iso(4_107_542_400_001), "2100-03-01T00:00:00.001Z");
        // 2011-02-09 13:26:24.5 UTC is ten seconds less than the label says.
        assert_eq!(texts(1_297_257_984_500)[1], "@400000004d52960a1dcd6500");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for wall_ms in
            [0, 1, 951_782_399_999, 951_782_400_000, 4_107_542_400_001, 1_700_000_000_999]
        {
            for text in texts(wall_ms) {
                let record = format!("{text} x");
                let line = Line::of(record.as_bytes());
                assert_eq!(line.wall_ms().map(i64::cast_unsigned), Some(wall_ms), "{text}");
            }
        }
    }

    #[test]
    fn milliseconds_change_within_a_cached_second() {
        let mut stamp = Stamp::new();
        stamp.set(1_000_001);
        stamp.set(1_000_999);
        assert_eq!(stamp.text(Stamps::Iso), b"1970-01-01T00:16:40.999Z");
        stamp.set(1_000);
        assert_eq!(stamp.text(Stamps::Iso), b"1970-01-01T00:00:01.000Z");
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let _ = texts(u64::MAX);
    }
}
