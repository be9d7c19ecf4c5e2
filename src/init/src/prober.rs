//! PID 1 and the prober: it runs while some unit needs it, hears how units are, and is heard. What
//! it says becomes an event; what follows is the core's decision.

use crate::degraded::Task;
use crate::pid1::Pid1;
use crate::probes::Answer;
use crate::wake::token;
use ettan_core::{Ask, Event, Millis, Pid, Probes, UnitId};
use ettan_sys::poll::Interest;
use ettan_sys::procfs;

/// What is to be thought of a MAINPID=.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Proven,
    /// The child of the main process: it is ours once that one has ended.
    Heir,
    False,
}

impl Pid1 {
    /// Another table is in force: the prober is there if a unit needs it.
    pub(crate) fn mind_prober(&mut self) {
        let Some(prober) = self.builtins.map(|builtins| builtins.prober) else { return };
        let supervisor = &self.supervisor;
        let needed = supervisor
            .units()
            .any(|id| supervisor.unit(id).is_some_and(|unit| unit.probes != Probes::Nothing));
        let ask = if needed { Ask::Start } else { Ask::Stop };
        let wanted = self.supervisor.view(prober).map(|view| view.goal == ettan_core::Goal::Up);
        // One that is there is not told again: a start by hand would forgive its crashes.
        if wanted != Some(needed) {
            self.feed(Event::Ask { unit: prober, ask });
        }
    }

    /// What the prober says.
    pub(crate) fn hear_prober(&mut self) {
        let mut answers = heapless::Vec::<(UnitId, Answer), 32>::new();
        let groups = &self.groups;
        let cookie = |unit| groups.launched(unit).cookie;
        self.probes.hear(&self.supervisor, cookie, &mut |unit, answer| {
            // As many as are taken in one turn.
            let _ = answers.push((unit, answer));
        });
        for (unit, answer) in answers {
            self.guard.work = true;
            let event = match answer {
                Answer::Announced => Event::Announced { unit },
                Answer::Ready => Event::Ready { unit },
                Answer::Reloaded(at) => Event::Reloaded { unit, since: Millis(at) },
                Answer::Extend(span_ms) => Event::Extend { unit, span_ms },
                Answer::Health(unwell) => Event::Health { unit, unwell },
                Answer::Main(pid) => match self.claim(unit, pid) {
                    Claim::Proven => self.main_found(unit, pid),
                    Claim::Heir => {
                        self.probes.put_heir(unit, Some(pid));
                        continue;
                    }
                    Claim::False => {
                        self.disbelieve(unit, pid);
                        continue;
                    }
                },
                Answer::Words => continue,
            };
            self.feed(event);
        }
    }

    fn main_found(&mut self, unit: UnitId, pid: Pid) -> Event<'static> {
        self.probes.put_heir(unit, None);
        self.remember_main(unit, pid);
        self.groups.forget_first(unit, pid);
        Event::MainFound { unit, pid }
    }

    /// The proof that a PID file's number needs too: a process of the unit, whose end we learn of.
    fn claim(&self, unit: UnitId, pid: Pid) -> Claim {
        let notifies =
            self.supervisor.unit(unit).is_some_and(|unit| unit.kind == ettan_core::Kind::Notify);
        let parent = procfs::stat(pid.raw()).filter(|stat| !stat.is_zombie()).map(|stat| stat.ppid);
        if !notifies || !self.groups.is_member(&self.supervisor, unit, pid.raw()) {
            return Claim::False;
        }
        match parent {
            Some(1) => Claim::Proven,
            Some(parent) if self.main_of(unit).map(Pid::raw) == Some(parent) => Claim::Heir,
            Some(_) | None => Claim::False,
        }
    }

    fn disbelieve(&self, unit: UnitId, pid: Pid) {
        if self.main_of(unit) == Some(pid) {
            return;
        }
        let name = self.supervisor.unit(unit).map_or("", |unit| unit.name.as_str());
        let number = pid.raw();
        log::warn!(
            "{name}: MAINPID={number} ignored: not a process of this unit whose parent is PID 1 or \
             the main process"
        );
    }

    /// The process `ended` of this unit is gone: whom it called its main process while that was its
    /// own child is ours by now, and goes on in its place.
    pub(crate) fn inherit(&mut self, unit: UnitId, ended: Pid) {
        if self.main_of(unit) != Some(ended) {
            return;
        }
        let Some(heir) = self.probes.take_heir(unit) else { return };
        if self.claim(unit, heir) == Claim::Proven {
            let found = self.main_found(unit, heir);
            self.feed(found);
        }
    }

    /// Tells the prober what it does not know, and polls its socket: for reading always, for
    /// writing while there is something left.
    pub(crate) fn poll_prober(&mut self) {
        while let Some(unit) = self.probes.next_adopted(&self.supervisor) {
            self.feed(Event::Ready { unit });
        }
        let groups = &self.groups;
        let cookie = |unit| groups.launched(unit).cookie;
        if let Err(errno) = self.probes.tell(&self.supervisor, &self.tables, cookie) {
            self.degraded.note(self.now, Task::Probing, errno);
        } else {
            self.degraded.heal(self.now, Task::Probing);
        }
        self.guard.work |= self.probes.take_progress();
        let interest = if self.probes.has_news() { Interest::Both } else { Interest::Read };
        let epoll = self.wake.epoll.as_ref();
        if let Err(errno) = self.probes.prober.poll(epoll, token::PROBER, Some(interest)) {
            self.degraded.note(self.now, Task::Probing, errno);
        }
    }
}
