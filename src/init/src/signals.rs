//! What a signal to PID 1 means. The exits that one tells of are `translate`'s.

use crate::degraded::Task;
use crate::pid1::Pid1;
use ettan_core::{Event, Haste, Millis, Power};
use ettan_sys::reexec;
use ettan_sys::signals;
use ettan_wire::Signal;

/// Signals taken in one turn; the descriptor stays ready for the rest (`tests/FAULTS.md` 3.7).
const SIGNALS_MAX: u32 = 64;

/// Ctrl-Alt-Del this often within this time means now (docs/ettan-init.8.md).
const CAD_PRESSES: u32 = 7;
const CAD_WINDOW_MS: u64 = 2_000;

/// Between two words about a signal that means nothing to PID 1.
const STRAY_EVERY_MS: u64 = 10_000;

/// What is remembered of signals from one to the next.
#[derive(Default)]
pub(crate) struct Signalled {
    /// Ctrl-Alt-Del presses within `CAD_WINDOW_MS`.
    cad: CtrlAltDel,
    /// Signals without a meaning.
    strays: Strays,
}

/// Tells of signals without a meaning, but not of each one in a storm (`tests/FAULTS.md` 3.7).
#[derive(Default)]
struct Strays {
    told: Option<Millis>,
    untold: u32,
}

impl Strays {
    fn tell(&mut self, now: Millis, number: u8, sender: i32) {
        if self.told.is_some_and(|at| now.since(at) < STRAY_EVERY_MS) {
            self.untold = self.untold.saturating_add(1);
            return;
        }
        self.told = Some(now);
        let signal = Signal(number);
        match core::mem::take(&mut self.untold) {
            0 => log::info!("signal {signal} from process {sender} ignored"),
            untold => log::info!(
                "signal {signal} from process {sender} ignored ({untold} earlier ones not logged)"
            ),
        }
    }
}

/// Counts presses of Ctrl-Alt-Del.
#[derive(Default)]
struct CtrlAltDel {
    first: Millis,
    presses: u32,
}

impl CtrlAltDel {
    /// True when this press is the one too many.
    fn press(&mut self, now: Millis) -> bool {
        if self.presses == 0 || now.since(self.first) > CAD_WINDOW_MS {
            *self = Self { first: now, presses: 0 };
        }
        self.presses = self.presses.saturating_add(1);
        self.presses >= CAD_PRESSES
    }
}

impl Pid1 {
    /// Takes those that came.
    pub(crate) fn read_signals(&mut self) {
        for _ in 0..SIGNALS_MAX {
            let signal = match self.wake.signal() {
                Some(Ok(Some(signal))) => signal,
                Some(Ok(None)) if self.wake.hears_signals() => {
                    return self.degraded.heal(self.now, Task::Signals);
                }
                Some(Ok(None)) | None => return,
                Some(Err(errno)) => return self.rest_signals(errno),
            };
            self.guard.work = true;
            match signal.number {
                signals::CHLD => self.reap(),
                signals::HUP => {
                    self.mend_control();
                    self.mend_notify();
                    self.reload();
                }
                signals::USR1 => self.shut_down(Power::Halt, Haste::Orderly),
                // So LXC asks for an ordinary end.
                signals::PWR if reexec::is_contained() => {
                    self.shut_down(Power::PowerOff, Haste::Orderly);
                }
                signals::PWR => {
                    // It may not last until everybody is stopped.
                    self.pipes.flush();
                    let before = self.supervisor.shutdown_ends();
                    self.shut_down(Power::PowerOff, Haste::PowerFails);
                    if self.supervisor.shutdown_ends() != before {
                        log::warn!("the power fails: the machine goes down within 5 s");
                    }
                }
                signals::USR2 => self.shut_down(Power::PowerOff, Haste::Orderly),
                signals::TERM => self.shut_down(Power::Reboot, Haste::Orderly),
                signals::INT => {
                    let haste = haste(self.signalled.cad.press(self.now));
                    self.shut_down(Power::Reboot, haste);
                }
                signals::QUIT => self.ask_for_upgrade(),
                other => self.signalled.strays.tell(self.now, other, signal.sender_pid),
            }
        }
    }

    fn shut_down(&mut self, power: Power, haste: Haste) {
        self.feed(Event::Shutdown { power, haste });
    }
}

/// What somebody asks for who may want it by force.
pub(crate) const fn haste(force: bool) -> Haste {
    if force { Haste::Force } else { Haste::Orderly }
}

#[cfg(test)]
mod tests {
    use super::{CtrlAltDel, Millis};
    use ettan_core::signals as decided;
    use ettan_sys::signals as sent;

    /// The core may not use `sys`, which has them, too.
    #[test]
    fn the_core_and_the_kernel_mean_the_same_signals() {
        assert_eq!(
            [decided::HUP, decided::INT, decided::KILL, decided::TERM],
            [sent::HUP, sent::INT, sent::KILL, sent::TERM]
        );
    }

    #[test]
    fn f3_8_seven_presses_within_two_seconds_mean_now() {
        let mut cad = CtrlAltDel::default();
        for press in 0..6 {
            assert!(!cad.press(Millis(10_000 + press)));
        }
        assert!(cad.press(Millis(11_999)));
    }

    #[test]
    fn f3_8_slow_presses_never_add_up() {
        let mut cad = CtrlAltDel::default();
        for press in 0..50 {
            assert!(!cad.press(Millis(press * 2_100)));
        }
    }
}
