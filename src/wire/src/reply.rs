//! What PID 1 answers. One variant is one kind of packet; the payload's fields are the packet's.

use serde::{Deserialize, Serialize};

use crate::{PowerWord, Text};

/// One packet from PID 1: `{"reply":"done","text":"web: up (pid 212)"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
#[allow(clippy::large_enum_variant, reason = "no heap to put the large one in")]
pub enum Reply {
    /// To `hello`.
    Welcome(Welcome),
    /// To `status`, and one of many to `list`.
    Unit(UnitStatus),
    /// Part of a `list`: what the loader had to say about a unit file.
    Diagnostic(Diagnostic),
    /// To `needs`: one of them.
    Need(Need),
    /// To `conditions`: one of them.
    Condition(Known),
    /// The last packet of a `list`, of `needs` and of `conditions`.
    End(End),
    /// To `is-active`.
    Active(Active),
    /// The request was taken. When it asked to wait, `done` or `failed` follows.
    Accepted,
    /// What was asked for is so.
    Done(Finished),
    /// What was asked for did not come about.
    Failed(Finished),
    /// To `events`: one notice.
    Event(EventLine),
    /// To `events`: the client read too slowly; the connection ends here.
    Lost(Lost),
    /// To `stats`.
    Stats(Stats),
    /// The request was not taken.
    Error(Refusal),
}

/// A condition, as PID 1 knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its name.
    pub name: Text<64>,
    /// Whether it holds, as far as PID 1 was told.
    pub holds: bool,
    /// A unit names it.
    #[serde(default)]
    pub wanted: bool,
}

/// The answer to `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The protocol's version.
    pub version: u32,
    /// The program's version.
    pub program: Text<32>,
}

/// Everything PID 1 knows of one unit. Times are milliseconds of PID 1's monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// Its name.
    pub unit: Text<64>,
    /// The name of the file that has it as one of its instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Text<64>>,
    /// What the file says it is.
    pub description: Text<256>,
    /// How it behaves.
    pub kind: KindWord,
    /// What it should be.
    pub goal: GoalWord,
    /// What it is.
    pub state: StateWord,
    /// PID 1's clock when this was written: ages are differences to it.
    pub now_ms: u64,
    /// When the state began, where the state remembers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// When the next start is due (state backoff), KILL follows (states stopping, cleaning), or the
    /// start has failed (states preparing, starting, seeking, awaiting, finishing).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// The main process, or the launcher while it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_pid: Option<i32>,
    /// Starts that nobody asked for, since the unit was loaded or `reset`.
    pub restarts: u32,
    /// Short runs one after the other.
    pub in_a_row: u32,
    /// Whether it keeps ending quickly.
    pub crash_looping: bool,
    /// It failed because it had started too often.
    #[serde(default)]
    pub gave_up: bool,
    /// A process of it survives KILL (state D, or traced).
    pub unkillable: bool,
    /// Its definition is gone; it runs until it is stopped.
    pub orphaned: bool,
    /// What the loader says of its file, or of its drop-ins: the first error, else the first warning or
    /// note. In the answer to `status` only: a `list` has all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Text<640>>,
    /// Part of Ettan itself.
    pub builtin: bool,
    /// The machine is of no use without it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub critical: bool,
    /// Why it is where it is, in words; empty when nothing happened yet.
    pub reason: Text<192>,
    /// How its last process ended, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<Text<64>>,
    /// The command around the program that runs: `exec-stop (pid 212)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Text<64>>,
    /// How the last such command ended, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_hook: Option<Text<160>>,
    /// What kind of thing it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<Blocked>,
    /// The name of the unit or condition it waits for; in state awaiting, what is to show that it
    /// is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<Text<192>>,
    /// What it says of itself (sd_notify's STATUS=).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<Text<256>>,
    /// It is up and does not work; why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwell: Option<Text<192>>,
    /// The restart policy in words.
    pub restart: Text<192>,
    /// It is started at boot.
    #[serde(default)]
    pub autostart: bool,
    /// It has a timer, which starts it instead of the boot.
    #[serde(default, skip_serializing_if = "is_false")]
    pub timed: bool,
    /// When its timer starts it next; absent as long as that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<u64>,
    /// Its timer waits until the wall clock is right.
    #[serde(default, skip_serializing_if = "is_false")]
    pub awaits_clock: bool,
    /// Of a unit with a timer: when it was started last since boot, by whomever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_ms: Option<u64>,
    /// Of a unit with a timer: when it was started last, also before this boot, in seconds since
    /// 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_s: Option<i64>,
    /// A moment of its timer that was missed is caught up.
    #[serde(default, skip_serializing_if = "is_false")]
    pub persistent: bool,
    /// When it ends it stays down, whatever its policy says.
    #[serde(default)]
    pub once: bool,
    /// When it was first started since boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    /// When it was first up since boot; of a oneshot that does not remain, when it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What keeps a unit from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blocked {
    /// Another unit, not up yet.
    Unit,
    /// A condition that does not hold.
    Condition,
    /// A unit that does not exist.
    Missing,
    /// A unit it conflicts with, which is not gone yet.
    Rival,
    /// A unit that was bound to its last run, and is not gone yet.
    Bound,
}

