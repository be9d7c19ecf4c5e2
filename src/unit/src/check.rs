//! `ettan check`: what the loader checks, and what would only show when a unit starts.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::compile::Compiled;
use crate::diagnostic::{Complaint, Diagnostic, Severity};
use crate::former::Former;
use crate::load::{Gathered, gather, sort};
use crate::program::{self, Machine};
use crate::reference::shown;
use crate::tree::resolve;

/// Everything there is to say about the units of `root`; with `files`, about those only, each
/// taken in place of the root's unit of that name. The root may be of another machine: nothing
/// in it is executed.
#[must_use]
pub fn check(root: &Path, files: &[PathBuf]) -> Vec<Diagnostic> {
    let Gathered { units, mut diagnostics, .. } = gather(root, files, Former::default());
    let machine = program::machine_of(root);
    for unit in units.values() {
        examine(root, machine, unit, &mut diagnostics);
    }
    if !files.is_empty() {
        let shown: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        diagnostics.retain(|diagnostic| shown.contains(&diagnostic.file));
    }
    sort(&mut diagnostics);
    diagnostics
}

fn examine(root: &Path, machine: Option<Machine>, unit: &Compiled, out: &mut Vec<Diagnostic>) {
    let mut say = |severity: Severity, span: &Range<usize>, complaint: Complaint| {
        let Complaint { message, hint } = complaint;
        out.push(unit.source.diagnostic(severity, span, message, hint));
    };
    let Some(launch) = &unit.launch else { return };
    let path = launch.argv.first().map(|path| path.to_string_lossy()).unwrap_or_default();
    if let Err((severity, complaint)) = program::examine(root, machine, &path) {
        say(severity, &unit.exec_span, complaint);
    }
    if let Some(at) = &unit.pid_file {
        let directory = Path::new(&at.value).parent().unwrap_or(Path::new("/"));
        if let Some((severity, complaint)) = missing(root, directory, "the PID file's directory") {
            say(severity, &at.span, complaint);
        }
    }
    if let Some(at) = &unit.working_directory {
        let directory = launch.working_directory.to_string_lossy();
        if let Some((severity, complaint)) = missing(root, Path::new(&*directory), "the directory")
        {
            say(severity, &at.span, complaint);
        }
    }
}

/// What is in memory only once the machine runs.
const VOLATILE: [&str; 5] = ["/run", "/tmp", "/dev", "/proc", "/sys"];

/// What to say of a directory that is not there.
fn missing(root: &Path, directory: &Path, what: &str) -> Option<(Severity, Complaint)> {
    if VOLATILE.iter().any(|place| directory == Path::new(place)) {
        return None;
    }
    if resolve(root, directory).is_ok_and(|path| path.is_dir()) {
        return None;
    }
    let message = format!("{what} `{}` is not there", shown(&directory.to_string_lossy()));
    if VOLATILE.iter().any(|place| directory.starts_with(place)) {
        let hint = "somebody has to make it after each boot";
        return Some((Severity::Warning, Complaint::new(message).hint(hint)));
    }
    Some((Severity::Error, Complaint::new(message)))
}
