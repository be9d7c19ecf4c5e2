//! What answers need beyond the supervisor: texts of the unit table, and facts about PID 1.

use crate::degraded::Degraded;
use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};
use ettan_core::{Millis, Stage, UnitId};
use ettan_sys::host;
use ettan_table::{Message, Table};
use ettan_wire::{Severity, Text, severity};

/// Where the vendor unit `last-end` leaves what it has found out: for one boot, in memory.
const LAST_END: &CStr = c"/run/ettan/last-end";

/// What the core does not know.
pub(crate) trait Facts {
    /// What a unit's file says it is; empty when unknown.
    fn description(&self, unit: &str) -> &str;
    /// The file that has this unit as one of its instances.
    fn group(&self, unit: &str) -> Option<&str>;
    /// The path of a unit's program; empty when unknown.
    fn program(&self, unit: &str) -> &str;
    /// The path of a command around its program; empty when unknown.
    fn command(&self, unit: &str, stage: Stage, nth: u8) -> &str;
    /// Where a unit's program begins; empty when unknown.
    fn directory(&self, unit: &str) -> &str;
    /// Where a forking unit says which is its main process; empty when it does not.
    fn pid_file(&self, unit: &str) -> &str;
    /// The loader's message number `nth` about unit files; None past the last.
    fn diagnostic(&self, nth: usize) -> Option<Message<'_>>;
    /// The loader's first message about the file of this unit: an error, if there is one.
    fn diagnostic_about(&self, unit: &str) -> Option<&str>;
    /// What the prober said of a unit: what is awaited or wrong, and what the unit says itself.
    fn told(&self, unit: UnitId) -> (&str, &str);
    /// When the loader of the table in force began.
    fn loaded(&self) -> Option<Millis>;
    /// How many units the table has.
    fn units(&self) -> usize;
    /// How many messages there are.
    fn diagnostics(&self) -> usize;
    /// How many of them are how bad.
    fn complaints(&self) -> Complaints;
    /// Heap allocations after boot: 0 by design.
    fn allocations_after_boot(&self) -> u64;
    /// What does not work just now, since when and why; empty when all does.
    fn degraded(&self) -> Text<256>;
    /// What became of PID 1 since boot.
    fn history(&self) -> History;
    /// The hardware watchdog; None where the machine is somebody else's.
    fn watchdog(&self) -> Option<crate::watchdog::Report>;
    /// How the boot before this one ended; empty where nobody has found out.
    fn last_end(&self) -> Text<96>;
}

/// What became of PID 1 since boot. See the fields of the same names of [`ettan_wire::Stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) crashes: u32,
    pub(crate) reduced: bool,
    pub(crate) executions: u32,
    pub(crate) trial: bool,
    pub(crate) reverted: bool,
    /// See [`ettan_wire::Stats::init_ms`].
    pub(crate) begun_ms: u64,
}

/// What the loader said about unit files, counted. As text: `1 error, 2 warnings`; empty for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Complaints {
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    pub(crate) notes: usize,
}

impl Complaints {
    /// Those that came with a table.
    pub(crate) fn of(table: &Table<'_>) -> Self {
        let mut count = Self::default();
        for said in table.diagnostics() {
            let of_a_kind = match severity(said) {
                Some(Severity::Error) => &mut count.errors,
                Some(Severity::Warning) => &mut count.warnings,
                // That more is in the log is worth knowing.
                Some(Severity::Note) | None => &mut count.notes,
            };
            *of_a_kind = of_a_kind.saturating_add(1);
        }
        count
    }
}

impl Display for Complaints {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kinds = [(self.errors, "error"), (self.warnings, "warning"), (self.notes, "note")];
        for (nth, (count, word)) in kinds.iter().filter(|(count, _)| *count > 0).enumerate() {
            f.write_str(if nth == 0 { "" } else { ", " })?;
            write!(f, "{}", Many(*count, word))?;
        }
        Ok(())
    }
}

