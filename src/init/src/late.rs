//! Lets the units come first: logger and watcher start once those that start with the machine have.
//! Until then their pipes, sockets and conditions wait in PID 1 and in the kernel, as they do between
//! two loggers.

use crate::pid1::Pid1;
use ettan_core::{Ask, Event, Goal, Millis, Reason, UnitId};

/// The longest that they wait while units are being read, in milliseconds.
const READING_MS: u64 = 1_000;
/// And while those that were read start: a line has the time at which the logger has read it.
const STARTING_MS: u64 = 100;

/// What logger and watcher wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// Units to be read, until then.
    Reading(Millis),
    /// Units to start, until then.
    Starting(Millis),
    /// Nothing: they were asked to start.
    Over,
}

/// How far the first units are.
#[derive(Clone, Copy)]
struct Units {
    being_read: bool,
    read: bool,
    /// Each is up, failed, or waits for something else than a start.
    settled: bool,
}

impl Late {
    /// An execution of PID 1 begins.
    pub(crate) fn new(now: Millis) -> Self {
        Self::Reading(now.after(READING_MS))
    }

    /// When it is over at the latest: at once where the units have `settled`.
    pub(crate) const fn deadline(self, settled: bool) -> Option<Millis> {
        match self {
            Self::Starting(_) if settled => Some(Millis(0)),
            Self::Reading(latest) | Self::Starting(latest) => Some(latest),
            Self::Over => None,
        }
    }

    fn next(self, now: Millis, units: Units) -> Self {
        match self {
            Self::Reading(_) if units.read => {
                Self::Starting(now.after(STARTING_MS)).next(now, units)
            }
            Self::Reading(latest) if units.being_read && now < latest => self,
            Self::Starting(latest) if !units.settled && now < latest => self,
            Self::Reading(_) | Self::Starting(_) | Self::Over => Self::Over,
        }
    }
}

impl Pid1 {
    /// Starts them when it is time: once in each execution of PID 1, for the one before may have failed
    /// just here.
    pub(crate) fn call_late(&mut self) {
        if self.late == Late::Over {
            return;
        }
        let Some(builtins) = self.builtins else {
            // Nobody to be asked, and no deadline that PID 1 would wake for without end.
            self.late = Late::Over;
            return;
        };
        let loader = self.supervisor.view(builtins.loader);
        let units = Units {
            being_read: loader.is_some_and(|view| view.state.pid().is_some()),
            read: self.tables.table().is_some(),
            settled: self.control.boot_over().is_some(),
        };
        self.late = self.late.next(self.now, units);
        if self.late != Late::Over {
            return;
        }
        for helper in [builtins.logger, builtins.watcher] {
            if self.is_untouched(helper) {
                self.feed(Event::Ask { unit: helper, ask: Ask::Start });
            }
        }
    }

    /// Never started, and never stopped by somebody.
    fn is_untouched(&self, unit: UnitId) -> bool {
        let view = self.supervisor.view(unit);
        view.is_some_and(|view| view.goal == Goal::Down && view.reason == Reason::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Units = Units { being_read: false, read: false, settled: false };
    const BEGUN: Millis = Millis(5_000);

    fn at(ms: u64) -> Millis {
        Millis(ms)
    }

    #[test]
    fn units_that_were_read_have_a_tenth_of_a_second_to_start() {
        let read = Units { read: true, ..NONE };
        let late = Late::new(BEGUN).next(at(5_200), read);
        assert_eq!(late.deadline(false), Some(at(5_300)));
        assert_eq!(late.deadline(true), Some(at(0)));
        assert_eq!(late.next(at(5_299), read), late);
        assert_eq!(late.next(at(5_300), read), Late::Over);
        assert_eq!(late.next(at(5_201), Units { settled: true, ..read }), Late::Over);
    }

    #[test]
    fn reading_has_a_second() {
        let reading = Units { being_read: true, ..NONE };
        let late = Late::new(BEGUN).next(at(5_999), reading);
        assert_eq!(late, Late::Reading(at(6_000)));
        assert_eq!(late.next(at(6_000), reading), Late::Over);
    }

    #[test]
    fn without_units_nothing_is_waited_for() {
        assert_eq!(Late::new(BEGUN).next(at(5_001), NONE), Late::Over);
        let after_another = Units { read: true, settled: true, ..NONE };
        assert_eq!(Late::new(BEGUN).next(BEGUN, after_another), Late::Over);
        assert_eq!(Late::Over.next(BEGUN, NONE), Late::Over);
        assert_eq!(Late::Over.deadline(true), None);
    }
}
