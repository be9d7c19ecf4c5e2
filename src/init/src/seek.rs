//! Finds the main process of a forking daemon, by the procedure of docs/pid-files.md: a number
//! in a file is a claim, and only a proven member of the unit is believed. Looks and proves;
//! what follows from it is the core's decision.

use crate::group::Groups;
use crate::report::Doubt;
use crate::tables::Tables;
use ettan_core::{Event, ExitStatus, MAX_UNITS, Millis, Pid, Supervisor, UnitId};
use ettan_sys::Errno;
use ettan_sys::inotify::{Change, Inotify, Watch};
use ettan_sys::pidfile::{self, Look};
use ettan_sys::procfs;
use std::sync::{Mutex, MutexGuard};

/// Between two looks where inotify does not tell (`tests/FAULTS.md` 2.22), doubling from the first to
/// the second.
const POLL_FIRST_MS: u32 = 50;
const POLL_LAST_MS: u32 = 1_000;

/// How many unknown processes that we reaped are remembered: a launcher's short-lived child is
/// among the last 256 unless the machine forks more than that between two looks.
const REAPED_MAX: usize = 256;

/// The longest path of a PID file's directory; a longer one is polled.
const PATH_MAX: usize = 512;

/// Everything a look needs to see.
pub(crate) struct View<'a> {
    pub(crate) supervisor: &'a Supervisor,
    pub(crate) groups: &'a Groups,
    pub(crate) tables: &'a Tables,
}

/// One unit whose main process is looked for, or known and followed.
#[derive(Clone, Copy)]
struct Seek {
    unit: UnitId,
    /// On the directory of the PID file.
    watch: Option<Watch>,
    /// The main process found last; a change of the file may move it.
    main: Option<Pid>,
    /// When to look without being told.
    look_at: Option<Millis>,
    delay_ms: u32,
    /// A number read without a newline after it: believed when it reads the same again.
    unended: Option<i32>,
    /// What was last said about a refused claim, so that it is said once.
    said: Option<Refusal>,
}

/// Why a claim is not believed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    File(pidfile::Why),
    Ourselves,
    Launcher,
    OtherUnit(UnitId),
    Older(i32),
    NotMember(i32),
}

/// What one look found.
enum Verdict {
    Found(Pid),
    Lost(Option<ExitStatus>),
    NotYet,
    Refused(Refusal),
}

type Seeks = heapless::Vec<Seek, MAX_UNITS>;
static SEEKS: Mutex<Seeks> = Mutex::new(Seeks::new());

/// All forking units that are being started or are up.
pub(crate) struct Seekers {
    inotify: Option<Inotify>,
    seeks: MutexGuard<'static, Seeks>,
    reaped: heapless::Deque<(i32, ExitStatus), REAPED_MAX>,
}

impl Seekers {
    /// Without inotify everything is found by polling.
    pub(crate) fn new(inotify: Option<Inotify>) -> Self {
        let seeks = SEEKS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Self { inotify, seeks, reaped: heapless::Deque::new() }
    }

    /// The descriptor to poll.
    pub(crate) const fn inotify(&self) -> Option<&Inotify> {
        self.inotify.as_ref()
    }

    /// A child was reaped that no unit knows as its own: perhaps somebody's main process.
    pub(crate) fn remember_reaped(&mut self, pid: Pid, status: ExitStatus) {
        if self.reaped.is_full() {
            self.reaped.pop_front();
        }
        let _ = self.reaped.push_back((pid.raw(), status));
    }

    /// Removes a PID file that a former run left, before a start (telldusd never removes its own).
    pub(crate) fn clear_stale(tables: &Tables, unit: &str) {
        let Some(path) = tables.launch(unit).and_then(|launch| launch.pid_file) else { return };
        if let Err(why) = pidfile::remove(path, None) {
            log::warn!("{unit}: the old PID file {} stays: {}", path.to_string_lossy(), Doubt(why));
        }
    }

    /// Starts looking, or looks again after the main process ended.
    pub(crate) fn begin(&mut self, now: Millis, unit: UnitId, view: &View<'_>) {
        let fresh = Seek {
            unit,
            watch: None,
            // Known only after a new execution of PID 1.
            main: crate::resume::known_main(view.supervisor, unit),
            look_at: Some(now),
            delay_ms: POLL_FIRST_MS,
            unended: None,
            said: None,
        };
        let watch = self.watch_directory(unit, view);
        match self.seeks.iter_mut().find(|seek| seek.unit == unit) {
            Some(seek) => *seek = Seek { watch: seek.watch.or(watch), ..fresh },
            // Cannot be full: one for each unit at the most.
            None => drop(self.seeks.push(Seek { watch, ..fresh })),
        }
    }

