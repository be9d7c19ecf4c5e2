//! Sees to it that a run leaves nothing: KILLs what is left of a unit, and looks until nobody is there.

use super::{Groups, Launched, NameBuffer, PID_1, signal_held};
use core::ffi::CStr;
use ettan_core::{Event, Pid, Supervisor, UnitId};
use ettan_sys::inotify::{Inotify, Watch};
use ettan_sys::{Errno, cgroup, process, procfs, signals};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};

/// A unit that still had processes when it was looked at last.
pub(super) struct Sweep {
    unit: UnitId,
    /// Tells of its last exit.
    watch: Option<Watch>,
    /// Why it could not be looked at or killed, the last time.
    trouble: Option<Errno>,
}

/// Who forks and ends while processes are listed may be on no list: without cgroups a unit has nothing
/// left only when so many in a row say so.
const EMPTY_LOOKS: u32 = 2;

impl Groups {
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
