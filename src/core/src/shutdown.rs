//! The end of the machine, phase by phase, each bounded. One way only.
//!
//! | phase | ends when | or at the latest after |
//! |---|---|---|
//! | StoppingUnits | every unit but the built-in ones is gone, or cannot be killed | the longest stop time-out (at most 90 s with all hooks; 30 s where it is 0) + 30 s |
//! | KillingStrays | no stray is left: TERM, and KILL after 5 s | 10 s |
//! | StoppingBuiltins | logger and watcher are gone | 10 s |
//! | ClosingFilesystems | it is said so | 15 s (2 s when forced) |
//!
//! So the machine is off 155 s after it was asked to in the worst case, whatever its units do, and
//! 75 s after where all stop time-outs are the usual 10 s. Nothing starts once it has begun.
//! The first decision stays, unless a later one is forced.

use crate::due::PATIENCE_MS;
use crate::{Action, Goal, Notice, Phase, Power, Reason, Stage, State, Supervisor, Unit, UnitId};

/// Beyond the longest stop time-out, for chains of units that stop one after the other.
const STOP_MARGIN_MS: u64 = 30_000;
/// A stop time-out of 0 waits for ever, but not when the machine goes down; nor do long ones.
pub(crate) const SHUTDOWN_STOP_MAX_MS: u64 = 90_000;
const SHUTDOWN_STOP_DEFAULT_MS: u64 = 30_000;
const STRAYS_TERM_MS: u64 = 5_000;
const STRAYS_KILL_MS: u64 = 5_000;
const BUILTINS_MS: u64 = PATIENCE_MS;
const CLOSE_MS: u64 = 15_000;
const CLOSE_FORCED_MS: u64 = 2_000;

/// In how many stages the unit's end goes, each with a time-out of its own.
fn stop_stages(unit: &Unit) -> u64 {
    let hooks = [Stage::Stop, Stage::StopPost].map(|stage| unit.hooks.of(stage).count > 0);
    let [before, after] = hooks.map(u64::from);
    before.saturating_add(after).saturating_add(1)
}

/// How long one stage of the unit's end may take when the machine goes down: all of them
/// together no longer than a single one may.
pub(crate) fn shutdown_span(unit: &Unit) -> u64 {
    let most = SHUTDOWN_STOP_MAX_MS.checked_div(stop_stages(unit)).unwrap_or(SHUTDOWN_STOP_MAX_MS);
    match unit.stop_timeout_ms {
        0 => SHUTDOWN_STOP_DEFAULT_MS.min(most),
        span => u64::from(span).min(most),
    }
}

const SIGKILL: u8 = 9;
const SIGTERM: u8 = 15;

impl Supervisor {
    /// How long a shutdown asked for now takes at most, in milliseconds.
    #[must_use]
    pub fn shutdown_bound_ms(&self) -> u64 {
        self.stopping_bound_ms()
            .saturating_add(STRAYS_TERM_MS + STRAYS_KILL_MS + BUILTINS_MS + CLOSE_MS)
    }

    fn stopping_bound_ms(&self) -> u64 {
        let ordinary = self.slots.iter().filter(|slot| slot.used && !slot.unit.builtin);
        let spans = ordinary.map(|slot| {
            let stages = stop_stages(&slot.unit);
            shutdown_span(&slot.unit).saturating_mul(stages)
        });
        spans.max().unwrap_or(0).saturating_add(STOP_MARGIN_MS)
    }

    pub(crate) fn shut_down(&mut self, power: Power, force: bool) {
        if force {
            self.power = power;
            if self.phase < Phase::ClosingFilesystems {
                self.reach(Phase::ClosingFilesystems, CLOSE_FORCED_MS);
                self.push(Action::CloseFilesystems);
            } else {
                self.phase_until = self.phase_until.min(self.now.after(CLOSE_FORCED_MS).0);
            }
        } else if self.phase == Phase::Running {
            self.power = power;
            let bound = self.stopping_bound_ms();
            self.reach(Phase::StoppingUnits, bound);
            self.send_down(false);
        }
    }

    fn reach(&mut self, phase: Phase, bound_ms: u64) {
        self.phase = phase;
        self.phase_until = self.now.after(bound_ms).0;
        self.publish(Notice::Shutdown { phase });
    }

    /// Nothing is left to do for this event: on to the next phase, if this one is over. False: not.
    pub(crate) fn advance_shutdown(&mut self) -> bool {
        let late = self.phase_until <= self.now.0;
        match self.phase {
            Phase::Running | Phase::Off => return false,
            Phase::StoppingUnits if late || self.live == 0 => self.kill_strays(),
            Phase::KillingStrays if late && !self.strays_killed => {
                self.strays_killed = true;
                self.phase_until = self.now.after(STRAYS_KILL_MS).0;
                self.push(Action::KillStrays { signal: SIGKILL });
            }
            Phase::KillingStrays if late => self.stop_builtins(),
            Phase::StoppingBuiltins if late || self.live_builtins == 0 => self.close_filesystems(),
            Phase::ClosingFilesystems if late => self.power_off(),
            Phase::StoppingUnits
            | Phase::KillingStrays
            | Phase::StoppingBuiltins
            | Phase::ClosingFilesystems => return false,
        }
        true
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
        self.push(Action::KillStrays { signal: SIGTERM });
    }

    fn stop_builtins(&mut self) {
        self.reach(Phase::StoppingBuiltins, BUILTINS_MS);
        self.send_down(true);
    }

    fn close_filesystems(&mut self) {
        self.reach(Phase::ClosingFilesystems, CLOSE_MS);
        self.push(Action::CloseFilesystems);
    }

    fn power_off(&mut self) {
        self.reach(Phase::Off, 0);
        self.push(Action::Power(self.power));
    }

    /// The goal of all ordinary, or all built-in, units is down from now on.
    fn send_down(&mut self, builtin: bool) {
        for id in self.each() {
            let limit = self.now.after(SHUTDOWN_STOP_MAX_MS);
            let Some(slot) = self.slot_mut(id).filter(|slot| slot.unit.builtin == builtin) else {
                continue;
            };
            slot.goal = Goal::Down;
            slot.bounce = false;
            if let State::Preparing { .. }
            | State::Starting { .. }
            | State::Seeking { .. }
            | State::Awaiting { .. }
            | State::Finishing { .. }
            | State::Up { .. } = slot.state
            {
                slot.reason = Reason::Shutdown;
            }
            if let State::Stopping { pid, kill_at } = slot.state {
                let kill_at = kill_at.map_or(limit, |at| at.min(limit));
                slot.state = State::Stopping { pid, kill_at: Some(kill_at) };
                self.set_deadline(id);
            }
            if let Some(State::Cleaning { kill_at }) = self.slot(id).map(|slot| slot.state) {
                let kill_at = Some(kill_at.map_or(limit, |at| at.min(limit)));
                if let Some(slot) = self.slot_mut(id) {
                    slot.state = State::Cleaning { kill_at };
                }
                self.set_deadline(id);
            }
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
