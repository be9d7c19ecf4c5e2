//! The units that are Ettan itself: loader, logger, watcher, and the rescue shell.
//!
//! They are ordinary units to the core, so that their restarts, back-off and time-outs are the
//! same code as everybody's. Only what they execute is known here instead of in a table.

use core::ffi::CStr;
use ettan_core::{Kind, Name, Restart, Supervisor, Unit, UnitId};

/// PID 1's own file: helpers need no other on disk, and a replaced one does not matter.
const SELF_EXE: &CStr = c"/proc/self/exe";

/// The built-in units' places in the supervisor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Builtins {
    /// Reads unit files; a oneshot, started at boot and by each reload.
    pub(crate) loader: UnitId,
    /// Writes the logs.
    pub(crate) logger: UnitId,
    /// Publishes conditions.
    pub(crate) watcher: UnitId,
    /// A shell on the console when no unit could be started.
    pub(crate) rescue: UnitId,
}

/// What one built-in unit executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The file.
    pub(crate) path: &'static CStr,
    /// Its arguments, its own name first.
    pub(crate) argv: &'static [&'static CStr],
    /// The terminal it takes over, if any.
    pub(crate) tty: Option<&'static CStr>,
}

impl Builtins {
    /// Adds them to a supervisor that has no units yet; None only when it has no room.
    pub(crate) fn add_to(supervisor: &mut Supervisor) -> Option<Self> {
        Some(Self {
            logger: supervisor.builtin(unit("ettan-log", Kind::Simple, true))?,
            watcher: supervisor.builtin(unit("ettan-watch", Kind::Simple, true))?,
            loader: supervisor.builtin(unit(
                "ettan-load",
                Kind::Oneshot { remain_after_exit: false },
                true,
            ))?,
            rescue: supervisor.builtin(unit("ettan-rescue", Kind::Simple, false))?,
        })
    }

    /// Finds them in a supervisor that was restored.
    pub(crate) fn find_in(supervisor: &Supervisor) -> Option<Self> {
        Some(Self {
            logger: supervisor.find("ettan-log")?,
            watcher: supervisor.find("ettan-watch")?,
            loader: supervisor.find("ettan-load")?,
            rescue: supervisor.find("ettan-rescue")?,
        })
    }

    /// What to execute for `id`; None when it is not one of ours.
    pub(crate) fn program(&self, id: UnitId) -> Option<Program> {
        let helper = |argv| Program { path: SELF_EXE, argv, tty: None };
        if id == self.loader {
            Some(helper(&[c"ettan-init", c"load"]))
        } else if id == self.logger {
            Some(helper(&[c"ettan-init", c"log"]))
        } else if id == self.watcher {
            Some(helper(&[c"ettan-init", c"watch"]))
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
        Kind::Simple | Kind::Forking | Kind::Target => Restart::Always,
    };
    Unit {
        name: Name::try_from(name).unwrap_or_default(),
        kind,
        restart,
        restart_delay_ms: 250,
        // Shorter than for services: who waits for a helper waits for output or for the network.
        restart_delay_max_ms: 5_000,
        min_uptime_ms: 1_000,
        // Reading 1,024 unit files from the slowest card takes seconds, not this long.
        start_timeout_ms: 60_000,
        stop_timeout_ms: 2_000,
        kill_signal: ettan_sys::signals::TERM,
        autostart,
        builtin: true,
        fingerprint: 0,
    }
}
