//! What is counted of a unit's starts and ends, and whether its failing is answered. Decides nothing:
//! what follows from the numbers is in `backoff` and `limit`.

use crate::Millis;

/// All but `restarts` begin anew when the unit is asked for by somebody or its timer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Starts nobody asked for. Until `reset`.
    pub(crate) restarts: u32,
    /// Short runs and failed starts, one after the other.
    pub(crate) in_a_row: u32,
    /// Delays taken one after the other: the exponent of the next one.
    pub(crate) delays: u32,
    /// Starts that count against its limit. Until their time is over.
    pub(crate) starts: u16,
    /// Failed because it had started too often. Until it begins again.
    pub(crate) gave_up: bool,
    /// When the first of `starts` began.
    pub(crate) starts_from: Millis,
}

impl Counts {
    pub(crate) const fn has_row(&self) -> bool {
        self.in_a_row > 0 || self.delays > 0
    }

    /// It ran for long, or did its work: what comes next is the first in a row.
    pub(crate) const fn end_row(&mut self) {
        self.in_a_row = 0;
        self.delays = 0;
    }

    /// Short runs, delays and starts are counted from nothing.
    pub(crate) const fn forget(&mut self) {
        self.end_row();
        self.starts = 0;
        self.gave_up = false;
    }
}

/// Each time a unit begins to fail, its on-failure units answer once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Alarm {
    /// Failed or began to crash-loop since it last ran for long, or was last asked for.
    pub(crate) failing: bool,
    /// That is still to be answered, also where the unit was asked for again meanwhile.
    pub(crate) unanswered: bool,
}

impl Alarm {
    /// It failed, or began to crash-loop.
    pub(crate) const fn note_failure(&mut self) {
        self.unanswered |= !self.failing;
        self.failing = true;
    }
}
