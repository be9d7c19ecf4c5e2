//! Debian's packages beside the machine: unpacked into the target directory by tests/daemons.sh,
//! never installed.

use crate::binaries::{target, workspace};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The folder with these packages unpacked, called `folder`.
///
/// # Panics
/// When they cannot be had.
#[must_use]
pub fn unpack(folder: &str, packages: &[&str]) -> PathBuf {
    // Tests run side by side, and several want the same.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = target().join("test").join(folder);
    let script = workspace().join("tests/daemons.sh");
    let status = Command::new(script).arg(&folder).args(packages).status();
    assert!(status.is_ok_and(|status| status.success()), "the packages cannot be unpacked");
    folder
}
