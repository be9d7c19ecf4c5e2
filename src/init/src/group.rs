//! Knows which processes belong to a unit, and reaches all of them: by cgroup v2 where there is
//! one, else by session and by the launch's cookie. Decides nothing.
//!
//! A signal goes only to a process that is proven to belong: an unreaped child of ours, or one that
//! we hold by pidfd while membership is checked again.

use crate::start::fault;
use core::cell::Cell;
use core::ffi::CStr;
use ettan_core::{Event, MAX_UNITS, Pid, Program, SpawnFault, Stage, Step, Supervisor, UnitId};
use ettan_sys::inotify::{Inotify, Watch};
use ettan_sys::{Errno, cgroup, process, procfs, signals};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Mutex, MutexGuard};

/// `ETTAN_COOKIE=` and 16 hexadecimal digits, as it stands in a service's environment.
pub(crate) const COOKIE_LEN: usize = COOKIE_KEY.len() + 16;
pub(crate) const COOKIE_KEY: &[u8] = b"ETTAN_COOKIE=";

/// The byte of a cookie that says which program it is.
const WHICH: u64 = 0xff;
/// Hexadecimal digits of it.
const WHICH_DIGITS: usize = 2;

/// The cookie of one of the unit's programs.
pub(crate) fn cookie_of(cookie: u64, what: Program) -> u64 {
    let which = match what {
        Program::Main => 0,
        Program::Hook(stage, nth) => {
            u64::from(stage as u8).wrapping_mul(8).wrapping_add(u64::from(nth)).wrapping_add(1)
        }
    };
    cookie | (which & WHICH)
}

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
    const NEVER: Self =
        Self { cookie: 0, born: 0, first: 0, first_lives: false, main: 0, main_born: 0, beside: 0 };
}

static LAUNCHED: Mutex<[Launched; MAX_UNITS]> = Mutex::new([Launched::NEVER; MAX_UNITS]);

/// The longest path of a cgroup that is compared; deeper ones count as somebody else's.
const PATH_MAX: usize = 512;

/// The processes of all units.
pub(crate) struct Groups {
    tree: Option<cgroup::Tree>,
    launched: MutexGuard<'static, [Launched; MAX_UNITS]>,
    /// Its memory is taken at boot and touched as it fills.
    sweeping: Vec<Sweep>,
    /// The group that was found empty last: the unit's next start, which mostly follows at once,
    /// takes it instead of opening it again.
    empty: Cell<Option<(UnitId, cgroup::Group)>>,
}

/// A unit that still had processes when it was looked at last.
struct Sweep {
    unit: UnitId,
    /// Tells of its last exit.
    watch: Option<Watch>,
    /// Why it could not be looked at or killed, the last time.
    trouble: Option<Errno>,
}

impl Groups {
    /// With the cgroup tree that boot found or mounted, if any.
    pub(crate) fn new(tree: Option<cgroup::Tree>) -> Self {
        let launched = LAUNCHED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sweeping = Vec::with_capacity(MAX_UNITS);
        Self { tree, launched, sweeping, empty: Cell::new(None) }
    }

    /// True when units are kept together by cgroups.
    pub(crate) const fn has_tree(&self) -> bool {
        self.tree.is_some()
    }

    /// The cgroup for a start of this unit; None where there are none.
    ///
    /// # Errors
    /// The kernel's answer: EMFILE, ENOSPC, ENOMEM.
    fn group_for(&self, unit: UnitId, name: &str) -> Result<Option<cgroup::Group>, Errno> {
        let Some(tree) = &self.tree else { return Ok(None) };
        if let Some((owner, group)) = self.empty.take()
            && owner == unit
        {
            return Ok(Some(group));
        }
        tree.create(NameBuffer::of(name).as_cstr()).map(Some)
    }

    /// Starts something in the cgroup of this unit, in none where there are none. One that its last run has split
    /// up (`cgroup.subtree_control`) takes no process, and is made anew once nobody is in it or below.
    ///
    /// # Errors
    /// What `start` says, and why there is no cgroup.
    pub(crate) fn start_in<T>(
        &self,
        unit: UnitId,
        name: &str,
        mut start: impl FnMut(Option<&cgroup::Group>) -> Result<T, SpawnFault>,
    ) -> Result<T, SpawnFault> {
        let group = self.group_for(unit, name).map_err(|errno| fault(Step::Cgroup, errno))?;
        let started = start(group.as_ref());
        drop(group);
        let refuses = [Errno::BUSY, Errno::OPNOTSUPP].map(|errno| fault(Step::Cgroup, errno));
        match started {
            Err(failed) if refuses.contains(&failed) => match self.group_anew(name) {
                Some(group) => start(Some(&group)),
                None => Err(failed),
            },
            Ok(_) | Err(_) => started,
        }
    }

