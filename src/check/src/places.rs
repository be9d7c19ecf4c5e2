//! Paths that units name: whether they are there, and whether a read-only root can be written there.

use std::path::{Path, PathBuf};

use ettan_unit::{At, Compiled, Severity, shown, tree};

use crate::saying::{Finding, Saying};

/// What is in memory on every machine.
const MEMORY: [&str; 4] = ["/run", "/dev", "/proc", "/sys"];
/// What belongs to the running machine and is not part of a root on a build host.
const VOLATILE: [&str; 5] = ["/run", "/tmp", "/dev", "/proc", "/sys"];

/// Where a root can be written.
pub(crate) struct Mounts {
    is_read_only: bool,
    /// Mount points of /etc/fstab that can be written.
    writable: Vec<String>,
}

impl Mounts {
    pub(crate) fn of(root: &Path, is_read_only: bool) -> Self {
        let mut mounts = Self { is_read_only, writable: Vec::new() };
        let bytes = tree::read_system(root, "/etc/fstab").unwrap_or_default();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let mut fields = line.split_ascii_whitespace();
            let Some(device) = fields.next().filter(|device| !device.starts_with('#')) else {
                continue;
            };
            let (place, kind) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
            let mut options = fields.next().unwrap_or("").split(',');
            let is_read_only = options.any(|option| option == "ro");
            if place == "/" && device != "overlay" && kind != "overlay" {
                mounts.is_read_only |= is_read_only;
            } else if place.starts_with('/') && place != "/" && !is_read_only {
                mounts.writable.push(place.to_string());
            }
        }
        mounts
    }

    fn can_write(&self, root: &Path, path: &str) -> bool {
        if !self.is_read_only {
            return true;
        }
        let real = tree::resolve_inside(root, Path::new(path)).unwrap_or_else(|_| path.into());
        let places = MEMORY.iter().copied().chain(self.writable.iter().map(String::as_str));
        places.into_iter().any(|place| real.starts_with(place))
    }
}

/// What the paths of a unit are for. A key that names another path joins here.
fn use_of(key: &str) -> Use {
    match key {
        "working-directory" => Use::Entered,
        _ => Use::Written,
    }
}

enum Use {
    /// It must be there.
    Entered,
    /// It is made, and written into.
    Written,
}

/// Where the root-directory of a unit is, if it has one.
pub(crate) fn own_root(root: &Path, unit: &Compiled) -> Option<PathBuf> {
    let path = Path::new(unit.named.root.as_deref()?);
    // One that is not there shows at what is looked up below it.
    Some(
        tree::resolve(root, path)
            .unwrap_or_else(|_| root.join(path.strip_prefix("/").unwrap_or(path))),
    )
}

/// What is to be said of the paths of a unit.
pub(crate) fn examine(root: &Path, mounts: &Mounts, unit: &Compiled, out: &mut Vec<Finding>) {
    let source = &unit.source;
    let inner = own_root(root, unit);
    let inner = inner.as_deref().unwrap_or(root);
    let is_made =
        |path: &Path| unit.named.makes.iter().any(|made| Path::new(made).starts_with(path));
    for (key, at) in &unit.named.paths {
        let saying = match use_of(key) {
            Use::Entered if is_made(Path::new(&at.value)) => None,
            Use::Entered => missing(inner, Path::new(&at.value), "the directory"),
            Use::Written => unwritable(root, mounts, key, &at.value),
        };
        out.extend(saying.map(|saying| saying.at(source, &at.span)));
    }
    if let Some(At { span, value }) = &unit.pid_file {
        let directory = Path::new(value).parent().unwrap_or(Path::new("/"));
        let said = missing(root, directory, "the PID file's directory");
        let said = said.filter(|_| !is_made(directory));
        let said = said.or_else(|| unwritable(root, mounts, "pid-file", value));
        out.extend(said.map(|saying| saying.at(source, span)));
    }
}

/// What to say of a directory that is not there.
fn missing(root: &Path, directory: &Path, what: &str) -> Option<Saying> {
    if VOLATILE.iter().any(|place| directory == Path::new(place)) {
        return None;
    }
    if tree::resolve(root, directory).is_ok_and(|path| path.is_dir()) {
        return None;
    }
    let message = format!("{what} `{}` is not there", shown(&directory.to_string_lossy()));
    if VOLATILE.iter().any(|place| directory.starts_with(place)) {
        let hint = Some("somebody has to make it after each boot".into());
        let saying = Saying::new(Severity::Warning, message).lint("missing-directory");
        return Some(saying.hint(hint));
    }
    Some(Saying::new(Severity::Error, message))
}

fn unwritable(root: &Path, mounts: &Mounts, key: &str, path: &str) -> Option<Saying> {
    if mounts.can_write(root, path) {
        return None;
    }
    let message = format!("`{key}` is `{}`, and the root is read-only there", shown(path));
    let hint = "put it below /run, or mount a tmpfs or a data partition there in /etc/fstab";
    Some(Saying::new(Severity::Warning, message).lint("read-only-root").hint(Some(hint.into())))
}
