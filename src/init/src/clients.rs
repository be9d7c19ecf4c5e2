//! PID 1 and who comes to the control socket: what a client wants changed becomes an event or another step
//! of the loop, and what came of anything is told to clients and logs. Who may what is `control`'s.

use crate::control::describe::{self, Sources};
use crate::control::{Command, Context, Control, TableFacts};
use crate::degraded::Task;
use crate::marks::Mark;
use crate::pid1::Pid1;
use crate::pipes::Pipes;
use core::ffi::CStr;
use ettan_core::{Event, Millis, Notice, State, Supervisor};
use ettan_sys::poll::{Epoll, Ready};
use std::os::fd::OwnedFd;

/// Where they come.
const CONTROL_SOCKET: &CStr = c"/run/ettan/control.sock";

/// How long the door has to work before it counts as healed: whoever asks has just come in by it.
const DOOR_CALM_MS: u64 = 5_000;

/// What PID 1 lends to those that tell of it.
pub(crate) struct Lent<'a> {
    facts: TableFacts<'a>,
    supervisor: &'a Supervisor,
    epoll: Option<&'a Epoll>,
    now: Millis,
}

impl Lent<'_> {
    /// For the control socket; None while nothing can be polled.
    fn context(&self) -> Option<Context<'_>> {
        let Self { facts, supervisor, epoll, now } = self;
        Some(Context { now: *now, supervisor, facts, epoll: (*epoll)? })
    }

    /// For words about units.
    pub(crate) const fn sources(&self) -> Sources<'_> {
        Sources { supervisor: self.supervisor, facts: &self.facts, now: self.now }
    }
}

impl Pid1 {
    /// Who tells of units, and what of PID 1 they need for that.
    pub(crate) fn tellers(&mut self) -> (&mut Control, &mut Pipes, Lent<'_>) {
        let now = self.now;
        let facts = TableFacts {
            table: self.tables.table(),
            loaded: self.tables.loaded(),
            degraded: &self.degraded,
            probes: &self.probes,
            now,
            history: self.past.history(),
            watchdog: &self.watchdog,
        };
        let (supervisor, epoll) = (&*self.supervisor, self.wake.epoll.as_ref());
        let lent = Lent { facts, supervisor, epoll, now };
        (&mut self.control, &mut self.pipes, lent)
    }

    /// Serves a descriptor of the control socket.
    pub(crate) fn serve(&mut self, ready: &Ready) {
        let (control, _, lent) = self.tellers();
        let Some(context) = lent.context() else { return };
        match control.on_ready(ready, &context) {
            None => {}
            Some(Command::Ask { unit, ask }) => self.feed(Event::Ask { unit, ask }),
            Some(Command::Condition { name, holds }) => {
                self.set_condition(&name, holds);
            }
            Some(Command::Ran { unit, second }) => self.feed(Event::Ran { unit, second }),
            Some(Command::Shutdown { power, force }) => {
                self.feed(Event::Shutdown { power, haste: crate::signals::haste(force) });
            }
            Some(Command::ReloadUnits) => self.reload(),
            Some(Command::Reexec) => self.ask_for_upgrade(),
            Some(Command::Flush) => self.pipes.flush(),
            #[cfg(feature = "fault-injection")]
            Some(Command::Fail(wanted)) => crate::fault::ask(self, wanted),
        }
    }

    /// Tells clients what came of what they asked.
    pub(crate) fn answer_clients(&mut self) {
        let loaded = self.loading.outcome.take_if(|_| self.wake.epoll.is_some());
        let (control, _, lent) = self.tellers();
        let Some(context) = lent.context() else { return };
        if let Some(loaded) = loaded {
            let text = describe::reloaded(loaded, &lent.facts);
            control.reloaded(loaded, &text, &context);
        }
        control.after_turn(&context);
        if let Some((at, errno)) = self.control.trouble()
            && at == self.now
        {
            self.degraded.note(self.now, Task::Control, errno);
        }
    }

    /// Listens anew if somebody deleted the control socket (`tests/FAULTS.md` 4.5).
    pub(crate) fn mend_control(&mut self) {
        if let Some(epoll) = &self.wake.epoll
            && let Err(errno) = self.control.mend(epoll, CONTROL_SOCKET)
        {
            self.degraded.note(self.now, Task::Control, errno);
        }
    }

    /// Tells those who asked for it that PID 1 was not executed anew.
    pub(crate) fn tell_not_executed(&mut self, text: &str) {
        let (control, _, lent) = self.tellers();
        if let Some(context) = lent.context() {
            control.not_executed(text, &context);
        }
    }

    /// Tells the log and whoever follows events.
    pub(crate) fn publish(&mut self, notice: &Notice) {
        let (control, _, lent) = self.tellers();
        control.publish(notice, lent.sources());
        if let Notice::State { unit, .. } = *notice {
            self.probes.note(unit);
        }
        if let Notice::State { unit, to, reason, .. } = *notice
            // That one is noted before the program is executed.
            && !matches!(to, State::Starting { .. })
            && self.supervisor.unit(unit).is_some_and(|unit| !unit.builtin)
        {
            self.pipes.mark(Mark { unit, to, reason });
        }
    }

    /// Opens the control socket, or takes over the one that the execution before had.
    pub(crate) fn open_control(&mut self, listener: Option<OwnedFd>) {
        let Some(epoll) = &self.wake.epoll else { return };
        // Already there, mostly; else the reason shows at the socket.
        let _ = std::fs::create_dir("/run/ettan");
        let opened = match listener {
            Some(listener) => self.control.take_over(epoll, CONTROL_SOCKET, listener),
            None => self.control.open(epoll, CONTROL_SOCKET),
        };
        if let Err(errno) = opened {
            self.degraded.note(self.now, Task::Control, errno);
        }
    }

    /// Opens it again, or sees that it works again.
    pub(crate) fn mend_door(&mut self) {
        if self.control.listener().is_none() {
            self.open_control(None);
            if self.control.listener().is_some() {
                self.degraded.heal(self.now, Task::Control);
            }
            return;
        }
        let calm = self.control.trouble().is_none_or(|(at, _)| self.now.since(at) > DOOR_CALM_MS);
        if calm {
            self.degraded.heal(self.now, Task::Control);
        }
    }
}