    /// None while somebody is in the present one, and where it cannot be made.
    fn group_anew(&self, name: &str) -> Option<cgroup::Group> {
        let (tree, name) = (self.tree.as_ref()?, NameBuffer::of(name));
        let populated = tree.open(name.as_cstr()).and_then(|group| group.populated());
        if populated != Ok(false) {
            return None;
        }
        tree.remove(name.as_cstr()).ok()?;
        tree.create(name.as_cstr()).ok()
    }

    /// Lets the cgroups of units be limited by `controller`.
    ///
    /// # Errors
    /// As [`cgroup::Tree::enable`].
    pub(crate) fn enable(&self, controller: &str) -> Result<(), Errno> {
        self.tree.as_ref().ok_or(Errno::NOENT)?.enable(controller)
    }

    /// Removes the cgroup of a unit that is down.
    pub(crate) fn remove_group(&self, unit: &str) {
        if let Some(tree) = &self.tree {
            self.empty.take();
            // What cannot be removed is empty, and used again by a unit of the same name.
            let _ = tree.remove(NameBuffer::of(unit).as_cstr());
        }
    }

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

    /// Sends `signal` to the main process only, or to the command that stands for it.
    ///
    /// # Errors
    /// The kernel did not take it, for want of a descriptor for example. A process that is gone is
    /// what every caller wants in the end.
    pub(crate) fn signal_main(
        &self,
        unit: UnitId,
        main: Option<Pid>,
        signal: u8,
    ) -> Result<(), Errno> {
        let Some(main) = main.map(Pid::raw) else { return Ok(()) };
        let launched = self.launched(unit);
        if main == launched.first && launched.first_lives || main == launched.beside {
            // Our own child: until we reap it, the number cannot name anybody else.
            return deliver(signal, |signal| process::kill(main, signal));
        }
        signal_held(main, signal, || {
            procfs::stat(main).is_some_and(|stat| stat.start_time == launched.main_born)
        })
    }

    /// Sends `signal` to every process of the unit.
    ///
    /// # Errors
    /// As [`Groups::signal_main`]; some may have got it.
    pub(crate) fn signal_all(
        &self,
        supervisor: &Supervisor,
        unit: UnitId,
        main: Option<Pid>,
        signal: u8,
    ) -> Result<(), Errno> {
        let mut sent = self.signal_main(unit, main, signal);
        let looked = self.each_member(supervisor, unit, |pid| {
            if main.is_none_or(|main| main.raw() != pid) {
                let told = signal_held(pid, signal, || self.is_member(supervisor, unit, pid));
                sent = sent.and(told);
            }
        });
        if looked { sent } else { sent.and(Err(Errno::MFILE)) }
    }

