//! Inspects. Everything the loader says of unit files, and what would show only when a unit
//! starts: programs, libraries, directories, and what is hardly ever meant.
//!
//! For `ettan check`, on this machine or on a build host for the root file system of another one.
//! Runs no program, changes no file.
//!
//! | file | what it does |
//! |---|---|
//! | `program` | can a command be executed? |
//! | `elf`, `cpu`, `libraries` | is it for this CPU, and does it find what it needs? |
//! | `binary` | one program by itself, for whoever puts it on a root |
//! | `places` | directories, and what a read-only root cannot write |
//! | `lints`, `daemons`, `policy` | what is allowed and hardly ever meant |
//! | `allow` | which lints a unit file allows itself |
//! | `render` | findings as text, with their source |
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod allow;
mod binary;
mod cpu;
mod daemons;
mod elf;
mod libraries;
mod lints;
mod places;
mod policy;
mod program;
mod render;
mod saying;

use std::path::{Path, PathBuf};

use ettan_unit::{
    Command, Compiled, Diagnostic, Severity, fold, is_unit_directory, survey, template_of, unit_of,
};

pub use binary::Binary;
pub use cpu::Cpu;
pub use render::{Style, render};
pub use saying::Finding;

use places::Mounts;
use program::{Programs, Surroundings};
use saying::Saying;

/// What is to be inspected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The root file system that the units are for.
    pub root: PathBuf,
    /// Files to be taken in place of the root's units and drop-ins of their names; only of their units is spoken.
    pub files: Vec<PathBuf>,
    /// The CPU that the root is for; None: as most of its programs.
    pub cpu: Option<Cpu>,
    /// Whether the root is mounted read-only, whatever its /etc/fstab says.
    pub read_only_root: bool,
}

/// Every lint, and what it finds. Those can be allowed by a unit, in `[x-check]`.
pub const LINTS: &[(&str, &str)] = &[
    ("critical-device", "a `critical` unit that comes and goes with a device"),
    ("forks", "a `simple` service whose program is known to put itself into the background"),
    ("missing-directory", "a directory in memory that somebody has to make first"),
    ("newer-library", "a library that says it is for a newer CPU than the root's"),
    ("no-pid-file", "type `forking` without `pid-file`"),
    ("no-units", "not one unit in any directory"),
    ("read-only-root", "a path that a read-only root cannot write"),
    ("restart-policy", "a service that does not start again after each end"),
    ("runs-as-root", "a service that says nothing of its user"),
    ("stays-in-foreground", "a `forking` service whose program is known not to"),
    ("unknown-cpu", "a program that does not say for which ARM it is, with `--cpu armv6`"),
    (lints::UNUSED, "units in /usr/lib/units that nothing starts"),
];

/// Everything there is to say, in the order of files and lines.
#[must_use]
pub fn check(wish: &Wish) -> Vec<Finding> {
    let root = wish.root.as_path();
    if !root.is_dir() {
        let saying =
            Saying::new(Severity::Error, "no such root: there is no directory of this name");
        return vec![saying.of(None, &root.display().to_string())];
    }
    let found = survey(root, &wish.files);
    // Where units are refused there are some.
    let is_clean = found.diagnostics.iter().all(|said| said.severity != Severity::Error);
    let mut findings: Vec<Finding> = found.diagnostics.into_iter().map(Finding::from).collect();
    let inspection = Inspection::new(wish, &found.units);
    let mut said = Vec::new();
    lints::of_all(&found.units, is_clean, &mut said);
    let started = lints::started(&found.units);
    let mut unused = Vec::new();
    for unit in &found.units {
        let name = unit.unit.name.as_str();
        let allowed = allow::allowed(unit, &mut findings);
        let mut own = Vec::new();
        inspection.unit(unit, &mut own);
        own.retain(|finding| !finding.lint.is_some_and(|lint| allowed.contains(&lint)));
        if !started.contains(name) {
            own.iter_mut().for_each(Finding::of_unused);
            unused.extend(Some(name).filter(|_| !allowed.contains(&lints::UNUSED)));
        }
        said.append(&mut own);
    }
    said.extend(lints::unused(&unused));
    findings.append(&mut said);
    fold(&mut findings, &found.groups, |finding| &mut finding.diagnostic);
    if !wish.files.is_empty() {
        let about = About::files(&wish.files);
        findings.retain(|finding| about.is(&finding.diagnostic));
    }
    let place = |f: &Finding| f.diagnostic.place.as_ref().map(|place| (place.line, place.column));
    findings.sort_by(|a, b| (&a.diagnostic.file, place(a)).cmp(&(&b.diagnostic.file, place(b))));
    findings
}

