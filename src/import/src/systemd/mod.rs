//! systemd's units: .service and .target become unit files, a .timer with its .service one; .socket
//! and the rest have no counterpart, and the report says so of each directive.

mod command;
mod dbus;
mod environment;
mod guess;
mod kinds;
mod limit;
mod names;
pub(crate) mod parse;
mod service;
mod specifier;
mod timer;
mod unit;
mod without;

use crate::Imported;
use crate::draft::Draft;
use crate::report::{Fate, Note, Origin};
use crate::tree::{Tree, directory, file_name};
use crate::value::Value;
use parse::{Directive, values};

/// Suffixes of what is read here.
pub(crate) const SUFFIXES: [&str; 10] = [
    ".service",
    ".target",
    ".timer",
    ".socket",
    ".path",
    ".mount",
    ".automount",
    ".swap",
    ".slice",
    ".scope",
];

/// The key of a directive: its name in kebab-case, as it is written here.
pub(crate) fn key_of(directive: &str) -> String {
    match directive {
        "UMask" => "umask".into(),
        other => ettan_unit::kebab(other),
    }
}

/// A unit's directives, by section and name.
pub(crate) struct Sections(Vec<Directive>);

impl Sections {
    /// The names in a section, each once.
    pub(crate) fn names(&self, section: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for directive in self.0.iter().filter(|d| d.section == section) {
            if !names.contains(&directive.name) {
                names.push(directive.name.clone());
            }
        }
        names
    }

    /// The values that hold in the end; what was taken back is told.
    pub(crate) fn tell_resets(
        &self,
        section: &str,
        name: &str,
        draft: &mut Draft,
    ) -> Vec<(String, Origin)> {
        let all = values(self.of(section, name));
        for (from, line) in all.taken_back {
            draft.drop(&from, format!("taken back by the empty one in line {line}"));
        }
        if let Some(from) = all.reset {
            draft.same(&from, "takes back what was before");
        }
        all.values
    }

    fn of(&self, section: &str, name: &str) -> impl Iterator<Item = &Directive> {
        self.0.iter().filter(move |d| d.section == section && d.name == name)
    }

    /// The values without a word about them.
    pub(crate) fn quietly(&self, section: &str, name: &str) -> Vec<(String, Origin)> {
        values(self.of(section, name)).values
    }

    /// Whether an empty value is the last one.
    pub(crate) fn is_reset(&self, section: &str, name: &str) -> bool {
        self.of(section, name).last().is_some_and(|d| d.value.is_empty())
    }

    /// Does it with the last value; the others are told.
    pub(crate) fn last(
        &self,
        values: &[(String, Origin)],
        draft: &mut Draft,
        with: impl FnOnce(&str, &Origin, &mut Draft),
    ) {
        let Some(((value, from), before)) = values.split_last() else { return };
        for (_, earlier) in before {
            draft.drop(earlier, format!("line {} has the last word", from.line));
        }
        with(value, from, draft);
    }
}

/// Reads one unit file of systemd.
pub(crate) fn import(tree: &dyn Tree, path: &str) -> Result<Imported, String> {
    let file = file_name(path);
    let (stem, suffix) = file.rsplit_once('.').unwrap_or((file, ""));
    if tree.exists(path) && tree.read(path).is_some_and(|text| text.is_empty()) {
        return Err("it is empty: the unit is masked".into());
    }
    let all = parse::with_drop_ins(tree, path).ok_or("it cannot be read")?;
    let sections = Sections(all);
    let mut imported = Imported::new(path);
    match suffix {
        "service" | "target" => {
            let mut name = crate::clean_name(stem);
            if suffix == "target" {
                name.push_str(".target");
            }
            let mut draft = Draft::new(&name, path);
            unit::unit(&sections, &mut draft);
            unit::install(&sections, &mut draft);
            match suffix {
                "target" => target(&mut draft),
                _ => service::service(&sections, tree, &mut draft),
            }
            strays(&sections, &["Unit", "Install", "Service"], &mut draft.notes);
            if suffix == "service" && timer::is_beside(tree, path, stem) {
                imported.remark = format!("{stem}.timer starts it: import that one instead");
            }
            imported.units.push(draft);
        }
        "timer" => {
            let service = timer::service_of(&sections, path, stem);
            if !service.ends_with(".service") || !tree.exists(&service) {
                imported.notes = kinds::without_counterpart(suffix, stem, &sections.0);
                imported.remark = format!("no unit: {service}, which it starts, is not there");
                return Ok(imported);
            }
            imported = import(tree, &service)?;
            imported.source = path.to_owned();
            imported.remark = String::new();
            if let Some(draft) = imported.units.first_mut() {
                timer::add(&sections, draft);
                strays(&sections, &["Unit", "Install", "Timer"], &mut draft.notes);
            }
        }
        other => {
            imported.notes = kinds::without_counterpart(other, stem, &sections.0);
            let service = format!("{}/{stem}.service", directory(path));
            imported.remark = kinds::remark(other, &service, tree);
        }
    }
    Ok(imported)
}

fn target(draft: &mut Draft) {
    draft.put("service", "type", Value::text("target"), None);
    if matches!(draft.name.as_str(), "network.target.target" | "network-online.target.target") {
        draft.at_boot = false;
    }
}

/// What stands in sections that such a unit does not have.
fn strays(sections: &Sections, known: &[&str], notes: &mut Vec<Note>) {
    for directive in sections.0.iter().filter(|d| !known.contains(&d.section.as_str())) {
        let why = without::why(&directive.section, &directive.name).to_owned();
        let origin = directive.from.clone();
        notes.push(Note { origin, fate: Fate::Dropped, key: None, why });
    }
}