    /// Stops looking. The PID file goes when it names the process that was the main one.
    pub(crate) fn end(&mut self, unit: UnitId, view: &View<'_>) {
        let Some(position) = self.seeks.iter().position(|seek| seek.unit == unit) else { return };
        let seek = self.seeks.swap_remove(position);
        self.unwatch(seek.watch);
        let last_main = view.groups.launched(unit).main;
        if last_main != 0
            && let Some(path) = pid_file(unit, view)
        {
            // Left behind it does no harm: the next start removes it.
            let _ = pidfile::remove(path, Some(last_main));
        }
    }

    /// Something changed in a watched directory: look again at all whose file is there.
    /// Gives whether there was a change.
    ///
    /// # Errors
    /// The descriptor cannot be read: it is closed, and PID files are polled for until
    /// [`Seekers::watch_anew`].
    pub(crate) fn read_changes(&mut self, now: Millis) -> Result<bool, Errno> {
        let Some(inotify) = &self.inotify else { return Ok(false) };
        let seeks = &mut self.seeks;
        let mut changed = false;
        let outcome = inotify.changes(&mut |change| {
            changed = true;
            let watch = match change {
                Change::File { watch, .. } => Some(watch),
                Change::DirectoryGone { watch } => {
                    for seek in seeks.iter_mut().filter(|seek| seek.watch == Some(watch)) {
                        seek.watch = None;
                    }
                    return;
                }
                // Anything may have changed.
                Change::Overflow => None,
            };
            for seek in seeks.iter_mut().filter(|seek| watch.is_none() || seek.watch == watch) {
                seek.look_at = Some(now);
            }
        });
        if outcome.is_err() {
            self.inotify = None;
            for seek in self.seeks.iter_mut() {
                (seek.watch, seek.look_at) = (None, Some(now));
            }
        }
        outcome.map(|()| changed)
    }

    /// Watches with a new descriptor.
    pub(crate) fn watch_anew(&mut self, inotify: Inotify, view: &View<'_>) {
        self.inotify = Some(inotify);
        for nth in 0..self.seeks.len() {
            let Some(unit) = self.seeks.get(nth).map(|seek| seek.unit) else { return };
            let watch = self.watch_directory(unit, view);
            if let Some(seek) = self.seeks.get_mut(nth) {
                (seek.watch, seek.look_at) = (watch, Some(Millis(0)));
            }
        }
    }

    /// A process ended: those still looking look again, it may have been what they look for.
    pub(crate) fn look_soon(&mut self, now: Millis) {
        for seek in self.seeks.iter_mut().filter(|seek| seek.main.is_none()) {
            seek.look_at = Some(now);
        }
    }

    /// When the next look is due.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        self.seeks.iter().filter_map(|seek| seek.look_at).min()
    }

    /// Takes one look that is due. `Some(None)`: looked, nothing new.
    pub(crate) fn look(&mut self, now: Millis, view: &View<'_>) -> Option<Option<Event<'static>>> {
        let reaped = &self.reaped;
        let seek = self.seeks.iter_mut().find(|seek| seek.look_at.is_some_and(|at| at <= now))?;
        let unit = seek.unit;
        if let Some(main) = seek.main.filter(|&main| is_gone(main)) {
            // Nobody told us, so it was not our child: its own parent reaped it.
            log::info!("{}: main process {} is gone", name(unit, view), main.raw());
            seek.look_at = None;
            return Some(Some(Event::MainLost { unit, status: None }));
        }
        let verdict = match pid_file(unit, view) {
            Some(path) => seek.look_at_file(path, reaped, view),
            None => seek.look_for_survivor(view),
        };
        Some(match verdict {
            Verdict::Found(pid) => {
                seek.look_at = seek.next_visit(now, pid);
                let moved = seek.main.replace(pid) != Some(pid);
                moved.then_some(Event::MainFound { unit, pid })
            }
            Verdict::Lost(status) if seek.main.is_none() => {
                seek.look_at = None;
                Some(Event::MainLost { unit, status })
            }
            Verdict::Lost(_) | Verdict::NotYet => {
                seek.wait(now);
                None
            }
            Verdict::Refused(refusal) => {
                seek.say(refusal, view);
                seek.wait(now);
                None
            }
        })
    }

    fn watch_directory(&mut self, unit: UnitId, view: &View<'_>) -> Option<Watch> {
        let path = pid_file(unit, view)?;
        let mut room = [0; PATH_MAX];
        // Without a watch the file is polled for.
        self.inotify.as_ref()?.watch_directory(directory_of(path, &mut room)?).ok()
    }

    fn unwatch(&mut self, watch: Option<Watch>) {
        if let (Some(inotify), Some(watch)) = (&self.inotify, watch)
            && !self.seeks.iter().any(|seek| seek.watch == Some(watch))
        {
            // Gone with its directory, perhaps.
            let _ = inotify.unwatch(watch);
        }
    }
}

