//! supervisord.conf: programs become units, groups become targets, and supervisord's own settings
//! are told one by one.

mod ini;
mod program;

use crate::Imported;
use crate::draft::Draft;
use crate::report::{Fate, Note};
use crate::tree::{Tree, directory};
use crate::value::Value;
use ini::{Section, Setting, sections};
use program::Common;

/// How deep files may include each other; Supervisor itself allows one level.
const MAX_FILES: usize = 200;

/// Whether a text is such a file.
pub(crate) fn is_one(text: &str) -> bool {
    let heads = ["[program:", "[supervisord]", "[group:", "[eventlistener:", "[fcgi-program:"];
    text.lines().any(|line| heads.iter().any(|head| line.starts_with(head)))
}

/// Reads such a file and those that it includes.
pub(crate) fn import(tree: &dyn Tree, path: &str) -> Result<Imported, String> {
    let mut all = sections(path, &tree.read(path).ok_or("it cannot be read")?);
    let mut imported = Imported::new(path);
    for section in all.clone().iter().filter(|section| section.name == "include") {
        include(tree, section, &mut all, &mut imported.notes);
    }
    let common = Common::new(&all, &mut imported.notes);
    for section in &all {
        match section.name.split_once(':') {
            Some(("program", name)) => {
                imported.units.extend(program::units(name, section, &common, tree));
            }
            Some(("group", _)) | None => {}
            Some((kind, _)) => {
                let why = match kind {
                    "eventlistener" => "events of Supervisor do not exist here: `ettan events`",
                    "fcgi-program" => "no socket is passed on to a program",
                    _ => "a part of supervisord itself",
                };
                drop_all(&section.settings, why, &mut imported.notes);
            }
        }
    }
    program::order(&mut imported.units, &all);
    for section in all.iter().filter(|s| s.name.starts_with("group:")) {
        group(section, &mut imported);
    }
    for section in &all {
        own(section, &mut imported.notes);
    }
    match imported.units.is_empty() && imported.notes.is_empty() {
        true => Err("no program in it".into()),
        false => Ok(imported),
    }
}

fn include(tree: &dyn Tree, section: &Section, all: &mut Vec<Section>, notes: &mut Vec<Note>) {
    for setting in section.settings.iter().filter(|setting| setting.key == "files") {
        let mut found = 0;
        for pattern in setting.value.split_whitespace() {
            let here = |_: &str| Some(directory(&section.file).to_owned());
            let pattern = ini::expand(pattern, &here, &mut Vec::new());
            let pattern = match pattern.starts_with('/') {
                true => pattern,
                false => format!("{}/{pattern}", directory(&section.file)),
            };
            let (folder, name) = (directory(&pattern), crate::tree::file_name(&pattern));
            for file in tree.list(folder).iter().filter(|file| matches(name, file)) {
                let file = format!("{folder}/{file}");
                if let Some(text) = tree.read(&file).filter(|_| all.len() < MAX_FILES) {
                    found += 1;
                    all.extend(sections(&file, &text));
                }
            }
        }
        let (fate, why) = match found {
            0 => (Fate::Dropped, "no file matches".to_owned()),
            found => (Fate::Mapped, format!("{found} read")),
        };
        notes.push(Note { origin: setting.from.clone(), fate, key: None, why });
    }
}

/// Whether a name fits a pattern with `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let (mut rest, mut name) = (pattern.chars(), name);
    match rest.next() {
        None => name.is_empty(),
        Some('*') => loop {
            if matches(rest.as_str(), name) {
                return true;
            }
            let mut letters = name.chars();
            if letters.next().is_none() {
                return false;
            }
            name = letters.as_str();
        },
        Some(c) => {
            let mut letters = name.chars();
            let first = letters.next();
            (first == Some(c) || (c == '?' && first.is_some()))
                && matches(rest.as_str(), letters.as_str())
        }
    }
}

fn drop_all(settings: &[Setting], why: &str, notes: &mut Vec<Note>) {
    for setting in settings {
        let (origin, why) = (setting.from.clone(), why.to_owned());
        notes.push(Note { origin, fate: Fate::Dropped, key: None, why });
    }
}

/// Supervisor's own sections.
fn own(section: &Section, notes: &mut Vec<Note>) {
    let why = match section.name.as_str() {
        "unix_http_server" => "PID 1 is spoken to over /run/ettan/control.sock",
        "inet_http_server" => {
            "PID 1 listens on no port: the page is ettan-web (ettan enable ettan-web)"
        }
        "supervisorctl" => "the command is `ettan`, and needs no settings",
        "ctlplugin" => "there are no plug-ins",
        name if name.starts_with("rpcinterface:") => "there is no XML-RPC",
        _ => return,
    };
    drop_all(&section.settings, why, notes);
}

/// A group becomes a target that wants its programs.
fn group(section: &Section, imported: &mut Imported) {
    let name = section.name.trim_start_matches("group:");
    let taken = imported.units.iter().any(|unit| unit.name == name);
    let name = if taken { format!("{name}-group") } else { name.to_owned() };
    let mut draft = Draft::new(&crate::clean_name(&name), &section.file);
    draft.put("service", "type", Value::text("target"), None);
    for setting in &section.settings {
        match setting.key.as_str() {
            "programs" => {
                let wanted: Vec<String> = setting
                    .value
                    .split(',')
                    .map(str::trim)
                    .flat_map(|program| {
                        let own = |unit: &&Draft| program::is_of(unit, program);
                        imported.units.iter().filter(own).map(|unit| unit.name.clone())
                    })
                    .collect();
                let why = "its units are started with it; stop them one by one";
                draft.near(&setting.from, "unit", "wants", Value::List(wanted), why);
            }
            "priority" => draft.drop(&setting.from, "order is between units: `after`"),
            _ => draft.drop(&setting.from, "Ettan does not know this setting"),
        }
    }
    imported.units.push(draft);
}
