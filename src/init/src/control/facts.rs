//! What answers need beyond the supervisor: texts of the unit table, and facts about PID 1.

use ettan_table::Table;

/// What the core does not know.
pub(crate) trait Facts {
    /// What a unit's file says it is; empty when unknown.
    fn description(&self, unit: &str) -> &str;
    /// The path of a unit's program; empty when unknown.
    fn program(&self, unit: &str) -> &str;
    /// The loader's message number `nth` about unit files; None past the last.
    fn diagnostic(&self, nth: usize) -> Option<&str>;
    /// The loader's first message about the file of this unit.
    fn diagnostic_about(&self, unit: &str) -> Option<&str>;
    /// How many messages there are.
    fn diagnostics(&self) -> usize;
    /// When every unit that starts at boot had been dealt with; None until then.
    fn boot_ms(&self) -> Option<u64>;
    /// Heap allocations after boot: 0 by design.
    fn allocations_after_boot(&self) -> u64;
    /// What the kernel lacks and is done another way, in words; empty when nothing.
    fn fallbacks(&self) -> &str;
}

/// The facts as PID 1 has them.
pub(crate) struct TableFacts<'a> {
    /// The table in force.
    pub(crate) table: Option<Table<'a>>,
    /// See [`Facts::boot_ms`].
    pub(crate) boot_ms: Option<u64>,
    /// See [`Facts::fallbacks`].
    pub(crate) fallbacks: &'a str,
}

impl Facts for TableFacts<'_> {
    fn description(&self, unit: &str) -> &str {
        let Some(table) = &self.table else { return "" };
        table.index_of(unit).map_or("", |index| table.description(index))
    }

    fn program(&self, unit: &str) -> &str {
        let Some(table) = &self.table else { return "" };
        let launch = table.index_of(unit).and_then(|index| table.launch(index));
        launch.and_then(|launch| launch.program.to_str().ok()).unwrap_or("")
    }

    fn diagnostic(&self, nth: usize) -> Option<&str> {
        self.table.as_ref()?.diagnostics().nth(nth)
    }

    fn diagnostic_about(&self, unit: &str) -> Option<&str> {
        self.table.as_ref()?.diagnostics().find(|text| is_about(text, unit))
    }

    fn diagnostics(&self) -> usize {
        self.table.as_ref().map_or(0, |table| table.diagnostics().count())
    }

    fn boot_ms(&self) -> Option<u64> {
        self.boot_ms
    }

    fn allocations_after_boot(&self) -> u64 {
        ettan_sys::heap::after_seal()
    }

    fn fallbacks(&self) -> &str {
        self.fallbacks
    }
}

/// Whether a message names the file of this unit: `/etc/units/web.toml:3:1: …`, and not `otherweb.toml`.
fn is_about(text: &str, unit: &str) -> bool {
    text.match_indices(unit).any(|(at, _)| {
        let before =
            text.get(..at).is_some_and(|before| before.is_empty() || before.ends_with('/'));
        let after = text.get(at.saturating_add(unit.len())..);
        before && after.is_some_and(|after| after.starts_with(".toml"))
    })
}

#[cfg(test)]
mod tests {
    use super::is_about;

    #[test]
    fn a_message_is_about_the_unit_whose_file_it_names() {
        assert!(is_about("error: no such key\n --> /etc/units/web.toml:3:1", "web"));
        assert!(is_about("web.toml: not UTF-8", "web"));
        assert!(!is_about("/etc/units/otherweb.toml:3:1: no", "web"));
        assert!(!is_about("/etc/units/web.toml.d/x.toml: no", "x.toml"));
        assert!(!is_about("", "web"));
    }
}
