//! The whole way: directories to table.

use std::path::{Path, PathBuf};

use ettan_table::Table;
use ettan_table::write::{Entry, Overflow, encode};

use crate::compile::{World, compile};
use crate::diagnostic::{Diagnostic, Severity};
use crate::files::{self, Absent, Found, MAX_FOUND, Search};
use crate::former::{self, Former, Kept};
use crate::graph::{self, Units};
use crate::names::{Names, sort_by};

/// What `load` made.
#[derive(Debug)]
pub struct Loaded {
    /// The compiled table, for `ettan_table::Table::read`.
    pub table: Vec<u8>,
    /// Everything there is to say, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
    /// How many units the table holds.
    pub units: usize,
}

/// Reads all units of `root`. What is wrong is left out and told; this never fails.
#[must_use]
pub fn load(root: &Path) -> Loaded {
    load_after(root, Former::default())
}

/// As `load`, while `former` is in force: a unit of it whose file is refused now stays as it is.
#[must_use]
pub fn reload(root: &Path, former: Table<'_>) -> Loaded {
    load_after(root, Former::new(former))
}

fn load_after(root: &Path, former: Former<'_>) -> Loaded {
    let Gathered { entries, mut diagnostics, kept, .. } = gather(root, &[], former);
    sort(&mut diagnostics);
    former::tell(&kept, &mut diagnostics);
    let (table, units) = write(entries, &mut diagnostics);
    Loaded { table, diagnostics, units }
}

/// One file by itself, as if it stood in a root without any other: the table with its unit, or
/// none when it makes no unit, and what there is to say.
#[must_use]
pub fn read_alone(name: &str, file: &str, bytes: Vec<u8>) -> (Option<Vec<u8>>, Vec<Diagnostic>) {
    let world = World::new(Path::new("/nonexistent"));
    let drop_ins = Vec::new();
    let found = Found { name: name.into(), file: file.into(), autostart: true, bytes, drop_ins };
    let (unit, mut diagnostics) = compile(found, &world);
    let entry = unit.map(|unit| Entry {
        unit: unit.unit,
        description: unit.description,
        needs: Vec::new(),
        launch: unit.launch,
    });
    let table = entry.map(|entry| write(vec![entry], &mut diagnostics).0);
    (table, diagnostics)
}

/// All units of a root before they are written.
pub(crate) struct Gathered {
    pub(crate) units: Units,
    /// Units that stay as they were.
    pub(crate) kept: Kept,
    pub(crate) entries: Vec<Entry>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Reads all units of `root`, with `files` in place of those of the same name.
pub(crate) fn gather(root: &Path, files: &[PathBuf], former: Former<'_>) -> Gathered {
    let mut search = files::search(root, &former);
    for file in files {
        files::overlay(&mut search, file);
    }
    let world = World::new(root);
    let mut units: Units = Names::default();
    let mut diagnostics = core::mem::take(&mut search.diagnostics);
    let mut files: Vec<Found> = core::mem::take(&mut search.found).into_values().collect();
    while !files.is_empty() {
        for file in files.drain(..) {
            let name = file.name.clone();
            let (unit, said) = compile(file, &world);
            diagnostics.extend(said);
            match unit {
                Some(unit) => units.insert(&name, unit),
                None => search.absent.insert(&name, Absent::Refused),
            }
        }
        files = wanted_instances(&units, &search);
    }
    let mut absent = search.absent;
    for name in former.names().filter(|name| !units.contains(name)) {
        let template = files::template_of(name);
        if template.is_some_and(|template| absent.get(&template) == Some(&Absent::Refused)) {
            absent.insert_new(name, Absent::Refused);
        }
    }
    diagnostics.extend(graph::refuse(&mut units, &mut absent, &former, root));
    let kept = former.kept(&absent, units.len());
    let (entries, said) = graph::relate(&units, &absent, &former, &kept);
    diagnostics.extend(said);
    Gathered { units, kept, entries, diagnostics }
}

/// Instances that some unit wants and that are not there yet, made of their templates.
fn wanted_instances(units: &Units, search: &Search) -> Vec<Found> {
    let mut wanted: Names<Found> = Names::default();
    for unit in units.values() {
        for name in unit.wants.iter().chain(&unit.requires).map(|at| &at.value) {
            let room = units.len().saturating_add(wanted.len()) < MAX_FOUND;
            let known = units.contains(name) || search.absent.contains(name);
            if let Some(found) = search.instance(name).filter(|_| room && !known) {
                wanted.insert_new(name, found);
            }
        }
    }
    wanted.into_values().collect()
}

/// By file, then by place.
pub(crate) fn sort(diagnostics: &mut Vec<Diagnostic>) {
    sort_by(diagnostics, |a, b| {
        let place = |d: &Diagnostic| d.place.as_ref().map(|place| (place.line, place.column));
        (&a.file, place(a)).cmp(&(&b.file, place(b)))
    });
}

/// The table. What does not fit it is left out and told.
fn write(mut entries: Vec<Entry>, diagnostics: &mut Vec<Diagnostic>) -> (Vec<u8>, usize) {
    loop {
        let overflow = match encode(&entries, &messages(diagnostics)) {
            Ok(table) => return (table, entries.len()),
            Err(overflow) => overflow,
        };
        let before = entries.len();
        match &overflow {
            Overflow::Unit(name) => entries.retain(|entry| entry.unit.name.as_str() != name),
            Overflow::Units | Overflow::Length => entries.truncate(before / 2),
        }
        diagnostics.push(Diagnostic {
            severity: Severity::Error,
            unit: None,
            file: files::ADMIN.into(),
            place: None,
            message: overflow.to_string(),
            hint: None,
        });
        if entries.len() == before {
            return (Vec::new(), 0);
        }
    }
}

/// The most bytes of messages that PID 1 carries for `ettan status`: the log has them all.
const MAX_MESSAGES: usize = 64 * 1024;
/// The longest of them: it must fit a control packet of 4 KiB with room for quoting.
const MAX_MESSAGE: usize = 600;

/// Unit and text, errors first.
fn messages(diagnostics: &[Diagnostic]) -> Vec<(String, String)> {
    let mut list = Vec::new();
    let mut room = MAX_MESSAGES;
    for severity in [Severity::Error, Severity::Warning] {
        for diagnostic in diagnostics.iter().filter(|d| d.severity == severity) {
            let mut text = diagnostic.one_line();
            if text.len() > MAX_MESSAGE {
                text = text.chars().take(MAX_MESSAGE / 4).chain(['…']).collect();
            }
            let unit = diagnostic.unit.clone().unwrap_or_default();
            let cost = text.len().saturating_add(unit.len());
            let Some(rest) = room.checked_sub(cost) else {
                list.push((String::new(), "more messages are in the log of ettan-load".into()));
                return list;
            };
            room = rest;
            list.push((unit, text));
        }
    }
    list
}
