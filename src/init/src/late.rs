//! Lets the units come first: logger and watcher start once those that start with the machine were
//! executed. Until then their pipes, sockets and conditions wait in PID 1 and in the kernel, as they do
//! between two loggers.

use crate::pid1::Pid1;
use ettan_core::{Ask, Event, Goal, Reason, UnitId};

/// The longest that they wait while units are still being read, in milliseconds.
pub(crate) const LATEST_MS: u64 = 1_000;

impl Pid1 {
    /// Starts them once the first loader has ended, well or not, and what it loaded was started; or when that
    /// takes too long. Once in each execution of PID 1: the one before may have failed just here.
    pub(crate) fn call_late(&mut self) {
        let (Some(latest), Some(builtins)) = (self.late, self.builtins) else { return };
        let loader = self.supervisor.view(builtins.loader);
        let reads = loader.is_some_and(|view| view.state.pid().is_some());
        if self.tables.table().is_none() && reads && self.now < latest {
            return;
        }
        self.late = None;
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