/// `1 unit`, `2 units`.
pub(crate) struct Many(pub(crate) usize, pub(crate) &'static str);

impl Display for Many {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// The facts as PID 1 has them.
pub(crate) struct TableFacts<'a> {
    /// The table in force.
    pub(crate) table: Option<Table<'a>>,
    /// See [`Facts::loaded`].
    pub(crate) loaded: Option<Millis>,
    /// See [`Facts::degraded`].
    pub(crate) degraded: &'a Degraded,
    /// See [`Facts::told`].
    pub(crate) probes: &'a crate::probes::Probing,
    /// PID 1's clock.
    pub(crate) now: Millis,
    /// See [`Facts::history`].
    pub(crate) history: History,
    /// See [`Facts::watchdog`].
    pub(crate) watchdog: &'a crate::watchdog::Keeper,
}

impl Facts for TableFacts<'_> {
    fn description(&self, unit: &str) -> &str {
        let Some(table) = &self.table else { return "" };
        table.index_of(unit).map_or("", |index| table.description(index))
    }

    fn group(&self, unit: &str) -> Option<&str> {
        let table = self.table.as_ref()?;
        Some(table.group(table.index_of(unit)?)).filter(|group| !group.is_empty())
    }

    fn program(&self, unit: &str) -> &str {
        let Some(table) = &self.table else { return "" };
        let launch = table.index_of(unit).and_then(|index| table.launch(index));
        launch.and_then(|launch| launch.program.to_str().ok()).unwrap_or("")
    }

    fn command(&self, unit: &str, stage: Stage, nth: u8) -> &str {
        let Some(table) = &self.table else { return "" };
        let command = table.index_of(unit).and_then(|at| table.hook_command(at, stage, nth));
        let program = command.and_then(|mut command| command.argv.next());
        program.and_then(|program| program.to_str().ok()).unwrap_or("")
    }

    fn directory(&self, unit: &str) -> &str {
        let Some(table) = &self.table else { return "" };
        let launch = table.index_of(unit).and_then(|index| table.launch(index));
        launch.and_then(|launch| launch.working_directory.to_str().ok()).unwrap_or("")
    }

    fn pid_file(&self, unit: &str) -> &str {
        let Some(table) = &self.table else { return "" };
        let launch = table.index_of(unit).and_then(|index| table.launch(index));
        launch.and_then(|launch| launch.pid_file?.to_str().ok()).unwrap_or("")
    }

    fn diagnostic(&self, nth: usize) -> Option<Message<'_>> {
        self.table.as_ref()?.messages().nth(nth)
    }

    fn diagnostic_about(&self, unit: &str) -> Option<&str> {
        let messages = self.table.as_ref()?.messages();
        messages.filter(|message| message.unit == Some(unit)).map(|message| message.text).next()
    }

    fn told(&self, unit: UnitId) -> (&str, &str) {
        self.probes.told(unit).map_or(("", ""), |told| (&told.why, &told.status))
    }

    fn loaded(&self) -> Option<Millis> {
        self.loaded
    }

    fn units(&self) -> usize {
        self.table.as_ref().map_or(0, ettan_core::Catalog::len)
    }

    fn diagnostics(&self) -> usize {
        self.table.as_ref().map_or(0, |table| table.messages().count())
    }

    fn complaints(&self) -> Complaints {
        self.table.as_ref().map_or_else(Complaints::default, Complaints::of)
    }

    fn allocations_after_boot(&self) -> u64 {
        ettan_sys::heap::after_seal()
    }

    fn degraded(&self) -> Text<256> {
        self.degraded.text(self.now)
    }

    fn history(&self) -> History {
        self.history
    }

    fn watchdog(&self) -> Option<crate::watchdog::Report> {
        self.watchdog.facts()
    }

    fn last_end(&self) -> Text<96> {
        let mut buffer = [0; 96];
        let text = host::read_file(LAST_END, &mut buffer).unwrap_or_default();
        let text = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        Text::from(text.lines().next().unwrap_or_default())
    }
}
