//! Tries again what broke or could not be made, four times a second while anything is degraded.
//! Each part says for itself whether it works again.

use crate::degraded::Feature;
use crate::pid1::Pid1;
use crate::report;
use ettan_sys::inotify::Inotify;

impl Pid1 {
    /// Tries all that is degraded, when it is time.
    pub(crate) fn mend(&mut self) {
        if !self.degraded.take_mending(self.now) {
            return;
        }
        self.mend_waiting();
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
        if self.poll_sources() && self.wake.hears_changes() {
            self.degraded.heal(self.now, Feature::Watching);
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
