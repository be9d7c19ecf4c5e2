//! Goal and state: the wish and the fact, two fields.

use crate::{ExitStatus, Millis, Pid, SpawnFault};

/// What a unit should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Up.
    Up,
    /// Down.
    Down,
}

/// What a unit is. Each state carries what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No process, and nothing under way. With goal up: waiting for what it needs.
    Down,
    /// `Spawn` was asked for, or a oneshot or launcher is running.
    Starting {
        /// The oneshot's process or the launcher, once spawned.
        pid: Option<Pid>,
        /// When it began.
        since: Millis,
    },
    /// The launcher has exited (or the main process has), and the main process is not known.
    Seeking {
        /// When the start began.
        since: Millis,
    },
    /// Up.
    Up {
        /// The main process; none for targets and for oneshots that remain.
        pid: Option<Pid>,
        /// Since when.
        since: Millis,
    },
    /// The stop signal was sent.
    Stopping {
        /// The main process or launcher, until it is reaped.
        pid: Option<Pid>,
        /// When KILL follows; None waits for ever.
        kill_at: Option<Millis>,
    },
    /// KILL is sent until nothing is left. What comes after depends on the goal and the policy.
    Sweeping {
        /// The main process or launcher, until it is reaped.
        pid: Option<Pid>,
        /// When it began: a process that cannot be killed (state D) shows by this.
        since: Millis,
    },
    /// Waiting before the next start.
    Backoff {
        /// When that is.
        until: Millis,
    },
    /// Ended, and policy says it stays so. `Ask::Start` tries again.
    Failed,
}

impl State {
    /// The process that stands for the unit: the main one, a oneshot's, or the launcher.
    #[must_use]
    pub const fn pid(&self) -> Option<Pid> {
        match *self {
            Self::Starting { pid, .. }
            | Self::Up { pid, .. }
            | Self::Stopping { pid, .. }
            | Self::Sweeping { pid, .. } => pid,
            Self::Down | Self::Seeking { .. } | Self::Backoff { .. } | Self::Failed => None,
        }
    }

    /// The state's name, as status and events show it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Starting { .. } => "starting",
            Self::Seeking { .. } => "seeking",
            Self::Up { .. } => "up",
            Self::Stopping { .. } => "stopping",
            Self::Sweeping { .. } => "sweeping",
            Self::Backoff { .. } => "backoff",
            Self::Failed => "failed",
        }
    }
}

/// Why a unit is where it is: the last thing that decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing happened yet.
    None,
    /// Somebody asked.
    Asked,
    /// The boot, or a unit that needs this one.
    Needed,
    /// Its process ended.
    Exited(ExitStatus),
    /// It could not be executed.
    Spawn(SpawnFault),
    /// Not ready within the start time-out.
    StartTimeout,
    /// A unit it requires failed, stopped or is missing.
    Requirement,
    /// The main process was not found, or died during the start.
    MainLost(Option<ExitStatus>),
    /// The unit's definition changed or went away.
    Reloaded,
    /// The machine goes down.
    Shutdown,
}

/// How far the end of the machine has come. Shutdown is one way: phases only advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No shutdown was asked for.
    Running,
    /// Units stop in reverse order.
    StoppingUnits,
    /// What is left gets TERM, then KILL.
    KillingStrays,
    /// Logger and watcher stop: the last words are written.
    StoppingBuiltins,
    /// File systems are synced and closed.
    ClosingFilesystems,
    /// reboot(2) was asked for.
    Off,
}
