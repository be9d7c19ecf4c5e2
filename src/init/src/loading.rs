//! The loader's life: when it runs, how its table comes into force, and when nobody but a shell on the console can
//! help. Policy of PID 1 and not of the core, which knows units and no files.

use crate::control::{Complaints, Many};
use crate::degraded::Task;
use crate::pid1::Pid1;
use ettan_core::{Ask, Event, Goal, Millis, State};
use ettan_sys::Errno;

/// Between two reloads, so that a loop of requests costs nothing (`tests/FAULTS.md` 3.7, 5.10).
const RELOAD_EVERY_MS: u64 = 1_000;

/// How far it is.
#[derive(Debug, Default)]
pub(crate) struct Loading {
    /// Somebody asked for a reload while one was running, or too soon after one.
    pub(crate) again_at: Option<Millis>,
    /// When the loader was started last; 0: not yet.
    pub(crate) last: Millis,
    /// What came of it, until those who asked have been told.
    pub(crate) outcome: Option<Loaded>,
    /// The rescue shell was offered because there is no table, or nothing to start; once is enough.
    rescue_offered: bool,
}

/// What came of reading the unit files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// The new table is in force.
    InForce,
    /// The loader failed; the units stay as they were.
    OldStays,
}

impl Pid1 {
    /// Starts the loader, now or as soon as one may.
    pub(crate) fn reload(&mut self) {
        if self.past.reduced && self.tables.table().is_some() {
            log::error!("reduced mode after faults of PID 1: unit files are not read again");
            self.loading.again_at = None;
            self.loading.outcome = Some(Loaded::OldStays);
            self.control.reload_begins();
            return;
        }
        let Some(loader) = self.builtins.map(|builtins| builtins.loader) else { return };
        let allowed = self.loading.last.after(RELOAD_EVERY_MS);
        let running = self.supervisor.view(loader).is_some_and(|view| view.state.pid().is_some());
        if running || (self.now < allowed && self.loading.last != Millis(0)) {
            self.loading.again_at = Some(allowed.max(self.now.after(RELOAD_EVERY_MS)));
            return;
        }
        self.loading.again_at = None;
        self.loading.last = self.now;
        self.control.reload_begins();
        self.feed(Event::Ask { unit: loader, ask: Ask::Start });
    }

    /// Takes the table of the loader that has ended, now or when it is tried again.
    pub(crate) fn finish_loading(&mut self) {
        match self.take_table() {
            Ok(loaded) => {
                self.degraded.heal(self.now, Task::Loading);
                self.loading.outcome = Some(loaded);
            }
            Err(errno) => self.degraded.note(self.now, Task::Loading, errno),
        }
    }

    /// The loader's table comes into force, if it left a whole one, and the core learns of the new units.
    ///
    /// # Errors
    /// Nothing was taken for now: no memory, for example.
    fn take_table(&mut self) -> Result<Loaded, Errno> {
        self.pipes.forget_gone(&self.supervisor);
        if !self.tables.adopt()? {
            return Ok(Loaded::OldStays);
        }
        let Some(table) = self.tables.table() else { return Ok(Loaded::OldStays) };
        self.supervisor.load(self.now, &table);
        self.pipes.renew(&self.tables);
        self.probes.note_all();
        let units = ettan_core::Catalog::len(&table);
        let said = Complaints::of(&table);
        if said != Complaints::default() {
            log::warn!("unit files: {said}; `ettan check` and `ettan status` show them");
        }
        log::info!("{} loaded", Many(units, "unit"));
        // As it was loaded: what is started now may be gone at once.
        let (nothing_starts, is_asked) = (self.nothing_starts(), table.is_rescue());
        self.drain();
        self.mind_prober();
        self.start_what_runs();
        if nothing_starts || is_asked {
            match nothing_starts {
                true => log::error!(
                    "no unit to start in /etc/units or /run/units: rescue shell on the console"
                ),
                false => log::warn!("a rescue was asked for: rescue shell on the console"),
            }
            // One that somebody asked for stays his.
            self.loading.rescue_offered |= !self.is_rescue();
            self.ask_of_shell(Ask::Start);
        } else if core::mem::take(&mut self.loading.rescue_offered) {
            // Not one that somebody asked for: in the middle of a rescue units are mended and read.
            self.ask_of_shell(Ask::Stop);
        }
        Ok(Loaded::InForce)
    }

    fn nothing_starts(&self) -> bool {
        let unit = |id| self.supervisor.unit(id);
        let starts = |id| unit(id).is_some_and(|unit| unit.autostart && !unit.builtin);
        !self.supervisor.units().any(starts)
    }

    /// Without a table from the first loader nothing at all would start: then somebody must be
    /// able to log in and look. The loader is tried again meanwhile, and a table ends it.
    pub(crate) fn offer_rescue(&mut self) {
        let Some(builtins) = self.builtins else { return };
        if self.loading.rescue_offered || self.tables.table().is_some() {
            return;
        }
        let state = self.supervisor.view(builtins.loader).map(|view| view.state);
        if let Some(State::Backoff { .. } | State::Failed) = state {
            self.loading.rescue_offered = true;
            log::error!("the unit files cannot be read: rescue shell on the console");
            self.ask_of_shell(Ask::Start);
        }
    }

    /// The rescue shell is wanted, by somebody or since there is nothing to start.
    pub(crate) fn is_rescue(&self) -> bool {
        let rescue = self.builtins.and_then(|builtins| self.supervisor.view(builtins.rescue));
        rescue.is_some_and(|view| view.goal == Goal::Up)
    }

    fn ask_of_shell(&mut self, ask: Ask) {
        if let Some(builtins) = self.builtins {
            self.feed(Event::Ask { unit: builtins.rescue, ask });
        }
    }
}
