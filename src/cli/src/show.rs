//! Wire values → lines for people. Pure: the same values give the same text.

use crate::group::Usage;
use ettan_wire::{Blocked, GoalWord, Span, StateWord, Stats, UnitStatus};
use std::fmt::Write;

/// What `status UNIT` shows, without the log. Lines without a value are left out.
pub(crate) fn unit(status: &UnitStatus, usage: Usage) -> String {
    let mut text = status.unit.to_string();
    if !status.description.is_empty() {
        let _ = write!(text, " - {}", status.description);
    }
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(text, "\n{label:>10}: {value}");
        }
    };
    line("state", &state(status));
    if status.state != StateWord::Up {
        line("reason", &status.reason);
    }
    line("waits for", &waits_for(status).unwrap_or_default());
    line("main pid", &status.main_pid.map(|pid| pid.to_string()).unwrap_or_default());
    line("memory", &usage.memory_bytes.map(size).unwrap_or_default());
    line("tasks", &usage.tasks.map(|tasks| tasks.to_string()).unwrap_or_default());
    line("last exit", status.last_exit.as_deref().unwrap_or_default());
    let mut restarts = status.restarts.to_string();
    if status.crash_looping {
        let _ = write!(restarts, ", crash-looping ({} short runs in a row)", status.in_a_row);
    }
    line("restarts", &restarts);
    line("type", status.kind.word());
    line("restart", &status.restart);
    line("note", notes(status));
    text
}

/// `up for 2 min 5 s`, `waiting`, `backoff, next start in 250 ms (ettan start web: now)`.
fn state(status: &UnitStatus) -> String {
    let mut text = word(status).to_owned();
    if let Some(since) = status.since_ms {
        let _ = write!(text, " for {}", Span(status.now_ms.saturating_sub(since)));
    }
    let left = status.deadline_ms.map(|at| Span(at.saturating_sub(status.now_ms)));
    match (status.state, left) {
        (StateWord::Backoff, Some(left)) => {
            let _ = write!(text, ", next start in {left} (ettan start {}: now)", status.unit);
        }
        (StateWord::Stopping, Some(left)) => {
            let _ = write!(text, ", KILL in {left}");
        }
        _ => {}
    }
    text
}

/// The state, or `waiting` for a unit that is down only because of another.
pub(crate) fn word(status: &UnitStatus) -> &'static str {
    match (status.state, status.goal, status.blocked_by) {
        (StateWord::Down, GoalWord::Up, Some(_)) => "waiting",
        (state, _, _) => state.word(),
    }
}

fn waits_for(status: &UnitStatus) -> Option<String> {
    let name = status.waiting_for.as_ref()?;
    Some(match status.blocked_by? {
        Blocked::Unit => format!("unit {name}"),
        Blocked::Condition => format!("condition {name}"),
        Blocked::Missing => format!("unit {name}, which no file defines"),
    })
}

fn notes(status: &UnitStatus) -> &'static str {
    match (status.unkillable, status.orphaned, status.builtin) {
        (true, _, _) => "a process of it survives KILL (state D, or traced)",
        (false, true, _) => "its unit file is gone; it runs until it is stopped",
        (false, false, true) => "part of Ettan itself",
        (false, false, false) => "",
    }
}

