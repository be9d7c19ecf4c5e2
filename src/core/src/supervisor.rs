//! The three verbs: an event in, actions out, when to wake up. Holds all units and the work that
//! is left to do; what happens is in `step`, what follows from it in `settle`.

use crate::backoff::Dice;
use crate::bits::Bits;
use crate::needs::{Edge, MAX_CONDITIONS, MAX_NEEDS};
use crate::shutdown::Pressure;
use crate::slot::Slot;
use crate::timer::{Bell, MAX_TIMERS};
use crate::{
    Action, Class, Event, MAX_UNITS, Millis, Name, Notice, Phase, Pid, Power, Reason, State, UnitId,
};
use core::mem::discriminant;
use heapless::{Deque, Vec, index_map::FnvIndexMap};

/// Actions waiting to be taken. One event changes one unit, which asks for at most four things
/// (forget, spawn, and two pieces of news); settling, deadlines and starts that a load spares the
/// prober go unit by unit, and only while this is empty. Room for a handful of events that `init` gives
/// in between, as answers to what it performs. One that does not fit is lost, and that is published.
const MAX_ACTIONS: usize = 32;

/// Processes known at a time: the main one of each unit, and a command beside it.
const MAX_PIDS: usize = MAX_UNITS * 2;

/// Missing requirements whose names are kept for `status`. More than a handful is a broken
/// image, and the loader has named them all.
const MAX_MISSING: usize = 16;

/// Steps of settling for one event: every unit some sixty times over, when two or three are
/// usual. More is a bug that turns in circles: it is published, and PID 1 goes on to the next event.
const MAX_WORK: u32 = 65_536;

/// A condition somebody waits for or somebody published.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) name: Name,
}