    /// KILLs whatever is left of the unit. When nothing is left, what that means; otherwise the unit
    /// is looked at again by [`Groups::swept`].
    ///
    /// # Errors
    /// It could not be looked at or killed, for want of a descriptor for example.
    pub(crate) fn sweep(
        &mut self,
        supervisor: &Supervisor,
        inotify: Option<&Inotify>,
        unit: UnitId,
        main: Option<Pid>,
    ) -> Result<Option<Event<'static>>, Errno> {
        let looked = self.kill_members(supervisor, unit, main);
        if matches!(looked, Ok(Some(_))) {
            // It may have been looked at in vain just before.
            self.sweeping.retain(|sweep| sweep.unit != unit);
            return looked;
        }
        let trouble = looked.err();
        if let Some(sweep) = self.sweeping.iter_mut().find(|sweep| sweep.unit == unit) {
            sweep.trouble = trouble;
            return looked;
        }
        // The group of one whose other processes are spared does not empty.
        let watch = match supervisor.spares(unit) {
            true => None,
            false => self.watch_group(supervisor, inotify, unit),
        };
        // Within the capacity: it holds each unit once, and there are at most MAX_UNITS.
        self.sweeping.push(Sweep { unit, watch, trouble });
        looked
    }

    /// The kernel modifies `cgroup.events` when the group empties (cgroup-v2.rst); an exit that
    /// is not our child's would otherwise go unnoticed.
    fn watch_group(
        &self,
        supervisor: &Supervisor,
        inotify: Option<&Inotify>,
        unit: UnitId,
    ) -> Option<Watch> {
        let name = supervisor.unit(unit)?.name.as_str();
        let group = self.tree.as_ref()?.open(NameBuffer::of(name).as_cstr()).ok()?;
        let mut path = [0; 32];
        let mut room = path.as_mut_slice();
        write!(room, "/proc/self/fd/{}\0", group.as_fd().as_raw_fd()).ok()?;
        inotify?.watch_directory(CStr::from_bytes_until_nul(&path).ok()?).ok()
    }

    /// What it means of the next unit that was being swept that it has no process left.
    pub(crate) fn swept(
        &mut self,
        supervisor: &Supervisor,
        inotify: Option<&Inotify>,
    ) -> Option<Event<'static>> {
        let (position, event) = (0..self.sweeping.len()).find_map(|position| {
            let unit = self.sweeping.get(position)?.unit;
            let main = supervisor.view(unit).and_then(|view| view.state.pid());
            let looked = self.kill_members(supervisor, unit, main);
            if let Some(sweep) = self.sweeping.get_mut(position) {
                sweep.trouble = looked.err();
            }
            Some((position, looked.ok()??))
        })?;
        let Sweep { watch, .. } = self.sweeping.swap_remove(position);
        if let (Some(inotify), Some(watch)) = (inotify, watch) {
            let _ = inotify.unwatch(watch);
        }
        Some(event)
    }

    /// True while some unit is being swept and nobody tells us of its last exit, or could not be
    /// looked at.
    pub(crate) fn must_look_again(&self) -> bool {
        self.sweeping.iter().any(|sweep| sweep.watch.is_none() || sweep.trouble.is_some())
    }

    /// Why some unit being swept could not be looked at or killed, the last time.
    pub(crate) fn trouble(&self) -> Option<Errno> {
        self.sweeping.iter().find_map(|sweep| sweep.trouble)
    }

    /// The watches are gone with their descriptor: who is being swept is looked at again and again.
    pub(crate) fn lose_watches(&mut self) {
        for sweep in &mut self.sweeping {
            sweep.watch = None;
        }
    }

    /// Calls `found` with each process of the unit that lives. Zombies are not told. False when
    /// there may be others, for want of a descriptor to look with.
    pub(crate) fn each_member(
        &self,
        supervisor: &Supervisor,
        unit: UnitId,
        mut found: impl FnMut(i32),
    ) -> bool {
        let Some(name) = supervisor.unit(unit).map(|unit| unit.name.as_str()) else { return true };
        match &self.tree {
            Some(tree) => {
                let group = tree.open(NameBuffer::of(name).as_cstr());
                let looked = group.and_then(|group| group.procs(&mut found));
                matches!(looked, Ok(()) | Err(Errno::NOENT | Errno::NODEV))
            }
            None => each_pid(|pid| {
                if self.is_member_by_cookie(unit, pid) {
                    found(pid);
                }
            }),
        }
    }

    /// True when `pid` is a process of the unit.
    pub(crate) fn is_member(&self, supervisor: &Supervisor, unit: UnitId, pid: i32) -> bool {
        let Some(name) = supervisor.unit(unit).map(|unit| unit.name.as_str()) else { return false };
        match &self.tree {
            Some(_) => is_in_group(name, pid),
            None => self.is_member_by_cookie(unit, pid),
        }
    }

    /// True when `pid` carries this launch's cookie in its first environment, of whichever
    /// program.
    pub(crate) fn has_cookie(&self, unit: UnitId, pid: i32) -> bool {
        let mut text = [0; COOKIE_LEN];
        write_cookie(self.launched(unit).cookie, &mut text);
        let launch = text.get(..COOKIE_LEN.saturating_sub(WHICH_DIGITS)).unwrap_or_default();
        procfs::first_environment_begins(pid, launch) == Some(true)
    }

    /// True when `pid` carries the cookie of this very program.
    pub(crate) fn has_cookie_of(&self, unit: UnitId, what: Program, pid: i32) -> bool {
        let mut text = [0; COOKIE_LEN];
        write_cookie(cookie_of(self.launched(unit).cookie, what), &mut text);
        procfs::first_environment_has(pid, &text) == Some(true)
    }

    /// True when `pid` shows no environment at all: it has overwritten it.
    pub(crate) fn has_no_environment(&self, pid: i32) -> bool {
        procfs::first_environment_has(pid, COOKIE_KEY).is_none()
    }

    fn is_member_by_cookie(&self, unit: UnitId, pid: i32) -> bool {
        let launched = self.launched(unit);
        let Some(stat) = procfs::stat(pid) else { return false };
        if launched.first == 0 || stat.is_zombie() || stat.start_time < launched.born {
            return false;
        }
        let in_session = launched.first_lives && stat.session == launched.first;
        let is_main = pid == launched.main && stat.start_time == launched.main_born;
        is_main || in_session || self.has_cookie(unit, pid)
    }

    /// Whether a main process is there no more, or waits to be reaped. An error when it is there and
    /// cannot be looked at.
    fn is_gone(&self, unit: UnitId, main: Pid) -> Result<bool, Errno> {
        let Launched { main: found, main_born, .. } = self.launched(unit);
        match procfs::stat(main.raw()) {
            Some(stat) => {
                Ok(stat.is_zombie() || main.raw() == found && stat.start_time != main_born)
            }
            // That takes no descriptor to ask.
            None if process::exists(main.raw()) => Err(Errno::MFILE),
            None => Ok(true),
        }
    }

    /// KILLs all processes of the unit once; says nothing about when they are gone.
    pub(crate) fn end_members(&self, supervisor: &Supervisor, unit: UnitId) {
        let _ = self.kill_all(supervisor, unit);
    }

    fn kill_members(
        &self,
        supervisor: &Supervisor,
        unit: UnitId,
        main: Option<Pid>,
    ) -> Result<Option<Event<'static>>, Errno> {
        let sent = self.signal_main(unit, main, signals::KILL);
        let is_empty = match supervisor.spares(unit) {
            true => main.map_or(Ok(true), |main| self.is_gone(unit, main))?,
            false => self.kill_all(supervisor, unit)?,
        };
        match main {
            // Whom KILL did not reach is no trouble once it is gone.
            _ if !is_empty => sent.map(|()| None),
            Some(main) if !self.is_to_be_reaped(unit, main)? => {
                Ok(Some(Event::MainLost { unit, status: None }))
            }
            // Outside of its group it is not hit by what ends that one.
            Some(_) => sent.map(|()| Some(Event::Emptied { unit })),
            None => Ok(Some(Event::Emptied { unit })),
        }
    }

    /// Whether we are yet to reap this main process: the kernel empties its group before that.
    fn is_to_be_reaped(&self, unit: UnitId, main: Pid) -> Result<bool, Errno> {
        let launched = self.launched(unit);
        let is_first = main.raw() == launched.first && launched.first_lives;
        if is_first || main.raw() == launched.beside {
            return Ok(true);
        }
        match procfs::stat(main.raw()) {
            Some(stat) => Ok(stat.ppid == PID_1 && stat.start_time == launched.main_born),
            // That takes no descriptor to ask.
            None if process::exists(main.raw()) => Err(Errno::MFILE),
            None => Ok(false),
        }
    }

    fn kill_all(&self, supervisor: &Supervisor, unit: UnitId) -> Result<bool, Errno> {
        match (&self.tree, supervisor.unit(unit)) {
            (Some(tree), Some(policy)) => self.kill_group(tree, unit, &policy.name),
            (None, Some(_)) => self.kill_by_cookie(supervisor, unit),
            (_, None) => Ok(true),
        }
    }

    fn kill_group(&self, tree: &cgroup::Tree, unit: UnitId, name: &str) -> Result<bool, Errno> {
        let group = match tree.open(NameBuffer::of(name).as_cstr()) {
            Ok(group) => group,
            Err(Errno::NOENT) => return Ok(true),
            // Without a look nobody knows, and a wrong guess would start a second instance beside the
            // first.
            Err(errno) => return Err(errno),
        };
        if let Ok(events) = group.events()
            && !events.populated
        {
            let is_good = !events.frozen && !group.was_killed();
            self.empty.set(is_good.then_some((unit, group)));
            return Ok(true);
        }
        // What cannot be killed at once is tried again at every look.
        let sent = group.kill();
        if group.populated()? { sent.map(|()| false) } else { Ok(true) }
    }

    fn kill_by_cookie(&self, supervisor: &Supervisor, unit: UnitId) -> Result<bool, Errno> {
        for _ in 0..EMPTY_LOOKS {
            let (mut left, mut sent) = (false, Ok(()));
            let looked = self.each_member(supervisor, unit, |pid| {
                left = true;
                let is_meant = || self.is_member_by_cookie(unit, pid);
                sent = sent.and(signal_held(pid, signals::KILL, is_meant));
            });
            match (looked, left) {
                (false, _) => return Err(Errno::MFILE),
                (true, true) => return sent.map(|()| false),
                (true, false) => {}
            }
        }
        Ok(true)
    }
}

