//! What the core knows of a unit: policy only. What to execute is in `ettan-table`'s `Launch`.

use heapless::String;

/// The most units at a time. 1,024 because a Pi Zero runs out of memory long before
/// (`faults.md` 5.2), and one unit costs less than 1 KiB of PID 1.
pub const MAX_UNITS: usize = 1024;

/// A unit's name, at most 64 bytes (`faults.md` 5.2).
pub type Name = String<64>;

/// How a unit behaves once started, with what only that kind needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program stays in the foreground; up once exec succeeded.
    Simple,
    /// The program forks and its launcher exits; up once the main process is known.
    Forking,
    /// The program runs to its end; up when it exits with success.
    Oneshot {
        /// Counts as up after success, until stopped.
        remain_after_exit: bool,
    },
    /// No process at all: a name for a group of needs.
    Target,
}

/// When a unit whose process ended starts again without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    No,
    /// Whatever happened.
    Always,
    /// After success.
    OnSuccess,
    /// After anything but success.
    OnFailure,
    /// After a signal or a time-out, not after an exit code.
    OnAbnormal,
}

/// The policy of one unit. All spans in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The name, without `.toml`.
    pub name: Name,
    /// Simple, forking, oneshot, target.
    pub kind: Kind,
    /// When to start again.
    pub restart: Restart,
    /// First delay after a run shorter than `min_uptime_ms`.
    pub restart_delay_ms: u32,
    /// The delay doubles up to this.
    pub restart_delay_max_ms: u32,
    /// A run at least this long restarts at once.
    pub min_uptime_ms: u32,
    /// A start that takes longer has failed; 0 waits for ever.
    pub start_timeout_ms: u32,
    /// From the stop signal to KILL; 0 waits for ever.
    pub stop_timeout_ms: u32,
    /// The stop signal's number.
    pub kill_signal: u8,
    /// Starts at boot without anything needing it.
    pub autostart: bool,
    /// Belongs to Ettan itself (logger, watcher, loader): never removed by a load, last to stop.
    pub builtin: bool,
    /// Changes when what is executed changes; a load restarts a unit whose value changed.
    pub fingerprint: u64,
}

/// One line of a unit's needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need<'a> {
    /// Order, wish or requirement.
    pub kind: NeedKind,
    /// What is needed.
    pub on: On<'a>,
}

/// How strongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeedKind {
    /// Order only. (`before` in a file is `After` turned around by the loader.)
    After,
    /// Start it too; its failure does not matter.
    Wants,
    /// Start it first; when it fails or stops, so do we.
    Requires,
}

/// The other end of a need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On<'a> {
    /// A unit of the same catalog, by its index there.
    Unit(u16),
    /// A condition, by name (`network`, `network:eth0:address`).
    Condition(&'a str),
    /// A unit the loader did not find. `Requires` makes the start fail, the others fall away.
    Missing(&'a str),
}

/// A set of units to load, all at once. Implemented by the compiled table and by tests.
pub trait Catalog {
    /// How many units; indices run from 0.
    fn len(&self) -> usize;
    /// True when there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The policy of unit `index`; None past the end.
    fn unit(&self, index: usize) -> Option<Unit>;
    /// Need number `nth` of unit `index`; None past the last.
    fn need(&self, index: usize, nth: usize) -> Option<Need<'_>>;
}
