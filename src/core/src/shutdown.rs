//! The end of the machine, phase by phase, all of it within a time that begins when it is asked for:
//! 30 s or what the machine's maker says, and 5 s when the power fails. One way only.
//!
//! | phase | ends when | or at the latest, of 30 s | of 5 s |
//! |---|---|---|---|
//! | StoppingUnits | every unit but the built-in ones is gone, or cannot be killed | after 18 s | 2.3 s |
//! | KillingStrays | no stray is left: TERM, and KILL when two thirds of its time are over | 21 s | 2.8 s |
//! | StoppingBuiltins | logger and watcher are gone; then KILL to all that is left | 23 s | 3.3 s |
//! | ClosingFilesystems | it is said so | 30 s | 5 s |
//!
//! What a phase leaves of its time is for those after it. Units that hold data have the first claim
//! on the time of units: see [`Pressure`]. Nothing starts once it has begun. The first decision stays,
//! unless a later one is forced; that the power fails leaves it less time.

use crate::bits::Bits;
use crate::due::PATIENCE_MS;
use crate::slot::Slot;
use crate::{
    Action, Class, Goal, Haste, Millis, Notice, Phase, Power, Reason, Stage, State, Supervisor,
    Unit, UnitId, signals,
};

/// How long a shutdown takes at most, where nobody says otherwise.
pub const SHUTDOWN_MS: u32 = 30_000;
/// A supercapacitor of the usual size lasts about so long. Nobody's shutdown takes less.
pub const POWER_FAIL_MS: u32 = 5_000;

/// However much time there is: who has not ended by then does not end.
const STRAYS_TERM_MS: u64 = 5_000;
const STRAYS_KILL_MS: u64 = 5_000;
const BUILTINS_MS: u64 = PATIENCE_MS;
const CLOSE_MS: u64 = 15_000;
const CLOSE_FORCED_MS: u64 = 2_000;
/// However late it is: the root is made read-only first.
const CLOSE_LEAST_MS: u64 = 1_000;

/// How far the time of units has come. At each step some are *pressed*: their turn is now, whatever
/// comes after them, and there is an end to their time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// In reverse order, each with its own stop time-out.
    #[default]
    None,
    /// After a quarter: whoever neither holds data nor is needed by who does, if one that does is
    /// left. What is left of them has KILL after a third.
    Rest,
    /// After three quarters: all but what data is kept on. KILL after nine tenths.
    All,
}

/// How the time is shared out, in milliseconds.
struct Shares {
    units: u64,
    strays: u64,
    builtins: u64,
    closing: u64,
}

/// `per` thousandths of `span`.
const fn part(span: u64, per: u64) -> u64 {
    match span.saturating_mul(per).checked_div(1_000) {
        Some(part) => part,
        None => 0,
    }
}

impl Shares {
    /// What is not for the units is enough at 30 s: more than that is all theirs.
    fn of(whole_ms: u64) -> Self {
        let strays = part(whole_ms, 100).min(3_000);
        let builtins = part(whole_ms, 100).min(2_000);
        let closing = part(whole_ms, 334).min(7_000);
        let units =
            whole_ms.saturating_sub(strays.saturating_add(builtins).saturating_add(closing));
        Self { units, strays, builtins, closing }
    }
}

/// In how many stages the unit's end goes from this one on, where None is its program.
fn stages_from(unit: &Unit, stage: Option<Stage>) -> u64 {
    let after = u64::from(unit.hooks.of(Stage::StopPost).count > 0);
    match stage {
        Some(Stage::Stop) => after.saturating_add(2),
        None | Some(Stage::Pre | Stage::Post | Stage::Reload) => after.saturating_add(1),
        Some(Stage::StopPost) => 1,
    }
}

impl Supervisor {
    /// How long a shutdown takes from when it is asked for, at most; never less than when the power
    /// fails. To be said before anything else, and of each execution.
    pub fn bound_shutdown(&mut self, within_ms: u32) {
        self.shutdown_ms = within_ms.max(POWER_FAIL_MS);
    }

    /// When the machine is off at the latest; None while no shutdown was asked for.
    #[must_use]
    pub fn shutdown_ends(&self) -> Option<Millis> {
        (self.phase != Phase::Running).then_some(self.ends_at)
    }

    /// When the phase ends at the latest.
    #[must_use]
    pub const fn phase_ends(&self) -> Millis {
        self.phase_until
    }

    pub(crate) fn shut_down(&mut self, power: Power, haste: Haste) {
        let within_ms = match haste {
            Haste::Orderly if self.shutdown_ms == 0 => u64::from(SHUTDOWN_MS),
            Haste::Orderly => u64::from(self.shutdown_ms),
            Haste::PowerFails => u64::from(POWER_FAIL_MS),
            Haste::Force => CLOSE_FORCED_MS,
        };
        let begins = self.phase == Phase::Running;
        if begins || haste == Haste::Force {
            self.power = power;
        }
        match haste {
            Haste::Orderly if !begins => {}
            Haste::Force if self.phase < Phase::ClosingFilesystems => {
                self.shorten(within_ms, begins);
                self.close_filesystems();
            }
            Haste::Orderly | Haste::PowerFails if begins => {
                self.shorten(within_ms, begins);
                self.reach(Phase::StoppingUnits, u64::MAX);
                self.send_down(false);
            }
            Haste::Orderly | Haste::PowerFails | Haste::Force => {
                let is_news = self.shorten(within_ms, begins);
                if is_news && self.phase == Phase::ClosingFilesystems {
                    // Once more, for whoever closes them counts on the time that there was.
                    self.push(Action::CloseFilesystems);
                }
            }
        }
    }

