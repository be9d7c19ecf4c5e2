//! A control group of its own for each machine, below the host's cgroup2 mount, and its removal.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

const PREFIX: &str = "ettan-test-";

/// A control group that goes with its value.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// A new empty group; None where the host has no cgroup2 mount or does not let us make one.
    #[must_use]
    pub(crate) fn new(number: u64) -> Option<Self> {
        static SWEEP: Once = Once::new();
        let top = mount_point()?;
        SWEEP.call_once(|| sweep(&top));
        let path = top.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&path).ok()?;
        Some(Self { path })
    }

    /// Its directory on the host.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Where the host has its cgroup2 mounted: the whole `/sys/fs/cgroup` or a folder in it.
fn mount_point() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}

/// Kills what is left in a group and removes it with everything below.
fn remove(path: &Path) {
    let _ = fs::write(path.join("cgroup.kill"), "1");
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}

/// Removes the groups of test runs that were killed before they could do it themselves.
fn sweep(top: &Path) {
    let Ok(entries) = fs::read_dir(top) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let Some(owner) = owner else { continue };
        if !Path::new("/proc").join(owner).exists() {
            remove(&entry.path());
        }
    }
}
