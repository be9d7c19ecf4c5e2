//! The units that are Ettan itself: loader, logger, watcher, prober, and the rescue shell.
//!
//! They are ordinary units to the core, so that their restarts, back-off and time-outs are the
//! same code as everybody's. Only what they execute is known here instead of in a table.

use crate::helper::{Helper, SELF_EXE};
use core::ffi::CStr;
use ettan_core::{
    KillMode, Kind, Name, Probes, Restart, StartLimit, Statuses, Supervisor, Unit, UnitId,
};

/// The built-in units' places in the supervisor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Builtins {
    /// Reads unit files; a oneshot, started at boot and by each reload.
    pub(crate) loader: UnitId,
    /// Writes the logs; started after the first units, as the watcher ([`crate::late`]).
    pub(crate) logger: UnitId,
    /// Publishes conditions.
    pub(crate) watcher: UnitId,
    /// Looks whether units are ready and well; started once some unit asks for that.
    pub(crate) prober: UnitId,
    /// A shell on the console when no unit could be started.
    pub(crate) rescue: UnitId,
}

/// What one built-in unit executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Program<'a> {
    /// The file.
    pub(crate) path: &'static CStr,
    /// Its arguments, its own name first.
    pub(crate) argv: &'a [&'a CStr],
    /// The terminal it takes over, if any.
    pub(crate) tty: Option<&'static CStr>,
}

impl<'a> Program<'a> {
    /// One of our helpers.
    pub(crate) const fn helper(argv: &'a [&'a CStr]) -> Self {
        Self { path: SELF_EXE, argv, tty: None }
    }
}

/// There as soon as a unit needs it, and then not to be stopped.
pub(crate) const PROBER: &str = "ettan-probe";

/// How a unit is added to a supervisor.
type Add = fn(&mut Supervisor, Unit) -> Option<UnitId>;

impl Builtins {
    /// Finds them in a supervisor, and adds those that are not there: all at boot, and after that
    /// whose record was lost. None only when it has no room.
    pub(crate) fn of(supervisor: &mut Supervisor) -> Option<Self> {
        let mut one = |name, kind, autostart, add: Add| {
            let unit = unit(name, kind, autostart);
            supervisor.find(name).or_else(|| add(supervisor, unit))
        };
        // The loader alone starts at once; see `late`.
        let (load, rest) =
            (Kind::Oneshot { remain_after_exit: false }, Supervisor::builtin_at_rest);
        let all = Self {
            logger: one("ettan-log", Kind::Simple, true, rest)?,
            watcher: one("ettan-watch", Kind::Simple, true, rest)?,
            loader: one("ettan-load", load, true, Supervisor::builtin)?,
            prober: one(PROBER, Kind::Simple, false, rest)?,
            rescue: one("ettan-rescue", Kind::Simple, false, rest)?,
        };
        supervisor.hush_timers_for(all.rescue);
        Some(all)
    }

    /// What to execute for `id`; None when it is not one of ours.
    pub(crate) fn program(&self, id: UnitId) -> Option<Program<'static>> {
        if id == self.loader {
            Some(Program::helper(const { &Helper::Load.argv() }))
        } else if id == self.logger {
            Some(Program::helper(const { &Helper::Log.argv() }))
        } else if id == self.watcher {
            Some(Program::helper(const { &Helper::Watch.argv() }))
        } else if id == self.prober {
            Some(Program::helper(const { &Helper::Probe.argv() }))
        } else if id == self.rescue {
            // A leading dash makes it a login shell, as on any console.
            Some(Program { path: c"/bin/sh", argv: &[c"-sh"], tty: Some(c"/dev/console") })
        } else {
            None
        }
    }
}

/// The policy of a helper: always there, and quick to stop.
fn unit(name: &str, kind: Kind, autostart: bool) -> Unit {
    let restart = match kind {
        Kind::Oneshot { .. } => Restart::OnFailure,
        Kind::Simple | Kind::Notify | Kind::Forking | Kind::Target => Restart::Always,
    };
    Unit {
        name: Name::try_from(name).unwrap_or_default(),
        kind,
        restart,
        restart_delay_ms: 250,
        // Shorter than for services: who waits for a helper waits for output or for the network.
        restart_delay_max_ms: 5_000,
        restart_reset_ms: 60_000,
        start_limit: StartLimit::default(),
        min_uptime_ms: 1_000,
        // Reading 1,024 unit files from the slowest card takes seconds, not this long.
        start_timeout_ms: 60_000,
        stop_timeout_ms: 2_000,
        kill_signal: ettan_sys::signals::TERM,
        kill_mode: KillMode::ControlGroup,
        reload_signal: None,
        reload_answers: false,
        success: Statuses::NONE,
        no_restart: Statuses::NONE,
        hooks: ettan_core::Hooks::default(),
        probes: Probes::Nothing,
        autostart,
        skipped: false,
        critical: false,
        holds_data: false,
        nice: 0,
        builtin: true,
        fingerprint: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_record_loses_one_helper_and_no_other() {
        let mut supervisor = Box::new(Supervisor::new());
        let all = Builtins::of(&mut supervisor).map(|all| all.rescue);
        let mut records = Vec::new();
        for id in supervisor.units() {
            let mut bytes = [0; ettan_core::RECORD_MAX];
            let length = supervisor.save_unit(id, &mut bytes).unwrap_or(0);
            records.push((id, bytes, length));
        }
        for lost in 0..records.len() {
            let mut again = Box::new(Supervisor::new());
            for (_, (id, bytes, length)) in records.iter().enumerate().filter(|(at, _)| *at != lost)
            {
                let record = bytes.get(..*length).unwrap_or_default();
                assert_eq!(again.restore_unit(*id, record), Ok(()));
            }
            let found = Builtins::of(&mut again);
            assert!(found.is_some_and(|found| found.program(found.prober).is_some()), "{lost}");
            assert_eq!(again.units().count(), records.len());
        }
        assert!(all.is_some());
    }
}
