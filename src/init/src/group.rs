//! Knows which processes belong to a unit, and reaches all of them: by cgroup v2 where there is
//! one, else by session and by the launch's cookie. Decides nothing.
//!
//! | file | what it does |
//! |---|---|
//! | `cookie` | the number in the environment of a launch's processes |
//! | `launched` | what is remembered of the last launch |
//! | `sweep` | KILL for what is left, until nothing is |
//!
//! A signal goes only to a process that is proven to belong: an unreaped child of ours, or one that
//! we hold by pidfd while membership is checked again.

mod cookie;
mod launched;
mod sweep;
#[cfg(test)]
mod tests;

pub(crate) use cookie::{COOKIE_KEY, COOKIE_LEN, cookie_cstr, cookie_digits, cookie_of};
pub(crate) use launched::{Launched, runs_beside};

use crate::start::fault;
use core::cell::Cell;
use core::ffi::CStr;
use ettan_core::{MAX_UNITS, Pid, SpawnFault, Step, Supervisor, UnitId};
use ettan_sys::{Errno, cgroup, process, procfs, signals};
use launched::Launches;
use sweep::Sweep;

/// The longest path of a cgroup that is compared; deeper ones count as somebody else's.
const PATH_MAX: usize = 512;

/// The processes of all units.
pub(crate) struct Groups {
    tree: Option<cgroup::Tree>,
    launched: Launches,
    /// Its memory is taken at boot and touched as it fills.
    sweeping: Vec<Sweep>,
    /// The group that was found empty last: the unit's next start, which mostly follows at once,
    /// takes it instead of opening it again.
    empty: Cell<Option<(UnitId, cgroup::Group)>>,
}

impl Groups {
    /// With the cgroup tree that boot found or mounted, if any.
    pub(crate) fn new(tree: Option<cgroup::Tree>) -> Self {
        let (launched, sweeping) = (launched::all(), Vec::with_capacity(MAX_UNITS));
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
}

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
