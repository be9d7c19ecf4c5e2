//! Core values → the words that the wire has for them, one to one. Text for people: `describe`.

use ettan_core::{Goal, Kind, Phase, State};
use ettan_wire::{GoalWord, KindWord, PhaseWord, StateWord};

/// The state's word on the wire.
pub(crate) fn state_word(state: State) -> StateWord {
    match state {
        State::Down => StateWord::Down,
        State::Preparing { .. } => StateWord::Preparing,
        State::Starting { .. } => StateWord::Starting,
        State::Seeking { .. } => StateWord::Seeking,
        State::Awaiting { .. } => StateWord::Awaiting,
        State::Finishing { .. } => StateWord::Finishing,
        State::Up { .. } => StateWord::Up,
        State::Stopping { .. } => StateWord::Stopping,
        State::Sweeping { .. } => StateWord::Sweeping,
        State::Cleaning { .. } => StateWord::Cleaning,
        State::Backoff { .. } => StateWord::Backoff,
        State::Failed => StateWord::Failed,
    }
}

/// The goal's word on the wire.
pub(crate) fn goal_word(goal: Goal) -> GoalWord {
    match goal {
        Goal::Up => GoalWord::Up,
        Goal::Down => GoalWord::Down,
    }
}

/// The kind's word on the wire.
pub(crate) fn kind_word(kind: Kind) -> KindWord {
    match kind {
        Kind::Simple => KindWord::Simple,
        Kind::Notify => KindWord::Notify,
        Kind::Forking => KindWord::Forking,
        Kind::Oneshot { .. } => KindWord::Oneshot,
        Kind::Target => KindWord::Target,
    }
}

/// The phase's word on the wire.
pub(crate) fn phase_word(phase: Phase) -> PhaseWord {
    match phase {
        Phase::Running => PhaseWord::Running,
        Phase::StoppingUnits => PhaseWord::StoppingUnits,
        Phase::KillingStrays => PhaseWord::KillingStrays,
        Phase::StoppingBuiltins => PhaseWord::StoppingBuiltins,
        Phase::ClosingFilesystems => PhaseWord::ClosingFilesystems,
        Phase::Off => PhaseWord::Off,
    }
}
