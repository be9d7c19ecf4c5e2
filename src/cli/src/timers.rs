//! What a person wants to know of a timer: when it is next, when it was last, and how that went. Pure,
//! as `show`.

use crate::show::{cut, moment};
use ettan_wire::{Span, StateWord, UnitStatus};
use std::fmt::Write;

/// `in 3 h 12 min, at 03:30:00`. `wall_ms`: what the wall clock says now, if it is right.
pub(crate) fn next(status: &UnitStatus, wall_ms: Option<i64>) -> String {
    let Some(left) = status.next_ms.map(|at| at.saturating_sub(status.now_ms)) else {
        let waits = "once the clock is right (condition clock)";
        return if status.awaits_clock { waits } else { "never again" }.to_owned();
    };
    let mut text = format!("in {}", Span(left));
    if let Some(now) = wall_ms {
        let _ = write!(text, ", at {}", moment(now.saturating_add_unsigned(left), now));
    }
    text
}

/// `2 h ago: exited with status 0`.
pub(crate) fn last(status: &UnitStatus, wall_ms: Option<i64>) -> String {
    let Some(at) = status.run_ms else {
        return match (status.ran_s, wall_ms) {
            (Some(second), Some(now)) => {
                format!("{}, before this boot", moment(second.saturating_mul(1000), now))
            }
            _ => "not since boot".to_owned(),
        };
    };
    format!("{} ago: {}", Span(status.now_ms.saturating_sub(at)), result(status))
}

/// How the last run went, or that it goes on.
fn result(status: &UnitStatus) -> &str {
    match (status.state, &status.last_exit) {
        (StateWord::Failed, _) => &status.reason,
        (StateWord::Down, Some(exit)) => exit,
        (StateWord::Down, None) => &status.reason,
        (StateWord::Backoff, _) => "failed, and is tried again",
        _ => "runs",
    }
}

/// Those that have a timer, the next one first.
pub(crate) fn table(
    mut units: Vec<&UnitStatus>,
    wall_ms: Option<i64>,
    columns: Option<usize>,
) -> String {
    units.sort_by_key(|unit| (unit.next_ms.unwrap_or(u64::MAX), unit.unit.to_string()));
    let cells =
        |unit: &&UnitStatus| [unit.unit.to_string(), next(unit, wall_ms), last(unit, wall_ms)];
    let head = ["unit", "next", "last"].map(str::to_owned);
    let rows: Vec<[String; 3]> = std::iter::once(head).chain(units.iter().map(cells)).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let (first, second) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    let lines: Vec<String> = rows
        .iter()
        .map(|[unit, next, last]| {
            cut(format!("{unit:<first$}  {next:<second$}  {last}").trim_end(), columns)
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::up;

    fn timed() -> UnitStatus {
        UnitStatus {
            unit: "backup".into(),
            state: StateWord::Down,
            timed: true,
            next_ms: Some(200_000 + 3_600_000),
            run_ms: Some(140_000),
            last_exit: Some("exited with status 0".into()),
            ..up()
        }
    }

    #[test]
    fn next_and_last_are_told_in_words() {
        let unit = timed();
        assert_eq!(next(&unit, None), "in 1 h");
        assert!(next(&unit, Some(1_764_000_000_000)).starts_with("in 1 h, at "));
        assert_eq!(last(&unit, None), "1 min ago: exited with status 0");
        let waits = UnitStatus { next_ms: None, awaits_clock: true, run_ms: None, ..timed() };
        assert_eq!(next(&waits, None), "once the clock is right (condition clock)");
        assert_eq!(last(&waits, None), "not since boot");
        let before = UnitStatus { ran_s: Some(1_763_000_000), ..waits };
        assert!(last(&before, Some(1_764_000_000_000)).ends_with(", before this boot"));
        let over = UnitStatus { next_ms: None, state: StateWord::Starting, ..timed() };
        assert_eq!((next(&over, None).as_str(), result(&over)), ("never again", "runs"));
    }

    #[test]
    fn the_next_one_is_on_top_and_lines_fit() {
        let soon = UnitStatus { unit: "z".into(), next_ms: Some(201_000), ..timed() };
        let (backup, columns) = (timed(), Some(40));
        let text = table(vec![&backup, &soon], None, columns);
        assert_eq!(
            text,
            "unit    next    last\n\
             z       in 1 s  1 min ago: exited with …\n\
             backup  in 1 h  1 min ago: exited with …"
        );
    }
}
