//! `why`: why a unit is where it is, in words, and who blocks whom down to the last one.

use crate::change::{hinted, name};
use crate::code::Code;
use crate::escape::Screen;
use crate::instances;
use crate::link::{Answer, Link, Trouble};
use crate::show::word;
use crate::status::{as_a_look, unexpected};
use crate::timers::next;
use ettan_wire::{Blocked, Reply, Request, Span, StateWord, Text, UnitStatus, Which};

/// The longest chain that is followed: longer ones fit no screen.
const DEPTH: usize = 16;

/// The widest line, as a serial console has it.
const WIDTH: usize = 80;

/// `why UNIT…`: 0 if every one is up, 3 if not.
pub(crate) fn why(units: &[String], screen: &Screen) -> Code {
    let mut code = Code::Done;
    for (nth, unit) in instances::of(units).iter().enumerate() {
        if nth > 0 && !screen.json {
            screen.say("");
        }
        let told = one(unit, screen).map_err(|trouble| as_a_look(hinted(trouble, unit)));
        code = code.or(told.unwrap_or_else(|trouble| trouble.tell(screen)));
    }
    code
}

fn one(unit: &str, screen: &Screen) -> Result<Code, Trouble> {
    let chain = chain(unit)?;
    let units: Vec<_> = chain.iter().map(|(status, _)| status).collect();
    if screen.json {
        chain.iter().for_each(|(_, json)| screen.packet(json));
    } else {
        screen.say(&explain(&units));
    }
    let up = units.first().is_some_and(|status| status.state == StateWord::Up);
    Ok(if up { Code::Done } else { Code::Down })
}

/// The unit, the unit that it waits for, and so on.
fn chain(unit: &str) -> Result<Vec<(UnitStatus, String)>, Trouble> {
    let mut chain: Vec<(UnitStatus, String)> = Vec::new();
    let mut next = Some(name(unit)?);
    while let Some(unit) = next.filter(|_| chain.len() < DEPTH) {
        if chain.iter().any(|(known, _)| known.unit == unit) {
            break;
        }
        let Answer { reply, json } = Link::ask(&Request::Status(Which { unit }))?.expect()?;
        let Reply::Unit(status) = reply else { return Err(unexpected()) };
        next = match status.blocked_by {
            Some(Blocked::Unit | Blocked::Rival | Blocked::Bound) => {
                status.waiting_for.as_ref().map(|name| Text::from(name.as_str()))
            }
            Some(Blocked::Condition | Blocked::Missing) | None => None,
        };
        chain.push((status, json));
    }
    Ok(chain)
}

/// The first unit in full, each blocker in a line, and what to do about the last one.
fn explain(chain: &[&UnitStatus]) -> String {
    let Some(first) = chain.first() else { return String::new() };
    let mut lines = vec![headline(first)];
    lines.extend(details(first));
    for (depth, blocker) in chain.iter().enumerate().skip(1) {
        lines.push(format!("{}{}", "  ".repeat(depth.min(8)), headline(blocker)));
    }
    lines.extend(chain.last().and_then(|last| advice(last)));
    let wrapped: Vec<String> = lines.iter().map(|line| wrap(line)).collect();
    wrapped.join("\n")
}

/// `web is up for 2 min 5 s`, `app is waiting for unit web`, `x failed: exited with status 1`.
fn headline(status: &UnitStatus) -> String {
    let unit = &status.unit;
    let since = status.since_ms.map(|at| Span(status.now_ms.saturating_sub(at)));
    let left = status.deadline_ms.map(|at| Span(at.saturating_sub(status.now_ms)));
    let because = match status.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    match (status.state, status.blocked_by, &status.waiting_for, since, left) {
        (StateWord::Down, Some(Blocked::Unit), Some(other), ..) => {
            format!("{unit} is {} for unit {other}", word(status))
        }
        (StateWord::Down, Some(Blocked::Condition), Some(other), ..) => {
            format!("{unit} is {} for condition {other}", word(status))
        }
        (StateWord::Down, Some(Blocked::Missing), Some(other), ..) => {
            format!("{unit} is {} for unit {other}, which no file defines", word(status))
        }
        (StateWord::Down, Some(Blocked::Rival), Some(other), ..) => {
            format!("{unit} is {} for the end of {other}, which it conflicts with", word(status))
        }
        (StateWord::Down, Some(Blocked::Bound), Some(other), ..) => {
            format!("{unit} is {} for the end of {other}, which is bound to it", word(status))
        }
        (StateWord::Failed, ..) => format!("{unit} failed{because}"),
        (StateWord::Backoff, .., Some(left)) => {
            format!("{unit} ended and starts again in {left}{because}")
        }
        (StateWord::Awaiting, _, Some(awaited), _, Some(left)) => {
            format!("{unit} runs and is not ready: {awaited} is awaited, {left} left")
        }
        (StateWord::Stopping, .., Some(left)) => {
            format!("{unit} is stopping; KILL in {left}{because}")
        }
        (_, _, _, Some(since), _) => format!("{unit} is {} for {since}{because}", word(status)),
        (..) => format!("{unit} is {}{because}", word(status)),
    }
}

