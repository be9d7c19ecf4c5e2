//! `log/run`: what multilog, svlogd and s6-log are told becomes `[log]`.

use crate::draft::{Draft, literal};
use crate::report::Origin;
use crate::run::Words;
use crate::tree::{Tree, file_name};
use crate::value::Value;

/// Reads a logger's script; false if it is none that is known.
pub(crate) fn log(tree: &dyn Tree, path: &str, commands: Vec<Words>, draft: &mut Draft) -> bool {
    let Some((words, from)) = commands.last() else { return false };
    let from = Origin { file: format!("{path}/log/run"), ..from.clone() };
    let names = ["multilog", "svlogd", "s6-log"];
    let Some(at) = words.iter().position(|word| names.contains(&file_name(word))) else {
        return false;
    };
    let (before, after) = words.split_at(at);
    user(before, &from, draft);
    let place = |name: &str| match name.strip_prefix("./").unwrap_or(name) {
        "." => format!("{path}/log"),
        name if name.starts_with('/') => name.to_owned(),
        name => format!("{path}/log/{name}"),
    };
    let options = after.iter().skip(1).map(String::as_str);
    match words.get(at).map(|word| file_name(word)) {
        Some("svlogd") => svlogd(tree, options, &place, &from, draft),
        _ => multilog(options, &place, &from, draft),
    }
    true
}

/// Who the logger runs as.
fn user(before: &[String], from: &Origin, draft: &mut Draft) {
    let mut words = before.iter();
    while let Some(word) = words.next() {
        let name = match file_name(word) {
            "setuidgid" | "s6-setuidgid" => words.next().map(String::as_str),
            word if word.starts_with("-u") && word.len() > 2 => word.get(2..),
            "-u" => words.next().map(String::as_str),
            _ => None,
        };
        if let Some(name) = name {
            let name = name.split(':').next().unwrap_or(name);
            let from = Origin { text: format!("log: {name}"), ..from.clone() };
            draft.map(&from, "log", "user", Value::text(name));
        }
    }
}

fn directory(place: String, from: &Origin, draft: &mut Draft) {
    draft.put("log", "storage", Value::text("disk"), None);
    let why = "the newest lines are in memory, and on the disk half a minute later";
    draft.near(from, "log", "directory", Value::Text(literal(&place)), why);
}

/// multilog's script, which is s6-log's too.
fn multilog<'a>(
    options: impl Iterator<Item = &'a str>,
    place: &dyn Fn(&str) -> String,
    from: &Origin,
    draft: &mut Draft,
) {
    for word in options {
        let from = Origin { text: format!("log: {word}"), ..from.clone() };
        match word.split_at_checked(1).unwrap_or((word, "")) {
            ("t", "") => {
                draft.map(&from, "log", "timestamps", Value::text("tai64n"));
            }
            ("T", "") => draft.same(&from, "labels are ISO 8601"),
            ("s", number) => size(number, &from, draft),
            ("n", number) => {
                draft.map(&from, "log", "max-files", Value::number_or_text(number));
            }
            ("." | "/", _) => directory(place(word), &from, draft),
            ("+" | "-", _) => {
                draft.drop(&from, "each line is kept: write patterns by hand as [[log.route]]");
            }
            ("!", _) => draft.drop(&from, "no program is run on a log that is full"),
            ("e" | "2", _) => draft.drop(&from, "no line is passed on"),
            ("b" | "q" | "v" | "w", _) => draft.same(&from, "nobody waits for a log"),
            _ => draft.drop(&from, "not understood"),
        }
    }
}

fn size(number: &str, from: &Origin, draft: &mut Draft) {
    draft.map(from, "log", "max-size", Value::number_or_text(number));
}

/// svlogd, whose settings are in a file of its directory.
fn svlogd<'a>(
    tree: &dyn Tree,
    options: impl Iterator<Item = &'a str>,
    place: &dyn Fn(&str) -> String,
    from: &Origin,
    draft: &mut Draft,
) {
    for word in options {
        let from = Origin { text: format!("log: {word}"), ..from.clone() };
        match word {
            "-t" => {
                draft.map(&from, "log", "timestamps", Value::text("tai64n"));
            }
            "-tt" | "-ttt" => draft.same(&from, "labels are ISO 8601"),
            word if word.starts_with('-') => draft.drop(&from, "not understood"),
            word => {
                let path = place(word);
                let config = format!("{path}/config");
                for (at, line) in tree.read(&config).unwrap_or_default().lines().enumerate() {
                    let from = Origin::new(&config, at + 1, line);
                    match line.split_at_checked(1).unwrap_or((line, "")) {
                        ("", _) | ("#", _) => {}
                        ("s", number) => size(number, &from, draft),
                        ("n", number) => {
                            draft.map(&from, "log", "max-files", Value::number_or_text(number));
                        }
                        ("t", number) => {
                            draft.map(&from, "log", "max-age-sec", Value::number_or_text(number));
                        }
                        _ => draft.drop(&from, "not understood"),
                    }
                }
                directory(path, &from, draft);
            }
        }
    }
}
