//! While a person waits: one line on the terminal, rewritten in place, that says what is awaited and
//! how long still. Nothing where nobody looks.

use crate::change::name;
use crate::escape::Screen;
use crate::link::{Answer, Link, Trouble};
use crate::show::{cut, waits_for, word};
use ettan_wire::{Reply, Request, Span, StateWord, UnitStatus, Which};

/// What is over sooner needs no line.
const LOOK_MS: u64 = 500;

/// Waits for the outcome of what `link` was asked about `unit`.
pub(crate) fn outcome(link: &Link, unit: &str, screen: &Screen) -> Result<Answer, Trouble> {
    let Some(columns) = screen.progress_columns() else { return link.expect() };
    let mut is_told = false;
    while !link.is_ready_within(LOOK_MS) {
        if let Some(status) = look(unit) {
            screen.rewrite(&cut(&line(&status), Some(columns)), columns);
            is_told = true;
        }
    }
    if is_told {
        screen.rewrite("", columns);
    }
    link.expect()
}

fn look(unit: &str) -> Option<UnitStatus> {
    let request = Request::Status(Which { unit: name(unit).ok()? });
    match Link::ask(&request).ok()?.expect().ok()? {
        Answer { reply: Reply::Unit(status), .. } => Some(status),
        Answer { .. } => None,
    }
}

/// `web: starting for 3 s, at most 27 s more`
fn line(status: &UnitStatus) -> String {
    let mut text = format!("{}: {}", status.unit, word(status));
    if let Some(blocker) = waits_for(status) {
        text.push_str(&format!(" for {blocker}"));
    }
    if let Some(since) = status.since_ms.map(|since| Span(status.now_ms.saturating_sub(since))) {
        text.push_str(&format!(" for {since}"));
    }
    if let Some(left) = status.deadline_ms.map(|at| Span(at.saturating_sub(status.now_ms))) {
        text.push_str(&match status.state {
            StateWord::Backoff => format!(", next start in {left}"),
            StateWord::Stopping => format!(", KILL in {left}"),
            _ => format!(", at most {left} more"),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::line;
    use crate::show::tests::up;
    use ettan_wire::{Blocked, StateWord, UnitStatus};

    #[test]
    fn what_is_awaited_and_how_long_still() {
        let starting =
            UnitStatus { state: StateWord::Starting, deadline_ms: Some(230_000), ..up() };
        assert_eq!(line(&starting), "telldusd: starting for 2 min 5 s, at most 30 s more");
        let stopping = UnitStatus {
            state: StateWord::Stopping,
            since_ms: None,
            deadline_ms: Some(207_000),
            ..up()
        };
        assert_eq!(line(&stopping), "telldusd: stopping, KILL in 7 s");
        let waiting = UnitStatus {
            state: StateWord::Down,
            since_ms: None,
            blocked_by: Some(Blocked::Condition),
            waiting_for: Some("network".into()),
            ..up()
        };
        assert_eq!(line(&waiting), "telldusd: waiting for condition network");
    }
}
