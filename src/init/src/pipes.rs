//! Holds both ends of every unit's log pipe, and of a second one where its errors are kept apart, and
//! shows the read ends to the logger; /dev/log and /dev/kmsg too. Never reads log data: a dying
//! service or a dying logger loses no byte, because what carries it outlives both.
//!
//! | file | what it does |
//! |---|---|
//! | `pipe` | one of them |
//! | `doors` | /dev/log and /dev/kmsg |
//! | `again` | takes them over from the execution before |

mod again;
mod doors;
mod pipe;

pub(crate) use pipe::{Ends, LogPolicy};

use crate::channel::{Channel, Sent};
use crate::control::describe::Sources;
use crate::marks::{Mark, beginning};
use crate::state::PipeRecord;
use crate::tables::Tables;
use doors::{DOORS, Doors};
use ettan_core::{MAX_UNITS, Name, Supervisor, UnitId};
use ettan_sys::{Errno, host};
use pipe::Pipe;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How many messages may wait at /dev/log: what a hundred services say in the quarter of a second
/// that a logger's restart takes.
const SYSLOG_QUEUE: u16 = 512;

/// The name of PID 1's own log.
pub(crate) const OWN_LOG: &str = "ettan";

/// All log pipes, and the socket to the logger.
pub(crate) struct Pipes {
    /// Polled for writing while [`Pipes::has_news`].
    pub(crate) logger: Channel,
    own: Option<Pipe>,
    /// By unit. Its memory is taken at boot and touched as it fills.
    units: Vec<Option<Pipe>>,
    /// Of units that are gone, with last words in them. The words of their `[log]` are gone as well, and the
    /// next execution does not get them. Its memory is as that of `units`.
    gone: Vec<Pipe>,
    doors: Doors,
    unshown: usize,
    /// What the logs of units are to say, not handed on yet. Its memory is as that of `units`.
    marks: VecDeque<Mark>,
}

fn own_name() -> Name {
    Name::try_from(OWN_LOG).unwrap_or_default()
}

/// Marks that wait for a logger: a start and its success of every unit there can be. More are left
/// out; Ettan's own log has them.
const MARKS: usize = 2 * MAX_UNITS;

/// Pipes of units that are gone. Each logger empties them, so they are of those removed while there is none; of
/// more than that the last words are lost.
const GONE_MAX: usize = 64;

impl Pipes {
    /// Makes PID 1's own log pipe and the doors, as far as that can be; [`Pipes::complete`] does the rest.
    /// Allocates; to be called once, at boot.
    pub(crate) fn new() -> Self {
        // A queue of ten, the kernel's default, would make programs wait for each restart of the
        // logger. Where it cannot be set, they do.
        if crate::boot::owns_machine() {
            let _ = host::set_datagram_queue(SYSLOG_QUEUE);
        }
        let mut pipes = Self::with(None, None, [None, None]);
        // Noted when it is tried again.
        let _ = pipes.complete();
        pipes
    }

    /// Makes what is not there of PID 1's own log pipe, /dev/log and /dev/kmsg. What this machine does
    /// not have stays away, which is no error.
    ///
    /// # Errors
    /// The kernel's answer to one of them: EMFILE, ENFILE, ENOMEM.
    pub(crate) fn complete(&mut self) -> Result<(), Errno> {
        let mut outcome = Ok(());
        if self.own.is_none() {
            match Pipe::own() {
                Ok(pipe) => {
                    self.own = Some(pipe);
                    self.unshown = self.unshown.saturating_add(1);
                }
                Err(errno) => outcome = Err(errno),
            }
        }
        let (opened, doors) = self.doors.complete();
        self.unshown = self.unshown.saturating_add(opened);
        doors.and(outcome)
    }

    fn with(
        logger: Option<OwnedFd>,
        own: Option<Pipe>,
        doors: [Option<OwnedFd>; DOORS.len()],
    ) -> Self {
        let mut doors = Doors::over(doors);
        let unshown = own.as_ref().map_or(0, Pipe::unshown).saturating_add(doors.hide());
        let (units, gone) = (Vec::with_capacity(MAX_UNITS), Vec::with_capacity(GONE_MAX));
        let marks = VecDeque::with_capacity(MARKS);
        let logger = Channel::over(logger);
        Self { logger, own, units, gone, doors, unshown, marks }
    }

    /// /dev/log and /dev/kmsg.
    pub(crate) fn doors(&self) -> [Option<BorrowedFd<'_>>; DOORS.len()] {
        self.doors.each()
    }

