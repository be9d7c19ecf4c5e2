//! What a keeper did to its disk, call by call, and what a power cut at any point leaves of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One call that changed the disk, or made it keep what was changed.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Create(PathBuf),
    Write(PathBuf, Vec<u8>),
    /// At the beginning of the file.
    Cover(PathBuf, Vec<u8>),
    Cut(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    /// Data of a file, or a directory.
    Sync(PathBuf),
}

/// Reads what `strace -ff -y -xx` wrote about one thread, as far as it is about this directory.
pub(crate) fn read(trace: &str, directory: &Path) -> Vec<Call> {
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((name, rest)) = line.split_once('(') else { continue };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { continue };
        if result.starts_with('-') {
            continue;
        }
        let opened = arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let opened = opened.map(|(path, _)| path_of(path)).unwrap_or_default();
        let texts: Vec<_> = arguments.split('"').skip(1).step_by(2).map(bytes).collect();
        let text = |at: usize| texts.get(at).cloned().unwrap_or_default();
        let named = |at: usize| PathBuf::from(String::from_utf8(text(at)).unwrap());
        let call = match name {
            "openat" if arguments.contains("O_CREAT") => Call::Create(opened.join(named(0))),
            "write" => Call::Write(opened, text(0)),
            "pwrite64" => Call::Cover(opened, text(0)),
            "ftruncate" => {
                let length = arguments.rsplit(", ").next().unwrap().trim_end_matches(')');
                Call::Cut(opened, length.parse().unwrap())
            }
            "rename" | "renameat" | "renameat2" => {
                Call::Rename(opened.join(named(0)), opened.join(named(1)))
            }
            "unlink" | "unlinkat" => Call::Remove(opened.join(named(0))),
            "fsync" | "fdatasync" => Call::Sync(opened),
            _ => continue,
        };
        let path = match &call {
            Call::Create(path) | Call::Remove(path) | Call::Sync(path) => path,
            Call::Write(path, _) | Call::Cover(path, _) => path,
            Call::Cut(path, _) | Call::Rename(path, _) => path,
        };
        if path.starts_with(directory) {
            calls.push(call);
        }
    }
    calls
}

fn path_of(text: &str) -> PathBuf {
    PathBuf::from(String::from_utf8(bytes(text)).unwrap())
}

fn bytes(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits.map(|digits| u8::from_str_radix(&digits[..2], 16).unwrap()).collect()
}

/// What is lost of that which nobody asked the disk to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing: the last call alone is torn.
    Nothing,
    /// The data.
    Data,
    /// The data, but the length of the files is there: zeros.
    Zeros,
    /// Names: what was created, renamed and removed.
    Names,
}

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    synced: usize,
    /// Synced, and its name too.
    promised: usize,
}

/// A disk, and what it was asked to keep.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    pub(crate) rotations: usize,
}

impl Disk {
    /// Does one call.
    pub(crate) fn call(&mut self, call: &Call) {
        match call {
            Call::Create(path) => {
                if !self.names.contains_key(path) {
                    self.files.push(File::default());
                    self.names.insert(path.clone(), self.files.len() - 1);
                }
            }
            Call::Write(path, bytes) => self.file(path).bytes.extend_from_slice(bytes),
            Call::Cover(path, bytes) => {
                let file = &mut self.file(path).bytes;
                file.resize(file.len().max(bytes.len()), 0);
                file[..bytes.len()].copy_from_slice(bytes);
            }
            Call::Cut(path, length) => self.file(path).bytes.truncate(*length),
            Call::Rename(from, to) => {
                let file = self.names.remove(from).unwrap();
                self.names.insert(to.clone(), file);
                self.rotations += 1;
            }
            Call::Remove(path) => drop(self.names.remove(path)),
            Call::Sync(path) => match self.names.get(path) {
                Some(file) => {
                    let file = &mut self.files[*file];
                    file.synced = file.bytes.len();
                    self.promise();
                }
                None => {
                    self.synced_names = self.names.clone();
                    self.promise();
                }
            },
        }
    }

    fn promise(&mut self) {
        if self.synced_names == self.names {
            self.files.iter_mut().for_each(|file| file.promised = file.synced);
        }
    }

    fn file(&mut self, path: &Path) -> &mut File {
        &mut self.files[self.names[path]]
    }

    /// The power goes within the next call, of which so many bytes are done: what is left, and of
    /// each log file how much was promised to be, by name.
    pub(crate) fn cut(
        &self,
        next: &Call,
        torn: usize,
        loss: Loss,
    ) -> BTreeMap<PathBuf, (Vec<u8>, usize)> {
        let mut left = self.clone();
        match next {
            Call::Write(path, bytes) => {
                left.call(&Call::Write(path.clone(), bytes[..torn.min(bytes.len())].to_vec()));
            }
            Call::Cover(path, bytes) => {
                left.call(&Call::Cover(path.clone(), bytes[..torn.min(bytes.len())].to_vec()));
            }
            Call::Create(_)
            | Call::Cut(..)
            | Call::Rename(..)
            | Call::Remove(_)
            | Call::Sync(_) => {}
        }
        let names = if loss == Loss::Names { &left.synced_names } else { &left.names };
        let file = |(name, number): (&PathBuf, &usize)| {
            let File { bytes, synced, promised } = &left.files[*number];
            let mut bytes = bytes.clone();
            match loss {
                Loss::Data => bytes.truncate(*synced),
                Loss::Zeros => bytes.iter_mut().skip(*synced).for_each(|byte| *byte = 0),
                Loss::Nothing | Loss::Names => {}
            }
            (name.clone(), (bytes, *promised))
        };
        names.iter().map(file).collect()
    }
}

/// Puts the files there.
pub(crate) fn lay_out(files: &BTreeMap<PathBuf, (Vec<u8>, usize)>, from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (path, (bytes, _)) in files {
        fs::write(to.join(path.strip_prefix(from).unwrap()), bytes).unwrap();
    }
}
