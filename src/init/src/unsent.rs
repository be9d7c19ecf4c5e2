//! Signals that the kernel did not take, for want of a descriptor for example: sent again, as long as they
//! mean the same process.

use crate::degraded::Task;
use crate::pid1::Pid1;
use ettan_core::{Pid, UnitId, Whom};
use ettan_sys::Errno;

/// A signal that the kernel did not take.
#[derive(Clone, Copy)]
pub(crate) struct Unsent {
    unit: UnitId,
    /// The main process then: another one has not earned it.
    main: Option<Pid>,
    signal: u8,
    whom: Whom,
}

/// A stop of many units at once asks for so many within one quarter of a second.
const UNSENT: usize = 64;

/// Signals that wait to be sent again. Those that find no room are not: the time limit of the
/// stop they belong to ends in a KILL.
pub(crate) type UnsentList = heapless::Vec<Unsent, UNSENT>;

impl Pid1 {
    /// Remembers a signal that could not be sent.
    pub(crate) fn not_sent(&mut self, unit: UnitId, signal: u8, whom: Whom, errno: Errno) {
        self.degraded.note(self.now, Task::Signalling, errno);
        let _ = self.unsent.push(Unsent { unit, main: self.main_of(unit), signal, whom });
    }

    /// Tries them all.
    pub(crate) fn send_unsent(&mut self) {
        let unsent = core::mem::take(&mut self.unsent);
        for Unsent { unit, main, signal, whom } in unsent {
            if self.main_of(unit) == main {
                self.signal(unit, signal, whom);
            }
        }
        if self.unsent.is_empty() {
            self.degraded.heal(self.now, Task::Signalling);
        }
    }
}
