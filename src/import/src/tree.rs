//! What is read: files and directories, on a disk below a root, or in memory for tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The largest file that can be a configuration.
const MAX_BYTES: u64 = 1 << 20;

/// Files by absolute path, as those who run there see them.
pub trait Tree {
    /// A file's text; None if it is not there or not readable. What is no UTF-8 is replaced.
    fn read(&self, path: &str) -> Option<String>;
    /// Names in a directory, sorted; empty if it is none.
    fn list(&self, path: &str) -> Vec<String>;
    /// Whether it is a directory.
    fn is_directory(&self, path: &str) -> bool;
    /// Whether something is there.
    fn exists(&self, path: &str) -> bool;
}

/// Files below a root.
#[derive(Clone, Debug)]
pub struct Disk {
    root: PathBuf,
}

impl Disk {
    /// Files below `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// A path inside the root as this host names it. Links are followed inside of the root.
    fn host(&self, path: &str) -> PathBuf {
        let mut path = PathBuf::from(path);
        // An absolute link in a foreign root means a place in that root.
        for _ in 0..32 {
            let Some((before, target, rest)) = self.first_link(&path) else { break };
            path = if target.is_absolute() { target } else { before.join(target) };
            path = flattened(&path.join(rest));
        }
        self.root.join(path.strip_prefix("/").unwrap_or(&path))
    }

    /// The first symbolic link on the way: what is before it, where it leads, what is after it.
    fn first_link(&self, path: &Path) -> Option<(PathBuf, PathBuf, PathBuf)> {
        let parts: Vec<_> = path.strip_prefix("/").unwrap_or(path).iter().collect();
        for at in 0..parts.len() {
            let upto: PathBuf = parts.iter().take(at + 1).collect();
            if let Ok(target) = std::fs::read_link(self.root.join(&upto)) {
                let before: PathBuf = parts.iter().take(at).collect();
                let rest: PathBuf = parts.iter().skip(at + 1).collect();
                return Some((Path::new("/").join(before), target, rest));
            }
        }
        None
    }
}

/// Without `.` and `..`.
fn flattened(path: &Path) -> PathBuf {
    let mut flat = PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                flat.pop();
            }
            std::path::Component::Normal(name) => flat.push(name),
            _ => {}
        }
    }
    flat
}

impl Tree for Disk {
    fn read(&self, path: &str) -> Option<String> {
        let path = self.host(path);
        let metadata = std::fs::metadata(&path).ok()?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return None;
        }
        let bytes = std::fs::read(&path).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn list(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.host(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn is_directory(&self, path: &str) -> bool {
        self.host(path).is_dir()
    }

    fn exists(&self, path: &str) -> bool {
        self.host(path).exists()
    }
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub BTreeMap<String, String>);

impl Memory {
    /// Files with these paths and texts.
    #[must_use]
    pub fn new(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect())
    }
}

impl Tree for Memory {
    fn read(&self, path: &str) -> Option<String> {
        self.0.get(path).cloned()
    }

    fn list(&self, path: &str) -> Vec<String> {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let below = self.0.keys().filter_map(|name| name.strip_prefix(&prefix));
        let mut names: Vec<String> =
            below.filter_map(|name| name.split('/').next()).map(str::to_owned).collect();
        names.dedup();
        names
    }

    fn is_directory(&self, path: &str) -> bool {
        !self.list(path).is_empty()
    }

    fn exists(&self, path: &str) -> bool {
        self.0.contains_key(path) || self.is_directory(path)
    }
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// The directory that a path is in.
pub(crate) fn directory(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/",
        Some((directory, _)) => directory,
        None => ".",
    }
}