/// Every unit's goal and state, and what to do next.
///
/// After each `handle` (and `load`, and `builtin`), call `next_action` until it returns None:
/// part of the work is done there, one unit at a time, so that no event takes longer than what it
/// changes. About 450 KB of zeros in a static; only what is used becomes resident.
pub struct Supervisor {
    pub(crate) now: Millis,
    pub(crate) slots: Vec<Slot, MAX_UNITS>,
    /// One per slot.
    pub(crate) deadlines: Vec<Millis, MAX_UNITS>,
    /// No deadline is earlier than this.
    pub(crate) soonest: Millis,
    pub(crate) by_name: Vec<u16, MAX_UNITS>,
    /// Slot numbers in dependency order: what is needed comes first.
    pub(crate) order: Vec<u16, MAX_UNITS>,
    pub(crate) needs: Vec<Edge, MAX_NEEDS>,
    pub(crate) dependants: Vec<Edge, MAX_NEEDS>,
    pub(crate) conditions: Vec<Condition, MAX_CONDITIONS>,
    /// The conditions that hold, one bit each.
    pub(crate) holding: u64,
    /// Another number whenever units may wait for other conditions than before.
    pub(crate) wishes: u32,
    /// Requirements that no file defines: who, and what.
    pub(crate) missing: Vec<(u16, Name), MAX_MISSING>,
    /// The timers of those units that have one.
    pub(crate) bells: Vec<Bell, MAX_TIMERS>,
    /// While this unit is wanted, they start nothing.
    pub(crate) hushed_for: Option<UnitId>,
    /// The conditions that they go by, one bit each.
    pub(crate) heeded: u64,
    /// How far the wall clock is ahead of the time since boot, as it was told last.
    pub(crate) ahead_ms: Option<i64>,
    /// The wall clock was right once.
    pub(crate) clock_right: bool,
    pub(crate) pids: FnvIndexMap<Pid, u16, MAX_PIDS>,
    /// Positions in the order to look at again.
    pub(crate) dirty: Bits,
    /// Slots whose deadline has passed.
    pub(crate) due: Bits,
    /// Slots whose record is out of date (see `image`).
    pub(crate) changed: Bits,
    pub(crate) facts_changed: bool,
    /// Restored slots whose work under way is still to be asked for again.
    pub(crate) resuming: Bits,
    /// That includes stop signals.
    pub(crate) repeats: bool,
    /// Slots whose start may wait in vain for the prober since the last load.
    pub(crate) forgoing: Bits,
    /// Cut edges from here on have not been published.
    pub(crate) unpublished: u16,
    /// Units that the last load had no room for, not yet published.
    pub(crate) left_out: u16,
    /// Live units worth waiting for, built-in ones apart.
    pub(crate) live: u16,
    pub(crate) live_builtins: u16,
    pub(crate) phase: Phase,
    /// What comes at the end, once a shutdown was asked for.
    pub(crate) power: Power,
    /// How long a shutdown takes at most; 0 is the usual time.
    pub(crate) shutdown_ms: u32,
    /// When the shutdown's time began.
    pub(crate) asked_at: Millis,
    /// When it is over in any case.
    pub(crate) ends_at: Millis,
    /// When the phase, or its step, ends in any case; 0 while running.
    pub(crate) phase_until: Millis,
    /// How far the time of units has come.
    pub(crate) pressure: Pressure,
    /// Strays were sent KILL.
    pub(crate) strays_killed: bool,
    actions: Deque<Action, MAX_ACTIONS>,
    /// An action did not fit.
    lost: bool,
    /// Steps left for this event.
    work_left: u32,
    pub(crate) dice: Dice,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// No units. All zeros and unused space, so a static of it takes no room in the file.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            now: Millis(0),
            slots: Vec::new(),
            deadlines: Vec::new(),
            soonest: Millis(0),
            by_name: Vec::new(),
            order: Vec::new(),
            needs: Vec::new(),
            dependants: Vec::new(),
            conditions: Vec::new(),
            holding: 0,
            wishes: 0,
            missing: Vec::new(),
            bells: Vec::new(),
            hushed_for: None,
            heeded: 0,
            ahead_ms: None,
            clock_right: false,
            pids: FnvIndexMap::new(),
            dirty: Bits::EMPTY,
            due: Bits::EMPTY,
            changed: Bits::EMPTY,
            facts_changed: false,
            resuming: Bits::EMPTY,
            repeats: false,
            forgoing: Bits::EMPTY,
            unpublished: 0,
            left_out: 0,
            live: 0,
            live_builtins: 0,
            phase: Phase::Running,
            power: Power::Reboot,
            shutdown_ms: 0,
            asked_at: Millis(0),
            ends_at: Millis(0),
            phase_until: Millis(0),
            pressure: Pressure::None,
            strays_killed: false,
            actions: Deque::new(),
            lost: false,
            work_left: 0,
            dice: Dice::new(0),
        }
    }

    /// Where the jitter of delays starts from.
    pub const fn seed(&mut self, seed: u64) {
        self.dice = Dice::new(seed);
    }

    /// Takes in one event. Follow it with `next_action` until that returns None.
    pub fn handle(&mut self, now: Millis, event: Event<'_>) {
        if self.phase == Phase::Off {
            return;
        }
        self.advance_clock(now);
        self.allow_work();
        self.step(event);
    }

    /// The next thing to do; None once there is nothing left to do until the next event. What
    /// performing an action leads to may be handled before the next action is taken.
    pub fn next_action(&mut self) -> Option<Action> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            if core::mem::replace(&mut self.lost, false) {
                self.unexpected(None, "TooManyActions");
                continue;
            }
            if self.phase == Phase::Off || !self.work() {
                return None;
            }
        }
    }

    /// When to call `handle` with `Tick` at the latest; None: nothing is timed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        if self.phase == Phase::Off {
            return None;
        }
        if self.has_work() {
            return Some(self.now);
        }
        let phase = Some(self.phase_until).filter(|_| self.phase != Phase::Running);
        self.deadlines.iter().copied().chain(phase).min().and_then(Millis::unless_never)
    }

    /// Does a small part of the work that is left; false: none is.
    fn work(&mut self) -> bool {
        self.work_left = self.work_left.saturating_sub(1);
        if self.work_left == 0 {
            return false;
        }
        if self.publish_load() || self.resume_one() || self.forgo_one() {
            return true;
        }
        if let Some(slot) = self.due.take_first() {
            self.expire(UnitId(slot));
        } else if let Some(position) = self.dirty.take_first() {
            if let Some(slot) = self.order.get(usize::from(position)).copied() {
                self.settle(UnitId(slot));
            }
        } else {
            return self.advance_shutdown();
        }
        true
    }

    pub(crate) fn allow_work(&mut self) {
        if self.has_work() && self.work_left == 0 {
            self.unexpected(None, "Settle");
        }
        self.work_left = MAX_WORK;
    }

    fn has_work(&self) -> bool {
        let sets = [&self.dirty, &self.due, &self.resuming, &self.forgoing];
        sets.iter().any(|set| !set.is_empty())
    }

    /// Time never runs backwards here, whatever the caller says.
    pub(crate) fn advance_clock(&mut self, now: Millis) {
        self.now = self.now.max(now);
        if self.now < self.soonest {
            return;
        }
        self.soonest = Millis::NEVER;
        for (slot, deadline) in (0_u16..).zip(&self.deadlines) {
            if *deadline <= self.now {
                self.due.put(slot);
            } else {
                self.soonest = self.soonest.min(*deadline);
            }
        }
    }

    /// Hands an action out.
    pub(crate) fn push(&mut self, action: Action) {
        self.lost |= self.actions.push_back(action).is_err();
    }

    pub(crate) fn publish(&mut self, notice: Notice) {
        self.push(Action::Publish(notice));
    }

    pub(crate) fn unexpected(&mut self, unit: Option<UnitId>, event: &'static str) {
        let state = unit.and_then(|id| self.slot(id)).map_or("none", |slot| slot.state.name());
        self.publish(Notice::Unexpected { unit, event, state });
    }

    pub(crate) fn slot(&self, id: UnitId) -> Option<&Slot> {
        self.slots.get(usize::from(id.0)).filter(|slot| slot.is_used())
    }

    /// Whoever asks for this changes something: the slot's record is out of date from here on.
    pub(crate) fn slot_mut(&mut self, id: UnitId) -> Option<&mut Slot> {
        self.changed.put(id.0);
        self.slots.get_mut(usize::from(id.0)).filter(|slot| slot.is_used())
    }

    pub(crate) fn name_of(&self, slot: u16) -> &str {
        self.slots.get(usize::from(slot)).map_or("", |slot| slot.unit.name.as_str())
    }

    pub(crate) fn missing_of(&self, id: UnitId) -> &str {
        let found = self.missing.iter().find(|(slot, _)| *slot == id.0);
        found.map_or("?", |(_, name)| name.as_str())
    }

    /// Every slot number, in use or not.
    pub(crate) fn each(&self) -> impl Iterator<Item = UnitId> + use<> {
        (0..u16::try_from(self.slots.len()).unwrap_or(0)).map(UnitId)
    }

    /// Looks at the unit, and at those at both ends of its needs, again.
    pub(crate) fn touch(&mut self, id: UnitId) {
        let Some(slot) = self.slots.get(usize::from(id.0)) else { return };
        self.dirty.put(slot.position);
        let around = [
            crate::needs::entries(&self.needs, slot.relations.needs),
            crate::needs::entries(&self.dependants, slot.relations.dependants),
        ];
        for edge in around.into_iter().flatten().filter(|edge| edge.concerns()) {
            if let Some(other) = self.slots.get(usize::from(edge.unit)) {
                self.dirty.put(other.position);
            }
        }
    }

    /// The only way into a state: keeps deadlines and counts, tells the world and the neighbours.
    pub(crate) fn enter(&mut self, id: UnitId, to: State, reason: Reason) {
        let now = self.now;
        let Some(slot) = self.slot_mut(id) else { return };
        let was_awaited = slot.is_awaited();
        let from = core::mem::replace(&mut slot.state, to);
        slot.reason = reason;
        if is_news(from, to) && to.class() == Class::AtRest {
            slot.since = now;
        }
        if !matches!(to, State::Sweeping { .. }) {
            slot.unkillable = false;
        }
        if to == State::Failed && from != to {
            slot.alarm.note_failure();
        }
        let (goal, builtin, is_awaited) = (slot.wish.goal, slot.unit.builtin, slot.is_awaited());
        self.count(builtin, was_awaited, is_awaited);
        self.set_deadline(id);
        if is_news(from, to) {
            self.publish(Notice::State { unit: id, goal, from, to, reason });
        }
        self.touch(id);
    }

    pub(crate) fn count(&mut self, builtin: bool, before: bool, after: bool) {
        let live = if builtin { &mut self.live_builtins } else { &mut self.live };
        match (before, after) {
            (false, true) => *live = live.saturating_add(1),
            (true, false) => *live = live.saturating_sub(1),
            (true, true) | (false, false) => {}
        }
    }

    pub(crate) fn set_deadline(&mut self, id: UnitId) {
        let state = self.slot(id).map_or(Millis::NEVER, crate::due::deadline);
        let deadline = state.min(self.bell_at(id));
        if let Some(entry) = self.deadlines.get_mut(usize::from(id.0)) {
            *entry = deadline;
        }
        self.soonest = self.soonest.min(deadline);
    }
}

/// Learning the pid of what was just spawned, or that it was reaped, is no news; another main process is.
fn is_news(from: State, to: State) -> bool {
    let has_main = matches!(to, State::Up { .. } | State::Awaiting { .. });
    discriminant(&from) != discriminant(&to) || has_main && from.pid() != to.pid()
}
