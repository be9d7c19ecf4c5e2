//! How the wall clock stands to the time since boot, and the record that says so. The kernel slews
//! both alike, so this changes only when somebody sets the wall clock: a record's time and the
//! clock record before it give its time since boot to the millisecond, at no byte a line.

use std::fs;
use std::io::Write as _;

use ettan_sys::clock::Moment;

use crate::page::Page;
use crate::record::Stamps;
use crate::stamp::Stamp;

/// Less is the grain of milliseconds; whoever sets a clock sets it by more.
const STEP_MS: u64 = 20;

/// The longest clock record with its line end: a label, 20 digits, a boot's number of 36.
pub(crate) const CLOCK_BYTES: usize = 128;

/// Where the kernel says its number of this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The clocks as they were looked at last.
pub(crate) struct Clock {
    boot: String,
    up_ms: u64,
    offset_ms: i64,
    /// Counts how often the wall clock was set, from 1 on: whoever remembers another number has
    /// not written down how it stands now.
    pub(crate) setting: u32,
}

impl Clock {
    /// Not looked at yet.
    pub(crate) fn new() -> Self {
        let boot = fs::read_to_string(BOOT_ID).map(|id| id.trim().replace('-', ""));
        let boot = boot.ok().filter(|id| !id.is_empty()).unwrap_or_else(|| "-".to_owned());
        Clock { boot, up_ms: 0, offset_ms: i64::MIN, setting: 0 }
    }

    /// Takes notice of what both clocks say. True if the wall clock was set since the last look.
    pub(crate) fn look(&mut self, moment: Moment) -> bool {
        let offset_ms = moment.wall_ms.saturating_sub_unsigned(moment.up_ms);
        let is_first = self.setting == 0;
        let set = offset_ms.abs_diff(self.offset_ms) > STEP_MS && (moment.exact || is_first);
        if set {
            self.offset_ms = offset_ms;
            self.setting = self.setting.wrapping_add(1).max(1);
        }
        // By the offset that is written down: both are then right to each other.
        self.up_ms = moment.wall_ms.saturating_sub(self.offset_ms).max(0).cast_unsigned();
        set && !is_first
    }

    /// Pretends that it is so long since boot; gives the wall clock's time then.
    pub(crate) fn go_to(&mut self, up_ms: u64) -> u64 {
        self.up_ms = up_ms;
        self.offset_ms.saturating_add_unsigned(up_ms).max(0).cast_unsigned()
    }

    /// Adds `STAMP=up 12.345 boot 0123…`.
    pub(crate) fn add_to(&self, page: &mut Page<'_>, stamp: &Stamp, stamps: Stamps) {
        page.add(stamp.text(stamps));
        let (second, ms) = (self.up_ms / 1000, self.up_ms % 1000);
        // The page has room: its caller saw to it.
        let _ = writeln!(page, "=up {second}.{ms:03} boot {}", self.boot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ClockNote, Line};

    fn moment(wall_ms: i64, up_ms: u64) -> Moment {
        Moment { wall_ms, up_ms, exact: true }
    }

    #[test]
    fn only_a_clock_that_was_set_counts() {
        let mut clock = Clock::new();
        assert!(!clock.look(moment(5_000, 4_000)));
        assert_eq!(clock.setting, 1);
        assert!(!clock.look(moment(6_001, 5_000)));
        assert!(!clock.look(Moment { exact: false, ..moment(9_000, 5_100) }));
        assert_eq!(clock.setting, 1);
        assert!(clock.look(moment(1_700_000_000_000, 6_000)));
        assert_eq!(clock.setting, 2);
    }

    #[test]
    fn what_is_written_gives_the_distance_of_the_clocks() {
        let (mut clock, mut stamp) = (Clock::new(), Stamp::new());
        let _ = clock.look(moment(1_700_000_000_123, 77_456));
        stamp.set(1_700_000_000_123);
        for stamps in [Stamps::Iso, Stamps::Tai64n, Stamps::None] {
            let mut memory = [0; CLOCK_BYTES];
            let mut page = Page::new(&mut memory);
            clock.add_to(&mut page, &stamp, stamps);
            let line = Line::of(page.text().strip_suffix(b"\n").unwrap());
            let note = ClockNote::of(&line).unwrap();
            assert_eq!(note.offset_ms, 1_700_000_000_123 - 77_456);
            assert_eq!(note.boot, clock.boot);
        }
    }
}
