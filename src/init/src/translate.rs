//! What the kernel said → `Event`. Takes news from descriptors; decides nothing.

use crate::pid1::{Pid1, token};
use ettan_core::{Ask, Event, ExitStatus, Millis, Pid, Power, State};
use ettan_sys::poll::Ready;
use ettan_sys::reap::{self, Status};
use ettan_sys::signals::{self, Signals};

/// Children reaped in one turn; the rest wait for the next, so that a storm of orphans leaves
/// room for everything else (`faults.md` 1.13, 1.14).
const REAP_MAX: u32 = 1_024;

/// Signals taken in one turn; the descriptor stays ready for the rest (`faults.md` 3.7).
const SIGNALS_MAX: u32 = 64;

/// Between two reloads, so that a loop of requests costs nothing (`faults.md` 3.7, 5.10).
const RELOAD_EVERY_MS: u64 = 1_000;

/// Ctrl-Alt-Del this often within this time means now (cli.md).
const CAD_PRESSES: u32 = 7;
const CAD_WINDOW_MS: u64 = 2_000;

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
            token::INOTIFY => self.seekers.read_changes(self.now),
            // Written to at the end of the turn.
            token::LOGGER => {}
            _ => self.serve(ready),
        }
    }

    /// What is due in every turn, whoever woke us.
    pub(crate) fn after_wait(&mut self) {
        if self.reap_more || self.signals.is_none() {
            self.reap();
        }
        self.tell_swept();
        self.look_for_main_processes();
        if self.reload_at.is_some_and(|at| at <= self.now) {
            self.reload();
        }
        if let Some((power, again)) = self.refused
            && again <= self.now
        {
            self.power(power);
        }
    }

    fn read_signals(&mut self) {
        for _ in 0..SIGNALS_MAX {
            let Some(Ok(Some(signal))) = self.signals.as_mut().map(Signals::read) else { return };
            match signal.number {
                signals::CHLD => self.reap(),
                signals::HUP => {
                    self.mend_control();
                    self.reload();
                }
                signals::USR1 => self.shut_down(Power::Halt, false),
                signals::USR2 | signals::PWR => self.shut_down(Power::PowerOff, false),
                signals::TERM => self.shut_down(Power::Reboot, false),
                signals::INT => {
                    let force = self.cad.press(self.now);
                    self.shut_down(Power::Reboot, force);
                }
                signals::QUIT => self.execute_anew(),
                other => log::info!(
                    "signal {other} from process {}: PID 1 has no use for it",
                    signal.sender_pid
                ),
            }
        }
    }

    fn shut_down(&mut self, power: Power, force: bool) {
        self.feed(Event::Shutdown { power, force });
    }

    /// What ended while nobody looked.
    pub(crate) fn reap_all(&mut self) {
        self.reap();
    }

    fn reap(&mut self) {
        self.reap_more = true;
        for _ in 0..REAP_MAX {
            let Ok(Some(reaped)) = reap::reap() else {
                self.reap_more = false;
                break;
            };
            if let Some(pid) = Pid::new(reaped.pid) {
                self.tell_exited(pid, status_of(reaped.status));
            }
        }
        self.seekers.look_soon(self.now);
        if self.awaits_strays && crate::close::strays_gone(&self.spared()) {
            self.awaits_strays = false;
            self.feed(Event::StraysGone);
        }
    }

    fn tell_exited(&mut self, pid: Pid, status: ExitStatus) {
        let unit = self.supervisor.unit_of(pid);
        match unit {
            Some(unit) => self.groups.forget_first(unit, pid),
            None => self.seekers.remember_reaped(pid, status),
        }
        if self.closer == Some(pid) {
            self.closer = None;
            self.feed(Event::FilesystemsClosed);
        }
        self.feed(Event::Exited { pid, status });
        let loader = self.builtins.map(|builtins| builtins.loader);
        if unit.is_some() && unit == loader {
            let taken = status == ExitStatus::Code(0) && self.take_table();
            self.reloaded = Some(taken);
        }
    }

    /// The loader ended well: its table comes into force, and the core learns of the new units.
    /// False when there is none to take, or not a whole one.
    fn take_table(&mut self) -> bool {
        self.pipes.forget_gone(&self.supervisor);
        if !self.tables.adopt() {
            return false;
        }
        let Some(table) = self.tables.table() else { return false };
        self.supervisor.load(self.now, &table);
        let units = ettan_core::Catalog::len(&table);
        let messages = table.diagnostics().count();
        if messages > 0 {
            log::warn!(
                "unit files: {messages} complaints; `ettan check` and `ettan status` show them"
            );
        }
        log::info!("{units} units loaded");
        let nothing_starts = !self
            .supervisor
            .units()
            .any(|id| self.supervisor.unit(id).is_some_and(|unit| unit.autostart && !unit.builtin));
        self.drain();
        if let Some(builtins) = self.builtins {
            let ask = if nothing_starts {
                log::error!(
                    "no unit to start in /etc/units or /run/units: rescue shell on the console"
                );
                Ask::Start
            } else {
                Ask::Stop
            };
            self.feed(Event::Ask { unit: builtins.rescue, ask });
        }
        true
    }

    /// Without a table from the first loader nothing at all would start: then somebody must be
    /// able to log in and look (P8). The loader is tried again meanwhile, and a table ends it.
    pub(crate) fn offer_rescue(&mut self) {
        let Some(builtins) = self.builtins else { return };
        if self.rescue_offered || self.tables.table().is_some() {
            return;
        }
        let state = self.supervisor.view(builtins.loader).map(|view| view.state);
        if let Some(State::Backoff { .. } | State::Failed) = state {
            self.rescue_offered = true;
            log::error!("the unit files cannot be read: rescue shell on the console");
            self.feed(Event::Ask { unit: builtins.rescue, ask: Ask::Start });
        }
    }

    /// Starts the loader, now or as soon as one may.
    pub(crate) fn reload(&mut self) {
        if self.past.reduced && self.tables.table().is_some() {
            log::error!("reduced mode after faults of PID 1: unit files are not read again");
            self.reload_at = None;
            self.reloaded = Some(false);
            self.control.reload_begins();
            return;
        }
        let Some(loader) = self.builtins.map(|builtins| builtins.loader) else { return };
        let allowed = self.last_reload.after(RELOAD_EVERY_MS);
        let running = self.supervisor.view(loader).is_some_and(|view| view.state.pid().is_some());
        if running || (self.now < allowed && self.last_reload != Millis(0)) {
            self.reload_at = Some(allowed.max(self.now.after(RELOAD_EVERY_MS)));
            return;
        }
        self.reload_at = None;
        self.last_reload = self.now;
        self.control.reload_begins();
        self.feed(Event::Ask { unit: loader, ask: Ask::Start });
    }

    fn tell_swept(&mut self) {
        while let Some(unit) = self.groups.swept(&self.supervisor, self.seekers.inotify()) {
            self.feed(Event::Emptied { unit });
        }
    }

    fn look_for_main_processes(&mut self) {
        loop {
            let now = self.now;
            let (seekers, view) = self.split();
            let Some(found) = seekers.look(now, &view) else { return };
            let Some(event) = found else { continue };
            if let Event::MainFound { unit, pid } = event {
                self.groups.remember_main(unit, pid);
            }
            self.feed(event);
        }
    }

    /// The processes that shutdown leaves alone until the end.
    pub(crate) fn spared(&self) -> heapless::Vec<Pid, 8> {
        let main_of = |id| self.supervisor.view(id).and_then(|view| view.state.pid());
        let builtins = self.builtins.map_or([None; 2], |b| [main_of(b.logger), main_of(b.watcher)]);
        builtins.into_iter().chain([self.closer]).flatten().collect()
    }
}

fn status_of(status: Status) -> ExitStatus {
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
