//! Whether the machine does what it is for: the units that are `critical`. Says when the boot was a
//! success, and later when a reset may help. Looks at units and changes nothing.

use crate::pid1::Pid1;
use ettan_core::{Event, Goal, Millis, Name, Phase, Reason, State, Supervisor, UnitId};

/// The condition that holds from then on that the boot was a success.
pub(crate) const BOOT_OK: &str = "boot-ok";

/// A reset follows once critical units are not well for so many times as long. Not before the boot
/// was a success: a machine that never is well would be reset for ever.
const PATIENCES: u64 = 2;

/// A unit that runs, or starts, for so long has come to rest; or for this part of that time.
const REST_MS: u64 = 10_000;
const REST_PART: u64 = 6;

/// While a unit is still to come up.
const LOOK_AGAIN_MS: u64 = 1_000;

/// What is known of the critical units.
pub(crate) struct Vitals {
    proof_ms: u64,
    /// When to look whether the boot was a success; None once it was.
    look_at: Option<Millis>,
    /// Since when not all of them are well.
    ill_since: Option<Millis>,
    /// One that has only just begun to run, whenever somebody looks, and since when.
    restless: Option<(UnitId, Millis)>,
}

impl Vitals {
    /// All critical units up for `proof_ms` is a success. What an execution before has found goes on.
    pub(crate) fn new(supervisor: &Supervisor, proof_ms: u64, now: Millis) -> Self {
        let proven = supervisor.holds(BOOT_OK);
        Self { proof_ms, look_at: (!proven).then_some(now), ill_since: None, restless: None }
    }

    /// When [`Vitals::proves`] has something to do although nothing happens.
    pub(crate) const fn next_deadline(&self) -> Option<Millis> {
        self.look_at
    }

    /// True once: when every critical unit that is to be up has been for long enough. `over`: when
    /// the boot was over.
    pub(crate) fn proves(
        &mut self,
        now: Millis,
        over: Option<Millis>,
        supervisor: &Supervisor,
    ) -> bool {
        if self.look_at.is_none_or(|at| at > now) {
            return false;
        }
        let ups = critical(supervisor).map(|id| up_since(supervisor, id));
        let since = ups.fold(over, |latest, up| Some(latest?.max(up?)));
        let at = since.map(|since| since.after(self.proof_ms));
        self.look_at = match at {
            Some(at) if at <= now => None,
            at => Some(at.unwrap_or(now.after(LOOK_AGAIN_MS))),
        };
        self.look_at.is_none()
    }

    /// A critical unit for whose sake the machine should be reset.
    pub(crate) fn hopeless(&mut self, now: Millis, supervisor: &Supervisor) -> Option<Name> {
        if self.look_at.is_some() || supervisor.phase() != Phase::Running {
            (self.ill_since, self.restless) = (None, None);
            return None;
        }
        let (ill, restless) = (self.ill(now, supervisor), self.restless(now, supervisor));
        supervisor.unit(ill.or(restless)?).map(|unit| unit.name.clone())
    }

    /// One that is not well, while some were not for too long.
    fn ill(&mut self, now: Millis, supervisor: &Supervisor) -> Option<UnitId> {
        let mut ill = critical(supervisor).filter(|id| is_ill(supervisor, *id)).peekable();
        if ill.peek().is_none() {
            self.ill_since = None;
            return None;
        }
        let since = *self.ill_since.get_or_insert(now);
        let patient_until = self.patient_until(since);
        if now < patient_until {
            return None;
        }
        ill.find(|id| !may_still_start(supervisor, *id, now, patient_until))
    }

    /// One that ends every few seconds, which is no crash loop and seldom seen: it is up nearly always.
    fn restless(&mut self, now: Millis, supervisor: &Supervisor) -> Option<UnitId> {
        let rest_ms = REST_MS.min(self.proof_ms / REST_PART);
        let is_restless = |id: &UnitId| {
            !is_asked_for(supervisor, *id)
                && runs_since(supervisor, *id).is_none_or(|since| now < since.after(rest_ms))
        };
        let known = self.restless.filter(|(id, _)| critical(supervisor).any(|it| it == *id));
        self.restless = known
            .filter(|(id, _)| is_restless(id))
            .or_else(|| critical(supervisor).find(is_restless).map(|id| (id, now)));
        let (id, since) = self.restless?;
        (now >= self.patient_until(since)).then_some(id)
    }

    fn patient_until(&self, since: Millis) -> Millis {
        since.after(self.proof_ms.saturating_mul(PATIENCES))
    }
}

impl Pid1 {
    /// The boot was a success: units wait for that, to say so to a boot loader.
    pub(crate) fn look_at_vitals(&mut self) {
        // In a rescue nothing is to be up, which is no success.
        let over = self.control.boot_over().map(Millis).filter(|_| !self.is_rescue());
        if self.vitals.proves(self.now, over, &self.supervisor) {
            log::info!("the boot is a success: every critical unit stays up");
            self.feed(Event::Condition { name: BOOT_OK, holds: true });
        }
    }
}

/// The critical units that are to be up: not those that somebody stopped, nor oneshots that did
/// their work, nor what is not for this machine.
fn critical(supervisor: &Supervisor) -> impl Iterator<Item = UnitId> {
    supervisor.units().filter(|id| {
        supervisor.unit(*id).is_some_and(|unit| unit.critical)
            && supervisor.view(*id).is_some_and(|view| view.goal == Goal::Up)
    })
}

fn up_since(supervisor: &Supervisor, id: UnitId) -> Option<Millis> {
    let view = supervisor.view(id)?;
    let State::Up { since, .. } = view.state else { return None };
    (!view.unwell).then_some(since)
}

/// Since when it is up, well or not, or is being started.
fn runs_since(supervisor: &Supervisor, id: UnitId) -> Option<Millis> {
    let state = supervisor.view(id)?.state;
    let State::Up { since, .. } = state else { return state.start_since() };
    Some(since)
}

/// What runs, or is about to, is what somebody wanted anew.
fn is_asked_for(supervisor: &Supervisor, id: UnitId) -> bool {
    supervisor.view(id).is_some_and(|view| {
        matches!(view.reason, Reason::Asked | Reason::Reloaded | Reason::PartOf)
    })
}

/// In a start that has time left, for ever where none was set: a database that repairs itself is not helped by a
/// reset. Not in one that began after patience was over: a unit that fails in each of its starts has many of them.
fn may_still_start(supervisor: &Supervisor, id: UnitId, now: Millis, latest: Millis) -> bool {
    let Some(view) = supervisor.view(id) else { return false };
    let is_early = view.state.start_since().is_some_and(|since| since < latest);
    is_early && !view.crash_looping && view.ready_by.is_none_or(|by| now < by)
}

/// Not up, or up for a moment between two short runs.
fn is_ill(supervisor: &Supervisor, id: UnitId) -> bool {
    up_since(supervisor, id).is_none() || supervisor.view(id).is_some_and(|view| view.crash_looping)
}

#[cfg(test)]
#[path = "vitals_tests.rs"]
mod tests;