/// The variants of the core's `State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "ettan-core's State says what each one means")]
pub enum StateWord {
    Down,
    Preparing,
    Starting,
    Seeking,
    Awaiting,
    Finishing,
    Up,
    Stopping,
    Sweeping,
    Cleaning,
    Backoff,
    Failed,
}

impl StateWord {
    /// The word itself.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Preparing => "preparing",
            Self::Starting => "starting",
            Self::Seeking => "seeking",
            Self::Awaiting => "awaiting",
            Self::Finishing => "finishing",
            Self::Up => "up",
            Self::Stopping => "stopping",
            Self::Sweeping => "sweeping",
            Self::Cleaning => "cleaning",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }
}

/// What a unit should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "ettan-core's Goal says what each one means")]
pub enum GoalWord {
    Up,
    Down,
}

/// How a unit behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "ettan-core's Kind says what each one means")]
pub enum KindWord {
    Simple,
    Notify,
    Forking,
    Oneshot,
    Target,
}

impl KindWord {
    /// The word itself.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Notify => "notify",
            Self::Forking => "forking",
            Self::Oneshot => "oneshot",
            Self::Target => "target",
        }
    }
}

/// How far the end of the machine has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "ettan-core's Phase says what each one means")]
pub enum PhaseWord {
    Running,
    StoppingUnits,
    KillingStrays,
    StoppingBuiltins,
    ClosingFilesystems,
    Off,
}

/// What the loader said: one message, of one file or about several units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The unit whose file it is about, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Text<64>>,
    /// The message as rendered by the loader; it may have several lines.
    pub text: Text<1024>,
}

/// One need of one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Whose.
    pub unit: Text<64>,
    /// What kind of thing it needs.
    pub what: Blocked,
    /// Its name.
    pub on: Text<64>,
    /// It is waited for.
    pub after: bool,
    /// It is asked to start along.
    pub wants: bool,
    /// It is needed all the time.
    pub requires: bool,
    /// It is needed all the time, strictly.
    #[serde(default)]
    pub binds_to: bool,
    /// It is never up together with it.
    #[serde(default)]
    pub conflicts: bool,
    /// The unit stops and restarts with it.
    #[serde(default)]
    pub part_of: bool,
    /// It is started when the unit fails.
    #[serde(default)]
    pub on_failure: bool,
    /// It was part of a circle, and is not waited for any more.
    pub cut: bool,
}

/// The end of a `list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How many `unit` packets came before.
    pub units: u32,
    /// How many `diagnostic` packets came before.
    pub diagnostics: u32,
}

/// The answer to `is-active`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// The unit's name.
    pub unit: Text<64>,
    /// Whether it is up.
    pub active: bool,
    /// What it is.
    pub state: StateWord,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// One line: what, which, why, next.
    pub text: Text<512>,
}

/// One notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// Counts notices since PID 1 started; gaps are losses.
    pub sequence: u64,
    /// When, on PID 1's monotonic clock.
    pub at_ms: u64,
    /// The unit concerned, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Text<64>>,
    /// Its state now, if that is what changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateWord>,
    /// The same line as in the log.
    pub text: Text<512>,
}

