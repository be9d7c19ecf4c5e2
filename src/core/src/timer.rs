//! Units that are started by the clock: so long after the boot, again and again, at times of day.
//!
//! * `on_boot_ms` and `every_ms` go by the time since boot. Whoever sets the wall clock neither
//!   hurries nor delays them (`tests/FAULTS.md` 7.6).
//! * `at` goes by the wall clock, from when it is first known to be right (the condition `clock`).
//!   What it comes to in time since boot is worked out anew whenever the clock is set. A moment that
//!   it jumps over has come; one that it shows again has been.
//! * A unit that still runs is not started; the moment is passed over, and that is told of. So is each
//!   moment while the rescue shell is wanted: whoever mends the machine there has stopped everything.

use crate::load::{NONE, Places};
use crate::ties::Way;
use crate::{Calendar, Catalog, Millis, Notice, Phase, Reason, State, Supervisor, UnitId};

/// The most units with a timer. An appliance has a handful; a Debian server has about twenty.
pub const MAX_TIMERS: usize = 64;

/// The condition that says that the wall clock is right.
pub(crate) const CLOCK: &str = "clock";

/// A clock that goes back by less repeats no moment. By more: it was wrong before, and what happened
/// then is no reason to let anything out.
const WRONG_S: i64 = 7 * 24 * 60 * 60;

/// When a unit is started by itself. Spans in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer {
    /// Once, so long after the boot.
    pub on_boot_ms: Option<u32>,
    /// Again and again, so long after the time before; 0: not.
    pub every_ms: u32,
    /// At these moments.
    pub at: Option<Calendar>,
    /// One of them that came while the machine was off is caught up.
    pub persistent: bool,
}

/// What there is to know of a unit's timer at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerView {
    /// When the unit is started next; None: nothing is awaited, or the clock is not right yet.
    pub due: Option<Millis>,
    /// Its moments are not known before the clock is right.
    pub awaits_clock: bool,
    /// When the unit was started last since boot, by whomever.
    pub started: Option<Millis>,
    /// When it was started last by the wall clock, as far as that is known: also before this boot.
    pub ran: Option<i64>,
    /// A missed moment is caught up.
    pub persistent: bool,
}

/// The timer of one unit, and what it has to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bell {
    pub(crate) unit: u16,
    pub(crate) timer: Timer,
    /// When a span is over; never: none is awaited.
    pub(crate) span_at: Millis,
    /// The moment that comes next, and when that is; never: none is known.
    pub(crate) moment: Option<i64>,
    pub(crate) moment_at: Millis,
    /// Every moment up to this second is dealt with.
    pub(crate) past: Option<i64>,
    pub(crate) started: Option<Millis>,
    pub(crate) ran: Option<i64>,
    /// `on_boot_ms` is over and done with.
    pub(crate) booted: bool,
}

impl Bell {
    pub(crate) const fn new(unit: u16, timer: Timer) -> Self {
        Self {
            unit,
            timer,
            span_at: Millis::NEVER,
            moment: None,
            moment_at: Millis::NEVER,
            past: None,
            started: None,
            ran: None,
            booted: false,
        }
    }

    pub(crate) fn due(&self) -> Millis {
        self.span_at.min(self.moment_at)
    }

    /// A span begins, if one is to.
    fn wind(&mut self, now: Millis) {
        let every = u64::from(self.timer.every_ms);
        self.span_at = match self.timer.on_boot_ms.filter(|_| !self.booted) {
            Some(span) => Millis(u64::from(span)),
            None if every > 0 => self.started.unwrap_or(now).after(every),
            None => Millis::NEVER,
        };
    }

    /// A span is over; the next one begins where it ended, unless that is past too.
    fn wind_again(&mut self, now: Millis) {
        self.booted = true;
        let every = u64::from(self.timer.every_ms);
        let next = self.span_at.after(every);
        self.span_at = match every {
            0 => Millis::NEVER,
            _ if next > now => next,
            _ => now.after(every),
        };
    }