    fn put(&mut self, unit: UnitId, pipe: Pipe) {
        let place = usize::from(unit.0);
        if place >= self.units.len() && place < MAX_UNITS {
            self.units.resize_with(place.saturating_add(1), || None);
        }
        if let Some(slot) = self.units.get_mut(place) {
            self.unshown = self.unshown.saturating_add(pipe.unshown());
            *slot = Some(pipe);
        }
    }

    /// The record of a unit's pipe.
    pub(crate) fn record(&self, unit: UnitId) -> Option<PipeRecord> {
        self.units.get(usize::from(unit.0))?.as_ref().map(Pipe::record)
    }

    /// The record of PID 1's own pipe.
    pub(crate) fn own_record(&self) -> Option<PipeRecord> {
        self.own.as_ref().map(Pipe::record)
    }

    /// The write end of PID 1's own log.
    pub(crate) fn own(&self) -> Option<BorrowedFd<'_>> {
        self.own.as_ref().map(|pipe| pipe.output.write.as_fd())
    }

    /// The write ends for a unit that is about to start: for its output and its standard error, which
    /// are the same unless that is kept `apart`. Made at the first such start, kept for good.
    ///
    /// # Errors
    /// The kernel's answer to pipe2(2): EMFILE, ENFILE or ENOMEM.
    pub(crate) fn of(
        &mut self,
        unit: UnitId,
        owner: &Name,
        policy: LogPolicy,
        apart: bool,
    ) -> Result<[BorrowedFd<'_>; 2], Errno> {
        let place = usize::from(unit.0);
        if place >= self.units.len() && place < MAX_UNITS {
            self.units.resize_with(place.saturating_add(1), || None);
        }
        let slot = self.units.get_mut(place).ok_or(Errno::MFILE)?;
        if let Some(other) = slot.take_if(|pipe| pipe.owner != *owner) {
            self.let_go(other);
        }
        // Before its unit was gone for a while: a log has one pipe.
        let former = match self.units.get(place) {
            Some(None) => self.take_former(owner),
            Some(Some(_)) | None => None,
        };
        let slot = self.units.get_mut(place).ok_or(Errno::MFILE)?;
        if slot.is_none() {
            *slot = former;
        }
        let pipe = match slot {
            Some(pipe) => {
                self.unshown = self.unshown.saturating_add(pipe.renew(policy));
                pipe
            }
            None => {
                let pipe = Pipe::new(owner, policy)?;
                // Only now: a pipe that could not be made is never shown, and to wait for that is
                // to be awake for ever.
                self.unshown = self.unshown.saturating_add(1);
                slot.insert(pipe)
            }
        };
        if apart && pipe.errors.is_none() {
            pipe.errors = Some(Ends::new()?);
            self.unshown = self.unshown.saturating_add(1);
        }
        let output = pipe.output.write.as_fd();
        let errors = pipe.errors.as_ref().filter(|_| apart);
        Ok([output, errors.map_or(output, |errors| errors.write.as_fd())])
    }

    /// The pipe that a unit of this name had in another place.
    fn take_former(&mut self, owner: &Name) -> Option<Pipe> {
        if let Some(at) = self.gone.iter().position(|gone| gone.owner == *owner) {
            return Some(self.gone.swap_remove(at));
        }
        // That place is another unit's, which has not started yet.
        let mut slots = self.units.iter_mut();
        let mut former = slots.find_map(|slot| slot.take_if(|pipe| pipe.owner == *owner))?;
        former.unread = false;
        Some(former)
    }

    /// A new logger is about to start: makes its socket and returns the logger's end.
    ///
    /// # Errors
    /// The kernel's answer to socketpair(2).
    pub(crate) fn new_logger(&mut self) -> Result<OwnedFd, Errno> {
        let theirs = self.logger.renew()?;
        let pipes = self.own.iter_mut().chain(&mut self.gone);
        let pipes = pipes.chain(self.units.iter_mut().flatten());
        let pipes = pipes.flat_map(Pipe::ends).map(|ends| ends.shown = false).count();
        self.unshown = pipes.saturating_add(self.doors.hide());
        Ok(theirs)
    }

    /// True while the logger does not know some pipe or mark yet.
    pub(crate) fn has_news(&self) -> bool {
        let news = self.unshown > 0 || !self.marks.is_empty();
        news && self.logger.may_send()
    }

    /// How many pipes and marks the logger does not know yet.
    pub(crate) fn untold(&self) -> usize {
        self.unshown.saturating_add(self.marks.len())
    }

    /// Has the log of this unit say so, once its output so far is in it.
    pub(crate) fn mark(&mut self, mark: Mark) {
        if self.marks.len() < MARKS {
            self.marks.push_back(mark);
        }
    }

    /// Hands marks on, as far as the logger takes them. Those of units without output are dropped.
    /// To be called after [`Pipes::show`]: a log must be known before it is written to.
    ///
    /// # Errors
    /// As [`Pipes::show`].
    pub(crate) fn send_marks(&mut self, sources: Sources<'_>) -> Result<(), Errno> {
        while self.unshown == 0
            && self.logger.may_send()
            && let Some(mark) = self.marks.front()
        {
            if self.has_pipe(mark.unit)
                && let Some(packet) = mark.packet(sources)
                && self.logger.send(&packet, None)? == Sent::NotNow
            {
                return Ok(());
            }
            self.marks.pop_front();
        }
        Ok(())
    }

    fn has_pipe(&self, unit: UnitId) -> bool {
        self.units.get(usize::from(unit.0)).is_some_and(Option::is_some)
    }

    /// Shows pipes to the logger until all are shown or its socket is full.
    ///
    /// # Errors
    /// The kernel has no memory for it: nothing is shown until [`Channel::try_again`].
    pub(crate) fn show(&mut self, tables: &Tables) -> Result<(), Errno> {
        if let Some(errno) = self.logger.rests() {
            return Err(errno);
        }
        if self.unshown == 0 || !self.logger.is_open() {
            return Ok(());
        }
        let others = self.own.iter_mut().chain(&mut self.gone).map(|pipe| (None, pipe));
        let units = self.units.iter_mut().enumerate().filter_map(|(place, pipe)| {
            let pipe = pipe.as_mut()?;
            Some((Some(UnitId(u16::try_from(place).ok()?)), pipe))
        });
        for (unit, pipe) in others.chain(units).filter(|(_, pipe)| pipe.unshown() > 0) {
            let words =
                tables.launch(&pipe.owner).map_or(&[][..], |launch| launch.log_words.to_bytes());
            // The logger may read the first word of a run before any mark comes.
            let begun = unit.filter(|_| pipe.unread).and_then(|unit| beginning(&self.marks, unit));
            let before = pipe.unshown();
            let shown = pipe.show(&mut self.logger, begun.map(|(note, _)| note), words);
            if let (Some(unit), Some((_, said))) = (unit, begun.filter(|_| !pipe.unread)) {
                for _ in 0..said {
                    let at = self.marks.iter().position(|mark| mark.unit == unit);
                    let _ = at.and_then(|at| self.marks.remove(at));
                }
            }
            let now = before.saturating_sub(pipe.unshown());
            self.unshown = self.unshown.saturating_sub(now);
            if shown? == Sent::NotNow {
                return Ok(());
            }
        }
        // The last, so that the logger knows the units that messages may be for.
        while self.doors.show_next(&mut self.logger)? == Some(Sent::Taken) {
            self.unshown = self.unshown.saturating_sub(1);
        }
        Ok(())
    }

    /// Has the logger bring to the disk what is kept there. A full socket loses this: what fills it
    /// is answered first, and the end of the machine brings everything anyway.
    pub(crate) fn flush(&self) {
        self.logger.offer(b"flush");
    }

    /// Other policies are in force: the logger is told of those that changed.
    pub(crate) fn renew(&mut self, tables: &Tables) {
        for pipe in self.units.iter_mut().flatten() {
            if let Some(policy) = tables.launch(&pipe.owner).map(|launch| LogPolicy::of(&launch)) {
                self.unshown = self.unshown.saturating_add(pipe.renew(policy));
            }
        }
    }

    /// Drops the pipes of units that are no longer loaded, and keeps what was not read of them.
    pub(crate) fn forget_gone(&mut self, supervisor: &Supervisor) {
        let unshown = &mut self.unshown;
        self.gone.retain(|pipe| {
            let is_kept = !pipe.is_empty();
            if !is_kept {
                *unshown = unshown.saturating_sub(pipe.unshown());
            }
            is_kept
        });
        for place in 0..self.units.len() {
            let loaded = u16::try_from(place).is_ok_and(|id| supervisor.unit(UnitId(id)).is_some());
            if let Some(pipe) = self.units.get_mut(place).filter(|_| !loaded).and_then(Option::take)
            {
                self.let_go(pipe);
            }
        }
    }

    /// The pipe's unit is gone. Last words in it wait for a logger.
    fn let_go(&mut self, mut pipe: Pipe) {
        // Whoever takes it back begins another run.
        pipe.unread = false;
        if pipe.is_empty() || self.gone.len() >= GONE_MAX {
            self.unshown = self.unshown.saturating_sub(pipe.unshown());
        } else {
            self.gone.push(pipe);
        }
    }
}
