//! What could not be waited for, received or read just now rests, so that its readiness is no spin, and is
//! tried again. PID 1 shows everything once: what is given up here nobody reads any more, and a service
//! waits at a full pipe for ever.

use std::fmt::Display;

use ettan_sys::poll::{Epoll, Interest};
use ettan_sys::{AsFd as _, BorrowedFd, clock, pipe};

use super::{CONTROL, KERNEL, Logger, SYSLOG, token};
use crate::packet::STREAMS;

/// Between two attempts, in milliseconds: less than it takes to fill a pipe, mostly, and next to no work.
const AGAIN_MS: u64 = 500;

/// How it stands with one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is waited for.
    #[default]
    Awaited,
    /// It failed, and is not waited for until it is tried again.
    Rests,
    /// It is waited for again, and has to show that it works.
    Tried,
}

impl Standing {
    /// Something came.
    pub(crate) fn works(&mut self) {
        if *self == Self::Tried {
            *self = Self::Awaited;
        }
    }
}

/// What a unit's pipe is called.
pub(super) fn pipe_of(name: &str) -> impl Display {
    format!("{name}: its pipe")
}

/// When those that rest are tried again.
#[derive(Default)]
pub(super) struct Rest {
    again_at_ms: Option<u64>,
}

impl Rest {
    /// When something is to be tried.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.again_at_ms
    }

    /// Waits for a source from now on, which never blocks; if the kernel refuses it, later.
    pub(super) fn watch(
        &mut self,
        poll: &Epoll,
        (source, token): (BorrowedFd<'_>, u64),
        standing: &mut Standing,
        what: &dyn Display,
    ) {
        let watched = pipe::set_nonblocking(source, true)
            .and_then(|()| poll.add(source, token, Interest::Read));
        match watched {
            Ok(()) if *standing == Standing::Rests => *standing = Standing::Tried,
            Ok(()) => {}
            Err(error) => self.fail(poll, source, standing, what, &error),
        }
    }

    /// It failed. Said once, until it works.
    pub(super) fn fail(
        &mut self,
        poll: &Epoll,
        source: BorrowedFd<'_>,
        standing: &mut Standing,
        what: &dyn Display,
        error: &dyn Display,
    ) {
        if std::mem::replace(standing, Standing::Rests) == Standing::Awaited {
            complain!("{what}: {error}; tried again");
        }
        // It may not be there.
        let _ = poll.remove(source);
        self.again_at_ms.get_or_insert(clock::now().saturating_add(AGAIN_MS));
    }
}

impl Logger<'_> {
    /// Waits again for all that rest, when it is time.
    pub(super) fn try_again_if_due(&mut self, control: BorrowedFd<'_>) {
        if self.rest.due_ms().is_none_or(|at| at > clock::now()) {
            return;
        }
        self.rest = Rest::default();
        let (rest, poll) = (&mut self.rest, &self.poll);
        if self.packets == Standing::Rests {
            rest.watch(poll, (control, CONTROL), &mut self.packets, &"PID 1");
        }
        if let Some(syslog) = self.syslog.as_mut().filter(|it| it.standing == Standing::Rests) {
            let source = (syslog.socket.as_fd(), SYSLOG);
            rest.watch(poll, source, &mut syslog.standing, &"/dev/log");
        }
        if let Some(kernel) = self.kernel.as_mut().filter(|it| it.standing == Standing::Rests) {
            let source = (kernel.source.as_fd(), KERNEL);
            rest.watch(poll, source, &mut kernel.standing, &"/dev/kmsg");
        }
        for (slot, log) in self.logs.iter_mut().enumerate() {
            let Some(log) = log else { continue };
            for (stream, inlet) in STREAMS.into_iter().zip(&mut log.inlets) {
                if let Some(pipe) =
                    inlet.pipe.as_ref().filter(|_| inlet.standing == Standing::Rests)
                {
                    let source = (pipe.as_fd(), token(slot, stream));
                    rest.watch(poll, source, &mut inlet.standing, &pipe_of(&log.name));
                }
            }
        }
    }
}
