//! What the prober says of a unit: its coming run is known, it is ready, it needs time, it does
//! not work. Decides what follows; how it was found out is the prober's business.

use crate::backoff::Verdict;
use crate::run::Next;
use crate::{Class, Haste, Notice, Phase, Power, Reason, Remedy, State, Supervisor, UnitId};

impl Supervisor {
    pub(crate) fn announced(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "Announced") };
        // Said twice, or stopped meanwhile.
        if !core::mem::replace(&mut slot.pending.announcing, false) {
            return;
        }
        let reason = slot.reason;
        let wanted = slot.is_wanted() && !slot.is_orphaned();
        if wanted && self.phase == Phase::Running && self.blocked(id).is_none() {
            self.spawn(id);
            return;
        }
        // Meanwhile nobody wants it any more, or what it needs went: it starts when that is back.
        let Some(slot) = self.slot_mut(id) else { return };
        (slot.standing.carries, slot.wish.bounce) = (false, false);
        if slot.processes.occupied {
            // The hooks before the start have run, so those after the end do.
            slot.next = Next::Goal;
            self.gone(id, reason);
        } else {
            self.enter(id, State::Down, reason);
        }
    }

    pub(crate) fn ready(&mut self, id: UnitId) {
        let Some(slot) = self.slot(id) else { return self.unexpected(None, "Ready") };
        // Else it is said twice, or too late.
        if let State::Awaiting { pid, .. } = slot.state {
            self.finish_start(id, Some(pid), slot.reason);
        }
    }

    pub(crate) fn extend(&mut self, id: UnitId, span_ms: u64) {
        let until = self.now.after(span_ms);
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "Extend") };
        if slot.state.class() == Class::Rising {
            slot.extended_to = slot.extended_to.max(until);
        } else if let State::Stopping { pid, kill_at: Some(at) } = slot.state {
            slot.state = State::Stopping { pid, kill_at: Some(at.max(until)) };
        }
        self.set_deadline(id);
    }

    pub(crate) fn health(&mut self, id: UnitId, unwell: Option<Remedy>) {
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "Health") };
        // Of any other state the look comes too late.
        let State::Up { since, .. } = slot.state else { return };
        if core::mem::replace(&mut slot.unwell, unwell.is_some()) != unwell.is_some() {
            self.publish(Notice::Health { unit: id, well: unwell.is_none() });
        }
        let run = self.now.since(since);
        match unwell {
            None | Some(Remedy::Tell) => {}
            Some(Remedy::Restart) => {
                let next = match self.after_end(id, Verdict::Abnormal, Some(run)) {
                    next @ Next::Again { .. } => next,
                    Next::Goal | Next::Done | Next::Quit | Next::Fail => self.delayed(id),
                };
                self.stop_unwell(id, Reason::Unhealthy, next);
            }
            Some(Remedy::Abort) => {
                let next = self.after_end(id, Verdict::Abnormal, Some(run));
                self.stop_unwell(id, Reason::Watchdog, next);
            }
            Some(Remedy::Reboot) => self.shut_down(Power::Reboot, Haste::Orderly),
        }
    }

    fn stop_unwell(&mut self, id: UnitId, reason: Reason, next: Next) {
        if let Some(slot) = self.slot_mut(id) {
            // The stop signal depends on it.
            slot.reason = reason;
        }
        self.stop(id, reason, next);
    }
}
