//! Variables from files: `environment-file` (lines of KEY=value) and `environment-dir` (one file
//! for each variable, as daemontools' envdir reads them). Read when units are read, by the loader.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use crate::diagnostic::Complaint;
use crate::draft::odd_variable;
use crate::reference::shown;
use crate::tree::{Owners, odd_kind, open, read_still, resolve, words};

/// The largest file, and the largest variable, in bytes: a page is what execve takes easily.
const MAX_FILE: usize = 64 * 1024;
/// The most files of a directory that are looked at.
const MAX_FILES: usize = 1_024;

/// A variable, or that there is none of that name.
pub(crate) type Setting = (String, Option<String>);

/// The variables in the file at `path`. A `-` in front of it: the file may be missing.
pub(crate) fn file(root: &Path, path: &str) -> Result<Vec<Setting>, Complaint> {
    let (path, optional) = path.strip_prefix('-').map_or((path, false), |path| (path, true));
    absolute(path)?;
    let bytes = match read(root, path) {
        Err(Trouble::Read(error)) if optional && error.kind() == ErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        read => read.map_err(|trouble| trouble.about(path))?,
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| Complaint::new(format!("`{}` is not UTF-8", shown(path))))?;
    if text.contains('\0') {
        return Err(Complaint::new(format!("`{}` holds a NUL character", shown(path))));
    }
    let mut settings = Vec::new();
    for (number, line) in logical_lines(&text) {
        let at = |message: &str| Complaint::new(format!("{}:{number}: {message}", shown(path)));
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let (name, value) =
            line.split_once('=').ok_or_else(|| at("not KEY=value").hint("`#` begins a comment"))?;
        let name = name.trim();
        if let Some(message) = odd_variable(name) {
            return Err(at(&message));
        }
        settings.push((name.to_string(), Some(unquoted(value.trim()))));
    }
    Ok(settings)
}

/// Lines with their numbers, those that end in a backslash joined with the next.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut joins = false;
    for (line, number) in text.lines().zip(1_usize..) {
        let (part, continues) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut() {
            Some((_, last)) if joins => last.push_str(part),
            Some(_) | None => lines.push((number, part.to_string())),
        }
        joins = continues;
    }
    lines
}

/// A value without the quotes around all of it; in double quotes `\"`, `\\` and `\$` are escapes.
fn unquoted(value: &str) -> String {
    let inside = |quote: char| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    if let Some(plain) = inside('\'') {
        return plain.to_string();
    }
    let Some(escaped) = inside('"') else { return value.to_string() };
    let mut out = String::new();
    let mut letters = escaped.chars();
    while let Some(letter) = letters.next() {
        let next = if letter == '\\' { letters.as_str().chars().next() } else { None };
        match next.filter(|next| ['"', '\\', '$', '`'].contains(next)) {
            Some(next) => {
                out.push(next);
                letters.next();
            }
            None => out.push(letter),
        }
    }
    out
}

/// The variables in the directory at `path`: a file's name is the variable's, its first line
/// without blanks at the end is the value, NUL is a line feed, an empty file takes it away.
pub(crate) fn directory(root: &Path, path: &str) -> Result<Vec<Setting>, Complaint> {
    let (path, optional) = path.strip_prefix('-').map_or((path, false), |path| (path, true));
    absolute(path)?;
    let listed = match names(root, path) {
        Err(Trouble::Read(error)) if optional && error.kind() == ErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        listed => listed.map_err(|trouble| trouble.about(path))?,
    };
    let mut settings = Vec::new();
    for name in listed {
        let file = format!("{path}/{name}");
        if let Some(message) = odd_variable(&name) {
            return Err(Complaint::new(format!("{}: {message}", shown(&file))));
        }
        let bytes = read(root, &file).map_err(|trouble| trouble.about(&file))?;
        settings
            .push((name, first_line(&bytes).map_err(|m| Complaint::new(format!("{file}: {m}")))?));
    }
    Ok(settings)
}

/// None for a file of no bytes at all.
fn first_line(bytes: &[u8]) -> Result<Option<String>, &'static str> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(b"");
    let text = core::str::from_utf8(line).map_err(|_| "not UTF-8")?;
    Ok(Some(text.trim_end_matches([' ', '\t']).replace('\0', "\n")))
}

/// Sorted, those with a dot in front left out.
fn names(root: &Path, path: &str) -> Result<Vec<String>, Trouble> {
    let real = resolve(root, Path::new(path))?;
    let metadata = std::fs::metadata(&real)?;
    if let Some((message, hint)) = Owners::of(root).distrust("the directory", &metadata) {
        return Err(Trouble::Distrust(message, hint));
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&real)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
        if names.len() > MAX_FILES {
            return Err(Trouble::Distrust(format!("more than {MAX_FILES} files"), String::new()));
        }
    }
    crate::names::sort_by(&mut names, String::cmp);
    Ok(names)
}

enum Trouble {
    Read(io::Error),
    Distrust(String, String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl Trouble {
    fn about(self, path: &str) -> Complaint {
        match self {
            Self::Read(error) => Complaint::new(format!("`{}`: {}", shown(path), words(&error))),
            Self::Distrust(message, hint) => {
                Complaint::new(format!("`{}`: {message}", shown(path))).hint(hint)
            }
        }
    }
}

/// A whole regular file that nobody but root could have written.
fn read(root: &Path, path: &str) -> Result<Vec<u8>, Trouble> {
    let real = resolve(root, Path::new(path))?;
    let before = std::fs::metadata(&real)?;
    if let Some(kind) = odd_kind(before.file_type()) {
        return Err(Trouble::Distrust(format!("{kind}, not a regular file"), String::new()));
    }
    let mut file: File = open(&real)?;
    let metadata = file.metadata()?;
    if let Some((message, hint)) = Owners::of(root).distrust("the file", &metadata) {
        return Err(Trouble::Distrust(message, hint));
    }
    if metadata.len() == 0 && metadata.is_file() {
        // Of /proc, or truly empty.
        let mut bytes = Vec::new();
        file.by_ref().take(MAX_FILE as u64).read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    read_still(&real, &mut file, MAX_FILE)?.ok_or_else(|| {
        Trouble::Distrust(format!("longer than {} KiB", MAX_FILE / 1024), String::new())
    })
}

fn absolute(path: &str) -> Result<(), Complaint> {
    if path.starts_with('/') {
        return Ok(());
    }
    let message = format!("`{}` is not an absolute path", shown(path));
    Err(Complaint::new(message).hint("it begins with `/`, or with `-/` if it may be missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_go_and_lines_join() {
        let lines = logical_lines("a=1\\\n2\nb=3\\");
        assert_eq!(lines, [(1, "a=12".to_string()), (3, "b=3".to_string())]);
        for (value, expected) in [
            ("plain", "plain"),
            ("'a \"b\" \\$'", "a \"b\" \\$"),
            (r#""a \"b\" \$x \n""#, r#"a "b" $x \n"#),
            ("\"", "\""),
            ("", ""),
            ("it's", "it's"),
        ] {
            assert_eq!(unquoted(value), expected);
        }
    }

    #[test]
    fn a_file_of_envdir_is_its_first_line() {
        assert_eq!(first_line(b""), Ok(None));
        assert_eq!(first_line(b"\n"), Ok(Some(String::new())));
        assert_eq!(first_line(b"a b \t\nc"), Ok(Some("a b".into())));
        assert_eq!(first_line(b"a\0b"), Ok(Some("a\nb".into())));
        assert!(first_line(b"\xff").is_err());
    }
}