impl Seek {
    fn look_at_file(
        &mut self,
        path: &core::ffi::CStr,
        reaped: &heapless::Deque<(i32, ExitStatus), REAPED_MAX>,
        view: &View<'_>,
    ) -> Verdict {
        let number = match pidfile::look(path, self.unended.take(), procfs::pid_max()) {
            Look::Number(number) => number,
            Look::Unended(number) => {
                self.unended = Some(number);
                return Verdict::NotYet;
            }
            Look::Missing | Look::NotYet => return self.nobody_can_write_it(view),
            Look::Refused(why) => return Verdict::Refused(Refusal::File(why)),
        };
        match self.judge(number, view) {
            Verdict::NotYet => {}
            // The number is somebody else's by now, and there is nobody to write the right one.
            Verdict::Refused(refusal) => match self.nobody_can_write_it(view) {
                Verdict::Lost(_) => {}
                Verdict::NotYet | Verdict::Found(_) | Verdict::Refused(_) => {
                    return Verdict::Refused(refusal);
                }
            },
            found @ (Verdict::Found(_) | Verdict::Lost(_)) => return found,
        }
        // The number names nobody alive. Was it ours and has died, or did the daemon write a
        // wrong one?
        match reaped.iter().rev().find(|&&(pid, _)| pid == number) {
            Some(&(_, status)) => Verdict::Lost(Some(status)),
            None => self.look_for_survivor(view),
        }
    }

    /// The checks, in the order of docs/pid-files.md. `NotYet`: nobody alive has this number.
    fn judge(&self, number: i32, view: &View<'_>) -> Verdict {
        let unit = self.unit;
        let launched = view.groups.launched(unit);
        let Some(pid) = Pid::new(number) else { return Verdict::NotYet };
        if number == ettan_sys::process::own_pid() {
            return Verdict::Refused(Refusal::Ourselves);
        }
        if number == launched.first && number != launched.main {
            return match self.only_survivor(view) {
                Some(survivor) => Verdict::Found(survivor),
                None => Verdict::Refused(Refusal::Launcher),
            };
        }
        if let Some(other) = view.supervisor.unit_of(pid).filter(|&other| other != unit) {
            return Verdict::Refused(Refusal::OtherUnit(other));
        }
        let Some(stat) = procfs::stat(number) else { return Verdict::NotYet };
        if stat.is_zombie() {
            return Verdict::NotYet;
        }
        if stat.start_time < launched.born {
            return Verdict::Refused(Refusal::Older(number));
        }
        let adopted = stat.ppid == 1;
        if view.groups.is_member(view.supervisor, unit, number)
            || (adopted && view.groups.has_cookie(unit, number))
        {
            return Verdict::Found(pid);
        }
        if adopted && !view.groups.has_tree() && view.groups.has_no_environment(number) {
            log::warn!(
                "{}: main process {number} has wiped its environment; believed, because it is \
                 newer than the launch and nobody else's child",
                name(unit, view)
            );
            return Verdict::Found(pid);
        }
        Verdict::Refused(Refusal::NotMember(number))
    }

    /// No file, and no process of the unit that could still write one: it died during its start.
    fn nobody_can_write_it(&self, view: &View<'_>) -> Verdict {
        let mut left = false;
        let looked = self.each_of_this_run(view, |_| left = true);
        if left || !looked { Verdict::NotYet } else { Verdict::Lost(None) }
    }

    /// Without a usable number: the only process that the launcher left to us is the main one.
    fn look_for_survivor(&self, view: &View<'_>) -> Verdict {
        match self.only_survivor(view) {
            Some(pid) => {
                if pid_file(self.unit, view).is_some() {
                    log::warn!(
                        "{}: its PID file names a process that is gone; taking process {}, the \
                         only one left of it",
                        name(self.unit, view),
                        pid.raw()
                    );
                }
                Verdict::Found(pid)
            }
            None => self.nobody_can_write_it(view),
        }
    }

