//! The wall clock, for units that go by it: how far it is ahead of the time since boot, told to the
//! core at first and whenever somebody has set it. The kernel wakes us when that happens; where it
//! does not, we look now and then.

use crate::pid1::Pid1;
use crate::wake::token;
use ettan_core::{Event, Millis};
use ettan_sys::clock::{self, Steps};
use ettan_sys::poll::Interest;

/// Reading two clocks one after the other is no step.
const JITTER_MS: u64 = 20;

/// Between two looks where the kernel does not tell.
const LOOK_MS: u64 = 60_000;

/// What was told of it.
#[derive(Default)]
pub(crate) struct Wall {
    steps: Option<Steps>,
    ahead_ms: Option<i64>,
    /// When to look although nobody tells; None: they do, or nobody wants to know.
    look_at: Option<Millis>,
}

impl Wall {
    pub(crate) const fn next_deadline(&self) -> Option<Millis> {
        self.look_at
    }

    /// How far it is ahead, where that is news.
    fn news(&mut self, moment: &clock::Moment) -> Option<i64> {
        let up_ms = i64::try_from(moment.up_ms).ok()?;
        let ahead_ms = moment.wall_ms.saturating_sub(up_ms);
        let is_news = match self.ahead_ms {
            None => true,
            Some(told) => moment.exact && told.abs_diff(ahead_ms) > JITTER_MS,
        };
        is_news.then(|| *self.ahead_ms.insert(ahead_ms))
    }
}

impl Pid1 {
    /// Once in each turn: two readings of a clock, and only where a unit goes by it.
    pub(crate) fn mind_wall(&mut self) {
        if !self.supervisor.goes_by_the_clock() {
            self.wall.look_at = None;
            return;
        }
        if self.wall.steps.is_none() && self.wall.look_at.is_none_or(|at| at <= self.now) {
            self.open_steps();
        }
        if let Some(ahead_ms) = self.wall.news(&clock::moment()) {
            self.guard.work = true;
            self.feed(Event::Wall { ahead_ms });
        }
    }

    fn open_steps(&mut self) {
        self.wall.look_at = Some(self.now.after(LOOK_MS));
        let (Some(epoll), Ok(steps)) = (&self.wake.epoll, Steps::new()) else { return };
        if epoll.add(&steps, token::WALL, Interest::Read).is_ok() {
            self.wall.steps = Some(steps);
            self.wall.look_at = None;
        }
    }

    /// Somebody has set it: `mind_wall` follows in this turn.
    pub(crate) fn wall_was_set(&self) {
        if let Some(steps) = &self.wall.steps {
            steps.read();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(wall_ms: i64, up_ms: u64) -> clock::Moment {
        clock::Moment { wall_ms, up_ms, exact: true }
    }

    #[test]
    fn f7_06_a_step_is_news_and_the_passing_of_time_is_not() {
        let mut wall = Wall::default();
        assert_eq!(wall.news(&moment(10_000, 4_000)), Some(6_000));
        assert_eq!(wall.news(&moment(110_001, 104_000)), None);
        assert_eq!(wall.news(&moment(1_764_000_000_000, 105_000)), Some(1_763_999_895_000));
        assert_eq!(wall.news(&moment(0, 106_000)), Some(-106_000));
        // Something came in between the two readings.
        let blurred = clock::Moment { exact: false, ..moment(500, 106_001) };
        assert_eq!(wall.news(&blurred), None);
        // Past 2038, and small steps add up.
        assert_eq!(wall.news(&moment(4_102_444_800_000, 107_000)), Some(4_102_444_693_000));
        assert_eq!(wall.news(&moment(4_102_444_800_015, 107_000)), None);
        assert_eq!(wall.news(&moment(4_102_444_800_030, 107_000)), Some(4_102_444_693_030));
    }
}
