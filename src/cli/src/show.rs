//! Wire values → lines for people. Pure: the same values give the same text.

use crate::group::Usage;
use crate::timers;
use ettan_sys::clock::Local;
use ettan_wire::{Blocked, GoalWord, Severity, Span, StateWord, UnitStatus, severity};
use std::fmt::Write;

/// Where values begin, below each other.
pub(crate) const INDENT: usize = 12;

/// `     state: up`
pub(crate) fn row(label: &str, value: &str) -> String {
    format!("{label:>width$}: {value}", width = INDENT - 2)
}

/// What `status UNIT` shows, without the log. Lines without a value are left out. `wall_ms`: what
/// the wall clock says now, if it is right.
pub(crate) fn unit(status: &UnitStatus, usage: Usage, wall_ms: Option<i64>) -> String {
    let mut text = status.unit.to_string();
    if !status.description.is_empty() {
        let _ = write!(text, " - {}", status.description);
    }
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(text, "\n{}", row(label, value));
        }
    };
    line("state", &format!("{}{}", state(status), since(status, wall_ms)));
    line("file", file(status).unwrap_or_default());
    if status.state != StateWord::Up {
        line("reason", &status.reason);
    }
    line("waits for", &waits_for(status).unwrap_or_default());
    line("main pid", &status.main_pid.map(|pid| pid.to_string()).unwrap_or_default());
    line("memory", &usage.memory_bytes.map(size).unwrap_or_default());
    line("tasks", &usage.tasks.map(|tasks| tasks.to_string()).unwrap_or_default());
    line("restarts", &restarts(status));
    if status.restarts == 0 {
        line("last exit", status.last_exit.as_deref().unwrap_or_default());
    }
    line("health", &status.unwell.as_ref().map_or(String::new(), |w| format!("unwell: {w}")));
    line("says", status.says.as_ref().map_or("", |says| says.as_str()));
    line("type", status.kind.word());
    line("restart", &policy(status));
    if status.timed {
        line("timer", &timers::next(status, wall_ms));
        line("last run", &timers::last(status, wall_ms));
    }
    line("note", notes(status));
    text
}

/// `, since 19:31:02` of today, with the date of another day.
pub(crate) fn since(status: &UnitStatus, wall_ms: Option<i64>) -> String {
    let age = status.since_ms.map(|since| status.now_ms.saturating_sub(since));
    let Some((age, now)) = age.zip(wall_ms) else { return String::new() };
    format!(", since {}", moment(now.saturating_sub_unsigned(age), now))
}

/// `19:31:02`, with the date in front where that is not today's. Both in milliseconds since 1970.
pub(crate) fn moment(then: i64, now: i64) -> String {
    let local = |ms: i64| ettan_sys::clock::local(ms.div_euclid(1000));
    let Some((then, now)) = local(then).zip(local(now)) else { return "some time".to_owned() };
    let date = |at: &Local| (at.year, at.month, at.day);
    let mut text = String::new();
    if date(&then) != date(&now) {
        let _ = write!(text, "{}-{:02}-{:02} ", then.year, then.month, then.day);
    }
    let _ = write!(text, "{:02}:{:02}:{:02}", then.hour, then.minute, then.second);
    text
}

/// How many, why the last one, and whether it goes on like that.
pub(crate) fn restarts(status: &UnitStatus) -> String {
    let mut text = status.restarts.to_string();
    if let Some(why) = restarted_for(status).filter(|_| status.restarts > 0) {
        let _ = match why {
            _ if why.starts_with("exited") => write!(text, ", the last because it {why}"),
            _ if why.starts_with("killed") => write!(text, ", the last because it was {why}"),
            _ => write!(text, ", the last because of this: {why}"),
        };
    }
    if status.crash_looping {
        let _ = write!(text, "; crash-looping: {} short runs in a row", status.in_a_row);
    }
    text
}

