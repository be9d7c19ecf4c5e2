//! What the core knows of a unit: policy only. What to execute is in `ettan-table`'s `Launch`.

use crate::{Statuses, Timer};
use heapless::String;

/// The most units at a time. 1,024 because a Pi Zero runs out of memory long before
/// (`tests/FAULTS.md` 5.2), and one unit costs less than 1 KiB of PID 1.
pub const MAX_UNITS: usize = 1024;

/// A unit's name, at most 64 bytes (`tests/FAULTS.md` 5.2).
pub type Name = String<64>;

/// How a unit behaves once started, with what only that kind needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program stays in the foreground; up once exec succeeded.
    Simple,
    /// As simple, and the program says itself when it is ready (sd_notify).
    Notify,
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

/// What the prober has to do with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probes {
    /// Nothing.
    Nothing,
    /// It watches it while it is up.
    Up,
    /// The unit is up only once the prober has said that it is ready; it watches it from then on.
    Ready,
}

/// The most commands of one stage: what `tolerant` has bits for.
pub const MAX_HOOKS: usize = 8;

/// When a hook is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before the program; a failure fails the start.
    Pre,
    /// After the program is ready; a failure fails the start.
    Post,
    /// Before the stop signal, while the program runs.
    Stop,
    /// After the end, however it came; before anything else follows.
    StopPost,
    /// On reload.
    Reload,
}

/// The commands of one stage; what they are is in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// How many.
    pub count: u8,
    /// Those whose failure is no failure, one bit each.
    pub tolerant: u8,
}

impl Commands {
    /// Whether command number `nth` may fail.
    #[must_use]
    pub const fn tolerates(self, nth: u8) -> bool {
        nth < 8 && self.tolerant & 1_u8.wrapping_shl(nth as u32) != 0
    }
}

/// The commands of all stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks([Commands; 5]);

impl Hooks {
    /// Those of one stage.
    #[must_use]
    pub const fn of(&self, stage: Stage) -> Commands {
        let Self([pre, post, stop, stop_post, reload]) = *self;
        match stage {
            Stage::Pre => pre,
            Stage::Post => post,
            Stage::Stop => stop,
            Stage::StopPost => stop_post,
            Stage::Reload => reload,
        }
    }

    /// The same, to be changed.
    pub const fn of_mut(&mut self, stage: Stage) -> &mut Commands {
        let Self([pre, post, stop, stop_post, reload]) = self;
        match stage {
            Stage::Pre => pre,
            Stage::Post => post,
            Stage::Stop => stop,
            Stage::StopPost => stop_post,
            Stage::Reload => reload,
        }
    }
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

/// Whom the end of a unit is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KillMode {
    /// Stop signal and KILL for every process of the unit.
    #[default]
    ControlGroup,
    /// The stop signal for the main process; KILL for all that is left.
    Mixed,
    /// Both for the main process alone; what else there is stays.
    Process,
}

/// When a unit that starts over and over is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartLimit {
    /// So many starts within `interval_ms`, and policy does not start it once more; 0: never.
    pub burst: u16,
    /// The time in which they are counted.
    pub interval_ms: u32,
    /// What follows.
    pub action: LimitAction,
}

/// What follows when a unit is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitAction {
    /// It stays failed.
    #[default]
    Nothing,
    /// The machine is restarted.
    Reboot,
    /// The machine is restarted without waiting for anything.
    RebootForce,
    /// The machine is switched off.
    PowerOff,
}

/// The policy of one unit. All spans in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The name, without `.toml`.
    pub name: Name,
    /// Simple, notify, forking, oneshot, target.
    pub kind: Kind,
    /// When to start again.
    pub restart: Restart,
    /// First delay after a run shorter than `min_uptime_ms`.
    pub restart_delay_ms: u32,
    /// The delay doubles up to this.
    pub restart_delay_max_ms: u32,
    /// Up this long, all short runs before are forgiven.
    pub restart_reset_ms: u32,
    /// When it is given up.
    pub start_limit: StartLimit,
    /// A run at least this long restarts at once.
    pub min_uptime_ms: u32,
    /// A start that takes longer has failed; 0 waits for ever.
    pub start_timeout_ms: u32,
    /// From the stop signal to KILL; 0 waits for ever.
    pub stop_timeout_ms: u32,
    /// The stop signal's number.
    pub kill_signal: u8,
    /// Whom its end is for.
    pub kill_mode: KillMode,
    /// What the main process gets on reload, once the commands of that stage ended well.
    pub reload_signal: Option<u8>,
    /// It says when it has taken them in after that signal, which is awaited.
    pub reload_answers: bool,
    /// Ends of the program that are a success, beside those that always are.
    pub success: Statuses,
    /// Ends of the program after which policy does not start it again.
    pub no_restart: Statuses,
    /// How many commands there are around the program.
    pub hooks: Hooks,
    /// What the prober has to do with it.
    pub probes: Probes,
    /// Starts without anything needing it: at boot, or when its timer says so.
    pub autostart: bool,
    /// Not for this machine, by a condition of its file: a start does nothing, and counts as one.
    pub skipped: bool,
    /// The machine is not well without it: the hardware watchdog is fed only while it is.
    pub critical: bool,
    /// When the machine goes down it has the first claim on the time that there is.
    pub holds_data: bool,
    /// Nicer ones start later, of those that could at the same moment.
    pub nice: i8,
    /// Belongs to Ettan itself (logger, watcher, loader): never removed by a load, last to stop.
    pub builtin: bool,
    /// Changes when what is executed changes; a load restarts a unit whose value changed.
    pub fingerprint: u64,
}

impl Unit {
    /// After how many milliseconds a start has failed; None: never.
    #[must_use]
    pub fn start_timeout(&self) -> Option<u64> {
        (self.start_timeout_ms > 0).then_some(u64::from(self.start_timeout_ms))
    }

    /// After how many milliseconds KILL follows the stop signal; None: never.
    #[must_use]
    pub fn stop_timeout(&self) -> Option<u64> {
        (self.stop_timeout_ms > 0).then_some(u64::from(self.stop_timeout_ms))
    }

    /// Whether anything is done on reload.
    #[must_use]
    pub const fn is_reloadable(&self) -> bool {
        self.reload_signal.is_some() || self.hooks.of(Stage::Reload).count > 0
    }
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
    /// As `Requires`, also for conditions, and strictly: stop whenever it goes, start again when
    /// it is back.
    BindsTo,
    /// Never up together: a start of either stops the other.
    Conflicts,
    /// Stop and restart with it.
    PartOf,
    /// Start it when we fail or begin to crash-loop.
    OnFailure,
}

/// The other end of a need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On<'a> {
    /// A unit of the same catalog, by its index there.
    Unit(u16),
    /// A condition, by name (`network`, `network:eth0:address`).
    Condition(&'a str),
    /// A unit the loader did not find. `Requires` and `BindsTo` make the start fail, the others
    /// fall away.
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
    /// When unit `index` is started by itself, instead of at boot; None: it has no timer.
    fn timer(&self, index: usize) -> Option<Timer> {
        let _ = index;
        None
    }
    /// Whether the unit of this name, which is not in the catalog, is one less of what somebody asked
    /// for. It is stopped; any other that is gone runs on as an orphan.
    fn ends(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}
