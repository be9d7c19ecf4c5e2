//! Which moment comes next: by the week, by the zone, at the ends of summer and of 32 bits.

use ettan_core::{Calendar, Summer, Turn, Zone};
use proptest::prelude::*;

const DAY: i64 = 86_400;
const EVERY_DAY: u8 = 0x7f;
const EVERY_HOUR: u32 = 0xff_ffff;

const fn last_sunday(month: u8, time_s: i32) -> Turn {
    Turn { month, week: 5, weekday: 0, time_s }
}

/// CET-1CEST,M3.5.0,M10.5.0/3
const STOCKHOLM: Zone = Zone {
    ahead_s: 3_600,
    summer: Some(Summer {
        ahead_s: 7_200,
        begins: last_sunday(3, 7_200),
        ends: last_sunday(10, 10_800),
    }),
};

/// AEST-10AEDT,M10.1.0,M4.1.0/3
const SYDNEY: Zone = Zone {
    ahead_s: 36_000,
    summer: Some(Summer {
        ahead_s: 39_600,
        begins: Turn { month: 10, week: 1, weekday: 0, time_s: 7_200 },
        ends: Turn { month: 4, week: 1, weekday: 0, time_s: 10_800 },
    }),
};

/// IST-1GMT0,M10.5.0,M3.5.0/1: summer is the usual time, and winter the other one.
const DUBLIN: Zone = Zone {
    ahead_s: 3_600,
    summer: Some(Summer {
        ahead_s: 0,
        begins: last_sunday(10, 7_200),
        ends: last_sunday(3, 3_600),
    }),
};

fn daily(hour: u32, minute: u32, zone: Zone) -> Calendar {
    Calendar { days: EVERY_DAY, hours: 1 << hour, minutes: 1 << minute, zone }
}

/// The next `count` moments after this second.
fn moments(calendar: Calendar, mut after: i64, count: usize) -> Vec<i64> {
    let next = |at: &mut i64| {
        *at = calendar.next_after(*at).expect("there is one");
        *at
    };
    (0..count).map(|_| next(&mut after)).collect()
}

#[test]
fn a_moment_comes_every_day_or_on_some_of_them_or_every_hour() {
    // A Sunday.
    let noon = 1_795_953_600;
    let at = daily(3, 30, Zone::UTC);
    assert_eq!(moments(at, noon, 2), [1_796_009_400, 1_796_009_400 + DAY]);
    assert_eq!(at.next_after(1_796_009_400 - 1), Some(1_796_009_400), "not passed over");
    assert_eq!(at.next_after(1_796_009_400), Some(1_796_009_400 + DAY), "not twice");
    let mondays = Calendar { days: 1, ..at };
    assert_eq!(moments(mondays, noon, 2), [1_796_009_400, 1_796_009_400 + 7 * DAY]);
    let hourly = Calendar { days: EVERY_DAY, hours: EVERY_HOUR, minutes: 1 << 15, zone: Zone::UTC };
    assert_eq!(moments(hourly, noon, 2), [noon + 900, noon + 4_500]);
}

#[test]
fn f7_06_moments_go_on_past_2038_and_2106() {
    let at = daily(3, 30, STOCKHOLM);
    for end in [i64::from(i32::MAX), i64::from(u32::MAX)] {
        // Both are in winter.
        let expected = (end / DAY + 1) * DAY + 2 * 3_600 + 1_800;
        assert_eq!(at.next_after(end), Some(expected));
    }
    assert_eq!(at.next_after(i64::MIN), Some(2 * 3_600 + 1_800), "1970 is the first year");
    assert_eq!(at.next_after(i64::MAX), None, "and 9999 the last");
}

#[test]
fn a_time_that_comes_twice_counts_once_and_one_that_does_not_come_counts_too() {
    // 2026-10-25: 3:00 becomes 2:00.
    let midnight = 1_792_886_400;
    let nightly = daily(2, 30, STOCKHOLM);
    assert_eq!(
        moments(nightly, midnight - DAY, 3),
        [midnight - DAY + 1_800, midnight + 1_800, midnight + DAY + 5_400]
    );
    // 2027-03-28: 2:00 becomes 3:00, at 1:00 in UTC.
    let midnight = 1_806_192_000;
    assert_eq!(
        moments(nightly, midnight - DAY, 3),
        [midnight - DAY + 5_400, midnight + 3_600, midnight + DAY + 1_800]
    );
    // What comes every hour knows no summer.
    let hourly = Calendar { hours: EVERY_HOUR, ..nightly };
    let gaps: Vec<i64> =
        moments(hourly, midnight - DAY, 60).windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| *gap == 3_600), "{gaps:?}");
}

#[test]
fn summer_is_in_the_other_half_of_the_year_in_the_south_and_the_usual_time_in_ireland() {
    // 2026-07-01 1:30 in UTC.
    let july = 1_782_869_400;
    let at = |zone| daily(12, 0, zone).next_after(july).map(|at| at % DAY / 3_600);
    assert_eq!([SYDNEY, DUBLIN, STOCKHOLM].map(at), [Some(2), Some(11), Some(10)]);
    let january = july + 184 * DAY;
    let at = |zone| daily(12, 0, zone).next_after(january).map(|at| at % DAY / 3_600);
    assert_eq!([SYDNEY, DUBLIN, STOCKHOLM].map(at), [Some(1), Some(12), Some(11)]);
}

#[test]
fn what_means_nothing_is_not_sound() {
    let sound = daily(3, 30, STOCKHOLM);
    assert!(sound.is_sound());
    for odd in [
        Calendar { days: 0, ..sound },
        Calendar { days: 0x80, ..sound },
        Calendar { hours: 0, ..sound },
        Calendar { hours: 1 << 24, ..sound },
        Calendar { minutes: 0, ..sound },
        Calendar { minutes: 1 << 60, ..sound },
        Calendar { zone: Zone { ahead_s: i32::MIN, summer: None }, ..sound },
    ] {
        assert!(!odd.is_sound(), "{odd:?}");
    }
}

fn any_zone() -> impl Strategy<Value = Zone> {
    prop_oneof![
        Just(STOCKHOLM),
        Just(SYDNEY),
        Just(DUBLIN),
        (-14_i32..=14).prop_map(|hours| Zone { ahead_s: hours * 3_600, summer: None }),
        Just(Zone { ahead_s: 20_700, summer: None }),
    ]
}

proptest! {
    #![proptest_config(crate::properties::settings())]

    /// No moment is left out and none is made up: each is where the clock on the wall says so, and so
    /// many come in a year as there are days.
    #[test]
    fn a_year_has_as_many_moments_as_days(
        zone in any_zone(), start in 0_i64..5_000_000_000, hour in 0_u32..24, minute in 0_u32..60,
    ) {
        let at = daily(hour, minute, zone);
        let count = moments(at, start, 400).into_iter().filter(|at| *at <= start + 365 * DAY).count();
        // One more or less where the year begins in summer and ends in winter, by a few days.
        prop_assert!((364..=366).contains(&count), "{count}");
    }

    /// Whatever it is made of, it says something or nothing, and nothing before the second asked for.
    #[test]
    fn any_calendar_looks_ahead(
        days in any::<u8>(), hours in any::<u32>(), minutes in any::<u64>(), after in any::<i64>(),
        zone in any_zone(),
    ) {
        let at = Calendar { days, hours, minutes, zone };
        if let Some(next) = at.next_after(after) {
            prop_assert!(next > after && next % 60 == 0);
        } else {
            prop_assert!(!at.is_sound() || after > 250_000_000_000);
        }
    }
}