/// Why it was started again last. How a process ended says so only if that is not longer ago: there is
/// no process whose end would tell of a start that failed.
fn restarted_for(status: &UnitStatus) -> Option<&str> {
    const BY_HAND: [&str; 7] = [
        "",
        "asked for",
        "needed",
        "its definition changed",
        "started by its timer",
        "a unit that names it in on-failure failed",
        "the machine goes down",
    ];
    match status.state {
        StateWord::Backoff
        | StateWord::Preparing
        | StateWord::Starting
        | StateWord::Seeking
        | StateWord::Awaiting
        | StateWord::Finishing
        | StateWord::Up => Some(&*status.reason).filter(|reason| !BY_HAND.contains(reason)),
        // The reason is that of this end.
        StateWord::Down
        | StateWord::Stopping
        | StateWord::Sweeping
        | StateWord::Cleaning
        | StateWord::Failed => {
            status.last_exit.as_deref().filter(|exit| status.reason.contains(*exit))
        }
    }
}

/// What follows when it ends.
fn policy(status: &UnitStatus) -> String {
    match status.once {
        true => format!("not after this run; then {}", status.restart),
        false => status.restart.to_string(),
    }
}

/// As `standing`, and what to type: `backoff, next start in 250 ms (ettan start web: now)`.
fn state(status: &UnitStatus) -> String {
    let mut text = standing(status);
    if status.state == StateWord::Backoff && status.deadline_ms.is_some() {
        let _ = write!(text, " (ettan start {}: now)", status.unit);
    }
    text
}

