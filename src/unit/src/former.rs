//! What was in force before a reload. A unit whose file is refused, or cannot be read, stays as
//! it is in there: a typo must not lose a service. A unit whose file is gone, or masked, goes.

use std::path::Path;

use ettan_core::Catalog;
use ettan_table::Table;
use ettan_table::write::{Entry, EntryNeed, EntryNeedKind};

use crate::compile::real_file;
use crate::diagnostic::{Diagnostic, Severity};
use crate::files::{Absent, MAX_FOUND};
use crate::names::Names;
use crate::route;

/// The table in force; nothing at boot, and for `ettan check`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Former<'a>(Option<Table<'a>>);

/// The units that stay as they were, by name.
pub(crate) type Kept = Names<Entry>;

impl<'a> Former<'a> {
    pub(crate) const fn new(table: Table<'a>) -> Self {
        Self(Some(table))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        let table = self.0;
        let count = table.map_or(0, |table| table.len());
        (0..count).filter_map(move |index| table?.name(index))
    }

    /// The instances of files, each with the name of its file.
    pub(crate) fn instances(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let table = self.0;
        let count = table.map_or(0, |table| table.len());
        let pairs = (0..count).filter_map(move |at| Some((table?.name(at)?, table?.group(at))));
        pairs.filter(|(_, file)| !file.is_empty())
    }

    /// The names of the files that all units are of.
    pub(crate) fn files(&self) -> impl Iterator<Item = &'a str> {
        let table = self.0;
        let count = table.map_or(0, |table| table.len());
        (0..count).filter_map(move |at| {
            let (name, file) = (table?.name(at)?, table?.group(at));
            Some(if file.is_empty() { name } else { file })
        })
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        let table = self.0?;
        Entry::copy(&table, table.index_of(name)?)
    }

    /// The units that are refused now and were not before, as many as there is room for beside
    /// `units` others.
    pub(crate) fn kept(&self, absent: &Names<Absent>, units: usize) -> Kept {
        let mut kept = Kept::default();
        for name in self.names() {
            let refused = absent.get(name) == Some(&Absent::Refused);
            if refused
                && units.saturating_add(kept.len()) < MAX_FOUND
                && let Some(entry) = self.entry(name)
            {
                kept.insert(name, entry);
            }
        }
        kept
    }

    /// What unit `name` came after, of the kept ones. It may have been their file that said so.
    pub(crate) fn order(&self, name: &str, kept: &Kept) -> Vec<EntryNeed> {
        if kept.len() == 0 {
            return Vec::new();
        }
        let mut needs = self.entry(name).map_or_else(Vec::new, |entry| entry.needs);
        needs.retain(|need| {
            need.kind == EntryNeedKind::After && !need.condition && kept.contains(&need.name)
        });
        needs
    }
}

/// The PID file of a kept unit, as `Compiled::pid_file` has it.
pub(crate) fn pid_file(root: &Path, entry: &Entry) -> Option<String> {
    let path = entry.launch.as_ref()?.pid_file.as_ref()?;
    Some(real_file(root, path.to_str().ok()?))
}

/// Where the logs of a kept unit lie, as far as they are on a disk: as the logger is told it. What
/// follows the first route is not about the unit's own log.
pub(crate) fn log_directories(entry: &Entry) -> Vec<String> {
    let words = log_words(entry);
    let own = words.split(' ').take_while(|word| !word.starts_with("route="));
    let own = own.filter_map(|word| word.strip_prefix("dir=")).map(str::to_owned);
    own.chain(route::directories(words)).collect()
}

/// What the routes of a kept unit's log are called.
pub(crate) fn routes(entry: &Entry) -> impl Iterator<Item = &str> {
    route::names_in(log_words(entry))
}

fn log_words(entry: &Entry) -> &str {
    entry.launch.as_ref().and_then(|launch| launch.log_words.to_str().ok()).unwrap_or_default()
}

/// Says of each kept unit, where it is said what is wrong, that it stays.
pub(crate) fn tell(kept: &Kept, diagnostics: &mut [Diagnostic]) {
    const STAYS: &str = "; the former definition stays in force until this is mended";
    for entry in kept.values() {
        let mut said = |name: &str| {
            let about = |d: &&mut Diagnostic| {
                d.severity == Severity::Error && d.unit.as_deref() == Some(name)
            };
            let first = diagnostics.iter_mut().find(about);
            // What is wrong with a file is said once for all of its instances.
            if let Some(diagnostic) = first.filter(|first| !first.message.ends_with(STAYS)) {
                diagnostic.message.push_str(STAYS);
            }
        };
        said(entry.unit.name.as_str());
        said(&entry.group);
    }
}
