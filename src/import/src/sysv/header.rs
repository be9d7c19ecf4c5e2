//! The header of LSB: what a script provides, what it needs, when it starts.

use crate::draft::Draft;
use crate::report::Origin;
use crate::value::Value;

const BEGIN: &str = "### BEGIN INIT INFO";

/// Whether a script has one.
pub(crate) fn is_there(text: &str) -> bool {
    text.lines().any(|line| line.trim() == BEGIN)
}

/// Reads the header into the unit.
pub(crate) fn header(path: &str, text: &str, draft: &mut Draft) {
    let mut inside = false;
    let mut described = false;
    for (at, line) in text.lines().enumerate() {
        match line.trim() {
            BEGIN => inside = true,
            "### END INIT INFO" => return,
            line if inside => {
                let Some((name, value)) =
                    line.strip_prefix('#').and_then(|rest| rest.split_once(':'))
                else {
                    continue;
                };
                let (name, value) = (name.trim(), value.trim());
                if described && name.contains(' ') {
                    continue;
                }
                described = name == "Description";
                let from = Origin::new(path, at + 1, format!("{name}: {value}"));
                field(name, value, &from, draft);
            }
            _ => {}
        }
    }
}

fn field(name: &str, value: &str, from: &Origin, draft: &mut Draft) {
    match name {
        "Provides" => provides(value, from, draft),
        "Short-Description" => {
            draft.map(from, "unit", "description", Value::text(value));
        }
        "Description" => draft.same(from, "the short one is shown"),
        "Required-Start" | "Should-Start" | "X-Start-After" => {
            for word in value.split_whitespace() {
                needed(name, word, from, draft);
            }
        }
        "X-Start-Before" => {
            for word in value.split_whitespace().filter(|word| !word.starts_with('$')) {
                draft.add("unit", "before", &crate::clean_name(word));
            }
            draft.same(from, "order");
        }
        "Required-Stop" | "Should-Stop" | "X-Stop-After" | "X-Stop-Before" | "Default-Stop" => {
            draft.same(from, "units are stopped in the reverse order of their start");
        }
        "Default-Start" => {
            draft.at_boot = !value.is_empty();
            draft.same(from, "whether it starts at boot");
        }
        _ => draft.drop(from, "Ettan does not know this field"),
    }
}

fn provides(value: &str, from: &Origin, draft: &mut Draft) {
    let others: Vec<&str> = value.split_whitespace().filter(|name| *name != draft.name).collect();
    match others.is_empty() {
        true => draft.same(from, "the unit's name"),
        false => draft.drop(from, format!("a unit has one name, `{}`", draft.name)),
    }
}

fn needed(field: &str, word: &str, from: &Origin, draft: &mut Draft) {
    let from = Origin { text: format!("{field}: {word}"), ..from.clone() };
    let bare = word.trim_start_matches('+');
    match bare {
        "$network" => {
            draft.add("unit", "after", "network");
            draft.nearly(&from, "`network` holds once there are an address and a default route");
        }
        "$time" => draft.drop(&from, "`after = [\"clock\"]` waits until something keeps it right"),
        "$local_fs" | "$remote_fs" => {
            draft.same(&from, "file systems are mounted before the first unit starts");
        }
        "$syslog" => draft.same(&from, "the log is there before the first unit starts"),
        "$all" => draft.drop(&from, "no unit is after all others"),
        _ if bare.starts_with('$') => draft.drop(&from, "no unit has to be waited for"),
        "mountkernfs" | "udev" | "mountdevsubfs" | "mountall" | "hostname" | "bootmisc"
        | "checkroot" | "urandom" | "procps" | "kmod" => {
            draft.drop(&from, "a duty of boot, which is done before");
        }
        name => {
            draft.add("unit", "after", &crate::clean_name(name));
            draft.nearly(&from, "order only: it is not started along with this one");
        }
    }
}
