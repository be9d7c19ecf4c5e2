//! Has what is kept on a disk brought there: when it is time, when asked, at the end.

use std::path::{Path, PathBuf};

use ettan_sys::clock;

use super::{Log, Logger, RETRY_FIRST_MS, messages};
use crate::keep::{Job, Keeper};
use crate::note::{self, Note};
use crate::packet::{Keep, Limits, Stream, When};
use crate::store;

/// What is kept on a disk is brought there so often: a power cut takes no more than this. It costs the disk 16 KiB
/// or more, however little it is. An error waits for nothing, unless it is the second within this time.
pub(crate) const KEEP_EVERY_MS: u64 = 30_000;

/// And so often, where so much comes that memory might let go of it.
const FULL_EVERY_MS: u64 = 5_000;

/// What is kept on a disk when its unit crashes is brought there so often at the most.
const CRASH_EVERY_MS: u64 = 60_000;

/// Where a log is kept on a disk too.
pub(super) struct Disk {
    pub(super) directory: PathBuf,
    pub(super) always: bool,
    pub(super) budget_bytes: Option<u64>,
    /// When something is to be brought there.
    due_ms: Option<u64>,
    /// When it was.
    brought_ms: Option<u64>,
    /// How much the log in memory had been given by then.
    brought_bytes: u64,
}

impl Disk {
    /// What is wanted of the former one is wanted of this.
    pub(super) fn of(keep: Keep<'_>, former: Option<Disk>) -> Option<Self> {
        let always = match keep.when {
            When::Never => return None,
            When::Always => true,
            When::Asked => false,
        };
        let directory = PathBuf::from(keep.directory);
        directory.is_absolute().then(|| Disk::at(directory, always, keep.budget_bytes, former))
    }

    pub(super) fn at(
        directory: PathBuf,
        always: bool,
        budget_bytes: Option<u64>,
        former: Option<Disk>,
    ) -> Self {
        let (due_ms, brought_ms, brought_bytes) =
            former.map_or((None, None, 0), |f| (f.due_ms, f.brought_ms, f.brought_bytes));
        Disk { directory, always, budget_bytes, due_ms, brought_ms, brought_bytes }
    }

    /// It is told to us: what a logger before us may have had to bring there, as it had brought some, is wanted still.
    /// When something is to be brought.
    pub(super) fn begin(&mut self, is_taken_over: bool, now: u64) -> Option<u64> {
        if self.always {
            self.want(next_round(now));
        } else if is_taken_over {
            self.want(now + CRASH_EVERY_MS);
        }
        self.due_ms
    }

    /// Then at the latest, if that is new.
    fn want(&mut self, at_ms: u64) -> Option<u64> {
        let is_new = self.due_ms.is_none_or(|due| at_ms < due);
        is_new.then(|| *self.due_ms.insert(at_ms))
    }

    /// So long after the last time, or now.
    fn after(&self, pause_ms: u64, now: u64) -> u64 {
        self.brought_ms.map_or(now, |at| now.max(at.saturating_add(pause_ms)))
    }

    /// Something was added to the log in memory, which has been given so much by now. When it is to be brought
    /// to the disk, if that is new.
    pub(super) fn heed(&mut self, written: u64, limits: Limits, now: u64) -> Option<u64> {
        if !self.always {
            return None;
        }
        let is_full = written.saturating_sub(self.brought_bytes) >= limits.max_size_bytes / 2;
        let at_ms = if is_full { self.after(FULL_EVERY_MS, now) } else { u64::MAX };
        self.want(at_ms.min(next_round(now)))
    }

    /// Its unit crashed, or had to say something bad.
    fn want_soon(&mut self, now: u64) -> Option<u64> {
        let pause_ms = if self.always { KEEP_EVERY_MS } else { CRASH_EVERY_MS };
        self.want(self.after(pause_ms, now))
    }

    /// It is on its way to the disk.
    fn is_brought(&mut self, written: u64, now: u64) {
        (self.due_ms, self.brought_ms, self.brought_bytes) = (None, Some(now), written);
    }
}

/// The same for all logs, so that the disk has its rest.
fn next_round(now: u64) -> u64 {
    (now / KEEP_EVERY_MS + 1) * KEEP_EVERY_MS
}

impl Log {
    /// Where it is kept on a disk from now on, of the place where it was. When something is to be brought there.
    pub(super) fn keep_at(
        &mut self,
        root: &Path,
        place: impl FnOnce(Option<Disk>) -> Option<Disk>,
    ) -> Option<u64> {
        let former = self.disk.take();
        let is_first = former.is_none();
        let disk = self.disk.insert(place(former)?);
        let folder = root.join(&self.name);
        self.ledger.count_gone();
        announce(&folder, &disk.directory, disk.budget_bytes, self.limits.owner);
        disk.begin(is_first && was_brought(&folder), clock::now())
    }
}