    /// Finds the moment that comes next. `ahead_ms`: how far the wall clock is ahead of `now`.
    fn aim(&mut self, now: Millis, ahead_ms: i64) {
        let second = wall_second(now, ahead_ms);
        let jumped_over = self.moment.filter(|moment| *moment <= second);
        self.past = self.past.filter(|past| past.saturating_sub(second) < WRONG_S);
        // Started before the clock was right: only now is it known when that was.
        let started = self.started.map(|at| wall_second(at, ahead_ms));
        self.ran = self.ran.filter(|ran| *ran <= second).max(started).or(self.ran);
        let next = |after: i64| self.timer.at.and_then(|at| at.next_after(after));
        let missed = || {
            let ran = self.ran.filter(|ran| self.timer.persistent && *ran <= second)?;
            next(ran.max(self.past.unwrap_or(ran))).filter(|moment| *moment <= second)
        };
        let comes = || next(second.max(self.past.unwrap_or(second)));
        self.moment = jumped_over.or_else(missed).or_else(comes);
        self.moment_at = self.moment.map_or(Millis::NEVER, |moment| {
            let at = moment.saturating_mul(1000).saturating_sub(ahead_ms);
            Millis(u64::try_from(at).unwrap_or(0))
        });
    }
}

/// What the wall clock shows, in seconds since 1970.
fn wall_second(now: Millis, ahead_ms: i64) -> i64 {
    let up_ms = i64::try_from(now.0).unwrap_or(i64::MAX);
    up_ms.saturating_add(ahead_ms).div_euclid(1000)
}

impl Supervisor {
    /// What there is to know of the unit's timer; None where it has none.
    #[must_use]
    pub fn timer(&self, id: UnitId) -> Option<TimerView> {
        let bell = self.bell(id)?;
        Some(TimerView {
            due: bell.due().unless_never(),
            awaits_clock: bell.timer.at.is_some()
                && bell.moment.is_none()
                && self.ahead().is_none(),
            started: bell.started,
            ran: bell.ran,
            persistent: bell.timer.persistent,
        })
    }

    /// Whether any unit goes by the wall clock.
    #[must_use]
    pub fn goes_by_the_clock(&self) -> bool {
        self.bells.iter().any(|bell| bell.timer.at.is_some())
    }

    pub(crate) fn bell(&self, id: UnitId) -> Option<&Bell> {
        self.bells.iter().find(|bell| bell.unit == id.0)
    }

    fn bell_mut(&mut self, id: UnitId) -> Option<&mut Bell> {
        let bell = self.bells.iter_mut().find(|bell| bell.unit == id.0)?;
        self.changed.put(id.0);
        Some(bell)
    }

    /// When the unit's timer goes off.
    pub(crate) fn bell_at(&self, id: UnitId) -> Millis {
        self.bell(id).map_or(Millis::NEVER, Bell::due)
    }

    /// How far the wall clock is ahead of the time since boot, once it can be gone by.
    fn ahead(&self) -> Option<i64> {
        self.ahead_ms.filter(|_| self.clock_right)
    }

    /// Takes the timers of a catalog in. One that did not change goes on as it was.
    pub(crate) fn take_timers(&mut self, catalog: &(impl Catalog + ?Sized), places: &Places) {
        let before = core::mem::take(&mut self.bells);
        for (index, place) in places.iter().enumerate().filter(|(_, place)| **place != NONE) {
            let Some(timer) = catalog.timer(index) else { continue };
            let id = UnitId(*place);
            if !self.slot(id).is_some_and(|slot| slot.is_defined() && slot.unit.autostart) {
                continue;
            }
            let old = before.iter().find(|bell| bell.unit == *place);
            let bell = match old {
                Some(bell) if bell.timer == timer => *bell,
                Some(Bell { past, started, ran, booted, .. }) => Bell {
                    past: *past,
                    started: *started,
                    ran: *ran,
                    booted: *booted,
                    ..Bell::new(*place, timer)
                },
                None => Bell::new(*place, timer),
            };
            if self.bells.push(bell).is_err() {
                self.left_out = self.left_out.saturating_add(1);
                // Better never than at every boot.
                if let Some(slot) = self.slot_mut(id) {
                    slot.unit.autostart = false;
                }
            }
        }
        self.heeded = 0;
        if self.goes_by_the_clock()
            && let Some(bit) = self.intern(CLOCK)
        {
            self.heeded = 1_u64.wrapping_shl(u32::from(bit));
        }
    }

