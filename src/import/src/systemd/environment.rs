//! `Environment=`, `EnvironmentFile=`, and what a user is.

use crate::draft::Draft;
use crate::report::Origin;
use crate::systemd::Sections;
use crate::systemd::parse::{NEITHER, boolean, words};
use crate::systemd::specifier;
use crate::value::Value;

/// The variables that the unit sets itself, later ones over earlier ones.
pub(crate) fn variables(values: &[(String, Origin)]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for word in values.iter().flat_map(|(value, _)| words(value)) {
        let (word, _) = specifier::translate(&word);
        if let Some((name, value)) = word.split_once('=') {
            all.retain(|(known, _)| known != name);
            all.push((name.to_owned(), value.to_owned()));
        }
    }
    all
}

/// `Environment=`.
pub(crate) fn environment(values: &[(String, Origin)], draft: &mut Draft) {
    let table = Value::Table(variables(values));
    for (value, from) in values {
        if words(value).iter().any(|word| !word.contains('=')) {
            draft.near(
                from,
                "service",
                "environment",
                table.clone(),
                "a word without `=` is left out",
            );
        } else {
            draft.map(from, "service", "environment", table.clone());
        }
    }
}

/// `EnvironmentFile=`.
pub(crate) fn files(values: &[(String, Origin)], draft: &mut Draft) {
    let mut list = Vec::new();
    for (value, from) in values {
        let (path, lost) = specifier::translate(value);
        if path.contains(['*', '?', '[']) {
            draft.drop(from, "a pattern of names: write the files down one by one");
            continue;
        }
        if !lost.is_empty() {
            draft.drop(from, format!("`{}` stands for nothing here", lost.join(" ")));
            continue;
        }
        list.push(path);
        let value = match list.as_slice() {
            [one] => Value::text(one),
            more => Value::List(more.to_vec()),
        };
        draft.map(from, "service", "environment-file", value);
    }
}

/// `DynamicUser=yes`: nobody, unless the unit names a user. What cannot be read is a yes: rights
/// never grow.
pub(crate) fn dynamic_user(from: &Origin, value: &str, draft: &mut Draft) {
    let is_named = draft.get("service", "user").is_some();
    let why = match (boolean(value), is_named) {
        (Some(false), _) => return draft.same(from, "the user is the one that is named"),
        (Some(true), true) => return draft.nearly(from, "the user must be in /etc/passwd"),
        (None, true) => return draft.drop(from, NEITHER),
        (Some(true), false) => "systemd makes a user of its own for it: make one, and name it here",
        (None, false) => "this is neither yes nor no, and taken as yes: make a user, and name it",
    };
    draft.near(from, "service", "user", Value::text("nobody"), why);
}

/// `StandardOutput=` and its kin.
pub(crate) fn stream(key: &str, from: &Origin, value: &str, draft: &mut Draft) {
    let input = key == "standard-input";
    let tty = draft.get("service", "tty-path").is_some();
    match value.split_once(':').map_or(value, |(word, _)| word) {
        "null" if input && !tty => draft.same(from, "input is /dev/null"),
        "tty" | "tty-force" | "tty-fail" if input => {
            if !tty {
                draft.put("service", "tty-path", Value::text("/dev/console"), None);
            }
            draft.same(from, "with tty-path the input is the terminal");
        }
        "tty" => {
            draft.map(from, "service", key, Value::text("tty"));
        }
        "socket" => draft.nearly(from, "no socket is passed on: the service has to open its own"),
        "inherit" if !input && (tty || draft.get("service", "standard-output").is_some()) => {
            draft.map(from, "service", key, Value::text("inherit"));
        }
        "inherit" | "journal" | "syslog" | "kmsg" | "journal+console" | "syslog+console"
        | "kmsg+console"
            if !input =>
        {
            if tty {
                draft.put("service", key, Value::text("log"), None);
            }
            match value {
                "inherit" | "journal" => draft.same(from, "output goes to the unit's log"),
                _ => draft.nearly(from, "output goes to the unit's log, and only there"),
            }
        }
        "truncate" => {
            let text = value.replacen("truncate:", "file:", 1);
            draft.near(from, "service", key, Value::Text(text), "the file is not emptied");
        }
        "file" | "append" | "null" => {
            let (text, _) = specifier::translate(value);
            draft.map(from, "service", key, Value::Text(text));
        }
        _ => draft.drop(from, "there is no such stream"),
    }
}

/// Only the input has the terminal of tty-path by itself, and the error goes where the output does.
pub(crate) fn output_is_terminal(sections: &Sections, draft: &mut Draft) {
    if draft.get("service", "standard-output") != Some(&Value::text("tty")) {
        return;
    }
    let is_silent = |name: &str| sections.quietly("Service", name).is_empty();
    if is_silent("StandardInput") && draft.get("service", "tty-path").is_some() {
        draft.put("service", "standard-input", Value::text("null"), None);
    }
    if is_silent("StandardError") {
        draft.put("service", "standard-error", Value::text("inherit"), None);
    }
}
