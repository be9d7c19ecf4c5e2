//! Tries again what broke or could not be made, four times a second while anything is degraded.
//! Each part says for itself whether it works again.

use crate::degraded::Feature;
use crate::pid1::{CONTROL_SOCKET, Pid1, token};
use crate::report;
use ettan_sys::inotify::Inotify;
use ettan_sys::poll::{self, Epoll, Interest, Ready};
use ettan_sys::{Errno, clock, signals};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How long a wait may take when nothing tells that something is ready.
const BLIND_MS: u64 = 100;

/// How long the door has to work before it counts as healed: whoever asks has just come in by it.
const DOOR_CALM_MS: u64 = 5_000;

impl Pid1 {
    /// Tries all that is degraded, when it is time.
    pub(crate) fn mend(&mut self) {
        if !self.degraded.take_mending(self.now) {
            return;
        }
        if self.epoll.is_none() {
            self.make_epoll();
        }
        if self.degraded.has(Feature::Signals) {
            self.mend_signals();
        }
        if self.degraded.has(Feature::Reaping) || self.degraded.has(Feature::Signals) {
            self.reap();
        }
        if self.degraded.has(Feature::Watching) {
            self.mend_watching();
        }
        if self.degraded.has(Feature::Signalling) {
            self.send_unsent();
        }
        if self.degraded.has(Feature::Control) {
            self.mend_door();
        }
        if self.degraded.has(Feature::Notifying) {
            self.mend_notify();
        }
        if self.degraded.has(Feature::Loading) {
            self.finish_loading();
        }
        if self.degraded.has(Feature::Logging) {
            self.pipes.logger.try_again();
        }
        if self.degraded.has(Feature::Probing) {
            self.probes.prober.try_again();
        }
        if self.degraded.has(Feature::Hearing) {
            self.mend_hearing();
        }
        if self.degraded.has(Feature::Surviving) {
            let mended = self.past.mend();
            self.degraded.judge(self.now, Feature::Surviving, mended);
        }
        self.restock();
        self.degraded.expire(self.now, Feature::Starting);
    }

    /// Polls what is there and not polled yet. False: not the ends of the pipes of all places.
    pub(crate) fn poll_sources(&mut self) -> bool {
        let Some(epoll) = &self.epoll else { return false };
        let add = |fd: Option<BorrowedFd<'_>>, token| match fd {
            None => Ok(false),
            Some(fd) => match epoll.add(fd, token, Interest::Read) {
                Ok(()) | Err(Errno::EXIST) => Ok(true),
                Err(errno) => Err(errno),
            },
        };
        if !self.signals_polled {
            let added = add(self.signals.as_ref().map(AsFd::as_fd), token::SIGNALS);
            match added {
                Ok(polled) => self.signals_polled = polled,
                Err(errno) => self.degraded.note(self.now, Feature::Signals, errno),
            }
        }
        let places = self.places.poll(epoll, token::PLACES);
        if let Err(errno) = places {
            self.degraded.note(self.now, Feature::Watching, errno);
        }
        if !self.inotify_polled {
            let added = add(self.seekers.inotify().map(AsFd::as_fd), token::INOTIFY);
            match added {
                Ok(polled) => self.inotify_polled = polled,
                Err(errno) => self.degraded.note(self.now, Feature::Watching, errno),
            }
        }
        places.is_ok()
    }

    /// Looks at every source, since nothing tells which is ready.
    pub(crate) fn look_around(&mut self) {
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

    /// Waits without epoll: for a signal, or a short while.
    pub(crate) fn wait_blindly(&self, timeout_ms: Option<u64>) {
        let most_ms = timeout_ms.unwrap_or(BLIND_MS).min(BLIND_MS);
        let waited = match &self.signals {
            Some(signals) => poll::wait_one(signals, Interest::Read, Some(most_ms)),
            None => Err(Errno::BADF),
        };
        if waited.is_err() {
            clock::pause(most_ms.max(1));
        }
    }

    fn make_epoll(&mut self) {
        let made = Epoll::new();
        self.epoll = self.degraded.judge(self.now, Feature::Waiting, made);
        self.signals_polled = false;
        self.inotify_polled = false;
        self.pipes.logger.leave_poll();
        self.probes.prober.leave_poll();
        self.poll_sources();
        self.open_control(None);
    }

    fn mend_signals(&mut self) {
        if self.signals.is_none() {
            match signals::block_all() {
                Ok(made) => self.signals = Some(made),
                Err(errno) => return self.degraded.note(self.now, Feature::Signals, errno),
            }
        }
        self.poll_sources();
        if self.signals_polled {
            self.read_signals();
        }
    }

    /// No signal is received any more until it is tried again.
    pub(crate) fn rest_signals(&mut self, errno: Errno) {
        self.degraded.note(self.now, Feature::Signals, errno);
        if let (Some(epoll), Some(signals)) = (&self.epoll, &self.signals) {
            let _ = epoll.remove(signals);
        }
        self.signals_polled = false;
    }

    /// What changed in a watched directory. A descriptor that cannot be read is made anew.
    pub(crate) fn read_changes(&mut self) {
        match self.seekers.read_changes(self.now) {
            Ok(changed) => self.guard.work |= changed,
            Err(errno) => {
                self.degraded.note(self.now, Feature::Watching, errno);
                self.groups.lose_watches();
                self.inotify_polled = false;
            }
        }
    }

    fn mend_watching(&mut self) {
        if self.seekers.inotify().is_none() {
            match Inotify::new() {
                Ok(made) => {
                    let (seekers, view) = self.split();
                    seekers.watch_anew(made, &view);
                }
                Err(errno) => return self.degraded.note(self.now, Feature::Watching, errno),
            }
        }
        if self.poll_sources() && self.inotify_polled {
            self.degraded.heal(self.now, Feature::Watching);
        }
    }

    /// Opens the control socket, or takes over the one that the execution before had.
    pub(crate) fn open_control(&mut self, listener: Option<OwnedFd>) {
        let Some(epoll) = &self.epoll else { return };
        // Already there, mostly; else the reason shows at the socket.
        let _ = std::fs::create_dir("/run/ettan");
        let opened = match listener {
            Some(listener) => self.control.take_over(epoll, CONTROL_SOCKET, listener),
            None => self.control.open(epoll, CONTROL_SOCKET),
        };
        if let Err(errno) = opened {
            self.degraded.note(self.now, Feature::Control, errno);
        }
    }

    fn mend_door(&mut self) {
        if self.control.listener().is_none() {
            self.open_control(None);
            if self.control.listener().is_some() {
                self.degraded.heal(self.now, Feature::Control);
            }
            return;
        }
        let calm = self.control.trouble().is_none_or(|(at, _)| self.now.since(at) > DOOR_CALM_MS);
        if calm {
            self.degraded.heal(self.now, Feature::Control);
        }
    }

    /// Listens for sd_notify, anew if somebody deleted the socket.
    pub(crate) fn mend_notify(&mut self) {
        match self.probes.mend() {
            Ok(()) => self.degraded.heal(self.now, Feature::Notifying),
            Err(errno) => self.degraded.note(self.now, Feature::Notifying, errno),
        }
    }

    /// Makes what is not there of PID 1's own log, /dev/log and /dev/kmsg.
    pub(crate) fn mend_hearing(&mut self) {
        let made = self.pipes.complete();
        let connected = report::connect(self.pipes.own());
        self.degraded.judge(self.now, Feature::Hearing, made.and(connected));
    }
}
