//! Marks: what became of a unit, in the words that its log has of it, and where the logger is to put them.

use crate::control::describe::Sources;
use ettan_core::{Reason, State, UnitId};
use std::collections::VecDeque;

/// The longest mark: a verb, a name of 64 bytes and a text of 256.
const MARK_MAX: usize = 384;

/// A change of a unit that its log is to note.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) unit: UnitId,
    pub(crate) to: State,
    pub(crate) reason: Reason,
}

/// The header that the unit's waiting marks begin a run with, and how many marks it stands for; None
/// when they begin none. A run begins with the commands before its program, and once those are over
/// too, with the program alone.
pub(crate) fn beginning(marks: &VecDeque<Mark>, unit: UnitId) -> Option<(&'static str, usize)> {
    let mut own = marks.iter().filter(|mark| mark.unit == unit).map(|mark| mark.to);
    match own.next()? {
        State::Starting { .. } => Some(("starting", 1)),
        State::Preparing { .. } if matches!(own.next(), Some(State::Starting { .. })) => {
            Some(("starting", 2))
        }
        State::Preparing { .. } => Some(("preparing", 1)),
        State::Down
        | State::Seeking { .. }
        | State::Awaiting { .. }
        | State::Finishing { .. }
        | State::Up { .. }
        | State::Stopping { .. }
        | State::Sweeping { .. }
        | State::Cleaning { .. }
        | State::Backoff { .. }
        | State::Failed => None,
    }
}

impl Mark {
    /// Where the logger puts it.
    fn verb(&self) -> &'static str {
        match self.to {
            // What a new run says is already coming; what the old one said, its end had logged.
            State::Preparing { .. } | State::Starting { .. } => "note",
            // Somebody may be in the middle of a line.
            State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Up { .. }
            | State::Stopping { .. }
            | State::Cleaning { .. } => "amid",
            State::Sweeping { .. } | State::Backoff { .. } | State::Down | State::Failed => "mark",
        }
    }

    /// What the logger is told, if anything.
    pub(crate) fn packet(&self, sources: Sources<'_>) -> Option<heapless::Vec<u8, MARK_MAX>> {
        let unit = sources.supervisor.unit(self.unit)?;
        let text = sources.mark(self.unit, self.to, self.reason);
        let name = unit.name.as_str();
        let words = match &text {
            Some(text) => [self.verb(), " ", name, " ", text.as_str()],
            // There is no note of an end that was asked for, and the next run may begin at once.
            None if matches!(self.to, State::Sweeping { .. }) => ["end", " ", name, "", ""],
            None => return None,
        };
        let mut packet = heapless::Vec::new();
        // Cannot overflow: MARK_MAX is derived from the longest name and text.
        for word in words {
            let _ = packet.extend_from_slice(word.as_bytes());
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ettan_core::Millis;

    #[test]
    fn a_run_begins_with_its_commands_or_where_they_are_over_with_its_program() {
        let since = Millis(0);
        let preparing = State::Preparing { next: 0, since };
        let starting = State::Starting { pid: None, since };
        let up = State::Up { pid: None, since };
        for (states, begun) in [
            (&[][..], None),
            (&[up, starting], None),
            (&[starting, up], Some(("starting", 1))),
            (&[preparing], Some(("preparing", 1))),
            (&[preparing, State::Down], Some(("preparing", 1))),
            (&[preparing, starting, up], Some(("starting", 2))),
        ] {
            let others = states.iter().flat_map(|to| [(UnitId(0), up), (UnitId(1), *to)]);
            let mark = |(unit, to)| Mark { unit, to, reason: Reason::None };
            assert_eq!(beginning(&others.map(mark).collect(), UnitId(1)), begun, "{states:?}");
        }
    }
}
