//! What is remembered of a unit's run, grouped by how long: of its program until the next start, of
//! its processes until none is left, of what `init` was asked for until it answers; what runs beside
//! the program, and what follows on the end. Decides nothing.

use crate::{Kind, Millis, Pid, Stage};

/// The program of the last start, until the next one. A target has none, and keeps what is told of
/// the program of that name, where it had one before a load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    /// The program is a launcher, whatever the unit's kind is by now.
    pub(crate) forks: bool,
    /// The program, or its launcher, has or had a process.
    pub(crate) launched: bool,
    /// The program was executed.
    pub(crate) was_up: bool,
    /// `last_exit` is of this run.
    pub(crate) ended: bool,
    /// The hooks after the end were executed.
    pub(crate) cleaned: bool,
}

impl Run {
    /// One that begins.
    pub(crate) fn of(kind: Kind) -> Self {
        Self { forks: kind == Kind::Forking, ..Self::default() }
    }

    /// Its launcher was there, and nobody knows which of its processes is the main one.
    pub(crate) const fn hides_main(self) -> bool {
        self.launched && !self.was_up && self.forks
    }
}

/// What is known of the unit's processes, all of it until none is left.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Processes {
    /// There may be some: spawned, and not `Emptied` since.
    pub(crate) occupied: bool,
    /// One prepares, and has not executed its program yet.
    pub(crate) entering: bool,
    /// `SeekMain` was handed out, `Forget` not yet.
    pub(crate) seeking: bool,
    /// The main one ended while up; looking whether it moved.
    pub(crate) moving: bool,
}

/// What `init` was asked for and has not answered, each until it does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pending {
    /// `Announce` was handed out. A stop does not wait for the answer.
    pub(crate) announcing: bool,
    /// `Spawn` was handed out.
    pub(crate) spawning: bool,
    /// A hook that nobody waits for any more may still be executed, or fail to.
    pub(crate) forgotten: bool,
}

/// What is under way beside the program, or in its place. At most one of a unit at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    /// A hook that was asked for or runs.
    Hook {
        stage: Stage,
        /// Its number in the stage, from 0.
        nth: u8,
        /// None: `Spawn` is not answered yet.
        pid: Option<Pid>,
        /// When it has taken too long, where its state does not say so.
        until: Millis,
    },
    /// After the last command of a reload: the unit itself is to say that it has reloaded.
    Word {
        /// When that has taken too long.
        until: Millis,
    },
}

impl Running {
    /// The hook's process.
    pub(crate) const fn pid(self) -> Option<Pid> {
        match self {
            Self::Hook { pid, .. } => pid,
            Self::Word { .. } => None,
        }
    }

    /// When it has taken too long.
    pub(crate) const fn until(self) -> Millis {
        match self {
            Self::Hook { until, .. } | Self::Word { until } => until,
        }
    }
}

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
    Again { delay_ms: u32 },
}
