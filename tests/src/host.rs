//! The host around the machines: that a test did it no harm.

use std::collections::BTreeMap;
use std::fs;

/// The host's mounts as they were, to be looked at again.
#[derive(Clone, Debug)]
pub(crate) struct Mounts {
    options: BTreeMap<String, String>,
}

impl Mounts {
    /// The mounts as they are now.
    #[must_use]
    pub(crate) fn now() -> Self {
        let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self { options: text.lines().filter_map(split).collect() }
    }

    /// The mounts whose options are not what they were: a machine has reached out of its walls
    /// (a file system shared with the host was remounted read-only, say).
    #[must_use]
    pub(crate) fn changed(&self) -> Vec<String> {
        let now = Self::now();
        let differs = |(mount, before): (&String, &String)| {
            let after = now.options.get(mount)?;
            (after != before).then(|| format!("{mount}: {before} -> {after}"))
        };
        self.options.iter().filter_map(differs).collect()
    }
}

/// A line of mountinfo as (number and mount point, options of the mount and its file system).
fn split(line: &str) -> Option<(String, String)> {
    let (mount, system) = line.split_once(" - ")?;
    let fields: Vec<&str> = mount.split(' ').collect();
    let super_options = system.split(' ').nth(2)?;
    let name = format!("{} {}", fields.first()?, fields.get(4)?);
    Some((name, format!("{} {}", fields.get(5)?, first(super_options))))
}

/// `rw` or `ro`: the only option of a file system that a machine could change for the worse.
fn first(options: &str) -> &str {
    options.split(',').next().unwrap_or_default()
}