    /// Sets each timer going that is not.
    pub(crate) fn wind_timers(&mut self) {
        let (now, ahead) = (self.now, self.ahead());
        let running = self.phase == Phase::Running;
        for bell in self.bells.iter_mut().filter(|_| running) {
            if bell.span_at == Millis::NEVER {
                bell.wind(now);
            }
            if let Some(ahead) = ahead.filter(|_| bell.moment.is_none()) {
                bell.aim(now, ahead);
            }
        }
        for id in self.each() {
            self.set_deadline(id);
        }
    }

    /// The wall clock was set, or is known to be right: each moment is somewhere else.
    fn aim_timers(&mut self) {
        let Some(ahead) = self.ahead() else { return };
        let now = self.now;
        for nth in 0..self.bells.len() {
            let Some(bell) = self.bells.get_mut(nth) else { break };
            bell.aim(now, ahead);
            let id = UnitId(bell.unit);
            self.changed.put(id.0);
            self.set_deadline(id);
        }
    }

    /// The wall clock is so far ahead of the time since boot.
    pub(crate) fn wall_set(&mut self, ahead_ms: i64) {
        if self.ahead_ms.replace(ahead_ms) != Some(ahead_ms) {
            self.aim_timers();
        }
    }

    /// The wall clock is right. One that was right once is gone by until the end: what keeps it may
    /// be out of reach for a while.
    pub(crate) fn clock_is_right(&mut self) {
        if !core::mem::replace(&mut self.clock_right, true) {
            self.aim_timers();
        }
    }

    /// The unit was started before this boot, at this second.
    pub(crate) fn ran_before(&mut self, id: UnitId, second: i64) {
        let (now, ahead) = (self.now, self.ahead());
        let Some(bell) = self.bell_mut(id) else { return };
        bell.ran = bell.ran.max(Some(second));
        if let Some(ahead) = ahead {
            bell.aim(now, ahead);
        }
        self.set_deadline(id);
    }

    /// A start begins, by whomever.
    pub(crate) fn note_run(&mut self, id: UnitId) {
        let (now, ahead) = (self.now, self.ahead());
        let Some(bell) = self.bell_mut(id) else { return };
        bell.started = Some(now);
        if let Some(ahead) = ahead {
            bell.ran = Some(wall_second(now, ahead));
        }
    }

    /// The unit's timer goes off, unless it was set to another time meanwhile.
    pub(crate) fn ring(&mut self, id: UnitId) {
        let (now, ahead, phase) = (self.now, self.ahead(), self.phase);
        let Some(bell) = self.bell_mut(id).filter(|bell| bell.due() <= now) else { return };
        if bell.span_at <= now {
            bell.wind_again(now);
        }
        if bell.moment_at <= now {
            bell.past = ahead.map(|ahead| wall_second(now, ahead)).max(bell.moment);
            (bell.moment, bell.moment_at) = (None, Millis::NEVER);
            if let Some(ahead) = ahead {
                bell.aim(now, ahead);
            }
        }
        if phase != Phase::Running {
            (bell.span_at, bell.moment_at) = (Millis::NEVER, Millis::NEVER);
        }
        self.set_deadline(id);
        if phase == Phase::Running {
            self.start_by_timer(id);
        }
    }

    /// No timer starts anything while this unit is wanted.
    pub fn hush_timers_for(&mut self, unit: UnitId) {
        self.hushed_for = Some(unit);
    }

    fn start_by_timer(&mut self, id: UnitId) {
        let hushed = self.hushed_for.is_some_and(|id| self.is_wanted(id));
        let Some(slot) = self.slot_mut(id) else { return };
        if hushed || (slot.is_wanted() && slot.state != State::Failed) {
            self.publish(Notice::PassedOver { unit: id });
            return;
        }
        slot.wish.once = false;
        self.forgive(id);
        self.pull(id, Reason::Timer, Way::Clears);
    }
}