/// One line for each unit, in columns; no wider than `columns` where that is given.
pub(crate) fn list(units: &[UnitStatus], columns: Option<usize>) -> String {
    let name_width = units.iter().map(|unit| unit.unit.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for unit in units {
        let pid = unit.main_pid.map(|pid| pid.to_string()).unwrap_or_default();
        let line = format!(
            "{:<8}  {:<name_width$}  {pid:>7}  {}",
            word(unit),
            unit.unit.as_str(),
            brief(unit)
        );
        let _ = writeln!(text, "{}", cut(line.trim_end(), columns));
    }
    text.truncate(text.trim_end_matches('\n').len());
    text
}

/// What matters most about a unit, in half a line.
fn brief(status: &UnitStatus) -> String {
    let age = status.since_ms.map(|since| Span(status.now_ms.saturating_sub(since)));
    let left = status.deadline_ms.map(|at| Span(at.saturating_sub(status.now_ms)));
    let mut text = match (status.state, age, left) {
        (StateWord::Up, Some(age), _) => format!("for {age}"),
        (StateWord::Backoff, _, Some(left)) => format!("next start in {left}: {}", status.reason),
        (StateWord::Down, _, _) => match waits_for(status) {
            Some(blocker) => format!("for {blocker}"),
            None => status.reason.to_string(),
        },
        (StateWord::Failed, _, _) => status.reason.to_string(),
        (_, Some(age), _) => format!("for {age}"),
        (_, None, Some(left)) => format!("KILL in {left}"),
        (_, None, None) => String::new(),
    };
    if status.restarts > 0 {
        let _ = write!(text, ", {}", many(status.restarts as usize, "restart"));
    }
    if status.crash_looping {
        text.push_str(", crash-looping");
    }
    if status.unkillable {
        text.push_str(", unkillable");
    }
    if status.orphaned {
        text.push_str(", no unit file any more");
    }
    text.strip_prefix(", ").map(str::to_owned).unwrap_or(text)
}

/// How it stands with the machine, in one line.
pub(crate) fn summary(stats: &Stats) -> String {
    let mut text = format!("{}: {} up", many(stats.units as usize, "unit"), stats.up);
    for (count, word) in [
        (stats.changing, "changing"),
        (stats.waiting, "waiting"),
        (stats.failed, "failed"),
        (stats.down, "down"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {word}");
        }
    }
    if stats.diagnostics > 0 {
        let _ = write!(text, "; {} about unit files", many(stats.diagnostics as usize, "message"));
    }
    let _ = write!(text, "; machine up for {}", Span(stats.uptime_ms));
    if stats.allocations_after_boot > 0 {
        let count = many(stats.allocations_after_boot as usize, "allocation");
        let _ = write!(text, "; {count} after boot");
    }
    if stats.crashes > 0 {
        let count = many(stats.crashes as usize, "fault");
        let _ = write!(text, "; PID 1 survived {count}");
    }
    if stats.reduced {
        text.push_str(
            "\nreduced mode: unit files are not read again (ettan reexec tries to leave it)",
        );
    }
    if stats.reverted {
        text.push_str("\nthe last new PID 1 failed before it was in service; this one goes on");
    }
    if !stats.fallbacks.is_empty() {
        let _ = write!(text, "\nkernel: {}", stats.fallbacks);
    }
    if !stats.degraded.is_empty() {
        let _ = write!(text, "\ndegraded: {}", stats.degraded);
    }
    if let Some(identity) = &stats.watchdog {
        let _ = write!(text, "\nwatchdog: {}", watchdog(identity, stats));
    }
    text
}

/// How it stands with the hardware watchdog, in one line.
fn watchdog(identity: &str, stats: &Stats) -> String {
    let mut text = String::from("none");
    if stats.watchdog_timeout_ms > 0 {
        let fed = Span(stats.uptime_ms.saturating_sub(stats.watchdog_fed_ms));
        text = format!("{identity}, {}, fed {fed} ago", Span(stats.watchdog_timeout_ms));
    }
    if !stats.watchdog_trouble.is_empty() {
        let _ = write!(text, "; {}", stats.watchdog_trouble);
    }
    if !stats.last_reset.is_empty() {
        let _ = write!(text, "; last reset: {}", stats.last_reset);
    }
    text
}

/// `1 error`, `2 errors`.
pub(crate) fn many(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

fn cut(line: &str, columns: Option<usize>) -> String {
    match columns {
        Some(columns) if line.chars().count() > columns => {
            line.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
        }
        _ => line.to_owned(),
    }
}

/// `512 B`, `34.5 KiB`, `2.1 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const STEPS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (step, name) in STEPS {
        if bytes >= step {
            let tenths = bytes % step * 10 / step;
            return format!("{}.{tenths} {name}", bytes / step);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ettan_wire::{KindWord, PhaseWord};

    fn up() -> UnitStatus {
        UnitStatus {
            unit: "telldusd".into(),
            description: "Telldus Duo daemon".into(),
            kind: KindWord::Forking,
            goal: GoalWord::Up,
            state: StateWord::Up,
            now_ms: 200_000,
            since_ms: Some(75_000),
            deadline_ms: None,
            main_pid: Some(212),
            restarts: 0,
            in_a_row: 0,
            crash_looping: false,
            unkillable: false,
            orphaned: false,
            builtin: false,
            reason: "needed".into(),
            last_exit: None,
            blocked_by: None,
            waiting_for: None,
            restart: "always; after a run under 1 s in 250 ms, doubling to 30 s".into(),
        }
    }

    fn waiting() -> UnitStatus {
        UnitStatus {
            unit: "cherrytelldus".into(),
            kind: KindWord::Simple,
            state: StateWord::Down,
            since_ms: None,
            main_pid: None,
            blocked_by: Some(Blocked::Condition),
            waiting_for: Some("network".into()),
            ..up()
        }
    }

    fn looping() -> UnitStatus {
        UnitStatus {
            unit: "web".into(),
            state: StateWord::Backoff,
            since_ms: None,
            deadline_ms: Some(216_000),
            main_pid: None,
            restarts: 7,
            in_a_row: 7,
            crash_looping: true,
            reason: "exited with status 1".into(),
            last_exit: Some("exited with status 1".into()),
            ..up()
        }
    }

    #[test]
    fn a_unit_that_is_up() {
        let usage = Usage { memory_bytes: Some(2_202_010), tasks: Some(3) };
        assert_eq!(
            unit(&up(), usage),
            "telldusd - Telldus Duo daemon
     state: up for 2 min 5 s
  main pid: 212
    memory: 2.1 MiB
     tasks: 3
  restarts: 0
      type: forking
   restart: always; after a run under 1 s in 250 ms, doubling to 30 s"
        );
    }

    #[test]
    fn a_unit_that_waits_says_for_what() {
        let text = unit(&waiting(), Usage::default());
        assert!(text.contains("     state: waiting\n"), "{text}");
        assert!(text.contains(" waits for: condition network\n"), "{text}");
    }

    #[test]
    fn a_unit_that_crash_loops_says_why_and_when_next() {
        let text = unit(&looping(), Usage::default());
        for line in [
            "     state: backoff, next start in 16 s (ettan start web: now)",
            "    reason: exited with status 1",
            " last exit: exited with status 1",
            "  restarts: 7, crash-looping (7 short runs in a row)",
        ] {
            assert!(text.lines().any(|shown| shown == line), "no {line:?} in\n{text}");
        }
    }

    #[test]
    fn a_list_has_a_line_for_each() {
        let failed = UnitStatus {
            unit: "x".into(),
            state: StateWord::Failed,
            since_ms: None,
            main_pid: None,
            reason: "exec /usr/bin/x: no such file or directory".into(),
            ..up()
        };
        assert_eq!(
            list(&[up(), waiting(), looping(), failed], None),
            "\
up        telldusd           212  for 2 min 5 s
waiting   cherrytelldus           for condition network
backoff   web                     next start in 16 s: exited with status 1, 7 restarts, crash-looping
failed    x                       exec /usr/bin/x: no such file or directory"
        );
        let narrow = list(&[looping()], Some(40));
        assert_eq!(narrow.chars().count(), 40);
        assert!(narrow.ends_with('…'));
    }

    #[test]
    fn the_summary_counts_what_is_not_zero() {
        let stats = Stats {
            version: "0.1.0".into(),
            protocol: 1,
            uptime_ms: 200_000,
            boot_ms: None,
            phase: PhaseWord::Running,
            units: 4,
            up: 1,
            changing: 1,
            waiting: 1,
            failed: 1,
            down: 0,
            diagnostics: 2,
            allocations_after_boot: 0,
            fallbacks: "".into(),
            degraded: "".into(),
            clients: 1,
            crashes: 0,
            reduced: false,
            executions: 0,
            trial: false,
            reverted: false,
            watchdog: Some("Broadcom BCM2835".into()),
            watchdog_timeout_ms: 15_000,
            watchdog_fed_ms: 198_000,
            watchdog_trouble: "".into(),
            last_reset: "watchdog".into(),
        };
        assert_eq!(
            summary(&stats),
            "4 units: 1 up, 1 changing, 1 waiting, 1 failed; 2 messages about unit files; machine up for 3 min 20 s\nwatchdog: Broadcom BCM2835, 15 s, fed 2 s ago; last reset: watchdog"
        );
    }
}