    fn only_survivor(&self, view: &View<'_>) -> Option<Pid> {
        let mut count = 0_u32;
        let mut last = None;
        let looked = self.each_of_this_run(view, |(pid, stat)| {
            // A worker's parent is its master; the master's parent, once the launcher is gone, is us.
            if stat.ppid == 1 && !stat.is_zombie() {
                count = count.saturating_add(1);
                last = Pid::new(pid);
            }
        });
        last.filter(|_| looked && count == 1)
    }

    /// The unit's processes but those that a stop before this start has spared.
    fn each_of_this_run(
        &self,
        view: &View<'_>,
        mut found: impl FnMut((i32, procfs::Stat)),
    ) -> bool {
        let born = view.groups.launched(self.unit).born;
        view.groups.each_member(view.supervisor, self.unit, |pid| {
            if let Some(stat) = procfs::stat(pid).filter(|stat| stat.start_time >= born) {
                found((pid, stat));
            }
        })
    }

    fn wait(&mut self, now: Millis) {
        if let Some(main) = self.main {
            self.look_at = self.next_visit(now, main);
            return;
        }
        self.look_at = Some(now.after(u64::from(self.delay_ms)));
        self.delay_ms = self.delay_ms.saturating_mul(2).min(POLL_LAST_MS);
    }

    /// A main process that is our child tells us of its end, and the next change of the file of
    /// its successor. One whose parent is another process of the unit has to be visited.
    fn next_visit(&self, now: Millis, main: Pid) -> Option<Millis> {
        let ours = procfs::stat(main.raw()).is_some_and(|stat| stat.ppid == 1);
        (!ours).then(|| now.after(u64::from(POLL_LAST_MS)))
    }

    fn say(&mut self, refusal: Refusal, view: &View<'_>) {
        if self.said.replace(refusal) == Some(refusal) {
            return;
        }
        let unit = name(self.unit, view);
        let file = pid_file(self.unit, view).unwrap_or_default().to_string_lossy();
        match refusal {
            Refusal::File(why) => {
                log::warn!("{unit}: PID file {file} refused: {}", Doubt(why));
            }
            Refusal::Ourselves => log::warn!("{unit}: PID file {file} names PID 1; refused"),
            Refusal::Launcher => {
                log::warn!("{unit}: PID file {file} names the launcher, which has ended; waiting");
            }
            Refusal::OtherUnit(other) => log::warn!(
                "{unit}: PID file {file} names the main process of unit {}; refused",
                name(other, view)
            ),
            Refusal::Older(pid) => log::warn!(
                "{unit}: PID file {file} names process {pid}, which is older than this start; \
                 refused, waiting for the right one"
            ),
            Refusal::NotMember(pid) => log::warn!(
                "{unit}: PID file {file} names process {pid}, which is not one of this unit's; \
                 refused, waiting for the right one"
            ),
        }
    }
}

fn pid_file<'a>(unit: UnitId, view: &View<'a>) -> Option<&'a core::ffi::CStr> {
    view.tables.launch(name(unit, view))?.pid_file
}

fn name<'a>(unit: UnitId, view: &View<'a>) -> &'a str {
    view.supervisor.unit(unit).map_or("", |unit| unit.name.as_str())
}

/// Without /proc nobody can tell, and the answer is no.
fn is_gone(main: Pid) -> bool {
    match procfs::stat(main.raw()) {
        Some(stat) => stat.is_zombie() && stat.ppid != 1,
        None => procfs::stat(ettan_sys::process::own_pid()).is_some(),
    }
}

/// The directory part of an absolute path, with its NUL, in `room`.
fn directory_of<'r>(
    path: &core::ffi::CStr,
    room: &'r mut [u8; PATH_MAX],
) -> Option<&'r core::ffi::CStr> {
    let path = path.to_bytes();
    let end = path.iter().rposition(|&byte| byte == b'/')?.max(1);
    room.get_mut(..end.checked_add(1)?)?.fill(0);
    room.get_mut(..end)?.copy_from_slice(path.get(..end)?);
    core::ffi::CStr::from_bytes_until_nul(room).ok()
}

#[cfg(test)]
mod tests {
    use super::{PATH_MAX, directory_of};

    #[test]
    fn the_directory_is_what_stands_before_the_last_slash() {
        assert_eq!(directory_of(c"/run/x/y.pid", &mut [1; PATH_MAX]), Some(c"/run/x"));
        assert_eq!(directory_of(c"/y.pid", &mut [1; PATH_MAX]), Some(c"/"));
        assert_eq!(directory_of(c"y.pid", &mut [1; PATH_MAX]), None);
    }
}
