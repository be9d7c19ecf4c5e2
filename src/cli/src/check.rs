//! `ettan check`: what the loader says, and what would show only when a unit starts; on this machine
//! or for a root file system.

use crate::code::Code;
use crate::escape::{Screen, json_string};
use crate::show::many;
use ettan_check::{Finding, Style, Wish, render};
use ettan_unit::{Severity, file_of};
use std::path::{Path, PathBuf};

/// What is drawn for nobody on a terminal has as many columns as a serial console.
const COLUMNS: usize = 80;

/// `check [--root DIR] [FILE…]`: 0 when there is no error, 1 when there is one; `strict`: or a
/// warning.
pub(crate) fn check(wish: &Wish, strict: bool, screen: &Screen) -> Code {
    let files = wish.files.iter().map(|file| named(&wish.root, file)).collect();
    let findings = ettan_check::check(&Wish { files, ..wish.clone() });
    let columns = screen.columns().unwrap_or(COLUMNS);
    let style = Style { colour: screen.has_colours(), columns };
    for finding in &findings {
        if screen.json {
            screen.packet(&json(finding));
        } else {
            screen.drawn(&format!("{}\n", render(finding, style)));
        }
    }
    let count = |severity| findings.iter().filter(|f| f.diagnostic.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if !screen.json {
        match (errors, warnings) {
            (0, 0) => screen.say("no errors"),
            (errors, warnings) => {
                screen.say(&format!("{}, {}", many(errors, "error"), many(warnings, "warning")));
            }
        }
    }
    if errors == 0 && (warnings == 0 || !strict) { Code::Done } else { Code::Failed }
}

/// The file of the unit where only a name was typed, as every other verb takes it.
fn named(root: &Path, typed: &Path) -> PathBuf {
    let name = typed.to_str().filter(|name| !name.contains('/') && !name.ends_with(".toml"));
    let unit = name.map(|name| name.strip_suffix(".service").unwrap_or(name));
    unit.and_then(|unit| file_of(root, unit)).unwrap_or_else(|| typed.into())
}

fn json(finding: &Finding) -> String {
    let diagnostic = &finding.diagnostic;
    let mut text = format!("{{\"severity\":\"{}\"", diagnostic.severity.word());
    let mut add = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            text.push_str(&format!(",\"{key}\":{}", json_string(value)));
        }
    };
    add("lint", finding.lint);
    add("unit", diagnostic.unit.as_deref());
    add("file", Some(&diagnostic.file));
    add("message", Some(&diagnostic.message));
    add("hint", diagnostic.hint.as_deref());
    if let Some(place) = &diagnostic.place {
        text.push_str(&format!(",\"line\":{},\"column\":{}", place.line, place.column));
    }
    if !finding.notes.is_empty() {
        let notes: Vec<String> = finding.notes.iter().map(|note| json_string(note)).collect();
        text.push_str(&format!(",\"notes\":[{}]", notes.join(",")));
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_unit_may_be_checked_by_its_name() {
        let root = std::env::temp_dir().join(format!("ettan-named-{}", std::process::id()));
        let file = root.join("usr/lib/units/web.toml");
        fs::create_dir_all(root.join("usr/lib/units")).expect("a directory");
        fs::write(&file, "").expect("a file");
        assert_eq!(named(&root, Path::new("web")), file);
        assert_eq!(named(&root, Path::new("web.service")), file);
        for other in ["web.toml", "./web", "none"] {
            assert_eq!(named(&root, Path::new(other)), Path::new(other));
        }
        fs::remove_dir_all(&root).expect("a directory");
    }
}
