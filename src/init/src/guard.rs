//! Notices a loop that turns without doing anything, and slows it down (`tests/FAULTS.md` 3.9). Knows
//! neither why nor how to mend it: the rest of PID 1 stays of use meanwhile, at fifty turns a
//! second.

use crate::degraded::Task;
use crate::pid1::Pid1;
use ettan_core::Millis;

/// Turns without work in a window that no honest wake-up explains: what wakes the loop gives it
/// something to do, and so does a timer, but for a few.
const IDLE_TURNS_MAX: u32 = 16;
const WINDOW_MS: u64 = 100;

/// So few in this time, while slowed down, mean that the reason is gone.
const CALM_TURNS: u32 = 25;
const CALM_WINDOW_MS: u64 = 1_000;

/// How long a slowed loop pauses before each turn.
pub(crate) const PAUSE_MS: u64 = 20;

/// Counts turns without work.
#[derive(Default)]
pub(crate) struct Guard {
    /// In this turn something was taken in, done or sent.
    pub(crate) work: bool,
    begun: Millis,
    idle: u32,
    slow: bool,
}

/// What the last turn showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// As it was.
    Same,
    /// It spins: from now on it is slow.
    Spins,
    /// It spun, and does no longer.
    Calm,
}

impl Guard {
    /// After each turn. `worked`: something was taken in, done or sent in it.
    pub(crate) fn turned(&mut self, now: Millis, worked: bool) -> Pulse {
        let window_ms = if self.slow { CALM_WINDOW_MS } else { WINDOW_MS };
        if now.since(self.begun) >= window_ms {
            let calm = self.slow && self.idle < CALM_TURNS;
            (self.begun, self.idle) = (now, 0);
            if calm {
                self.slow = false;
                return Pulse::Calm;
            }
        }
        self.idle = self.idle.saturating_add(u32::from(!worked));
        if !self.slow && self.idle > IDLE_TURNS_MAX {
            self.slow = true;
            return Pulse::Spins;
        }
        Pulse::Same
    }

    /// Whether each turn is to begin with a pause.
    pub(crate) const fn slow(&self) -> bool {
        self.slow
    }
}

impl Pid1 {
    /// The end of a turn.
    pub(crate) fn guard_loop(&mut self) {
        let worked = self.guard.work | self.control.take_work();
        match self.guard.turned(self.now, worked) {
            Pulse::Same => {}
            Pulse::Spins => self.degraded.note_spinning(self.now),
            Pulse::Calm => self.degraded.heal(self.now, Task::Loop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Guard, Millis, PAUSE_MS, Pulse};

    #[test]
    fn f3_9_a_loop_that_spins_is_slowed_down_until_it_is_calm() {
        let mut guard = Guard::default();
        let spins = (0..1_000).position(|_| guard.turned(Millis(5_000), false) == Pulse::Spins);
        assert_eq!(spins, Some(16));
        assert!(guard.slow());
        for turn in 0..500 {
            assert_eq!(guard.turned(Millis(5_000 + turn * PAUSE_MS), false), Pulse::Same);
        }
        assert_eq!(guard.turned(Millis(16_000), false), Pulse::Same, "a window that spun");
        assert_eq!(guard.turned(Millis(17_100), false), Pulse::Calm);
        assert!(!guard.slow());
    }

    #[test]
    fn f3_9_a_busy_loop_is_left_alone() {
        let mut guard = Guard::default();
        for turn in 0..100_000 {
            let idle = turn % 1_000 == 0;
            assert_eq!(guard.turned(Millis(turn / 100), !idle), Pulse::Same);
        }
    }
}