    /// So much is left from now on, if it is not less already. True when it was more.
    fn shorten(&mut self, within_ms: u64, begins: bool) -> bool {
        let ends_at = self.now.after(within_ms);
        if !begins && ends_at >= self.ends_at {
            return false;
        }
        (self.asked_at, self.ends_at) = (self.now, ends_at);
        self.phase_until = self.phase_until.min(self.step_until());
        if !begins {
            for id in self.each() {
                self.end_sooner(id);
            }
        }
        true
    }

    fn shares(&self) -> Shares {
        Shares::of(self.ends_at.since(self.asked_at))
    }

    /// When the step of the phase ends that all of it has come to, at the latest.
    fn step_until(&self) -> Millis {
        let Shares { units, strays, builtins, closing } = self.shares();
        let before = |spans: &[u64]| spans.iter().fold(self.ends_at, |at, span| at.before(*span));
        let within = |per| self.asked_at.after(part(units, per));
        match (self.phase, self.pressure, self.strays_killed) {
            (Phase::Running | Phase::Off, _, _) => Millis(0),
            (Phase::StoppingUnits, Pressure::None, _) => within(250),
            (Phase::StoppingUnits, Pressure::Rest, _) => within(750),
            (Phase::StoppingUnits, Pressure::All, _) => within(1_000),
            (Phase::KillingStrays, _, false) => before(&[closing, builtins, part(strays, 333)]),
            (Phase::KillingStrays, _, true) => before(&[closing, builtins]),
            (Phase::StoppingBuiltins, _, _) => before(&[closing]),
            (Phase::ClosingFilesystems, _, _) => self.ends_at,
        }
    }

    /// When KILL comes for a unit that is stopped while the machine goes down; never now, but soon.
    fn kill_by(&self, slot: &Slot) -> Millis {
        let Shares { units, closing, .. } = self.shares();
        let at = match (slot.unit.builtin, slot.pressed, self.pressure) {
            (true, _, _) => self.ends_at.before(closing),
            (false, true, Pressure::None | Pressure::Rest) => self.asked_at.after(part(units, 333)),
            (false, true, Pressure::All) | (false, false, Pressure::None | Pressure::Rest) => {
                self.asked_at.after(part(units, 900))
            }
            (false, false, Pressure::All) => self.asked_at.after(units),
        };
        at.max(self.now.after(1))
    }

    /// How long the stage of the unit's end may take that begins now, in a shutdown: its own time-out,
    /// but no more than its share of what is left for it.
    pub(crate) fn shutdown_span(&self, slot: &Slot, stage: Option<Stage>) -> u64 {
        let most = self.share_of(slot, stage);
        slot.unit.stop_timeout().map_or(most, |span| span.min(most))
    }

    /// What this stage of the unit's end may take of the time that is left for it; never nothing.
    fn share_of(&self, slot: &Slot, stage: Option<Stage>) -> u64 {
        let left = self.kill_by(slot).since(self.now);
        left.checked_div(stages_from(&slot.unit, stage)).unwrap_or(left).max(1)
    }

    fn reach(&mut self, phase: Phase, most_ms: u64) {
        self.phase = phase;
        self.phase_until = self.now.after(most_ms).min(self.step_until());
        self.publish(Notice::Shutdown { phase });
    }

    /// Nothing is left to do for this event: on to the next step, if this one is over. False: not.
    pub(crate) fn advance_shutdown(&mut self) -> bool {
        let late = self.phase_until <= self.now;
        match self.phase {
            Phase::Running | Phase::Off => return false,
            Phase::StoppingUnits if self.live == 0 => self.kill_strays(),
            Phase::StoppingUnits if late => match self.pressure {
                Pressure::None => self.press(Pressure::Rest),
                Pressure::Rest => self.press(Pressure::All),
                Pressure::All => self.kill_strays(),
            },
            Phase::KillingStrays if late && !self.strays_killed => {
                self.strays_killed = true;
                self.phase_until = self.now.after(STRAYS_KILL_MS).min(self.step_until());
                self.signal_strays();
            }
            Phase::KillingStrays if late => self.stop_builtins(),
            Phase::StoppingBuiltins if late || self.live_builtins == 0 => {
                self.push(Action::KillRest);
                self.close_filesystems();
            }
            Phase::ClosingFilesystems if late => self.power_off(),
            Phase::StoppingUnits
            | Phase::KillingStrays
            | Phase::StoppingBuiltins
            | Phase::ClosingFilesystems => return false,
        }
        true
    }

