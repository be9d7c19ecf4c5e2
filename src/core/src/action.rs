//! What to do: everything the core ever asks for. Performing one never returns a value into
//! the core; the outcome is a later event.

use crate::{Notice, Pid, Power, Stage, UnitId};

/// One thing for `init` to perform.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Action {
    /// Execute a program of the unit. Leads to `Spawned`, `SpawnFailed` or `Entering`.
    Spawn {
        /// The unit.
        unit: UnitId,
        /// Which program.
        what: Program,
    },
    /// Tell the prober of a run to come, before anything of it exists. Leads to `Announced`.
    Announce {
        /// The unit.
        unit: UnitId,
    },
    /// Send a signal (a stop signal is followed by CONT by whoever performs it).
    Signal {
        /// The unit.
        unit: UnitId,
        /// The signal's number.
        signal: u8,
        /// To whom.
        whom: Whom,
    },
    /// KILL every process that is left of the unit, new ones too, until none is. Leads to
    /// `Emptied`, at once when there is none. May be asked for again while it is under way.
    Sweep {
        /// The unit.
        unit: UnitId,
    },
    /// Find the main process of a forking unit, and keep looking until `Forget`. Leads to
    /// `MainFound` or `MainLost`; each `SeekMain` is answered anew, also when the same process
    /// was named before. It is asked when the launcher has exited with success, and again when
    /// the main process ends while the unit is up: then whoever has taken over must be found
    /// within a second.
    SeekMain {
        /// The unit.
        unit: UnitId,
    },
    /// Stop looking for the main process. Its PID file goes if it names a process we reaped.
    Forget {
        /// The unit.
        unit: UnitId,
    },
    /// Tell the log and whoever listens.
    Publish(Notice),
    /// Shutdown: `signal` to every process that is neither ours nor a built-in unit's. Leads to `StraysGone`.
    KillStrays {
        /// TERM first, KILL later.
        signal: u8,
    },
    /// Shutdown: KILL to every process there is but PID 1, at once, so that none forks out of it.
    KillRest,
    /// Shutdown: sync, unmount, remount read-only, each bounded. Leads to `FilesystemsClosed`.
    CloseFilesystems,
    /// reboot(2). Comes exactly once and last.
    Power(Power),
}

/// Which processes of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The main process only.
    Main,
    /// Every process of the unit.
    All,
    /// This child of ours, which is not reaped yet.
    Process(Pid),
}

/// A program of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The one that the unit is there for.
    Main,
    /// A command of this stage, by its number from 0.
    Hook(Stage, u8),
}
