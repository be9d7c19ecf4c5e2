//! `ettan check`: the loader's own checks, on this machine or for a root file system.

use crate::code::Code;
use crate::escape::{Screen, json_string};
use crate::show::many;
use ettan_unit::{Diagnostic, Severity};
use std::path::{Path, PathBuf};

/// `check [--root DIR] [FILE…]`: 0 when there is no error, 1 when there is one.
pub(crate) fn check(root: Option<&Path>, files: &[PathBuf], screen: &Screen) -> Code {
    let diagnostics = ettan_unit::check(root.unwrap_or(Path::new("/")), files);
    for diagnostic in &diagnostics {
        if screen.json {
            screen.packet(&json(diagnostic));
        } else {
            screen.say(&format!("{diagnostic}\n"));
        }
    }
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    if !screen.json {
        match (errors, diagnostics.len().saturating_sub(errors)) {
            (0, 0) => screen.say("no errors"),
            (errors, warnings) => {
                screen.say(&format!("{}, {}", many(errors, "error"), many(warnings, "warning")));
            }
        }
    }
    if errors == 0 { Code::Done } else { Code::Failed }
}

fn json(diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut text = format!("{{\"severity\":\"{severity}\"");
    let mut add = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            text.push_str(&format!(",\"{key}\":{}", json_string(value)));
        }
    };
    add("unit", diagnostic.unit.as_deref());
    add("file", Some(&diagnostic.file));
    add("message", Some(&diagnostic.message));
    add("hint", diagnostic.hint.as_deref());
    if let Some(place) = &diagnostic.place {
        text.push_str(&format!(",\"line\":{},\"column\":{}", place.line, place.column));
    }
    text.push('}');
    text
}
