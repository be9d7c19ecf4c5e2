//! [Unit] and [Install]: order, needs, and where the file goes.

use crate::draft::Draft;
use crate::report::Origin;
use crate::systemd::Sections;
use crate::systemd::limit::start_limit;
use crate::systemd::names::{Target, UNTOLD, target};
use crate::systemd::parse::words;
use crate::value::Value;

/// The longest description that a unit has.
const MAX_DESCRIPTION: usize = 256;

/// The vendor unit that mounts what /etc/fstab says.
const MOUNTS: &str = "mounts";
const MOUNTED: &str = "`mounts` mounts what /etc/fstab says, where it is enabled";

/// Everything that [Unit] says.
pub(crate) fn unit(sections: &Sections, draft: &mut Draft) {
    for name in sections.names("Unit") {
        let values = sections.tell_resets("Unit", &name, draft);
        match name.as_str() {
            "Description" => sections.last(&values, draft, |value, from, draft| {
                let (text, _) = crate::systemd::specifier::translate(value);
                let text = text.replace("%%", "%");
                let short: String = text.chars().take(MAX_DESCRIPTION / 4).collect();
                let text = if text.len() > MAX_DESCRIPTION { short } else { text };
                draft.map(from, "unit", "description", Value::Text(text));
            }),
            "Documentation" => {
                let all: Vec<String> = values.iter().flat_map(|(v, _)| words(v)).collect();
                let value = match all.as_slice() {
                    [one] => Value::text(one),
                    _ => Value::List(all),
                };
                for (_, from) in &values {
                    draft.map(from, "unit", "documentation", value.clone());
                }
            }
            "After" | "Before" | "Wants" | "Requires" | "Requisite" | "BindsTo" | "PartOf"
            | "Conflicts" | "OnFailure" => names(&name, &values, draft),
            "StartLimitIntervalSec"
            | "StartLimitInterval"
            | "StartLimitBurst"
            | "StartLimitAction" => start_limit(&name, &values, sections, draft),
            "DefaultDependencies" => {
                every(&values, draft, |from, draft| {
                    draft.same(from, "no unit has dependencies that are not written down");
                });
            }
            "RequiresMountsFor" | "WantsMountsFor" => every(&values, draft, |from, draft| {
                add(from, "after", MOUNTS, MOUNTED, draft);
            }),
            other => by_rule("unit", "Unit", other, &values, draft),
        }
    }
}

/// A directive that no rule is written for: a key of that name may be there by now, else there is
/// a reason why not.
pub(crate) fn by_rule(
    section: &str,
    theirs: &str,
    name: &str,
    values: &[(String, Origin)],
    draft: &mut Draft,
) {
    let key = crate::systemd::key_of(name);
    if ettan_unit::KEYS.iter().any(|k| k.section == section && k.name == key) {
        crate::systemd::guess::set(section, &key, values, draft);
        return;
    }
    let why = crate::systemd::without::why(theirs, name);
    every(values, draft, |from, draft| draft.drop(from, why));
}

pub(crate) fn every(
    values: &[(String, Origin)],
    draft: &mut Draft,
    mut each: impl FnMut(&Origin, &mut Draft),
) {
    for (_, from) in values {
        each(from, draft);
    }
}

/// Lists of units.
fn names(directive: &str, values: &[(String, Origin)], draft: &mut Draft) {
    for (value, from) in values {
        // Not `words`: a backslash belongs to the name, which has escapes of its own.
        for word in value.split_ascii_whitespace().map(|word| word.trim_matches(['"', '\''])) {
            let from = Origin { text: format!("{directive}={word}"), ..from.clone() };
            one_name(directive, word, &from, draft);
        }
    }
}

