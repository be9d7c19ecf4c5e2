//! Waits for descriptors. Keeps no list of them: the caller's token says which is which.

use crate::raw::retry;
use crate::{Errno, OwnedFd, Result};
use core::mem::MaybeUninit;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::time::Timespec;

/// How many events one wait fetches at most; the rest come with the next one.
pub const BATCH: usize = 64;

/// The longest single wait in milliseconds (a day), so that every kernel takes it.
const LONGEST_WAIT_MS: u64 = 24 * 60 * 60 * 1000;

/// What to wait for. Hang-up and errors are always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, or a connection to accept.
    Read,
    /// Room to write.
    Write,
    /// Either.
    Both,
    /// Only hang-up and errors: a source that is switched off for now.
    Nothing,
}

/// One descriptor that has something to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// What the caller gave with the descriptor.
    pub token: u64,
    /// Reading does not block (it may give end of file).
    pub readable: bool,
    /// Writing does not block.
    pub writable: bool,
    /// The other side is gone, or the descriptor has an error.
    pub closed: bool,
}

/// A set of descriptors to wait for, level-triggered.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> Result<Self> {
        Ok(Self { fd: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Adds `source`. It leaves the set by itself when its last copy is closed: a child that was
    /// forked may hold one until it has executed, so [`Epoll::remove`] comes before closing.
    ///
    /// # Errors
    /// EEXIST, ENOMEM, ENOSPC (`fs.epoll.max_user_watches`), EPERM (a regular file).
    pub fn add(&self, source: impl AsFd, token: u64, interest: Interest) -> Result<()> {
        epoll::add(&self.fd, source, EventData::new_u64(token), flags(interest))
    }

    /// Waits for something else on `source` from now on.
    ///
    /// # Errors
    /// ENOENT when it is not in the set.
    pub fn modify(&self, source: impl AsFd, token: u64, interest: Interest) -> Result<()> {
        epoll::modify(&self.fd, source, EventData::new_u64(token), flags(interest))
    }

    /// Takes `source` out of the set.
    ///
    /// # Errors
    /// ENOENT when it is not in the set.
    pub fn remove(&self, source: impl AsFd) -> Result<()> {
        epoll::delete(&self.fd, source)
    }

    /// Waits until something is ready, at most `timeout_ms` (none: for ever, 0: not at all), and
    /// fills `ready` from the front, at most [`BATCH`] at a time. Gives their number; 0 also
    /// when a signal interrupted or after a day: the caller looks at its clock anyway.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn wait(&self, ready: &mut [Ready], timeout_ms: Option<u64>) -> Result<usize> {
        let span = timeout_ms.map(timespec);
        let mut events = [MaybeUninit::<epoll::Event>::uninit(); BATCH];
        let room = ready.len().min(BATCH);
        let Some(space) = events.get_mut(..room).filter(|space| !space.is_empty()) else {
            return Ok(0);
        };
        let (found, _) = match epoll::wait(&self.fd, space, span.as_ref()) {
            Err(Errno::INTR) => return Ok(0),
            other => other?,
        };
        for (slot, event) in ready.iter_mut().zip(&*found) {
            *slot = translate(event);
        }
        Ok(found.len())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Waits for one descriptor, at most `timeout_ms`. True when it is ready or hung up.
///
/// # Errors
/// ENOMEM.
pub fn wait_one(source: impl AsFd, interest: Interest, timeout_ms: Option<u64>) -> Result<bool> {
    use rustix::event::{PollFd, PollFlags, poll};
    let wanted = match interest {
        Interest::Read => PollFlags::IN,
        Interest::Write => PollFlags::OUT,
        Interest::Both => PollFlags::IN | PollFlags::OUT,
        Interest::Nothing => PollFlags::empty(),
    };
    let until = timeout_ms.map(|ms| crate::clock::now().saturating_add(ms));
    let mut fds = [PollFd::new(&source, wanted)];
    retry(|| {
        let left = until.map(|u| timespec(u.saturating_sub(crate::clock::now())));
        poll(&mut fds, left.as_ref()).map(|n| n > 0)
    })
}

fn flags(interest: Interest) -> EventFlags {
    match interest {
        Interest::Read => EventFlags::IN | EventFlags::RDHUP,
        Interest::Write => EventFlags::OUT,
        Interest::Both => EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP,
        Interest::Nothing => EventFlags::empty(),
    }
}

fn translate(event: &epoll::Event) -> Ready {
    let flags = event.flags;
    let data = event.data;
    Ready {
        token: data.u64(),
        readable: flags.intersects(EventFlags::IN | EventFlags::RDHUP),
        writable: flags.contains(EventFlags::OUT),
        closed: flags.intersects(EventFlags::HUP | EventFlags::ERR),
    }
}

pub(crate) fn timespec(ms: u64) -> Timespec {
    let ms = ms.min(LONGEST_WAIT_MS);
    Timespec {
        tv_sec: (ms / 1000) as i64,
        tv_nsec: ((ms % 1000) as i32).wrapping_mul(1_000_000).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipe::pipe;
    use crate::testing::limit;

    #[test]
    fn what_is_ready_is_told_with_its_token() {
        let _limit = limit(10.0);
        let epoll = Epoll::new().unwrap();
        let ends = pipe().unwrap();
        epoll.add(&ends.read, 7, Interest::Read).unwrap();
        epoll.add(&ends.write, u64::MAX, Interest::Nothing).unwrap();
        assert_eq!(epoll.add(&ends.read, 8, Interest::Read), Err(Errno::EXIST));
        let mut ready = [Ready::default(); 4];
        assert_eq!(epoll.wait(&mut ready, Some(0)), Ok(0));
        crate::pipe::write(&ends.write, b"x").unwrap();
        assert_eq!(epoll.wait(&mut ready, None), Ok(1));
        assert_eq!(ready[0], Ready { token: 7, readable: true, ..Ready::default() });
        epoll.modify(&ends.read, 7, Interest::Nothing).unwrap();
        epoll.modify(&ends.write, 9, Interest::Write).unwrap();
        assert_eq!(epoll.wait(&mut ready, None), Ok(1));
        assert_eq!(ready[0], Ready { token: 9, writable: true, ..Ready::default() });
        epoll.remove(&ends.write).unwrap();
        assert_eq!(epoll.remove(&ends.write), Err(Errno::NOENT));
        drop(ends.write);
        assert_eq!(epoll.wait(&mut ready, None), Ok(1));
        assert!(ready[0].closed && ready[0].token == 7);
    }

    #[test]
    fn a_wait_ends_in_time_and_takes_any_time() {
        let _limit = limit(10.0);
        let epoll = Epoll::new().unwrap();
        let begun = crate::clock::now();
        assert_eq!(epoll.wait(&mut [Ready::default(); 4], Some(30)), Ok(0));
        assert!(crate::clock::now() >= begun + 29);
        let ends = pipe().unwrap();
        epoll.add(&ends.write, 0, Interest::Write).unwrap();
        assert_eq!(epoll.wait(&mut [Ready::default(); 4], Some(u64::MAX)), Ok(1));
        assert_eq!(epoll.wait(&mut [], None), Ok(0));
        assert_eq!(wait_one(&ends.read, Interest::Read, Some(10)), Ok(false));
        assert_eq!(wait_one(&ends.write, Interest::Both, None), Ok(true));
    }

    #[test]
    fn more_than_a_batch_comes_in_batches() {
        let _limit = limit(10.0);
        let epoll = Epoll::new().unwrap();
        let pipes: Vec<_> = (0..100).map(|_| pipe().unwrap()).collect();
        for (token, ends) in pipes.iter().enumerate() {
            epoll.add(&ends.write, token as u64, Interest::Write).unwrap();
        }
        let mut ready = [Ready::default(); 200];
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 100 {
            let count = epoll.wait(&mut ready, Some(0)).unwrap();
            assert!(count > 0 && count <= BATCH);
            seen.extend(ready[..count].iter().map(|ready| ready.token));
        }
    }
}
