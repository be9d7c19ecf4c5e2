//! Gives each record its right time: by the last setting of the clock in the record's boot, and
//! for the running boot by the clock itself. Reads no file of a log.

use ettan_log::record::{ClockNote, Line};
use ettan_sys::clock;

/// Where the kernel says its number of this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// All boots that were heard of.
pub(super) struct Clocks {
    boots: Vec<Boot>,
}

struct Boot {
    id: String,
    /// The wall clock less the time since boot, and how long after the boot it was so.
    offset_ms: i64,
    up_ms: i64,
}

/// What the clock records of one log have said up to here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spell {
    /// Which boot, and how its clock stood to the time since then; none before the first record.
    pub(super) boot: Option<(usize, i64)>,
    /// The time of the last record that had one.
    last_ms: i64,
}

/// When something was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct When {
    /// The time as written, in milliseconds since 1970; that of the record before where there is
    /// none.
    written_ms: i64,
    boot: Option<(usize, i64)>,
}

impl Clocks {
    /// Knows the running boot.
    pub(super) fn new() -> Self {
        let id = std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().replace('-', "");
        let id = if id.is_empty() { "-".to_owned() } else { id };
        Clocks { boots: vec![Boot { id, offset_ms: offset_now(), up_ms: i64::MAX }] }
    }

    /// The clock may have been set since.
    pub(super) fn look_again(&mut self) {
        if let Some(now) = self.boots.first_mut() {
            now.offset_ms = offset_now();
        }
    }

    /// Takes notice of a record, and says when it was written.
    pub(super) fn note(&mut self, spell: &mut Spell, line: &Line<'_>) -> When {
        if let Some(note) = ClockNote::of(line) {
            spell.boot = Some((self.boot(&note, line), note.offset_ms));
        }
        let written_ms = line.wall_ms().unwrap_or(spell.last_ms);
        spell.last_ms = written_ms;
        When { written_ms, boot: spell.boot }
    }

    fn boot(&mut self, note: &ClockNote<'_>, line: &Line<'_>) -> usize {
        let up_ms = line.wall_ms().unwrap_or(0).saturating_sub(note.offset_ms);
        let offset_ms = note.offset_ms;
        let Some(place) = self.boots.iter().position(|boot| boot.id == note.boot) else {
            self.boots.push(Boot { id: note.boot.to_owned(), offset_ms, up_ms });
            return self.boots.len().saturating_sub(1);
        };
        if let Some(boot) = self.boots.get_mut(place).filter(|boot| boot.up_ms <= up_ms) {
            (boot.offset_ms, boot.up_ms) = (offset_ms, up_ms);
        }
        place
    }

    /// The right time of it, in milliseconds since 1970.
    pub(super) fn right_ms(&self, when: When) -> i64 {
        let boot = when.boot.and_then(|(boot, offset)| Some((self.boots.get(boot)?, offset)));
        boot.map_or(when.written_ms, |(boot, offset_ms)| {
            when.written_ms.saturating_sub(offset_ms).saturating_add(boot.offset_ms)
        })
    }

    /// The number of the boot, and the milliseconds since then.
    pub(super) fn since_boot(&self, when: When) -> Option<(&str, i64)> {
        let (boot, offset_ms) = when.boot?;
        Some((&self.boots.get(boot)?.id, when.written_ms.saturating_sub(offset_ms)))
    }

    /// Whether it was written since the machine was started.
    pub(super) fn is_this_boot(&self, when: When) -> bool {
        when.boot.is_some_and(|(boot, _)| boot == 0)
    }
}

fn offset_now() -> i64 {
    let moment = clock::moment();
    moment.wall_ms.saturating_sub_unsigned(moment.up_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_6_what_was_written_in_1970_is_shown_with_the_right_time() {
        let mut clocks = Clocks::new();
        let mut spell = Spell::default();
        let lines = [
            "1970-01-01T00:00:05.000Z=up 5.000 boot abc",
            "1970-01-01T00:00:06.000Z early",
            "2026-11-21T00:00:08.000Z=up 8.000 boot abc",
            "2026-11-21T00:00:09.000Z late",
        ];
        let whens = lines.map(|text| clocks.note(&mut spell, &Line::of(text.as_bytes())));
        let right = whens.map(|when| ettan_log::iso(clocks.right_ms(when)));
        assert_eq!(right[1], "2026-11-21T00:00:06.000Z");
        assert_eq!(right[3], "2026-11-21T00:00:09.000Z");
        assert_eq!(clocks.since_boot(whens[1]), Some(("abc", 6_000)));
        assert!(!clocks.is_this_boot(whens[1]));
    }

    #[test]
    fn the_running_boot_goes_by_the_clock_itself() {
        let mut clocks = Clocks::new();
        let id = clocks.boots[0].id.clone();
        let mut spell = Spell::default();
        let note = format!("1970-01-01T00:00:01.000Z=up 0.500 boot {id}");
        let _ = clocks.note(&mut spell, &Line::of(note.as_bytes()));
        let when = clocks.note(&mut spell, &Line::of(b"1970-01-01T00:00:02.000Z x"));
        let expected = offset_now() + 1_500;
        assert!((clocks.right_ms(when) - expected).abs() < 1_000);
        assert!(clocks.is_this_boot(when));
    }

    #[test]
    fn a_line_without_a_time_has_that_of_the_record_before() {
        let mut clocks = Clocks::new();
        let mut spell = Spell::default();
        let _ = clocks.note(&mut spell, &Line::of(b"1970-01-01T00:00:05.000Z=up 5.000 boot abc"));
        let when = clocks.note(&mut spell, &Line::of(b"bare"));
        assert_eq!(clocks.right_ms(when), 5_000);
    }
}
