//! Tries again what broke or could not be made, four times a second while anything is degraded.
//! Each part says for itself whether it works again.

use crate::degraded::Task;
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
        if self.degraded.has(Task::Signals) {
            self.mend_signals();
        }
        if self.degraded.has(Task::Reaping) || self.degraded.has(Task::Signals) {
            self.reap();
        }
        if self.degraded.has(Task::Watching) {
            self.mend_watching();
        }
        if self.degraded.has(Task::Signalling) {
            self.send_unsent();
        }
        if self.degraded.has(Task::Control) {
            self.mend_door();
        }
        if self.degraded.has(Task::Notifying) {
            self.mend_notify();
        }
        if self.degraded.has(Task::Loading) {
            self.finish_loading();
        }
        if self.degraded.has(Task::Logging) {
            self.pipes.logger.try_again();
        }
        if self.degraded.has(Task::Probing) {
            self.probes.prober.try_again();
        }
        if self.degraded.has(Task::Hearing) {
            self.mend_hearing();
        }
        if self.degraded.has(Task::Surviving) {
            let mended = self.past.mend();
            self.degraded.judge(self.now, Task::Surviving, mended);
        }
        self.restock();
        self.degraded.expire(self.now, Task::Starting);
    }

    fn mend_watching(&mut self) {
        if self.seekers.inotify().is_none() {
            match Inotify::new() {
                Ok(made) => {
                    let (seekers, view) = self.split();
                    seekers.watch_anew(made, &view);
                }
                Err(errno) => return self.degraded.note(self.now, Task::Watching, errno),
            }
        }
        if self.poll_sources() && self.wake.hears_changes() {
            self.degraded.heal(self.now, Task::Watching);
        }
    }

    /// Listens for sd_notify, anew if somebody deleted the socket.
    pub(crate) fn mend_notify(&mut self) {
        match self.probes.mend() {
            Ok(()) => self.degraded.heal(self.now, Task::Notifying),
            Err(errno) => self.degraded.note(self.now, Task::Notifying, errno),
        }
    }

    /// Makes what is not there of PID 1's own log, /dev/log and /dev/kmsg.
    pub(crate) fn mend_hearing(&mut self) {
        let made = self.pipes.complete();
        let connected = report::connect(self.pipes.own());
        self.degraded.judge(self.now, Task::Hearing, made.and(connected));
    }
}