/// `up for 2 min 5 s`, `waiting`, `backoff, next start in 250 ms`.
pub(crate) fn standing(status: &UnitStatus) -> String {
    let mut text = word(status).to_owned();
    if let Some(since) = status.since_ms {
        let _ = write!(text, " for {}", Span(status.now_ms.saturating_sub(since)));
    }
    let left = status.deadline_ms.map(|at| Span(at.saturating_sub(status.now_ms)));
    match (status.state, left) {
        (StateWord::Backoff, Some(left)) => {
            let _ = write!(text, ", next start in {left}");
        }
        (StateWord::Stopping, Some(left)) => {
            let _ = write!(text, ", KILL in {left}");
        }
        (StateWord::Down, _) if status.goal == GoalWord::Down && status.autostart => {
            text.push_str(match (status.reason.starts_with("skipped"), status.timed) {
                (true, _) => ", not for this machine",
                (false, true) => ", waits for its timer",
                (false, false) => ", starts at boot",
            });
        }
        (StateWord::Up, _) if status.goal == GoalWord::Down => text.push_str(", to be stopped"),
        (StateWord::Starting | StateWord::Seeking | StateWord::Awaiting, Some(left)) => {
            let _ = write!(text, ", {left} left");
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

pub(crate) fn waits_for(status: &UnitStatus) -> Option<String> {
    let name = status.waiting_for.as_ref()?;
    if status.state == StateWord::Awaiting {
        return Some(name.to_string());
    }
    Some(match status.blocked_by? {
        Blocked::Unit => format!("unit {name}"),
        Blocked::Condition => format!("condition {name}"),
        Blocked::Missing => format!("unit {name}, which no file defines"),
        Blocked::Rival => format!("the end of {name}, which it conflicts with"),
        Blocked::Bound => format!("the end of {name}, which is bound to it"),
    })
}

/// What the loader says of its file. That it is not for this machine is the reason already.
pub(crate) fn file(status: &UnitStatus) -> Option<&str> {
    status.file.as_deref().filter(|said| !said.contains(": note: skipped: "))
}

/// The first error in its file, which is mostly refused for it. Where it is not, the unit cannot start.
pub(crate) fn error(status: &UnitStatus) -> Option<&str> {
    status.file.as_deref().filter(|said| severity(said) == Some(Severity::Error))
}

/// Why nothing defines what runs.
pub(crate) fn orphan(status: &UnitStatus) -> Option<&'static str> {
    status.orphaned.then(|| match error(status) {
        Some(_) => "its unit file was gone and is refused; it runs until it is stopped",
        None => "its unit file is gone; it runs until it is stopped",
    })
}

fn notes(status: &UnitStatus) -> &'static str {
    match (status.unkillable, orphan(status), status.builtin) {
        (true, _, _) => "a process of it survives KILL (state D, or traced)",
        (false, Some(text), _) => text,
        (false, None, true) => "part of Ettan itself",
        (false, None, false) => "",
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
pub(crate) fn brief(status: &UnitStatus) -> String {
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
        (StateWord::Awaiting, Some(age), _) => match waits_for(status) {
            Some(awaited) => format!("for {age}: {awaited}"),
            None => format!("for {age}"),
        },
        (_, Some(age), _) => format!("for {age}"),
        (_, None, Some(left)) => format!("KILL in {left}"),
        (_, None, None) => String::new(),
    };
    if status.restarts > 0 {
        let _ = write!(text, ", {}", many(status.restarts as usize, "restart"));
    }
    if let Some(why) = &status.unwell {
        let _ = write!(text, ", does not work: {why}");
    }
    if status.crash_looping {
        text.push_str(", crash-looping");
    }
    if status.unkillable {
        text.push_str(", unkillable");
    }
    match error(status) {
        Some(_) => text.push_str(", an error in its unit file"),
        None if status.orphaned => text.push_str(", no unit file any more"),
        None => {}
    }
    text.strip_prefix(", ").map(str::to_owned).unwrap_or(text)
}

/// `1 error`, `2 errors`.
pub(crate) fn many(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

pub(crate) fn cut(line: &str, columns: Option<usize>) -> String {
    match columns {
        Some(columns) if line.chars().count() > columns => {
            line.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
        }
        _ => line.to_owned(),
    }
}

/// A line broken between words where it is wider than `columns`; the rest is set in.
pub(crate) fn fold(line: &str, columns: Option<usize>, indent: usize) -> String {
    let Some(columns) = columns.filter(|columns| line.chars().count() > *columns) else {
        return line.to_owned();
    };
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let Some(last) = lines.last_mut() else { break };
        let is_begun = !last.trim().is_empty();
        if is_begun && last.chars().count() + word.trim_end().chars().count() > columns {
            last.truncate(last.trim_end().len());
            lines.push(format!("{}{word}", " ".repeat(indent)));
        } else {
            last.push_str(word);
        }
    }
    lines.join("\n")
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
pub(crate) mod tests {
    use super::*;
    use ettan_wire::{KindWord, PhaseWord, Stats, Text};

    pub(crate) fn stats() -> Stats {
        Stats {
            version: "0.1.0".into(),
            protocol: 1,
            uptime_ms: 200_000,
            boot_ms: None,
            init_ms: 0,
            loaded_ms: None,
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
            last_end: "".into(),
            ending: None,
        }
    }

    pub(crate) fn up() -> UnitStatus {
        UnitStatus {
            unit: "telldusd".into(),
            group: None,
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
            gave_up: false,
            unkillable: false,
            orphaned: false,
            file: None,
            builtin: false,
            critical: false,
            reason: "needed".into(),
            last_exit: None,
            hook: None,
            last_hook: None,
            blocked_by: None,
            waiting_for: None,
            says: None,
            unwell: None,
            restart: "always; after a run under 1 s in 250 ms, doubling to 30 s".into(),
            autostart: true,
            timed: false,
            next_ms: None,
            awaits_clock: false,
            run_ms: None,
            ran_s: None,
            persistent: false,
            once: false,
            started_ms: None,
            ready_ms: None,
        }
    }

    fn waiting() -> UnitStatus {
        UnitStatus {
            unit: "cherrytelldus".into(),
            kind: KindWord::Simple,
            state: StateWord::Down,
            since_ms: None,
            main_pid: None,
            hook: None,
            last_hook: None,
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
            unit(&up(), usage, None),
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
        let text = unit(&waiting(), Usage::default(), None);
        assert!(text.contains("     state: waiting\n"), "{text}");
        assert!(text.contains(" waits for: condition network\n"), "{text}");
    }

    #[test]
    fn a_unit_that_crash_loops_says_why_and_when_next() {
        let text = unit(&looping(), Usage::default(), None);
        for line in [
            "     state: backoff, next start in 16 s (ettan start web: now)",
            "    reason: exited with status 1",
            "  restarts: 7, the last because it exited with status 1; crash-looping: 7 short runs in a row",
        ] {
            assert!(text.lines().any(|shown| shown == line), "no {line:?} in\n{text}");
        }
    }

    #[test]
    fn a_restart_is_not_put_down_to_an_older_end() {
        let exit = Some("killed by signal 15 (TERM)".into());
        let nosuch = "exec /usr/bin/nosuch: no such file or directory";
        let tried = UnitStatus { last_exit: exit, reason: nosuch.into(), ..looping() };
        let tried = UnitStatus { crash_looping: false, ..tried };
        assert_eq!(restarts(&tried), format!("7, the last because of this: {nosuch}"));
        let gave_up = UnitStatus { state: StateWord::Failed, ..tried.clone() };
        assert_eq!(restarts(&gave_up), "7");
        let killed = UnitStatus { reason: "killed by signal 15 (TERM)".into(), ..tried };
        let killed = |state| restarts(&UnitStatus { state, ..killed.clone() });
        let because = "7, the last because it was killed by signal 15 (TERM)";
        assert_eq!([killed(StateWord::Up), killed(StateWord::Failed)], [because, because]);
        let needed =
            UnitStatus { restarts: 1, last_exit: Some("exited with status 1".into()), ..up() };
        assert_eq!(restarts(&needed), "1");
    }

    #[test]
    fn a_unit_whose_file_is_refused_says_so() {
        let said = "/etc/units/web.toml:7:1: error: unknown key `x` in [unit]";
        let refused = UnitStatus { file: Some(said.into()), ..up() };
        let text = unit(&refused, Usage::default(), None);
        assert!(text.contains(&format!("state: up for 2 min 5 s\n      file: {said}\n")), "{text}");
        assert!(brief(&refused).ends_with(", an error in its unit file"));
        let orphan =
            |file: Option<&str>| UnitStatus { orphaned: true, file: file.map(Text::from), ..up() };
        let note = |status| unit(&status, Usage::default(), None);
        assert!(
            note(orphan(None))
                .ends_with("note: its unit file is gone; it runs until it is stopped")
        );
        assert!(note(orphan(Some(said))).contains("note: its unit file was gone and is refused;"));
        let warned = "/etc/units/web.toml:7:1: warning: hm";
        assert!(note(orphan(Some(warned))).contains("note: its unit file is gone"));
        let skipped = "/etc/units/web.toml:7:1: note: skipped: no path /dev/x";
        let skipped = UnitStatus { file: Some(skipped.into()), ..up() };
        assert!(!note(skipped).contains("file:"), "the reason says it");
    }

    #[test]
    fn since_when_is_told_by_the_wall_clock_where_that_is_right() {
        let text = unit(&up(), Usage::default(), Some(1_764_358_262_000));
        let line = text.lines().nth(1).unwrap_or_default();
        let clock = line.strip_prefix("     state: up for 2 min 5 s, since ").unwrap_or_default();
        assert_eq!(clock.bytes().filter(|byte| *byte == b':').count(), 2, "{text}");
    }

    #[test]
    fn the_wish_is_told_where_it_is_not_the_fact() {
        let down = UnitStatus { state: StateWord::Down, goal: GoalWord::Down, ..up() };
        assert!(
            unit(&down, Usage::default(), None)
                .contains("state: down for 2 min 5 s, starts at boot\n")
        );
        let going = UnitStatus { goal: GoalWord::Down, once: true, ..up() };
        let text = unit(&going, Usage::default(), None);
        assert!(
            text.contains("to be stopped\n") && text.contains(": not after this run; then always")
        );
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
    fn a_wide_line_is_folded_between_words() {
        let line = row("reason", &"some words ".repeat(12));
        let folded = fold(line.trim_end(), Some(40), INDENT);
        assert!(
            folded.lines().count() > 3 && folded.lines().all(|line| line.len() <= 40),
            "{folded}"
        );
        assert!(
            folded.lines().skip(1).all(|line| line.starts_with("            some")
                || line.starts_with("            words"))
        );
        assert_eq!(fold(&line, None, INDENT), line);
    }
}