/// What is spoken of where files are given.
struct About {
    files: Vec<String>,
    units: Vec<String>,
}

impl About {
    fn files(files: &[PathBuf]) -> Self {
        let units = files.iter().filter_map(|file| Some(unit_of(file)?.0)).collect();
        Self { files: files.iter().map(|file| file.display().to_string()).collect(), units }
    }

    /// Of the files, of the units that they are of, and of a directory that keeps them from being used.
    fn is(&self, said: &Diagnostic) -> bool {
        let is_meant = |unit: &str| self.units.iter().any(|meant| meant == unit);
        let of_unit = said.unit.as_deref().is_some_and(|unit| {
            is_meant(unit) || template_of(unit).is_some_and(|template| is_meant(&template))
        });
        let of_directory = said.severity == Severity::Error && is_unit_directory(&said.file);
        of_unit || of_directory || self.files.contains(&said.file)
    }
}

struct Inspection<'a> {
    root: &'a Path,
    cpu: Option<Cpu>,
    programs: Programs<'a>,
    mounts: Mounts,
}

impl<'a> Inspection<'a> {
    fn new(wish: &'a Wish, units: &[Compiled]) -> Self {
        let root = wish.root.as_path();
        let units = units.iter().filter(|unit| unit.named.root.is_none());
        let commands = units.flat_map(|unit| &unit.named.commands);
        let others: Vec<&str> =
            commands.filter_map(|command| Some(command.argv.value.first()?.as_str())).collect();
        let cpu = wish.cpu.or_else(|| program::cpu_of(root, &others));
        let mounts = Mounts::of(root, wish.read_only_root);
        Self { root, cpu, programs: Programs::new(root, cpu), mounts }
    }

    fn unit(&self, unit: &Compiled, out: &mut Vec<Finding>) {
        let around = surroundings(unit);
        // With a root of its own, nothing of this one is what it executes.
        let inner = places::own_root(self.root, unit);
        let own = inner.as_deref().map(|inner| Programs::new(inner, self.cpu));
        for Command { key, argv, may_fail, is_probe } in &unit.named.commands {
            let said = match &own {
                _ if *is_probe => self.programs.command(&argv.value, &of_the_prober()),
                Some(own) => own.command(&argv.value, &around),
                None => self.programs.command(&argv.value, &around),
            };
            for saying in said {
                let saying = if *key == "exec-start" { saying } else { saying.about(key) };
                let saying = if *may_fail { saying.tolerated() } else { saying };
                out.push(saying.at(&unit.source, &argv.span));
            }
        }
        places::examine(self.root, &self.mounts, unit, out);
        lints::of_unit(self.root, unit, out);
    }
}

/// What it executes finds nothing of the unit's environment.
fn of_the_prober() -> Surroundings {
    let path = ettan_unit::PATH.map(ToString::to_string).to_vec();
    Surroundings { path, library_path: Vec::new(), working_directory: "/".into() }
}

fn surroundings(unit: &Compiled) -> Surroundings {
    let Some(launch) = &unit.launch else { return Surroundings::default() };
    let variable = |name: &str| {
        let texts = launch.envp.iter().filter_map(|text| text.to_str().ok());
        let mut values = texts.filter_map(|text| text.strip_prefix(name)?.strip_prefix('='));
        let value = values.next().unwrap_or("");
        value.split(':').filter(|part| !part.is_empty()).map(ToString::to_string).collect()
    };
    Surroundings {
        path: variable("PATH"),
        library_path: variable("LD_LIBRARY_PATH"),
        working_directory: launch.working_directory.to_string_lossy().into_owned(),
    }
}
