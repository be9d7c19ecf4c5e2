//! Keeps a few descriptor numbers so that a child's table is small. Decides nothing.
//!
//! A thousand services mean thousands of descriptors in PID 1. A child that copied that table
//! and closed it again in execve would pay for each of them at every start. So what a child is
//! to have is first duplicated to low numbers that are reserved for this; the child is born
//! sharing our table, and unshares only the numbers up to the last reserved one.

use super::plan::MAX_FDS;
use crate::raw::{check, retry};
use crate::{BorrowedFd, Errno, OwnedFd, Result};
use rustix::fd::AsRawFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::DupFlags;

/// Above every target, so that placing a descriptor never overwrites one still to be placed.
const FIRST: i32 = 16;

/// Descriptors that stand for nothing (an unreadable handle of `/`) between spawns.
#[derive(Debug)]
pub(super) struct Slots {
    idle: OwnedFd,
    slots: [OwnedFd; MAX_FDS],
}

/// Slots filled for one spawn; emptied when dropped, since a copy of a pipe's end that is left
/// behind keeps its other side from seeing the end.
#[derive(Debug)]
pub(super) struct Filled<'s> {
    slots: &'s mut Slots,
    targets: [i32; MAX_FDS],
    count: usize,
}

impl Slots {
    pub(super) fn reserve() -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let idle = rustix::fs::open(c"/", flags, Mode::empty())?;
        let one = || rustix::io::fcntl_dupfd_cloexec(&idle, FIRST);
        let slots = [one()?, one()?, one()?, one()?, one()?, one()?, one()?, one()?];
        Ok(Self { idle, slots })
    }

    pub(super) fn fill(&mut self, fds: &[(BorrowedFd<'_>, i32)]) -> Result<Filled<'_>> {
        let mut filled = Filled { slots: self, targets: [-1; MAX_FDS], count: 0 };
        if fds.len() > MAX_FDS {
            return Err(Errno::INVAL);
        }
        for &(source, target) in fds {
            filled.add(source, target)?;
        }
        Ok(filled)
    }

    fn highest(&self) -> i32 {
        self.slots.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(FIRST)
    }
}

impl Filled<'_> {
    /// Which slot becomes which number.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (i32, i32)> {
        let slots = self.slots.slots.iter().map(AsRawFd::as_raw_fd);
        slots.zip(self.targets).take(self.count)
    }

    /// Whether `number` is one that the child is to have.
    pub(super) fn wants(&self, number: i32) -> bool {
        self.targets.iter().take(self.count).any(|&target| target == number)
    }

    /// One above the last number that the program is to have, 0 to 2 in any case.
    pub(super) fn targets_end(&self) -> i32 {
        self.targets
            .iter()
            .take(self.count)
            .fold(2, |last, &target| last.max(target))
            .saturating_add(1)
    }

    /// The first number that the child needs nothing of.
    pub(super) fn end(&self) -> i32 {
        self.slots.highest().saturating_add(1)
    }

    fn add(&mut self, source: BorrowedFd<'_>, target: i32) -> Result<()> {
        let bound = i32::try_from(MAX_FDS).unwrap_or(0);
        if !(0..bound).contains(&target) || self.wants(target) {
            return Err(Errno::INVAL);
        }
        let slot = self.slots.slots.get_mut(self.count).ok_or(Errno::INVAL)?;
        retry(|| rustix::io::dup3(source, slot, DupFlags::CLOEXEC))?;
        *self.targets.get_mut(self.count).ok_or(Errno::INVAL)? = target;
        self.count = self.count.saturating_add(1);
        Ok(())
    }
}

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        let Slots { idle, slots } = &mut *self.slots;
        for slot in slots.iter_mut().take(self.count) {
            let _ = retry(|| rustix::io::dup3(&*idle, slot, DupFlags::CLOEXEC));
        }
    }
}

/// Closes every descriptor from `first` on; with `unshare`, in a table of our own that gets a
/// copy of the lower ones only.
pub(super) fn close_range(first: u32, unshare: bool) -> Result<()> {
    let flags = if unshare { libc::CLOSE_RANGE_UNSHARE } else { 0 };
    // SAFETY: no memory is involved. That descriptors vanish is what the callers are for: they
    // run in a child that owns none of them, or ask for a number nobody has.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) }).map(drop)
}
