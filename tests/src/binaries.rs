//! Finds the programs under test. Builds nothing: `make test` has done that.

use std::path::{Path, PathBuf};

/// A program that a machine holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `/sbin/init`.
    Init,
    /// `/sbin/init` that fails when asked to.
    FailingInit,
    /// `/sbin/init` as a release after this one.
    NextInit,
    /// `/usr/bin/ettan`.
    Cli,
    /// `/usr/bin/ettan-web`.
    Web,
    /// The daemon with every bad habit.
    FakeDaemon,
    /// A stand-in for telldusd.
    Telldusd,
    /// The service that is killed a million times.
    SoakWorker,
    /// Takes the numbers that it leaves.
    Decoys,
    /// Executes a program without some system calls.
    Lacking,
}

/// The program's file on this host, if it is there: in the directory that `ETTAN_PROGRAMS`
/// names, or else where `make host-musl` puts it. `ETTAN_INIT` names another init.
#[must_use]
pub fn look(program: Program) -> Option<PathBuf> {
    let file = match (program, std::env::var_os("ETTAN_INIT")) {
        (Program::Init, Some(file)) => PathBuf::from(file),
        (Program::FailingInit, _) => with_feature("fault-injection").join(file_name(program)),
        (Program::NextInit, _) => with_feature("next-release").join(file_name(program)),
        (_, _) => directory().join(file_name(program)),
    };
    file.is_file().then_some(file)
}

/// Where `qemu/cross.sh` puts what is built with a feature.
fn with_feature(feature: &str) -> PathBuf {
    let mut place = directory().into_os_string();
    place.push(format!("-{feature}"));
    PathBuf::from(place)
}

fn directory() -> PathBuf {
    match std::env::var_os("ETTAN_PROGRAMS") {
        Some(directory) => PathBuf::from(directory),
        None => target().join("musl/x86_64"),
    }
}

/// Where built files and test files go: cargo's target directory.
#[must_use]
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => workspace().join("target"),
    }
}

/// The top of the source tree.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

fn file_name(program: Program) -> &'static str {
    match program {
        Program::Init | Program::FailingInit | Program::NextInit => "ettan-init",
        Program::Cli => "ettan",
        Program::Web => "ettan-web",
        Program::FakeDaemon => "fake-daemon",
        Program::Telldusd => "telldusd",
        Program::SoakWorker => "soak-worker",
        Program::Decoys => "decoys",
        Program::Lacking => "lacking",
    }
}
