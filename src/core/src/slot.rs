//! One unit's place: its policy, its goal and state, and what has to be remembered between
//! events. Decides nothing.

use crate::{ExitStatus, Goal, Kind, Millis, Name, Reason, Restart, State, Unit};

/// What follows once no process of the unit is left. Decided when the end begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Whatever the goal asks for, without delay.
    Goal,
    /// A oneshot did its work.
    Done,
    /// It ended well and policy does not start it again.
    Quit,
    /// It ended badly and policy does not start it again.
    Fail,
    /// It starts again after this delay; 0 is at once.
    Again { delay_ms: u64 },
}

/// A run of entries in one of the edge lists.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    pub(crate) start: u16,
    pub(crate) len: u16,
}

/// Everything remembered of one unit. About 300 bytes.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) unit: Unit,
    pub(crate) goal: Goal,
    pub(crate) state: State,
    pub(crate) reason: Reason,
    pub(crate) last_exit: Option<ExitStatus>,
    pub(crate) next: Next,
    /// Since when it is up, also while a forking unit's main process is looked for again.
    pub(crate) up_since: Millis,
    /// When to say (again) that it cannot be killed.
    pub(crate) complain_at: Millis,
    /// Starts nobody asked for.
    pub(crate) restarts: u32,
    /// Short runs and failed starts, one after the other.
    pub(crate) in_a_row: u32,
    /// Delays taken one after the other: the exponent of the next one.
    pub(crate) delays: u32,
    /// Edges to the units this one needs.
    pub(crate) needs: Range,
    /// Edges from the units that need this one.
    pub(crate) dependants: Range,
    /// Conditions to wait for, one bit each.
    pub(crate) conditions: u64,
    /// Place in the dependency order.
    pub(crate) position: u16,
    /// Place in the order of names.
    pub(crate) rank: u16,
    /// Where in `needs` the last blocker was found.
    pub(crate) hint: u16,
    /// The slot holds a unit.
    pub(crate) used: bool,
    /// Was free when the last load began: its number is forgotten by everyone.
    pub(crate) rested: bool,
    /// Named by the catalog being loaded.
    pub(crate) listed: bool,
    /// Its definition is gone; it keeps running.
    pub(crate) orphaned: bool,
    /// `Spawn` was handed out, its answer has not come.
    pub(crate) spawning: bool,
    /// There may be processes: spawned, and not `Emptied` since.
    pub(crate) occupied: bool,
    /// `SeekMain` was handed out, `Forget` not yet.
    pub(crate) seeking: bool,
    /// The main process ended while up; looking whether it moved.
    pub(crate) moving: bool,
    /// What requires this unit may run. Stays true over a restart that comes at once.
    pub(crate) carries: bool,
    /// The oneshot did its work since it was last asked to.
    pub(crate) done: bool,
    /// Came up or failed once since it was asked for: order after it is satisfied.
    pub(crate) tried: bool,
    /// Cannot start because of what it requires: order after it is not waited for.
    pub(crate) hopeless: bool,
    /// To be stopped and started once.
    pub(crate) bounce: bool,
    /// Failed or in back-off, and to be tried now.
    pub(crate) retry: bool,
    /// Requires a unit that does not exist.
    pub(crate) missing: bool,
    /// KILL did not help within the usual time; nobody waits for it any more.
    pub(crate) unkillable: bool,
}

impl Slot {
    /// A place for `unit`, which is down.
    pub(crate) fn new(unit: Unit) -> Self {
        Self {
            unit,
            goal: Goal::Down,
            state: State::Down,
            reason: Reason::None,
            last_exit: None,
            next: Next::Goal,
            up_since: Millis(0),
            complain_at: Millis(0),
            restarts: 0,
            in_a_row: 0,
            delays: 0,
            needs: Range::default(),
            dependants: Range::default(),
            conditions: 0,
            position: 0,
            rank: 0,
            hint: 0,
            used: true,
            rested: false,
            listed: true,
            orphaned: false,
            spawning: false,
            occupied: false,
            seeking: false,
            moving: false,
            carries: false,
            done: false,
            tried: false,
            hopeless: false,
            bounce: false,
            retry: false,
            missing: false,
            unkillable: false,
        }
    }

    /// Makes the place free.
    pub(crate) fn free(&mut self) {
        *self = Self::new(Unit {
            name: Name::new(),
            kind: Kind::Target,
            restart: Restart::No,
            restart_delay_ms: 0,
            restart_delay_max_ms: 0,
            min_uptime_ms: 0,
            start_timeout_ms: 0,
            stop_timeout_ms: 0,
            kill_signal: 15,
            autostart: false,
            builtin: false,
            fingerprint: 0,
        });
        self.used = false;
        self.listed = false;
    }

    /// Has processes, or stands for some; it has to be stopped before it is down.
    pub(crate) const fn is_live(&self) -> bool {
        match self.state {
            State::Starting { .. }
            | State::Seeking { .. }
            | State::Up { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. } => true,
            State::Down | State::Backoff { .. } | State::Failed => false,
        }
    }

    /// Live, and worth waiting for.
    pub(crate) const fn is_awaited(&self) -> bool {
        self.is_live() && !self.unkillable
    }

    /// What requires it may start now.
    pub(crate) const fn serves(&self) -> bool {
        self.carries && (self.done || matches!(self.state, State::Up { .. }))
    }

    /// The process the core waits for, if it is known.
    pub(crate) const fn pid(&self) -> Option<crate::Pid> {
        match self.state {
            State::Starting { pid, .. }
            | State::Up { pid, .. }
            | State::Stopping { pid, .. }
            | State::Sweeping { pid, .. } => pid,
            State::Down | State::Seeking { .. } | State::Backoff { .. } | State::Failed => None,
        }
    }
}