    /// The next step of the units' time.
    fn press(&mut self, pressure: Pressure) {
        self.pressure = pressure;
        self.phase_until = self.step_until();
        let kept = self.hold_data();
        if kept.is_empty() && pressure != Pressure::All {
            return;
        }
        for id in self.each() {
            let Some(slot) = self.slot(id) else { continue };
            let waits = kept.has(id.0) && !(pressure == Pressure::All && slot.unit.holds_data);
            if slot.is_live() && !slot.unit.builtin && !waits {
                if let Some(slot) = self.slot_mut(id) {
                    slot.pressed = true;
                }
                self.end_sooner(id);
                self.touch(id);
            }
        }
    }

    /// The units that hold data and are not gone yet, and what those need.
    fn hold_data(&self) -> Bits {
        let mut kept = Bits::EMPTY;
        // What is needed comes first: backwards, whoever needs a unit was looked at before it.
        for id in self.order.iter().rev() {
            let Some(slot) = self.slot(UnitId(*id)).filter(|slot| slot.is_awaited()) else {
                continue;
            };
            let mut users = self.dependants_of(slot).iter().filter(|edge| edge.orders());
            if slot.unit.holds_data || users.any(|edge| kept.has(edge.unit)) {
                kept.put(*id);
            }
        }
        kept
    }

    /// How long KILL may take before nobody waits for the unit any more.
    pub(crate) fn patience_ms(&self, id: UnitId) -> u64 {
        match self.slot(id) {
            Some(slot) if slot.pressed => part(self.shares().units, 40).max(1),
            Some(_) | None => PATIENCE_MS,
        }
    }

    /// A stop under way gets no more time than there is.
    fn end_sooner(&mut self, id: UnitId) {
        let gone_by = self.now.after(self.patience_ms(id));
        let Some(slot) = self.slot(id).filter(|slot| slot.is_ending()) else { return };
        let sooner = |at: Option<Millis>, stage| {
            let limit = self.now.after(self.share_of(slot, stage));
            Some(at.map_or(limit, |at| at.min(limit)))
        };
        let state = match slot.state {
            State::Stopping { pid, kill_at } => {
                let stage = slot.hook.map(|_| Stage::Stop);
                State::Stopping { pid, kill_at: sooner(kill_at, stage) }
            }
            State::Cleaning { kill_at } => {
                State::Cleaning { kill_at: sooner(kill_at, Some(Stage::StopPost)) }
            }
            State::Down
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Up { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => slot.state,
        };
        if let Some(slot) = self.slot_mut(id) {
            slot.state = state;
            slot.complain_at = slot.complain_at.min(gone_by);
        }
        self.set_deadline(id);
    }

    pub(crate) fn strays_gone(&mut self) {
        match self.phase {
            Phase::KillingStrays => self.stop_builtins(),
            Phase::Running | Phase::StoppingUnits => self.unexpected(None, "StraysGone"),
            Phase::StoppingBuiltins | Phase::ClosingFilesystems | Phase::Off => {}
        }
    }

    pub(crate) fn filesystems_closed(&mut self) {
        match self.phase {
            Phase::ClosingFilesystems => self.power_off(),
            Phase::Running
            | Phase::StoppingUnits
            | Phase::KillingStrays
            | Phase::StoppingBuiltins => self.unexpected(None, "FilesystemsClosed"),
            Phase::Off => {}
        }
    }

    fn kill_strays(&mut self) {
        self.reach(Phase::KillingStrays, STRAYS_TERM_MS);
        self.signal_strays();
    }

    /// What is left gets TERM first, and KILL later.
    pub(crate) fn signal_strays(&mut self) {
        let signal = if self.strays_killed { signals::KILL } else { signals::TERM };
        self.push(Action::KillStrays { signal });
    }

    fn stop_builtins(&mut self) {
        self.reach(Phase::StoppingBuiltins, BUILTINS_MS);
        self.send_down(true);
    }

    fn close_filesystems(&mut self) {
        self.reach(Phase::ClosingFilesystems, CLOSE_MS);
        self.phase_until = self.phase_until.max(self.now.after(CLOSE_LEAST_MS));
        self.push(Action::CloseFilesystems);
    }

    fn power_off(&mut self) {
        self.reach(Phase::Off, 0);
        self.push(Action::Power(self.power));
    }

    /// The goal of all ordinary, or all built-in, units is down from now on.
    fn send_down(&mut self, builtin: bool) {
        for id in self.each() {
            let Some(slot) = self.slot_mut(id).filter(|slot| slot.unit.builtin == builtin) else {
                continue;
            };
            slot.wish.goal = Goal::Down;
            slot.wish.bounce = false;
            if let Class::Rising | Class::Up = slot.state.class() {
                slot.reason = Reason::Shutdown;
            }
            self.end_sooner(id);
            self.lay_down(id);
            self.touch(id);
        }
    }

    /// What only waited to start does not wait any longer.
    fn lay_down(&mut self, id: UnitId) {
        let Some(slot) = self.slot_mut(id) else { return };
        if let State::Backoff { .. } = slot.state {
            // Without a notice each: a thousand at once would not fit, and the phase says it all.
            slot.state = State::Down;
            slot.reason = Reason::Shutdown;
            self.set_deadline(id);
        }
    }
}
