//! What wakes PID 1: the epoll set, the signals in it, and a way to go on without them. What became ready is
//! `translate`'s.

use crate::degraded::Task;
use crate::guard;
use crate::pid1::Pid1;
use ettan_core::Millis;
use ettan_sys::inotify::Inotify;
use ettan_sys::poll::{self, Epoll, Interest, Ready};
use ettan_sys::signals::{self, Signals};
use ettan_sys::{Errno, clock};
use std::os::fd::AsFd;

/// How many ready descriptors one turn takes; the rest stay ready for the next.
pub(crate) const READY_MAX: usize = 64;

/// How long a wait may take when nothing tells that something is ready.
const BLIND_MS: u64 = 100;

/// Which descriptor is ready. The control socket numbers its own from `CONTROL` on.
pub(crate) mod token {
    pub(crate) const SIGNALS: u64 = 0;
    pub(crate) const INOTIFY: u64 = 1;
    pub(crate) const LOGGER: u64 = 2;
    pub(crate) const PROBER: u64 = 3;
    pub(crate) const WALL: u64 = 4;
    pub(crate) const CONTROL: u64 = 16;
    /// And the unit's number. The control socket's have nothing there (see [`Control::new`]).
    ///
    /// [`Control::new`]: crate::control::Control
    pub(crate) const PLACES: u64 = 1 << 31;
}

/// What PID 1 waits with.
pub(crate) struct Wake {
    pub(crate) epoll: Option<Epoll>,
    signals: Option<Signals>,
    signals_polled: bool,
    inotify_polled: bool,
    /// More children may be waiting than one turn reaps.
    pub(crate) reap_more: bool,
}

impl Wake {
    pub(crate) const fn new(epoll: Option<Epoll>, signals: Option<Signals>) -> Self {
        Self { epoll, signals, signals_polled: false, inotify_polled: false, reap_more: false }
    }

    /// A signal wakes PID 1. Else it looks for exits now and then.
    pub(crate) const fn hears_signals(&self) -> bool {
        self.signals_polled
    }

    /// So does a changed directory.
    pub(crate) const fn hears_changes(&self) -> bool {
        self.inotify_polled
    }

    /// The descriptor that tells of changes is made anew.
    pub(crate) const fn lose_changes(&mut self) {
        self.inotify_polled = false;
    }

    /// The next signal.
    pub(crate) fn signal(&mut self) -> Option<Result<Option<signals::SignalInfo>, Errno>> {
        self.signals.as_mut().map(Signals::read)
    }

    /// Another set, in which nothing is yet.
    fn renew(&mut self, epoll: Option<Epoll>) {
        self.epoll = epoll;
        (self.signals_polled, self.inotify_polled) = (false, false);
    }

    fn wait(&self, ready: &mut [Ready], timeout_ms: Option<u64>) -> Result<usize, Errno> {
        self.epoll.as_ref().map_or(Err(Errno::BADF), |epoll| epoll.wait(ready, timeout_ms))
    }

    /// Waits without epoll: for a signal, or a short while.
    fn wait_blindly(&self, timeout_ms: Option<u64>) {
        let most_ms = timeout_ms.unwrap_or(BLIND_MS).min(BLIND_MS);
        let waited = match &self.signals {
            Some(signals) => poll::wait_one(signals, Interest::Read, Some(most_ms)),
            None => Err(Errno::BADF),
        };
        if waited.is_err() {
            clock::pause(most_ms.max(1));
        }
    }

    /// Polls the signals, where there are any.
    fn poll_signals(&mut self) -> Result<(), Errno> {
        if !self.signals_polled {
            self.signals_polled = self.add(self.signals.as_ref(), token::SIGNALS)?;
        }
        Ok(())
    }

    fn poll_changes(&mut self, inotify: Option<&Inotify>) -> Result<(), Errno> {
        if !self.inotify_polled {
            self.inotify_polled = self.add(inotify, token::INOTIFY)?;
        }
        Ok(())
    }

    /// Whether there is something, and it is in the set.
    fn add(&self, source: Option<impl AsFd>, token: u64) -> Result<bool, Errno> {
        let (Some(epoll), Some(source)) = (&self.epoll, source) else { return Ok(false) };
        match epoll.add(source, token, Interest::Read) {
            Ok(()) | Err(Errno::EXIST) => Ok(true),
            Err(errno) => Err(errno),
        }
    }

    /// Signals are made again if there are none.
    fn mend_signals(&mut self) -> Result<(), Errno> {
        if self.signals.is_none() {
            self.signals = Some(signals::block_all()?);
        }
        Ok(())
    }

    fn rest_signals(&mut self) {
        if let (Some(epoll), Some(signals)) = (&self.epoll, &self.signals) {
            let _ = epoll.remove(signals);
        }
        self.signals_polled = false;
    }
}

impl Pid1 {
    /// Waits until something is ready or due, and says how much of `ready` is.
    pub(crate) fn wait(&mut self, ready: &mut [Ready; READY_MAX]) -> usize {
        if self.guard.slow() {
            clock::pause(guard::PAUSE_MS);
        }
        let timeout_ms = self.timeout_ms();
        match self.wake.wait(ready, timeout_ms) {
            Ok(count) => {
                self.degraded.heal(self.now, Task::Waiting);
                if self.guard.slow() {
                    // Perhaps what is ready is not told of.
                    self.look_around();
                } else if !self.wake.hears_signals() {
                    self.read_signals();
                }
                count
            }
            Err(errno) => {
                if self.wake.epoll.is_some() {
                    self.degraded.note(self.now, Task::Waiting, errno);
                }
                self.wake.wait_blindly(timeout_ms);
                self.now = Millis(clock::now());
                self.look_around();
                0
            }
        }
    }

    /// Looks at every source, since nothing tells which is ready.
    fn look_around(&mut self) {
        self.read_signals();
        self.read_changes();
        while let Some(unit) = self.places.over() {
            self.prepared(unit);
        }
        self.hear_prober();
        for token in self.control.tokens() {
            self.serve(&Ready { token, readable: true, writable: true, closed: false });
        }
    }

    /// Polls what is there and not polled yet. False: not the ends of the pipes of all places.
    pub(crate) fn poll_sources(&mut self) -> bool {
        let Some(epoll) = &self.wake.epoll else { return false };
        let places = self.places.poll(epoll, token::PLACES);
        if let Err(errno) = self.wake.poll_signals() {
            self.degraded.note(self.now, Task::Signals, errno);
        }
        let changes = self.wake.poll_changes(self.seekers.inotify());
        if let Err(errno) = places.and(changes) {
            self.degraded.note(self.now, Task::Watching, errno);
        }
        places.is_ok()
    }

    /// Makes the set, and polls everything again.
    pub(crate) fn mend_waiting(&mut self) {
        if self.wake.epoll.is_some() {
            return;
        }
        let made = Epoll::new();
        self.wake.renew(self.degraded.judge(self.now, Task::Waiting, made));
        self.pipes.logger.leave_poll();
        self.probes.prober.leave_poll();
        self.poll_sources();
        self.open_control(None);
    }

    pub(crate) fn mend_signals(&mut self) {
        if let Err(errno) = self.wake.mend_signals() {
            return self.degraded.note(self.now, Task::Signals, errno);
        }
        self.poll_sources();
        if self.wake.hears_signals() {
            self.read_signals();
        }
    }

    /// No signal is received any more until it is tried again.
    pub(crate) fn rest_signals(&mut self, errno: Errno) {
        self.degraded.note(self.now, Task::Signals, errno);
        self.wake.rest_signals();
    }
}
