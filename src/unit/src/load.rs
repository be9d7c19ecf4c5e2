//! The whole way: directories to table.

use std::path::{Path, PathBuf};

use ettan_table::Table;
use ettan_table::write::{Entry, Overflow, encode_ending};

use crate::asked::Asked;
use crate::compile::{Compiled, Made, World, compile};
use crate::diagnostic::{Diagnostic, Severity};
use crate::files::{self, Absent, Found, MAX_FOUND, Search};
use crate::former::{self, Former, Kept};
use crate::graph::{self, Units};
use crate::instances::{self, Groups, Others};
use crate::names::{Names, sort_by};
use crate::reference::Target;
use crate::rescue;

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
    load_as_asked(root, None, &Asked::default())
}

/// As `load`, while `former` is in force: a unit of it whose file is refused now stays as it is.
#[must_use]
pub fn reload(root: &Path, former: Table<'_>) -> Loaded {
    load_as_asked(root, Some(former), &Asked::default())
}

/// As `load`, or as `reload` while something is in force, and as it is asked for this boot.
#[must_use]
pub fn load_as_asked(root: &Path, former: Option<Table<'_>>, asked: &Asked) -> Loaded {
    let former = former.map(Former::new).unwrap_or_default();
    let is_rescue = asked.wants_shell(root);
    let Gathered { entries, mut diagnostics, kept, groups, ended, .. } =
        gather(root, &[], former, asked);
    sort(&mut diagnostics);
    former::tell(&kept, &mut diagnostics);
    instances::fold(&mut diagnostics, &groups, |diagnostic| diagnostic);
    let (table, units) = write(entries, &ended, is_rescue, &mut diagnostics);
    Loaded { table, diagnostics, units }
}

/// One file by itself, as if it stood in a root without any other: the table with its unit or its
/// instances, or none when it makes no unit, and what there is to say.
#[must_use]
pub fn read_alone(name: &str, file: &str, bytes: Vec<u8>) -> (Option<Vec<u8>>, Vec<Diagnostic>) {
    let asked = Asked::default();
    let world = World::new(Path::new("/nonexistent"), &asked);
    let drop_ins = Vec::new();
    let found = Found { name: name.into(), file: file.into(), autostart: true, bytes, drop_ins };
    let Made { units, is_group, said: mut diagnostics } =
        compile(found, &world, &mut Others::of(&Search::default()));
    let mut groups = Groups::default();
    for (instance, _) in units.iter().filter(|_| is_group) {
        groups.add(name, instance);
    }
    instances::fold(&mut diagnostics, &groups, |diagnostic| diagnostic);
    let entry = |unit: Compiled| Entry {
        unit: unit.unit,
        description: unit.description,
        needs: Vec::new(),
        launch: unit.launch,
        group: unit.group.unwrap_or_default(),
        timer: unit.timer,
    };
    let entries: Option<Vec<Entry>> = units.into_iter().map(|(_, unit)| unit.map(entry)).collect();
    let table = entries.map(|entries| write(entries, &[], false, &mut diagnostics).0);
    (table, diagnostics)
}

/// All units of a root before they are written; what they launch is in the entries.
pub(crate) struct Gathered {
    pub(crate) units: Units,
    /// Units that stay as they were.
    pub(crate) kept: Kept,
    pub(crate) entries: Vec<Entry>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) groups: Groups,
    /// Former instances that no file asks for any more.
    pub(crate) ended: Vec<String>,
}

