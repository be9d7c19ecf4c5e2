//! Translates: other supervisors' configuration in, unit files and a report out.
//!
//! | file | what it reads |
//! |---|---|
//! | `systemd` | .service, .target, .socket, .timer and their drop-ins |
//! | `supervisor` | supervisord.conf |
//! | `run` | service directories of daemontools, runit and s6 |
//! | `sysv` | init scripts, and directories of numbered links to them |
//! | `inittab` | inittab of sysvinit and BusyBox |
//!
//! Each directive ends in the report: mapped, approximated or dropped, and why. A key is written
//! only when the loader's own code takes it. Runs nothing and writes nothing.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod draft;
mod inittab;
mod report;
mod run;
mod shell;
mod supervisor;
mod systemd;
mod sysv;
mod tree;
mod value;

pub use draft::Draft;
pub use report::{Fate, Note, Origin, for_people, for_scripts, json, object, wrapped};
pub use tree::{Disk, Memory, Tree};

/// What one source came to.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// The file or directory.
    pub source: String,
    /// The units it makes.
    pub units: Vec<Draft>,
    /// What became of directives that belong to no unit.
    pub notes: Vec<Note>,
    /// What to know about it as a whole; may be empty.
    pub remark: String,
}

impl Imported {
    fn new(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::default() }
    }
}

/// Translates what is at `path`: a file or a directory of any format that is known.
///
/// # Errors
/// Why nothing of it can be translated.
pub fn import(tree: &dyn Tree, path: &str) -> Result<Vec<Imported>, String> {
    if !tree.exists(path) {
        return Err("it is not there".into());
    }
    if tree.is_directory(path) {
        return import_directory(tree, path);
    }
    import_file(tree, path).map(|imported| vec![imported])
}

fn import_file(tree: &dyn Tree, path: &str) -> Result<Imported, String> {
    let name = tree::file_name(path);
    if systemd::SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        return systemd::import(tree, path);
    }
    if name == "inittab" {
        return inittab::import(tree, path);
    }
    let text = tree.read(path).ok_or("it cannot be read, or is no text of at most 1 MiB")?;
    if supervisor::is_one(&text) {
        return supervisor::import(tree, path);
    }
    if name == "run" {
        return run::import(tree, tree::directory(path));
    }
    if sysv::is_one(path, &text) {
        return sysv::import(tree, path);
    }
    Err("its format is not known".into())
}

fn import_directory(tree: &dyn Tree, path: &str) -> Result<Vec<Imported>, String> {
    if run::is_one(tree, path) {
        return run::import(tree, path).map(|imported| vec![imported]);
    }
    let names = tree.list(path);
    let inside = |name: &String| format!("{}/{name}", path.trim_end_matches('/'));
    let is_unit = |name: &&String| systemd::SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    let units = names.iter().filter(is_unit);
    let mut all: Vec<_> =
        units.filter_map(|name| systemd::import(tree, &inside(name)).ok()).collect();
    if all.is_empty() {
        let found = run::in_directory(tree, path);
        all.extend(found.iter().filter_map(|path| run::import(tree, path).ok()));
    }
    if all.is_empty() {
        all = sysv::in_order(tree, path);
    }
    if all.is_empty() { Err("nothing in it has a format that is known".into()) } else { Ok(all) }
}

/// The name of a unit: what cannot be in one becomes `_`.
fn clean_name(name: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || ":_.@-".contains(c);
    let name: String = name.chars().take(64).map(|c| if good(c) { c } else { '_' }).collect();
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

/// Where a program without a path is, and what that is worth saying.
fn found(program: &str, tree: &dyn Tree) -> (String, Option<String>) {
    const PATH: [&str; 6] =
        ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    if program.starts_with('/') {
        return (program.to_owned(), None);
    }
    let mut places = PATH.iter().map(|place| format!("{place}/{program}"));
    let path = places.find(|path| tree.exists(path)).unwrap_or(format!("/usr/bin/{program}"));
    let why = format!("`{program}` is taken to be {path}");
    (path, Some(why))
}
