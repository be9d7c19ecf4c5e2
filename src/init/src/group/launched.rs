//! What PID 1 remembers of each unit's last launch: which numbers are its processes' for certain.

use super::Groups;
use super::cookie::WHICH;
use ettan_core::{MAX_UNITS, Pid, Program, Stage, UnitId};
use ettan_sys::procfs;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether the program runs beside the main one, and so is of its launch.
pub(crate) const fn runs_beside(what: Program) -> bool {
    match what {
        Program::Main | Program::Hook(Stage::Pre | Stage::StopPost, _) => false,
        Program::Hook(Stage::Post | Stage::Stop | Stage::Reload, _) => true,
    }
}

/// What PID 1 remembers of a unit's last launch.
#[derive(Clone, Copy)]
pub(crate) struct Launched {
    /// The random number in the environment of everything this launch started. Its last byte is
    /// 0 here, and there says which of the unit's programs it is.
    pub(crate) cookie: u64,
    /// When the first process started, in clock ticks since boot (`/proc/PID/stat` field 22).
    pub(crate) born: u64,
    /// The first process: the main one, or the launcher. Also its session's number.
    pub(crate) first: i32,
    /// `first` is not reaped yet, so its number cannot be anybody else's, as a session's neither.
    pub(crate) first_lives: bool,
    /// The process that a PID file proved to be the main one, 0 before that.
    pub(crate) main: i32,
    /// When that one started; 0 once it was reaped.
    pub(crate) main_born: u64,
    /// The command that was started last beside the program, until it is reaped; else 0.
    pub(crate) beside: i32,
}

impl Launched {
    /// All zero, so that the table of all units costs no memory before it is used.
    pub(super) const NEVER: Self =
        Self { cookie: 0, born: 0, first: 0, first_lives: false, main: 0, main_born: 0, beside: 0 };
}

/// One of each unit there can be.
pub(super) type Launches = MutexGuard<'static, [Launched; MAX_UNITS]>;

static LAUNCHED: Mutex<[Launched; MAX_UNITS]> = Mutex::new([Launched::NEVER; MAX_UNITS]);

/// All of them; taken once.
pub(super) fn all() -> Launches {
    LAUNCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Groups {
    /// What is known of the last launch.
    pub(crate) fn launched(&self, unit: UnitId) -> Launched {
        self.launched.get(usize::from(unit.0)).copied().unwrap_or(Launched::NEVER)
    }

    /// Remembers a launch.
    pub(crate) fn remember(&mut self, unit: UnitId, launched: Launched) {
        if let Some(slot) = self.launched.get_mut(usize::from(unit.0)) {
            *slot = launched;
        }
    }

    /// A launch is about to be: its cookie is known before there is a process that has it.
    pub(crate) fn promise(&mut self, unit: UnitId) {
        let cookie = ettan_sys::random::number() & !WHICH;
        self.remember(unit, Launched { cookie, ..Launched::NEVER });
    }

    /// Remembers the main process that was proven.
    pub(crate) fn remember_main(&mut self, unit: UnitId, main: Pid) {
        if let Some(slot) = self.launched.get_mut(usize::from(unit.0)) {
            if slot.beside == main.raw() {
                // Of a command that was reaped as nobody's.
                slot.beside = 0;
            }
            slot.main = main.raw();
            slot.main_born = procfs::stat(main.raw()).map_or(0, |stat| stat.start_time);
        }
    }

    /// A process of the unit was reaped: its number is free again, and may be somebody else's
    /// within the same tick of the clock that start times are told in.
    pub(crate) fn forget_reaped(&mut self, unit: UnitId, pid: Pid) {
        let Some(slot) = self.launched.get_mut(usize::from(unit.0)) else { return };
        if slot.first == pid.raw() {
            slot.first_lives = false;
        }
        if slot.main == pid.raw() {
            slot.main_born = 0;
        }
        if slot.beside == pid.raw() {
            slot.beside = 0;
        }
    }

    /// A command of the unit was started beside its program.
    pub(crate) fn remember_beside(&mut self, unit: UnitId, pid: Pid) {
        if let Some(slot) = self.launched.get_mut(usize::from(unit.0)) {
            slot.beside = pid.raw();
        }
    }

    /// Another process is the main one: whoever was first ends without our being told whose it was.
    pub(crate) fn forget_first(&mut self, unit: UnitId, main: Pid) {
        if let Some(slot) = self.launched.get_mut(usize::from(unit.0))
            && slot.first != main.raw()
        {
            slot.first_lives = false;
        }
    }
}