/// Reads all units of `root`, with `files` in place of those of the same name, and as it is asked.
pub(crate) fn gather(
    root: &Path,
    files: &[PathBuf],
    former: Former<'_>,
    asked: &Asked,
) -> Gathered {
    let mut search = files::search(root, files, &former, asked);
    search.obey(asked);
    let world = World::new(root, asked);
    let mut units: Units = Names::default();
    let mut diagnostics = core::mem::take(&mut search.diagnostics);
    let mut others = Others::of(&search);
    let mut files: Vec<Found> = core::mem::take(&mut search.found).into_values().collect();
    let mut groups = Groups::default();
    while !files.is_empty() {
        let mut left = files.len();
        for file in files.drain(..) {
            // Instances never take the place of a unit with a file of its own.
            left = left.saturating_sub(1);
            others.room = MAX_FOUND.saturating_sub(units.len().saturating_add(left));
            let name = file.name.clone();
            let Made { units: made, is_group, said } = compile(file, &world, &mut others);
            diagnostics.extend(said);
            if is_group {
                others.add(&name, made.iter().map(|(name, _)| name.as_str()));
                made.iter().for_each(|(instance, _)| groups.add(&name, instance));
            }
            for (name, unit) in made {
                match unit {
                    Some(unit) => units.insert(&name, unit),
                    None => search.absent.insert(&name, Absent::Refused),
                }
            }
        }
        files = wanted_instances(&units, &search);
    }
    let strangers = core::mem::take(&mut search.strangers);
    diagnostics.extend(strangers.iter().map(|s| s.of_a_stranger(others.masks(&s.unit))));
    diagnostics.extend(asked.tell(&|name| {
        let is_file = units.contains(name) || groups.members(name).is_some();
        is_file || search.absent.contains(name) || search.is_template(name)
    }));
    let mut absent = search.absent;
    groups.keep(&former, &mut absent);
    groups.spread(&mut units);
    for name in former.names().filter(|name| !units.contains(name)) {
        let template = files::template_of(name);
        if template.is_some_and(|template| absent.get(&template) == Some(&Absent::Refused)) {
            absent.insert_new(name, Absent::Refused);
        }
    }
    diagnostics.extend(graph::refuse(&mut units, &mut absent, &former, root));
    diagnostics.extend(rescue::bring_along(&mut units, &search.resting, asked));
    let kept = former.kept(&absent, units.len());
    let (entries, said) = graph::relate(&mut units, &absent, &former, &kept, &groups);
    diagnostics.extend(said);
    let ended = groups.ended(&former, &units, &absent);
    Gathered { units, kept, entries, diagnostics, groups, ended }
}

/// Instances that some unit wants and that are not there yet, made of their templates.
fn wanted_instances(units: &Units, search: &Search) -> Vec<Found> {
    let mut wanted: Names<Found> = Names::default();
    for unit in units.values() {
        let named = unit.wants.iter().chain(&unit.requires).chain(&unit.on_failure);
        let bound = unit.binds_to.iter().filter_map(|at| match &at.value {
            Target::Unit(name) => Some(name),
            Target::Condition(_) => None,
        });
        for name in named.map(|at| &at.value).chain(bound) {
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
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    sort_by(diagnostics, |a, b| {
        let place = |d: &Diagnostic| d.place.as_ref().map(|place| (place.line, place.column));
        (&a.file, place(a)).cmp(&(&b.file, place(b)))
    });
}

/// The table. What does not fit it is left out and told.
fn write(
    mut entries: Vec<Entry>,
    ended: &[String],
    is_rescue: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Vec<u8>, usize) {
    loop {
        let overflow = match encode_ending(&entries, &messages(diagnostics), ended, is_rescue) {
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

/// Unit and text, errors first, notes last.
fn messages(diagnostics: &[Diagnostic]) -> Vec<(String, String)> {
    let mut list = Vec::new();
    let mut room = MAX_MESSAGES;
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        for diagnostic in diagnostics.iter().filter(|d| d.severity == severity) {
            let mut text = diagnostic.to_string();
            if text.len() > MAX_MESSAGE {
                text = text.chars().take(MAX_MESSAGE / 4).chain(['…']).collect();
            }
            let unit = diagnostic.unit.clone().unwrap_or_default();
            let cost = text.len().saturating_add(unit.len());
            let Some(rest) = room.checked_sub(cost) else {
                list.push((
                    String::new(),
                    "more messages are in Ettan's own log (ettan logs)".into(),
                ));
                return list;
            };
            room = rest;
            list.push((unit, text));
        }
    }
    list
}
