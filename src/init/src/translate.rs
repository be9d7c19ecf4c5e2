//! What the kernel said → `Event`. Takes news from descriptors; decides nothing.

use crate::degraded::Feature;
use crate::pid1::{Pid1, token};
use crate::places::Outcome;
use crate::start::fault_of;
use crate::state;
use ettan_core::{Event, ExitStatus, Haste, Millis, Pid, Power, State, UnitId};
use ettan_sys::poll::Ready;
use ettan_sys::reap::{self, Status};
use ettan_sys::reexec;
use ettan_sys::signals::{self, Signals};
use ettan_wire::Signal;

/// Children reaped in one turn; the rest wait for the next, so that a storm of orphans leaves
/// room for everything else (`tests/FAULTS.md` 1.13, 1.14).
const REAP_MAX: u32 = 1_024;

/// Signals taken in one turn; the descriptor stays ready for the rest (`tests/FAULTS.md` 3.7).
const SIGNALS_MAX: u32 = 64;

/// Ctrl-Alt-Del this often within this time means now (docs/ettan-init.8.md).
const CAD_PRESSES: u32 = 7;
const CAD_WINDOW_MS: u64 = 2_000;

/// Between two words about a signal that means nothing to PID 1.
const STRAY_EVERY_MS: u64 = 10_000;

/// Tells of signals without a meaning, but not of each one in a storm (`tests/FAULTS.md` 3.7).
#[derive(Default)]
pub(crate) struct Strays {
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
pub(crate) struct CtrlAltDel {
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
    /// One ready descriptor.
    pub(crate) fn translate(&mut self, ready: &Ready) {
        match ready.token {
            token::SIGNALS => self.read_signals(),
            token::INOTIFY => self.read_changes(),
            // Written to at the end of the turn.
            token::LOGGER => {}
            token::PROBER => self.hear_prober(),
            token::WALL => self.wall_was_set(),
            place if place & token::PLACES != 0 => {
                let unit = u16::try_from(place & !token::PLACES).ok().map(UnitId);
                if let Some(unit) = unit.filter(|unit| self.places.is_over(*unit)) {
                    self.prepared(unit);
                }
            }
            _ => self.serve(ready),
        }
    }

    /// What is due in every turn, whoever woke us.
    pub(crate) fn after_wait(&mut self) {
        self.mend();
        self.mind_wall();
        self.tell_swept();
        self.look_for_main_processes();
        if self.loading.again_at.is_some_and(|at| at <= self.now) {
            self.reload();
        }
        self.mind_upgrade();
        self.power_again();
    }

    pub(crate) fn read_signals(&mut self) {
        for _ in 0..SIGNALS_MAX {
            let signal = match self.signals.as_mut().map(Signals::read) {
                Some(Ok(Some(signal))) => signal,
                Some(Ok(None)) if self.signals_polled => {
                    return self.degraded.heal(self.now, Feature::Signals);
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
                    let haste = haste(self.cad.press(self.now));
                    self.shut_down(Power::Reboot, haste);
                }
                signals::QUIT => self.ask_for_upgrade(),
                other => self.strays.tell(self.now, other, signal.sender_pid),
            }
        }
    }

    fn shut_down(&mut self, power: Power, haste: Haste) {
        self.feed(Event::Shutdown { power, haste });
    }

    pub(crate) fn reap(&mut self) {
        self.reap_more = true;
        for _ in 0..REAP_MAX {
            let reaped = match reap::reap() {
                Ok(Some(reaped)) => reaped,
                Ok(None) => {
                    self.degraded.heal(self.now, Feature::Reaping);
                    self.reap_more = false;
                    break;
                }
                Err(errno) => {
                    self.degraded.note(self.now, Feature::Reaping, errno);
                    self.reap_more = false;
                    break;
                }
            };
            self.guard.work = true;
            if let Some(pid) = Pid::new(reaped.pid) {
                self.tell_exited(pid, status_of(reaped.status));
            }
        }
        self.seekers.look_soon(self.now);
        self.look_for_strays();
    }

