//! Goal and state: the wish and the fact, two fields.

use crate::{ExitStatus, Millis, Pid, SpawnFault, Stage};

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
    /// The commands before the program run, one after the other; nothing is left of one when the
    /// next begins.
    Preparing {
        /// The command that runs, or that follows once nothing is left of the one before.
        next: u8,
        /// When the start began.
        since: Millis,
    },
    /// `Spawn` was asked for, or a oneshot or launcher is running.
    Starting {
        /// The oneshot's process or the launcher, once spawned.
        pid: Option<Pid>,
        /// When the start began.
        since: Millis,
    },
    /// The launcher has exited (or the main process has), and the main process is not known.
    Seeking {
        /// When the start began.
        since: Millis,
    },
    /// The main process is known; the unit is not ready yet.
    Awaiting {
        /// The main process.
        pid: Pid,
        /// When the start began.
        since: Millis,
    },
    /// The commands after the start run, one after the other.
    Finishing {
        /// The main process; none for a oneshot, which has ended.
        pid: Option<Pid>,
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
    /// The commands before the end run, or the stop signal was sent.
    Stopping {
        /// The main process or launcher, until it is reaped.
        pid: Option<Pid>,
        /// When the stop signal, or KILL, follows; None waits for ever.
        kill_at: Option<Millis>,
    },
    /// KILL is sent until nothing is left. What comes after depends on the goal and the policy.
    Sweeping {
        /// The main process or launcher, until it is reaped.
        pid: Option<Pid>,
        /// When it began: a process that cannot be killed (state D) shows by this.
        since: Millis,
    },
    /// No process of the run is left; the commands after the end run.
    Cleaning {
        /// When KILL ends them; None waits for ever.
        kill_at: Option<Millis>,
    },
    /// Waiting before the next start.
    Backoff {
        /// When that is.
        until: Millis,
    },
    /// Ended, and policy says it stays so. `Ask::Start` tries again.
    Failed,
}

/// What states are asked for most: where on its way a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// No process, and nothing to stop.
    AtRest,
    /// A start is under way, or the main process is looked for again.
    Rising,
    /// Up.
    Up,
    /// On its way from there to rest.
    Ending,
}

impl State {
    /// Where on its way the unit is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Down | Self::Backoff { .. } | Self::Failed => Class::AtRest,
            Self::Preparing { .. }
            | Self::Starting { .. }
            | Self::Seeking { .. }
            | Self::Awaiting { .. }
            | Self::Finishing { .. } => Class::Rising,
            Self::Up { .. } => Class::Up,
            Self::Stopping { .. } | Self::Sweeping { .. } | Self::Cleaning { .. } => Class::Ending,
        }
    }

    /// When the start under way began, or the search for the main process.
    #[must_use]
    pub const fn start_since(&self) -> Option<Millis> {
        match *self {
            Self::Preparing { since, .. }
            | Self::Starting { since, .. }
            | Self::Seeking { since }
            | Self::Awaiting { since, .. }
            | Self::Finishing { since, .. } => Some(since),
            Self::Down
            | Self::Up { .. }
            | Self::Stopping { .. }
            | Self::Sweeping { .. }
            | Self::Cleaning { .. }
            | Self::Backoff { .. }
            | Self::Failed => None,
        }
    }

    /// The process that stands for the unit: the main one, a oneshot's, or the launcher.
    #[must_use]
    pub const fn pid(&self) -> Option<Pid> {
        match *self {
            Self::Starting { pid, .. }
            | Self::Finishing { pid, .. }
            | Self::Up { pid, .. }
            | Self::Stopping { pid, .. }
            | Self::Sweeping { pid, .. } => pid,
            Self::Awaiting { pid, .. } => Some(pid),
            Self::Down
            | Self::Preparing { .. }
            | Self::Seeking { .. }
            | Self::Cleaning { .. }
            | Self::Backoff { .. }
            | Self::Failed => None,
        }
    }

    /// The state's name, as status and events show it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Preparing { .. } => "preparing",
            Self::Starting { .. } => "starting",
            Self::Seeking { .. } => "seeking",
            Self::Awaiting { .. } => "awaiting",
            Self::Finishing { .. } => "finishing",
            Self::Up { .. } => "up",
            Self::Stopping { .. } => "stopping",
            Self::Sweeping { .. } => "sweeping",
            Self::Cleaning { .. } => "cleaning",
            Self::Backoff { .. } => "backoff",
            Self::Failed => "failed",
        }
    }
}

/// How a hook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookEnd {
    /// By itself, or by a signal.
    Exited(ExitStatus),
    /// It could not be executed.
    Spawn(SpawnFault),
    /// It took too long.
    TimedOut,
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
    /// The same of a forking unit whose first process has not exited by then.
    Unforked,
    /// The same of a forking unit whose first process has exited, and whose main process is not known.
    Unfound,
    /// A command before or after the start failed: which one, and how.
    Hook(Stage, u8, HookEnd),
    /// A unit it requires failed, stopped or is missing.
    Requirement,
    /// The main process was not found, or died during the start.
    MainLost(Option<ExitStatus>),
    /// Looked at while it was up, it did not work.
    Unhealthy,
    /// It did not say in time that it lives (watchdog-sec).
    Watchdog,
    /// The unit's definition changed or went away.
    Reloaded,
    /// The machine goes down.
    Shutdown,
    /// A unit it conflicts with was asked for.
    Conflict,
    /// A unit or condition it is bound to is gone.
    Bound,
    /// A unit it is part of was stopped or restarted.
    PartOf,
    /// A unit that names it in on-failure failed.
    OnFailure,
    /// It is not for this machine, by a condition of its file.
    Skipped,
    /// Its timer.
    Timer,
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
