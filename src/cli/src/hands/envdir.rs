//! `envdir DIR PROGRAM`: a variable for each file of DIR, then runs it. A file's name is the
//! variable's, its first line without blanks at the end is the value, NUL is a line feed; an empty
//! file takes the variable away, a file with a dot in front is none.

use super::chain::{Tool, words};
use crate::code::Code;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Its variables, then the program.
pub(super) fn envdir(directory: &Path, program: &[OsString]) -> Code {
    let tool = Tool("envdir");
    let variables = match variables(directory) {
        Ok(variables) => variables,
        Err(text) => return tool.fatal(text),
    };
    tool.become_program(program, |command| {
        for (name, value) in variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    })
}

/// A variable, or that it is to be taken away.
type Variable = (OsString, Option<OsString>);

fn variables(directory: &Path) -> Result<Vec<Variable>, String> {
    let shown = directory.display();
    let outer =
        |error: io::Error| format!("unable to switch to directory {shown}: {}", words(&error));
    let mut variables = Vec::new();
    for entry in fs::read_dir(directory).map_err(outer)? {
        let name = entry.map_err(outer)?.file_name();
        if name.as_bytes().starts_with(b".") {
            continue;
        }
        let bytes = fs::read(directory.join(&name)).map_err(|error| {
            format!("unable to read {shown}/{}: {}", name.to_string_lossy(), words(&error))
        })?;
        // No environment can hold such a name.
        if !name.as_bytes().contains(&b'=') {
            variables.push((name, value(&bytes)));
        }
    }
    Ok(variables)
}

/// None for a file of no bytes at all.
fn value(bytes: &[u8]) -> Option<OsString> {
    if bytes.is_empty() {
        return None;
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let end = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |at| at + 1);
    let value = line.get(..end).unwrap_or_default();
    let value = value.iter().map(|byte| if *byte == 0 { b'\n' } else { *byte });
    Some(OsString::from_vec(value.collect()))
}

#[cfg(test)]
mod tests {
    use super::value;
    use std::ffi::OsStr;

    #[test]
    fn the_first_line_without_blanks_at_its_end() {
        for (bytes, text) in [
            (&b"plain"[..], Some("plain")),
            (b"two words \t\nsecond line", Some("two words")),
            (b" \t \n", Some("")),
            (b"\nx", Some("")),
            (b"a\0b", Some("a\nb")),
            (b"", None),
        ] {
            assert_eq!(value(bytes).as_deref(), text.map(OsStr::new), "{bytes:?}");
        }
    }
}