    /// The process that prepares the unit's place has executed the program, or can say no more.
    pub(crate) fn prepared(&mut self, unit: UnitId) {
        self.guard.work = true;
        let name = self.supervisor.unit(unit).map_or("", |unit| unit.name.as_str());
        if let Some((pid, Outcome::Executed)) = self.places.close(unit, name, self.epoll.as_ref()) {
            self.feed(Event::Spawned { unit, pid });
        }
    }

    /// A process has ended; of one that prepared a place, why it executes nothing.
    pub(crate) fn tell_end(&mut self, unit: Option<UnitId>, pid: Pid, status: ExitStatus) {
        if let Some(unit) = self.places.unit_of(pid) {
            self.prepared(unit);
        }
        match (unit, self.places.fault_of(pid)) {
            (Some(unit), Some(fault)) => {
                self.feed(Event::SpawnFailed { unit, fault: fault_of(fault) });
            }
            (_, _) => self.feed(Event::Exited { pid, status }),
        }
    }

    fn tell_exited(&mut self, pid: Pid, status: ExitStatus) {
        let unit = self.supervisor.unit_of(pid);
        if unit.is_some() {
            // Nobody else will ever learn of it: a fault before it is written down takes it along.
            reexec::hold(state::held(pid, status));
        }
        match unit {
            Some(unit) => {
                self.inherit(unit, pid);
                self.groups.forget_reaped(unit, pid);
            }
            None => self.seekers.remember_reaped(pid, status),
        }
        self.check_ended(pid, status);
        self.closer_ended(pid, status);
        let loader = self.builtins.map(|builtins| builtins.loader);
        let loaded = unit.is_some() && unit == loader;
        if loaded {
            // Before the next loader, which may follow at once, gets a table of its own.
            self.tables.finish(status == ExitStatus::Code(0));
        }
        self.tell_end(unit, pid, status);
        if unit.is_some() && self.supervisor.has_changed() {
            self.save(true);
        }
        reexec::hold(0);
        if loaded {
            self.finish_loading();
        }
    }

    fn tell_swept(&mut self) {
        loop {
            let swept = self.with_reserve(
                |pid1| pid1.groups.swept(&pid1.supervisor, pid1.seekers.inotify()),
                |pid1, swept| pid1.groups.trouble().filter(|_| swept.is_none()),
            );
            let Some(event) = swept else { break };
            self.feed(event);
        }
        match self.groups.trouble() {
            Some(errno) => self.degraded.note(self.now, Feature::Looking, errno),
            None => self.degraded.heal(self.now, Feature::Looking),
        }
    }

    fn look_for_main_processes(&mut self) {
        loop {
            let now = self.now;
            let (seekers, view) = self.split();
            let Some(found) = seekers.look(now, &view) else { return };
            self.guard.work = true;
            let Some(event) = found else { continue };
            if let Event::MainFound { unit, pid } = event {
                self.remember_main(unit, pid);
            }
            self.feed(event);
        }
    }

    /// What the core is about to be told. It goes on with the one it knows where that is ending.
    pub(crate) fn remember_main(&mut self, unit: UnitId, pid: Pid) {
        let ends = self.supervisor.view(unit).is_some_and(|view| {
            matches!(view.state, State::Stopping { pid: Some(_), .. } | State::Sweeping { .. })
        });
        if !ends {
            self.groups.remember_main(unit, pid);
        }
    }
}

/// What somebody asks for who may want it by force.
pub(crate) const fn haste(force: bool) -> Haste {
    if force { Haste::Force } else { Haste::Orderly }
}

pub(crate) fn status_of(status: Status) -> ExitStatus {
    match status {
        Status::Code(code) => ExitStatus::Code(code),
        Status::Signal { signal, core } => ExitStatus::Signal { signal, core },
    }
}

#[cfg(test)]
mod tests {
    use super::{CtrlAltDel, Millis};

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