/// Who forks and ends while processes are listed may be on no list: without cgroups a unit has nothing
/// left only when so many in a row say so.
const EMPTY_LOOKS: u32 = 2;

/// Signals a process that may not be our child: first holds it, then checks that it is still the
/// one that was meant, then signals what is held. So a number that was given anew is never hit.
fn signal_held(pid: i32, signal: u8, is_meant: impl Fn() -> bool) -> Result<(), Errno> {
    deliver(signal, |signal| match process::pidfd_open(pid) {
        Ok(held) if is_meant() => process::pidfd_send_signal(held, signal),
        // Before Linux 5.3, or forbidden: the check alone has to do.
        Err(Errno::NOSYS | Errno::PERM) if is_meant() => process::kill(pid, signal),
        Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => Err(errno),
        Ok(_) | Err(_) => Ok(()),
    })
}

/// Sends a signal, and what makes a stopped process act on it. One that is gone is no error.
fn deliver(signal: u8, send: impl Fn(u8) -> Result<(), Errno>) -> Result<(), Errno> {
    let send = |signal| match send(signal) {
        Err(Errno::SRCH) => Ok(()),
        sent => sent,
    };
    send(signal)?;
    if wants_to_run(signal) { send(signals::CONT) } else { Ok(()) }
}

/// A stopped process acts on none of these until it continues (`tests/FAULTS.md` 1.2).
const fn wants_to_run(signal: u8) -> bool {
    matches!(signal, signals::TERM | signals::INT | signals::HUP | signals::QUIT)
}

