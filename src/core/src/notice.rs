//! What the world is told. Assertions of tests and the lines of the log are made of these.

use crate::{Goal, HookEnd, Reason, Stage, State, UnitId};

/// One line of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A unit changed its state.
    State {
        /// The unit.
        unit: UnitId,
        /// Its goal now.
        goal: Goal,
        /// What it was.
        from: State,
        /// What it is.
        to: State,
        /// Why.
        reason: Reason,
    },
    /// A command around the program of a unit did not end well.
    Hook {
        /// The unit.
        unit: UnitId,
        /// When it is executed.
        stage: Stage,
        /// Its number from 0.
        nth: u8,
        /// How it ended.
        end: HookEnd,
    },
    /// A reload of a unit is over.
    Reload {
        /// The unit.
        unit: UnitId,
        /// It came to its end, or why it did not.
        end: Result<(), Reason>,
    },
    /// A unit ended `in_a_row` times quickly; the next start is `delay_ms` away.
    CrashLooping {
        /// The unit.
        unit: UnitId,
        /// Short runs one after the other.
        in_a_row: u32,
        /// Until the next start.
        delay_ms: u32,
    },
    /// A unit had started too often and is given up.
    GaveUp {
        /// The unit.
        unit: UnitId,
    },
    /// A unit still has processes although KILL was sent `for_ms` ago (state D, or traced).
    Unkillable {
        /// The unit.
        unit: UnitId,
        /// Since the first KILL.
        for_ms: u64,
    },
    /// The timer of a unit went off while it, or the rescue shell, was to be up already: it is not started.
    PassedOver {
        /// The unit.
        unit: UnitId,
    },
    /// A unit that is up does not work, or works again.
    Health {
        /// The unit.
        unit: UnitId,
        /// Whether it works.
        well: bool,
    },
    /// Dependencies went in a circle; the order of this unit after that one was dropped.
    CycleBroken {
        /// The unit that no longer waits.
        unit: UnitId,
        /// The one it would have waited for.
        after: UnitId,
    },
    /// The last load had no room for some units; they were left out, the others are loaded.
    LeftOut {
        /// How many.
        units: u16,
    },
    /// Shutdown reached its next phase.
    Shutdown {
        /// Which.
        phase: crate::Phase,
    },
    /// An event met a state it cannot meet; nothing was changed. A bug, reported and survived.
    Unexpected {
        /// The unit, if one was concerned.
        unit: Option<UnitId>,
        /// The event's name.
        event: &'static str,
        /// The state's name.
        state: &'static str,
    },
}
