//! `ettan check`: what the loader checks, and what only shows when a unit starts.

use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::load::{gather, sort};

/// Everything there is to say about the units of `root`; with `files`, about those only, each
/// taken in place of the root's unit of that name.
#[must_use]
pub fn check(root: &Path, files: &[PathBuf]) -> Vec<Diagnostic> {
    let gathered = gather(root, files);
    let mut diagnostics = gathered.diagnostics;
    if !files.is_empty() {
        let shown: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        diagnostics.retain(|diagnostic| shown.contains(&diagnostic.file));
    }
    sort(&mut diagnostics);
    diagnostics
}