fn one_name(directive: &str, word: &str, from: &Origin, draft: &mut Draft) {
    let key = match directive {
        "After" => "after",
        "Before" => "before",
        "Wants" => "wants",
        "Requires" | "Requisite" => "requires",
        "BindsTo" => "binds-to",
        "PartOf" => "part-of",
        "Conflicts" => "conflicts",
        _ => "on-failure",
    };
    let own = draft.name.clone();
    if key == "after" && matches!(word, "local-fs.target" | "remote-fs.target") {
        return add(from, key, MOUNTS, MOUNTED, draft);
    }
    match target(word, &own) {
        // Condition names can stand in `after`, and in `binds-to`.
        Target::Condition(condition, differs) if matches!(key, "after" | "binds-to") => {
            add(from, key, &condition, differs, draft);
        }
        Target::Condition(condition, _) if key != "before" && key != "conflicts" => {
            draft.nearly(from, format!("`after` waits for the condition `{condition}`"));
        }
        Target::Condition(..) => draft.drop(from, "a condition waits for nobody"),
        Target::Untold => draft.drop(from, UNTOLD),
        Target::Needless(why) => draft.drop(from, why),
        Target::Missing(why) => draft.drop(from, why),
        Target::Unit(unit) | Target::Nearly(unit, _) if unit == own => {
            draft.drop(from, "that is this unit itself");
        }
        Target::Unit(unit) => add(from, key, &unit, differs(directive), draft),
        Target::Nearly(unit, why) => add(from, key, &unit, &why, draft),
    }
}

fn differs(directive: &str) -> &'static str {
    match directive {
        "Requisite" => "it is started too, instead of failing where it is not up",
        _ => "",
    }
}

fn add(from: &Origin, key: &str, name: &str, why: &str, draft: &mut Draft) {
    let mut list = match draft.get("unit", key) {
        Some(Value::List(list)) => list.clone(),
        _ => Vec::new(),
    };
    if !list.iter().any(|known| known == name) {
        list.push(name.to_owned());
    }
    let list = Value::List(list);
    match why {
        "" => draft.map(from, "unit", key, list),
        why => draft.near(from, "unit", key, list, why),
    };
}

/// Everything that [Install] says: whether the unit starts at boot.
pub(crate) fn install(sections: &Sections, draft: &mut Draft) {
    draft.at_boot = false;
    for name in sections.names("Install") {
        let values = sections.tell_resets("Install", &name, draft);
        for (value, from) in &values {
            match name.as_str() {
                "WantedBy" | "RequiredBy" | "UpheldBy" => {
                    for word in words(value) {
                        let from = Origin { text: format!("{name}={word}"), ..from.clone() };
                        wanted_by(&word, &from, draft);
                    }
                }
                "Alias" => draft.drop(from, "a unit has one name"),
                "Also" => draft.drop(from, "import and enable that one as well"),
                "DefaultInstance" => {
                    let link = format!("{}{value}", draft.name);
                    draft.drop(from, format!(
                        "an instance starts at boot by a link: ln -s {}.toml /etc/units/{link}.toml",
                        draft.name
                    ));
                }
                _ => draft.drop(from, crate::systemd::without::why("Install", &name)),
            }
        }
    }
}

fn wanted_by(word: &str, from: &Origin, draft: &mut Draft) {
    let own = draft.name.clone();
    match target(word, &own) {
        _ if own.ends_with('@') => {
            draft.nearly(from, "an instance of it starts where a unit wants one, or by a link");
        }
        Target::Unit(unit) | Target::Nearly(unit, _) => {
            draft.drop(from, format!("write `wants = [\"{own}\"]` into {unit}"));
        }
        Target::Untold => {
            draft.at_boot = true;
            draft.nearly(from, format!("it starts at boot, and waits for nothing: {UNTOLD}"));
        }
        Target::Condition(..) => {
            draft.at_boot = true;
            draft.nearly(from, "it starts at boot; `after` can wait for the condition");
        }
        Target::Missing(why) => draft.drop(from, why),
        Target::Needless(_) if STOPPING.contains(&word) => {
            draft.drop(from, "nothing is started at shutdown");
        }
        Target::Needless(_) => {
            draft.at_boot = true;
            draft.same(from, "it starts at boot: a unit in /etc/units does");
        }
    }
}

const STOPPING: [&str; 7] = [
    "shutdown.target",
    "umount.target",
    "final.target",
    "reboot.target",
    "poweroff.target",
    "halt.target",
    "sleep.target",
];