/// What has happened and what will.
fn details(status: &UnitStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(exit) = &status.last_exit {
        lines.push(format!("last exit: {exit}"));
    }
    if status.restarts > 0 {
        let often = crate::show::many(status.restarts as usize, "restart");
        let looping = if status.crash_looping { "; it keeps ending quickly" } else { "" };
        lines.push(format!("{often} so far, {} short runs in a row{looping}", status.in_a_row));
    }
    lines.push(format!("restart policy: {}", status.restart));
    if status.unkillable {
        lines.push("a process of it survives KILL (state D, or traced)".into());
    }
    lines.extend(crate::show::file(status).map(|said| format!("file: {said}")));
    lines.extend(crate::show::orphan(status).map(str::to_owned));
    lines.into_iter().map(|line| format!("  {line}")).collect()
}

/// What a person can do about the unit at the end of the chain.
fn advice(status: &UnitStatus) -> Option<String> {
    let unit = &status.unit;
    match (status.state, status.blocked_by, &status.waiting_for) {
        (StateWord::Down, Some(Blocked::Condition), Some(name)) => Some(format!(
            "condition {name} does not hold (ettan condition {name} set: as if it did)"
        )),
        (StateWord::Down, Some(Blocked::Missing), Some(name)) => {
            Some(format!("no file defines unit {name} (ettan check says which file names it)"))
        }
        (StateWord::Failed | StateWord::Backoff, ..) => {
            Some(format!("ettan logs {unit}: what it wrote; ettan start {unit}: try it now"))
        }
        (StateWord::Down, None, _) if status.timed => {
            Some(format!("its timer starts it {}; ettan start {unit}: now", next(status, None)))
        }
        (StateWord::Down, None, _) => Some(format!("ettan start {unit}: start it")),
        (..) => None,
    }
}

/// Breaks a line between words, so that it fits a serial console; the rest is set in.
fn wrap(line: &str) -> String {
    let indent: String = line.chars().take_while(|character| *character == ' ').collect();
    let mut lines = vec![indent.clone()];
    for word in line.split_whitespace() {
        let Some(last) = lines.last_mut() else { break };
        let blank = last.trim().is_empty();
        if !blank && last.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("{indent}  {word}"));
            continue;
        }
        if !blank {
            last.push(' ');
        }
        last.push_str(word);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{explain, wrap};
    use crate::show::tests::up;
    use ettan_wire::UnitStatus;

    #[test]
    fn a_refused_file_is_told() {
        let said = "/etc/units/web.toml:7:1: error: hm";
        let status = UnitStatus { file: Some(said.into()), orphaned: true, ..up() };
        let told = explain(&[&status]);
        assert!(
            told.contains(&format!("\n  file: {said}\n  its unit file was gone and")),
            "{told}"
        );
    }

    #[test]
    fn lines_are_broken_between_words() {
        let line = format!("  reason: {}", "word ".repeat(30));
        let wrapped = wrap(&line);
        assert!(wrapped.lines().count() > 1 && wrapped.lines().all(|line| line.len() <= 80));
        assert!(wrapped.lines().skip(1).all(|line| line.starts_with("    word")));
        assert_eq!(wrap("  short line"), "  short line");
    }
}
