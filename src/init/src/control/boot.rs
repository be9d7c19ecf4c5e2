//! When was the boot over? Looks at units until each one that should be up is up, waits for
//! something else than a start, or has failed.

use ettan_core::{Goal, MAX_UNITS, Millis, State, Supervisor, UnitId};

/// How far the boot has come. Each look goes on where the last one found something pending, so
/// that all looks together cost little more than one look at every unit.
pub(crate) struct Boot {
    /// The place to look at next.
    next: u16,
    /// Places in a row without anything pending.
    clear: usize,
    over_at: Option<Millis>,
}

impl Boot {
    pub(crate) const fn new() -> Self {
        Self { next: 0, clear: 0, over_at: None }
    }

    /// When it was over, on PID 1's clock; None until then.
    pub(crate) fn over_ms(&self) -> Option<u64> {
        self.over_at.map(|at| at.0)
    }

    /// It was over then, before this execution of PID 1.
    pub(crate) fn set_over(&mut self, over_ms: Option<u64>) {
        self.over_at = over_ms.map(Millis);
    }

    /// True once: when it is over.
    pub(crate) fn look(&mut self, now: Millis, supervisor: &Supervisor) -> bool {
        if self.over_at.is_some() || !has_units(supervisor) {
            return false;
        }
        while self.clear < MAX_UNITS {
            if is_pending(supervisor, UnitId(self.next)) {
                self.clear = 0;
                return false;
            }
            let next = self.next.saturating_add(1);
            self.next = if usize::from(next) < MAX_UNITS { next } else { 0 };
            self.clear = self.clear.saturating_add(1);
        }
        self.over_at = Some(now);
        true
    }
}

/// Whether anything but our own helpers was loaded.
fn has_units(supervisor: &Supervisor) -> bool {
    supervisor.units().any(|id| supervisor.unit(id).is_some_and(|unit| !unit.builtin))
}

fn is_pending(supervisor: &Supervisor, id: UnitId) -> bool {
    if supervisor.unit(id).is_none_or(|unit| unit.builtin) {
        return false;
    }
    let Some(view) = supervisor.view(id) else { return false };
    match view.state {
        State::Preparing { .. }
        | State::Starting { .. }
        | State::Seeking { .. }
        | State::Awaiting { .. }
        | State::Finishing { .. } => true,
        // One that waits for another is not pending itself: the other is, or will never be up.
        State::Down => view.goal == Goal::Up && view.blocked_by.is_none(),
        State::Stopping { .. } | State::Sweeping { .. } | State::Cleaning { .. } => {
            view.goal == Goal::Up && !view.unkillable
        }
        State::Up { .. } | State::Backoff { .. } | State::Failed => false,
    }
}
