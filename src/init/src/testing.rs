//! Units that exist in a test's imagination.

#![allow(clippy::unwrap_used)]

use ettan_core::{
    Catalog, Hooks, KillMode, Kind, Need, Probes, Restart, StartLimit, Statuses, Unit,
};

/// Units without needs.
pub(crate) struct Units(pub(crate) Vec<Unit>);

impl Catalog for Units {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn unit(&self, index: usize) -> Option<Unit> {
        self.0.get(index).cloned()
    }
    fn need(&self, _: usize, _: usize) -> Option<Need<'_>> {
        None
    }
}

/// A simple unit that nobody asks for and that is not started again.
pub(crate) fn unit(name: &str) -> Unit {
    Unit {
        name: name.try_into().unwrap(),
        kind: Kind::Simple,
        restart: Restart::No,
        restart_delay_ms: 250,
        restart_delay_max_ms: 30_000,
        restart_reset_ms: 60_000,
        start_limit: StartLimit::default(),
        min_uptime_ms: 1_000,
        start_timeout_ms: 30_000,
        stop_timeout_ms: 10_000,
        kill_signal: 15,
        kill_mode: KillMode::ControlGroup,
        reload_signal: None,
        reload_answers: false,
        success: Statuses::NONE,
        no_restart: Statuses::NONE,
        hooks: Hooks::default(),
        probes: Probes::Nothing,
        autostart: false,
        skipped: false,
        critical: false,
        holds_data: false,
        nice: 0,
        builtin: false,
        fingerprint: 0,
    }
}