/// A follower that fell behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many notices it missed.
    pub missed: u64,
}

/// About PID 1 itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The program's version.
    pub version: Text<32>,
    /// The protocol's version.
    pub protocol: u32,
    /// PID 1's monotonic clock: time since the kernel started.
    pub uptime_ms: u64,
    /// When every unit that starts at boot had been dealt with; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_ms: Option<u64>,
    /// When PID 1 executed its first instruction since boot.
    #[serde(default)]
    pub init_ms: u64,
    /// When the loader began that has read the units in force; absent after another execution of PID 1,
    /// until they are read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_ms: Option<u64>,
    /// How far the end of the machine has come.
    pub phase: PhaseWord,
    /// How many units there are, built-in ones not counted.
    pub units: u32,
    /// Of them, up.
    pub up: u32,
    /// Of them, on their way: in any state but up, down and failed.
    pub changing: u32,
    /// Of them, wanted but waiting for a unit or a condition.
    pub waiting: u32,
    /// Of them, failed.
    pub failed: u32,
    /// Of them, down because nobody wants them up.
    pub down: u32,
    /// Messages of the loader about unit files.
    pub diagnostics: u32,
    /// Heap allocations after boot: 0 by design.
    pub allocations_after_boot: u64,
    /// What the kernel lacks and is done another way, in words; empty when nothing.
    pub fallbacks: Text<256>,
    /// What does not work just now and is tried again, since when and why; empty when all works.
    #[serde(default)]
    pub degraded: Text<256>,
    /// Clients of the control socket at this moment.
    pub clients: u32,
    /// Faults of PID 1 since boot; it survived them.
    #[serde(default)]
    pub crashes: u32,
    /// So many faults in a short time that unit files are not read again.
    #[serde(default)]
    pub reduced: bool,
    /// How often PID 1 executed itself anew since boot, after faults and when asked to.
    #[serde(default)]
    pub executions: u32,
    /// A new PID 1 is on trial: a fault within the next moments goes back to the one before.
    #[serde(default)]
    pub trial: bool,
    /// The last new PID 1 failed before it was in service.
    #[serde(default)]
    pub reverted: bool,
    /// The name that the driver of the hardware watchdog gives it, empty when none is open; absent
    /// where the machine is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Text<32>>,
    /// It resets the machine so long after it was fed last; 0 when none is open.
    #[serde(default)]
    pub watchdog_timeout_ms: u64,
    /// When it was fed last, on PID 1's monotonic clock.
    #[serde(default)]
    pub watchdog_fed_ms: u64,
    /// Why there is none, or why it is not fed; empty when all is well.
    #[serde(default)]
    pub watchdog_trouble: Text<96>,
    /// The reason of the last reset, as far as the watchdog knows: `watchdog`. Empty otherwise.
    #[serde(default)]
    pub last_reset: Text<16>,
    /// How the boot before this one ended, in words, as far as the unit `last-end` has found out; empty
    /// without it.
    #[serde(default)]
    pub last_end: Text<96>,
    /// How the machine ends; absent while it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<PowerWord>,
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub text: Text<256>,
    /// The protocol's version, so that a client of another one can say which it met.
    pub version: u32,
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// Not a request: no JSON, a field missing or of the wrong type, too long. Ends the connection.
    BadRequest,
    /// A verb PID 1 does not know.
    UnknownVerb,
    /// Another version of the protocol. Ends the connection.
    Version,
    /// No unit of that name.
    UnknownUnit,
    /// No unit of that name, since its file is refused.
    Refused,
    /// The peer may not ask for that.
    NotPermitted,
    /// The unit has no process to send a signal to, or is not up and cannot reload.
    NotRunning,
    /// Nothing is done on reload of the unit.
    NotReloadable,
    /// No signal of that number.
    NoSuchSignal,
    /// All slots are taken, or a second request came before the first was answered. Ends the connection.
    Busy,
    /// The machine goes down; nothing is started any more.
    ShuttingDown,
    /// The connection said nothing for too long.
    Idle,
}
