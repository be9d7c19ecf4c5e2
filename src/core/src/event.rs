//! What happened: everything the core ever learns.

use crate::{Millis, Pid, UnitId};

/// One thing that happened, as `init` translates it from the kernel, a client or a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Somebody asked for something (an operator, or PID 1 itself at boot).
    Ask {
        /// Of which unit.
        unit: UnitId,
        /// For what.
        ask: Ask,
    },
    /// `Action::Spawn` succeeded: the program was executed.
    Spawned {
        /// The unit.
        unit: UnitId,
        /// Its process: the main one, or for a forking unit the launcher.
        pid: Pid,
    },
    /// `Action::Spawn` made a process that prepares what the unit finds around it before it
    /// executes the program. `Spawned` follows with the same process, or `SpawnFailed` once it is
    /// gone and has said why, or `Exited` when it was ended before it could say anything.
    Entering {
        /// The unit.
        unit: UnitId,
        /// Its process, which stays the same.
        pid: Pid,
    },
    /// `Action::Spawn` failed before or at exec.
    SpawnFailed {
        /// The unit.
        unit: UnitId,
        /// At which step, with which errno.
        fault: SpawnFault,
    },
    /// In place of a command before the program (answer to its `Spawn`): the program runs, of an
    /// execution of PID 1 whose records were lost, and is taken over instead.
    Runs {
        /// The unit.
        unit: UnitId,
    },
    /// A child was reaped. Sent for every child; the core knows which are its own.
    Exited {
        /// The process that is gone.
        pid: Pid,
        /// How it ended.
        status: ExitStatus,
    },
    /// No process of the unit is left (answer to `Action::Sweep`, sent once it is true), but for a
    /// main process that ended and was not reaped yet: its `Exited` is still to come. Where it is not
    /// ours to reap, `MainLost` is sent instead.
    Emptied {
        /// The unit.
        unit: UnitId,
    },
    /// The main process of a forking unit is proven (answer to `Action::SeekMain`; again when it moves).
    MainFound {
        /// The unit.
        unit: UnitId,
        /// Its main process: a child of ours, or one that the unit's cgroup holds.
        pid: Pid,
    },
    /// Between `SeekMain` and `Forget`, and in answer to `Sweep`: there is no main process and will
    /// be none. The claimed one has died already (with its status where we reaped it), no process of
    /// the unit is left that could become it, or the known one is gone and was not ours to reap.
    MainLost {
        /// The unit.
        unit: UnitId,
        /// How it ended, if it was ours to reap.
        status: Option<ExitStatus>,
    },
    /// The prober knows of the coming run (answer to `Action::Announce`).
    Announced {
        /// The unit.
        unit: UnitId,
    },
    /// The unit is ready. Meaningless but in `Awaiting`: the prober may say it twice.
    Ready {
        /// The unit.
        unit: UnitId,
    },
    /// The unit says that it has taken in its settings. Meaningless but while a reload awaits it.
    Reloaded {
        /// The unit.
        unit: UnitId,
        /// When it began to.
        since: Millis,
    },
    /// The unit asks for time: its start or stop is to end no sooner than this.
    Extend {
        /// The unit.
        unit: UnitId,
        /// From now on.
        span_ms: u64,
    },
    /// A look at a unit that is up showed whether it works.
    Health {
        /// The unit.
        unit: UnitId,
        /// What is wrong is to be answered by this; None: nothing is wrong (any more).
        unwell: Option<Remedy>,
    },
    /// A condition was published.
    Condition {
        /// Its name.
        name: &'a str,
        /// Whether it holds now.
        holds: bool,
    },
    /// The wall clock is so far ahead of the time since boot. To be told first, and whenever somebody
    /// has set it.
    Wall {
        /// In milliseconds.
        ahead_ms: i64,
    },
    /// When the unit was started last before this boot.
    Ran {
        /// The unit.
        unit: UnitId,
        /// In seconds since 1970.
        second: i64,
    },
    /// End of the machine. The first decision wins, unless it is forced.
    Shutdown {
        /// What comes at the end.
        power: Power,
        /// How long that may take.
        haste: Haste,
    },
    /// During shutdown: no process but ours and the built-in units' is left (answer to `Action::KillStrays`).
    StraysGone,
    /// During shutdown: file systems are synced, unmounted or read-only (answer to `Action::CloseFilesystems`).
    FilesystemsClosed,
    /// A deadline may have passed; nothing else happened.
    Tick,
}

/// What can be asked of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Be up. Clears counters and a failed state, cancels a back-off.
    Start,
    /// As `Start`, and when it ends it is not started again, whatever its policy says.
    Once,
    /// Be down.
    Stop,
    /// Stop if not down, then be up.
    Restart,
    /// Take in its settings while it stays up; nothing where it is not.
    Reload,
    /// Count nothing that was before; be down where it had failed.
    Reset,
    /// Send this signal to the main process; changes no goal.
    Signal(u8),
}

/// What follows when a unit that is up does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It is told of.
    Tell,
    /// The unit is restarted, whatever its restart policy.
    Restart,
    /// Its processes get ABRT, and its restart policy says what follows.
    Abort,
    /// The machine is restarted.
    Reboot,
}

/// The last thing PID 1 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Start again.
    Reboot,
    /// Switch off.
    PowerOff,
    /// Stop and stay on.
    Halt,
}

/// How long the end of the machine may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// What the machine's maker says, 30 s otherwise.
    Orderly,
    /// The power fails: 5 s, from now on if the machine goes down already.
    PowerFails,
    /// Stops nobody: file systems are closed, and that is all.
    Force,
}

/// How a process ended (wait(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It called exit with this code.
    Code(u8),
    /// A signal ended it.
    Signal {
        /// The signal's number.
        signal: u8,
        /// Whether a core was dumped.
        core: bool,
    },
}

/// Why a program could not be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpawnFault {
    /// What was being done.
    pub step: Step,
    /// The kernel's answer, a Linux errno.
    pub errno: i32,
}

/// The steps between "start this" and the first instruction of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// No such unit in the table, or one that was removed.
    Table,
    /// Making the log pipe.
    Pipe,
    /// Making the unit's cgroup.
    Cgroup,
    /// clone(2). Temporary by nature (EAGAIN, ENOMEM): retried with back-off, never final.
    Fork,
    /// Opening tty-path.
    Tty,
    /// Placing descriptors 0 to 2.
    Descriptors,
    /// setrlimit.
    Limits,
    /// setgid, setgroups.
    Group,
    /// setuid.
    User,
    /// chdir.
    WorkingDirectory,
    /// The program file itself.
    Exec,
    /// The program is there, its interpreter (`#!` or ELF loader) is not.
    Interpreter,
    /// Priority, I/O class, processors.
    Scheduling,
    /// Capabilities, and that no more are to be had.
    Capabilities,
    /// runtime-directory, state-directory, logs-directory.
    Directory,
    /// A file or terminal of standard-input, standard-output, standard-error.
    Stream,
    /// private-tmp, protect-system, read-write-paths.
    Mount,
    /// private-network.
    Network,
    /// root-directory.
    Root,
}
