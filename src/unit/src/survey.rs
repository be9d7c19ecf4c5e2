//! Units as the loader sees them, for whoever looks closer: `ettan check`.

use std::path::{Path, PathBuf};

use crate::asked::Asked;
use crate::compile::Compiled;
use crate::diagnostic::Diagnostic;
use crate::former::Former;
use crate::instances::Groups;
use crate::load::{Gathered, gather};

/// All units of a root that can be used, and what the loader would say of all of them.
#[derive(Debug)]
pub struct Survey {
    /// In the order of their names.
    pub units: Vec<Compiled>,
    /// In no order.
    pub diagnostics: Vec<Diagnostic>,
    /// Which units are instances of one file, for `fold`.
    pub groups: Groups,
}

/// Reads the units of `root`, with `files` in place of those of the same name. The root may be
/// of another machine: nothing in it is executed.
#[must_use]
pub fn survey(root: &Path, files: &[PathBuf]) -> Survey {
    let Gathered { mut units, entries, mut diagnostics, groups, .. } =
        gather(root, files, Former::default(), &Asked::default());
    // What is asked for one boot changes nothing here; what is wrong with it is worth knowing.
    diagnostics.append(&mut Asked::default().with_files(root).diagnostics);
    for entry in entries {
        if let Some(unit) = units.get_mut(entry.unit.name.as_str()) {
            unit.launch = entry.launch;
        }
    }
    Survey { units: units.into_values().collect(), diagnostics, groups }
}
