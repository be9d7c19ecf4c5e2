//! When was the boot over? Looks at units until each one that should be up is up, waits for
//! something else than a start, has failed, or takes too long to start to be waited for.

use ettan_core::{Class, Goal, MAX_UNITS, Millis, State, Supervisor, UnitId};

/// No start is waited for longer: a job that hangs on its server does not keep the machine in its boot, and with
/// that its watchdog and its update unproven. Less than a trial lasts (docs/updates.md), by far.
const START_MS: u64 = 120_000;

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
            if is_pending(supervisor, UnitId(self.next), now) {
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

fn is_pending(supervisor: &Supervisor, id: UnitId, now: Millis) -> bool {
    // What a timer starts belongs to no boot, whenever it does.
    if supervisor.unit(id).is_none_or(|unit| unit.builtin) || supervisor.timer(id).is_some() {
        return false;
    }
    let Some(view) = supervisor.view(id) else { return false };
    match view.state.class() {
        Class::Rising => view.state.start_since().is_some_and(|since| now.since(since) < START_MS),
        // One that waits for another is not pending itself: the other is, or will never be up.
        Class::AtRest => {
            view.state == State::Down && view.goal == Goal::Up && view.blocked_by.is_none()
        }
        Class::Ending => view.goal == Goal::Up && !view.unkillable,
        Class::Up => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{self, Units};
    use ettan_core::{Kind, Unit};

    #[test]
    fn a_start_that_hangs_does_not_keep_the_boot_from_its_end() {
        const START: Millis = Millis(10_000);
        let hangs = Unit {
            kind: Kind::Oneshot { remain_after_exit: false },
            autostart: true,
            start_timeout_ms: 0,
            ..testing::unit("backup")
        };
        let mut supervisor = Box::new(Supervisor::new());
        supervisor.load(START, &Units(vec![hangs]));
        let mut boot = Boot::new();
        assert!(supervisor.next_action().is_some(), "it is started");
        assert!(!boot.look(START, &supervisor));
        assert!(!boot.look(START.after(START_MS - 1), &supervisor));
        assert!(boot.look(START.after(START_MS), &supervisor));
        assert_eq!(boot.over_ms(), Some(START.after(START_MS).0));
        assert!(!boot.look(START.after(START_MS), &supervisor), "said once");
    }
}