impl Logger<'_> {
    /// A log that is kept on a disk, and those of its routes, are to be brought there now.
    pub(super) fn ask_for(&mut self, slot: usize) {
        self.each_disk(slot, Disk::want);
    }

    /// The same after a crash: a unit that crashes again and again has it brought there once a minute.
    pub(super) fn ask_for_crashed(&mut self, slot: usize) {
        self.each_disk(slot, Disk::want_soon);
    }

    fn each_disk(&mut self, slot: usize, work: fn(&mut Disk, u64) -> Option<u64>) {
        let routes = self.logs.get(slot).and_then(|log| log.as_ref()?.routes.as_ref());
        for to in routes.map(|routes| routes.slots.clone()).unwrap_or_default() {
            self.each_disk(to, work);
        }
        if let Some(disk) = self.logs.get_mut(slot).and_then(|log| log.as_mut()?.disk.as_mut()) {
            let due_ms = work(disk, clock::now());
            self.keep_by(due_ms);
        }
    }

    /// This log was given something of severity `err`, or worse, if it is so.
    pub(super) fn look_for_errors(&mut self, slot: usize, is_bad: impl FnOnce() -> bool) {
        let disk = self.logs.get_mut(slot).and_then(|log| log.as_mut()?.disk.as_mut());
        if let Some(disk) = disk.filter(|disk| disk.always)
            && is_bad()
        {
            let due_ms = disk.want_soon(clock::now());
            self.keep_by(due_ms);
        }
    }

    /// Something is to be brought to a disk then, if not before.
    pub(super) fn keep_by(&mut self, due_ms: Option<u64>) {
        self.keep_at_ms = self.keep_at_ms.into_iter().chain(due_ms).min();
    }

    /// Brings what was said up to now to the disks, for somebody who waits for it.
    pub(super) fn flush(&mut self) {
        self.read_syslog(messages::AT_THE_END);
        for slot in 0..self.logs.len() {
            if self.comes_to_a_disk(slot) {
                self.empty(slot);
                self.ask_for(slot);
            }
        }
        self.flush_asked_ms = Some(clock::now());
        self.keep(false);
    }

    /// What the unit says is kept on a disk: in its own log, or in that of a route.
    fn comes_to_a_disk(&self, slot: usize) -> bool {
        let log = |slot: usize| self.logs.get(slot).and_then(Option::as_ref);
        let is_kept = |slot: usize| log(slot).is_some_and(|log| log.disk.is_some());
        let routes = log(slot).and_then(|log| log.routes.as_ref());
        is_kept(slot) || routes.is_some_and(|routes| routes.slots.iter().any(|to| is_kept(*to)))
    }

    /// Once the keeper has all jobs, the one who asked for them is told when they are done.
    pub(super) fn say_flushed(&mut self) {
        let Some(asked_ms) = self.flush_asked_ms else { return };
        let due_ms = |log: &Log| log.disk.as_ref().and_then(|disk| disk.due_ms);
        let waits = |log: &Log| due_ms(log).is_some_and(|due| due <= asked_ms);
        let told = match &self.keeper {
            _ if self.logs.iter().flatten().any(waits) => false,
            Some(keeper) => keeper.say_flushed(self.root.to_owned(), asked_ms),
            None => {
                note::say_flushed(self.root, asked_ms);
                true
            }
        };
        if told {
            self.flush_asked_ms = None;
        } else {
            self.keep_by(Some(clock::now() + RETRY_FIRST_MS));
        }
    }

    /// Has what is due brought to the disks. Waits for them at the last only.
    pub(super) fn keep(&mut self, at_last: bool) {
        let now = clock::now();
        let mut next = None;
        for log in self.logs.iter_mut().flatten() {
            let Some(disk) = log.disk.as_mut() else { continue };
            let Some(due) = disk.due_ms else { continue };
            if due > now && !at_last {
                next = next.into_iter().chain([due]).min();
                continue;
            }
            if self.keeper.is_none() {
                match Keeper::start() {
                    Ok(keeper) => self.keeper = Some(keeper),
                    Err(error) => complain!("nothing is kept on disk for now: {error}"),
                }
            }
            let job = Job {
                name: log.name.clone(),
                unit: log.unit.clone(),
                from: self.root.join(&log.name),
                to: disk.directory.clone(),
                limits: log.limits,
                budget_bytes: disk.budget_bytes,
                gone: log.ledger.gone(),
            };
            let is_taken = match &self.keeper {
                None => false,
                Some(keeper) if at_last => {
                    keeper.keep_at_last(job);
                    true
                }
                Some(keeper) => keeper.keep(job),
            };
            if is_taken {
                disk.is_brought(log.ledger.written(), now);
            } else {
                next = next.into_iter().chain([now + RETRY_FIRST_MS]).min();
            }
        }
        self.keep_at_ms = next;
        self.say_flushed();
    }
}

