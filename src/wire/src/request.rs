//! What a client may ask. One variant is one verb; the payload's fields are the packet's fields.

use serde::{Deserialize, Serialize};

use crate::Text;

/// One packet to PID 1: `{"verb":"start","unit":"web","wait":true}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Request {
    /// Which version do you speak? Not needed before other verbs.
    Hello(Hello),
    /// One `unit` packet for each unit, `diagnostic` packets, then `end`.
    List,
    /// One `unit` packet.
    Status(Which),
    /// One `active` packet.
    IsActive(Which),
    /// Be up.
    Start(Change),
    /// Be up, and when it ends, stay down.
    Once(Change),
    /// Be down.
    Stop(Change),
    /// Be down once, then up.
    Restart(Change),
    /// Take in its settings while it stays up.
    Reload(Change),
    /// Count nothing that was before; be down where it had failed.
    Reset(Which),
    /// Send a signal to the main process.
    Kill(Kill),
    /// One `event` packet for each notice, until the client goes.
    Events(Follow),
    /// Read the unit files again.
    ReloadUnits(Reload),
    /// One `need` packet for each need of each unit, then `end`.
    Needs,
    /// One `condition` packet for each condition that PID 1 was told of or that a unit waits for,
    /// then `end`.
    Conditions(Conditions),
    /// Publish a fact. Root only.
    Condition(Condition),
    /// The unit was started last at this time, before this boot.
    Ran(Ran),
    /// End of the machine.
    Power(Power),
    /// Execute the file at PID 1's path in its place. `accepted`; then the connection ends, or
    /// `failed` says why not.
    Reexec,
    /// Bring the logs that are kept on a disk to it. `accepted`; when the logger has done it, its
    /// files say so.
    Flush,
    /// Fail in this way. Test builds only.
    Fail(Fail),
    /// One `stats` packet about PID 1 itself.
    Stats,
}

impl Request {
    /// True for the verbs that change what one unit shall be: all that an operator may say beyond
    /// looking.
    #[must_use]
    pub const fn only_operates(&self) -> bool {
        match self {
            Self::Start(_)
            | Self::Once(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Reload(_)
            | Self::Reset(_) => true,
            Self::Hello(_)
            | Self::List
            | Self::Status(_)
            | Self::IsActive(_)
            | Self::Events(_)
            | Self::Needs
            | Self::Conditions(_)
            | Self::Stats
            | Self::Kill(_)
            | Self::ReloadUnits(_)
            | Self::Condition(_)
            | Self::Ran(_)
            | Self::Reexec
            | Self::Flush
            | Self::Fail(_)
            | Self::Power(_) => false,
        }
    }

    /// True for the verbs that change nothing: all that a viewer may say.
    #[must_use]
    pub const fn only_looks(&self) -> bool {
        match self {
            Self::Hello(_)
            | Self::List
            | Self::Status(_)
            | Self::IsActive(_)
            | Self::Events(_)
            | Self::Needs
            | Self::Conditions(_)
            | Self::Stats => true,
            Self::Start(_)
            | Self::Once(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Reload(_)
            | Self::Reset(_)
            | Self::Kill(_)
            | Self::ReloadUnits(_)
            | Self::Condition(_)
            | Self::Ran(_)
            | Self::Reexec
            | Self::Flush
            | Self::Fail(_)
            | Self::Power(_) => false,
        }
    }
}

/// The client's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// See [`crate::VERSION`].
    pub version: u32,
}

/// One unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Which {
    /// Its name.
    pub unit: Text<64>,
}

/// A change of one unit's goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The unit's name.
    pub unit: Text<64>,
    /// Answer `accepted` at once, and `done` or `failed` when it is so; without, only `accepted`.
    #[serde(default)]
    pub wait: bool,
}

/// A signal for one unit's main process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// The unit's name.
    pub unit: Text<64>,
    /// The signal's number, 1 to 64.
    pub signal: u8,
}

/// From where on to follow the notices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// True: first the ones PID 1 still has (at most 256). False: only new ones.
    #[serde(default)]
    pub recent: bool,
}

/// Reading the unit files again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// As in [`Change`].
    #[serde(default)]
    pub wait: bool,
}

/// All conditions that are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// After `end`, one `done` as soon as units may wait for others than before.
    #[serde(default)]
    pub follow: bool,
}

/// A fact, as the watcher or an administrator states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// `network`, `network:eth0:address`, …
    pub name: Text<64>,
    /// Whether it holds now.
    pub holds: bool,
}

/// When a unit was started last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Its name.
    pub unit: Text<64>,
    /// By the wall clock, in seconds since 1970.
    pub second: i64,
}

/// The end of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Power {
    /// What comes at the end.
    pub action: PowerWord,
    /// Sync and go, without stopping units.
    #[serde(default)]
    pub force: bool,
}

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fail {
    /// Which.
    pub kind: FailWord,
    /// So many actions are performed first.
    #[serde(default)]
    pub after: u32,
}

/// Ways to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailWord {
    /// A panic.
    Panic,
    /// A read where nothing is.
    Segv,
    /// A stack without end.
    Overflow,
    /// As `Segv`, and the state is lost with it.
    Corrupt,
    /// Not at all: the last faults count no longer, so that the next ones are not too many.
    Forget,
}

/// The last thing PID 1 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerWord {
    /// Start again.
    Reboot,
    /// Switch off.
    PowerOff,
    /// Stop and stay on.
    Halt,
}
