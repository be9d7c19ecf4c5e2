//! Reload of a unit that is up: its commands one after the other, then its signal, then its word
//! that it has taken in its settings, where it gives one. The unit stays up, whatever comes of it.
//!
//! * A reload asked for while one is under way follows it: what the first has read may be older.
//! * The end of the main process breaks a reload, and what is left of its command is swept with the
//!   run. A forking unit whose main process moves reloads on.
//! * A stop breaks it too. The command that runs goes on to its end, within the time of the stop;
//!   no other follows, and no signal.

use crate::run::Running;
use crate::{Action, Class, Millis, Notice, Phase, Reason, Stage, Supervisor, UnitId, Whom};

/// What is remembered of reloads, beside the command that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reload {
    /// How the last one ended: well, or why not.
    pub(crate) end: Result<(), Reason>,
    /// Asked for while one was under way: once more when that is over.
    pub(crate) again: bool,
    /// When the unit was last sent its reload signal and its word was awaited.
    pub(crate) from: Millis,
}

impl Default for Reload {
    fn default() -> Self {
        Self { end: Ok(()), again: false, from: Millis(0) }
    }
}

impl Supervisor {
    pub(crate) fn ask_reload(&mut self, id: UnitId) {
        let stays = self.may_reload(id);
        let Some(slot) = self.slot_mut(id) else { return };
        if !stays || slot.state.class() != Class::Up {
            slot.reload.end = Err(slot.reason);
        } else if slot.hook.is_some() {
            slot.reload.again = true;
        } else {
            self.go_on_reloading(id, 0);
        }
    }

    /// Whether it is to stay up.
    fn may_reload(&self, id: UnitId) -> bool {
        self.phase == Phase::Running && self.slot(id).is_some_and(|slot| !self.must_stop(slot))
    }

    /// Command number `next`; after the last one the signal.
    pub(crate) fn go_on_reloading(&mut self, id: UnitId, next: u8) {
        let stays = self.may_reload(id);
        let Some(slot) = self.slot(id) else { return };
        if !stays {
            let reason = slot.reason;
            return self.end_reload(id, Err(reason));
        }
        let (signal, main) = (slot.unit.reload_signal, slot.pid());
        if self.run_hook(id, Stage::Reload, next) {
            return self.set_deadline(id);
        }
        let end = match (signal, main) {
            (Some(signal), Some(_)) => {
                self.push(Action::Signal { unit: id, signal, whom: Whom::Main });
                if self.await_word(id) {
                    return self.set_deadline(id);
                }
                Ok(())
            }
            (Some(_), None) => Err(Reason::MainLost(None)),
            (None, _) => Ok(()),
        };
        self.end_reload(id, end);
    }

    /// Whether the unit says itself when it has reloaded: no sooner is the reload over.
    fn await_word(&mut self, id: UnitId) -> bool {
        let now = self.now;
        let Some(slot) = self.slot_mut(id).filter(|slot| slot.unit.reload_answers) else {
            return false;
        };
        slot.hook = Some(Running::Word { until: slot.reload_until(now) });
        slot.reload.from = now;
        true
    }

    /// It says so. One that began before the signal came is not what was asked for.
    pub(crate) fn reloaded(&mut self, id: UnitId, since: Millis) {
        let Some(slot) = self.slot_mut(id) else { return self.unexpected(None, "Reloaded") };
        if slot.awaits_word() && since >= slot.reload.from {
            slot.hook = None;
            self.end_reload(id, Ok(()));
        }
    }

    /// It is over; once more, if that was asked for meanwhile.
    pub(crate) fn end_reload(&mut self, id: UnitId, end: Result<(), Reason>) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.reload.end = end;
        let again = core::mem::replace(&mut slot.reload.again, false);
        self.publish(Notice::Reload { unit: id, end });
        self.set_deadline(id);
        if again && self.may_reload(id) {
            self.go_on_reloading(id, 0);
        }
    }

    /// The run is to end, or has ended: so has a reload under way.
    pub(crate) fn break_reload(&mut self, id: UnitId, reason: Reason) {
        let Some(slot) = self.slot_mut(id).filter(|slot| slot.reloads()) else { return };
        let end = Err(reason);
        slot.reload.end = end;
        slot.reload.again = false;
        if slot.awaits_word() {
            slot.hook = None;
        }
        self.publish(Notice::Reload { unit: id, end });
    }
}