/// Whether a line of this is of severity `err` or worse. What a chunk begins or ends with may be a part of one.
pub(super) fn is_bad(stream: Stream, output: &[u8]) -> bool {
    output.split(|byte| *byte == b'\n').any(|line| match (line, stream) {
        ([b'<', severity @ b'0'..=b'7', b'>', ..], _) => *severity <= b'3',
        (line, Stream::Error) => !line.is_empty(),
        (_, Stream::Output) => false,
    })
}

/// Whether a message of this priority is.
pub(super) fn is_bad_priority(priority: u16) -> bool {
    priority % 8 <= 3
}

/// Whether this log was brought to the disk before in this boot: another logger may have had to bring more of it there.
fn was_brought(log: &Path) -> bool {
    Note::read(log).is_some_and(|note| note.place.is_some())
}

/// Says where the copy will be, so that what former boots left there can be read now. Whoever
/// starts first after that finds the folder made.
fn announce(log: &Path, directory: &Path, budget_bytes: Option<u64>, owner: Option<(u32, u32)>) {
    if Note::read(log).is_none() && store::create_directory(log, owner).is_ok() {
        let directory = directory.to_owned();
        Note { directory, budget_bytes, ..Note::default() }.write(log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(always: bool) -> Disk {
        Disk::at("/data".into(), always, None, None)
    }

    #[test]
    fn a_unit_that_crashes_again_and_again_has_its_log_brought_once_a_minute() {
        let mut web = disk(false);
        assert_eq!(web.heed(1 << 20, Limits::default(), 1000), None);
        assert_eq!(web.want_soon(1000), Some(1000));
        web.is_brought(100, 1000);
        assert_eq!((web.want_soon(3000), web.want_soon(5000)), (Some(61_000), None));
        // Other words for it change nothing in that; whoever asks has it at once.
        let mut web = Disk::at("/data".into(), false, None, Some(web));
        assert_eq!((web.due_ms, web.want(6000)), (Some(61_000), Some(6000)));
        web.is_brought(200, 6000);
        assert_eq!(web.want_soon(80_000), Some(80_000));
    }

    #[test]
    fn what_a_killed_logger_still_had_to_bring_is_wanted() {
        let (mut fresh, mut taken_over) = (disk(false), disk(false));
        assert_eq!((fresh.begin(false, 1000), taken_over.begin(true, 1000)), (None, Some(61_000)));
        assert_eq!(taken_over.want_soon(2000), Some(2000));
    }

    #[test]
    fn what_is_kept_all_along_is_brought_twice_a_minute_unless_memory_fills() {
        let limits = Limits { max_size_bytes: 10_000, ..Limits::default() };
        let mut web = disk(true);
        assert_eq!(
            (web.heed(100, limits, 1000), web.heed(200, limits, 2000)),
            (Some(30_000), None)
        );
        web.is_brought(200, 30_000);
        assert_eq!(web.heed(300, limits, 30_001), Some(60_000));
        assert_eq!(web.heed(5200, limits, 30_002), Some(35_000));
        web.is_brought(5200, 35_000);
        // An error is not waited with, but the next one is.
        assert_eq!(web.want_soon(70_000), Some(70_000));
        web.is_brought(5300, 70_000);
        assert_eq!((web.heed(5400, limits, 71_000), web.want_soon(71_000)), (Some(90_000), None));
    }

    #[test]
    fn errors_are_known_by_their_severity() {
        let is_error = |text: &str| is_bad(Stream::Output, text.as_bytes());
        assert!(is_error("<3>bad\n") && is_error("fine\n<0>worse\n"));
        assert!(
            !is_error("<4>odd\n") && !is_error("error <3>\n") && !is_error("<3\n") && !is_error("")
        );
        let is_error = |text: &str| is_bad(Stream::Error, text.as_bytes());
        assert!(is_error("bad\n") && is_error("<3>bad\n") && !is_error("<6>fine\n"));
        assert!(is_bad_priority(27) && !is_bad_priority(28) && is_bad_priority(0));
    }
}
