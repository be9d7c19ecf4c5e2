//! When a unit starts again, in words.

use ettan_core::{Kind, Restart, Unit};

/// After which ends, and after which not.
pub(crate) struct Policy {
    pub(crate) again: &'static str,
    pub(crate) not: &'static str,
    /// Whether a crash leaves it down.
    pub(crate) ignores_failure: bool,
}

/// The policy of a service that is meant to be up, if some end leaves it down.
pub(crate) fn of(unit: &Unit) -> Option<Policy> {
    match unit.kind {
        Kind::Simple | Kind::Notify | Kind::Forking => {}
        Kind::Oneshot { .. } | Kind::Target => return None,
    }
    let (again, not, ignores_failure) = match unit.restart {
        Restart::Always => return None,
        Restart::No => ("nothing", "whatever happens, a crash too", true),
        Restart::OnSuccess => {
            ("exit code 0", "any other exit code, a signal, a time-out: all failures", true)
        }
        Restart::OnFailure => ("any exit code but 0, a signal, a time-out", "exit code 0", false),
        Restart::OnAbnormal => {
            ("a signal, a time-out", "any exit code, also that of a failure", true)
        }
    };
    Some(Policy { again, not, ignores_failure })
}