/// Calls `found` with each process there is. Without /proc with none. False when it cannot be
/// looked at just now: it takes two descriptors, one to list and one to look.
pub(crate) fn each_pid(found: impl FnMut(i32)) -> bool {
    match procfs::pids() {
        Ok(pids) => {
            let can_look = procfs::stat(process::own_pid()).is_some();
            pids.for_each(found);
            can_look
        }
        Err(errno) => errno == Errno::NOENT,
    }
}

/// Whose cgroup all others are below, and who reaps what nobody else does. Mostly that is us.
const PID_1: i32 = 1;

/// True when `pid` is in the cgroup of `unit` or below it.
fn is_in_group(unit: &str, pid: i32) -> bool {
    let mut ours = [0; PATH_MAX];
    let mut theirs = [0; PATH_MAX];
    let ours = procfs::cgroup_of(PID_1, &mut ours).unwrap_or_default();
    procfs::cgroup_of(pid, &mut theirs)
        .is_some_and(|theirs| cgroup::unit_in(ours, theirs) == Some(unit.as_bytes()))
}

/// A unit's name with the NUL that the kernel wants, kept in place.
struct NameBuffer([u8; NAME_BYTES]);

/// The longest name, and its NUL.
const NAME_BYTES: usize = 65;

impl NameBuffer {
    fn of(name: &str) -> Self {
        let mut bytes = [0; NAME_BYTES];
        for (to, from) in bytes.iter_mut().take(NAME_BYTES - 1).zip(name.bytes()) {
            *to = from;
        }
        Self(bytes)
    }

    fn as_cstr(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

/// Writes the environment entry that marks a launch.
pub(crate) fn write_cookie(cookie: u64, text: &mut [u8; COOKIE_LEN]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (key, digits) = text.split_at_mut(COOKIE_KEY.len());
    key.copy_from_slice(COOKIE_KEY);
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        let nibble = cookie.checked_shr(u32::try_from(place).unwrap_or(0).saturating_mul(4));
        let nibble = usize::try_from(nibble.unwrap_or(0) & 0xf).unwrap_or(0);
        *digit = DIGITS.get(nibble).copied().unwrap_or(b'0');
    }
}

/// The same with the ending NUL that execve wants.
pub(crate) fn cookie_cstr(cookie: u64, room: &mut [u8; COOKIE_LEN + 1]) -> &CStr {
    if let Some(text) = room.first_chunk_mut::<COOKIE_LEN>() {
        write_cookie(cookie, text);
    }
    CStr::from_bytes_until_nul(room).unwrap_or(c"ETTAN_COOKIE=0")
}

/// The digits alone.
pub(crate) fn cookie_digits(cookie: u64, room: &mut [u8; COOKIE_LEN + 1]) -> &CStr {
    let digits = cookie_cstr(cookie, room).to_bytes_with_nul().get(COOKIE_KEY.len()..);
    digits.and_then(|digits| CStr::from_bytes_with_nul(digits).ok()).unwrap_or(c"0")
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
