//! A file tree below a root: symbolic links stay inside, nothing blocks, nothing that others
//! can write is believed.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// The most symbolic links on the way to a file, as the kernel has it.
const MAX_LINKS: usize = 40;
/// Opening a FIFO or a serial line must not wait (asm-generic, as on x86 and ARM).
const O_NONBLOCK: i32 = 0o4000;
/// Opening a terminal must not make it ours (asm-generic, as on x86 and ARM).
const O_NOCTTY: i32 = 0o400;
/// The largest system file (passwd, group) that is read, in bytes.
const MAX_SYSTEM_FILE: usize = 1024 * 1024;
/// How often a file that changes while it is read is read again.
const MAX_READS: usize = 3;

/// Who may own what is believed.
pub(crate) struct Owners(Vec<u32>);

impl Owners {
    /// root; who runs this (a build host's user checks their own files); who owns the root.
    pub(crate) fn of(root: &Path) -> Self {
        let mut owners = vec![0];
        for path in [Path::new("/proc/self"), root] {
            owners.extend(std::fs::metadata(path).map(|metadata| metadata.uid()));
        }
        Self(owners)
    }

    /// Why `what` is not believed, and what to do (`tests/FAULTS.md` 5.14).
    pub(crate) fn distrust(&self, what: &str, metadata: &Metadata) -> Option<(String, String)> {
        if !self.0.contains(&metadata.uid()) {
            let message = format!("{what} belongs to user {}, not to root", metadata.uid());
            return Some((message, "chown root".into()));
        }
        let mode = metadata.mode() & 0o7777;
        let others = match (mode & 0o002, mode & 0o020) {
            (0, 0) => return None,
            (0, _) => "its group",
            _ => "everybody",
        };
        let message = format!("{what} can be written by {others} (mode {mode:04o})");
        Some((message, "chmod go-w".into()))
    }
}

/// Where `path` really is, with every symbolic link on the way followed as from inside `root`.
/// The last component need not exist.
///
/// # Errors
/// ELOOP after 40 links; whatever reading a link gives.
pub fn resolve(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let inside = resolve_inside(root, path)?;
    Ok(below(root, &inside))
}

/// As `resolve`, but as seen from inside the root (`/run/x.pid` for `/var/run/x.pid`).
///
/// # Errors
/// As `resolve`.
pub fn resolve_inside(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut done = PathBuf::from("/");
    // What is still to walk, the next component last.
    let mut rest: Vec<PathBuf> = reversed(path);
    let mut links = 0_usize;
    while let Some(component) = rest.pop() {
        match component.components().next() {
            None | Some(Component::CurDir | Component::Prefix(_)) => {}
            Some(Component::RootDir) => done = PathBuf::from("/"),
            Some(Component::ParentDir) => {
                done.pop();
            }
            Some(Component::Normal(name)) => {
                let next = done.join(name);
                match std::fs::read_link(below(root, &next)) {
                    Ok(target) => {
                        links = links.saturating_add(1);
                        if links > MAX_LINKS {
                            return Err(io::Error::from_raw_os_error(40));
                        }
                        rest.extend(reversed(&target));
                    }
                    // No link, or nothing there: either way the name itself.
                    Err(error) => match error.kind() {
                        ErrorKind::InvalidInput | ErrorKind::NotFound => done = next,
                        _ => return Err(error),
                    },
                }
            }
        }
    }
    Ok(done)
}

fn reversed(path: &Path) -> Vec<PathBuf> {
    path.components().rev().map(|component| PathBuf::from(component.as_os_str())).collect()
}

/// The path outside for an absolute path inside.
pub(crate) fn below(root: &Path, inside: &Path) -> PathBuf {
    root.join(inside.strip_prefix("/").unwrap_or(inside))
}

/// Opens for reading, without waiting for anybody.
///
/// # Errors
/// What open(2) gives.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path)
}

/// What a file is, when it is no regular one.
pub(crate) fn odd_kind(kind: std::fs::FileType) -> Option<&'static str> {
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_symlink() => Some("a symbolic link"),
        () if kind.is_fifo() => Some("a FIFO"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// The whole content, as it was at one moment, or None when it is longer than `most` bytes.
///
/// # Errors
/// What read(2) gives; EAGAIN when the file is never the same twice.
pub(crate) fn read_still(path: &Path, file: &mut File, most: usize) -> io::Result<Option<Vec<u8>>> {
    let stamp = |m: &Metadata| (m.len(), m.mtime(), m.mtime_nsec());
    for _ in 0..MAX_READS {
        let before = file.metadata()?;
        let length = usize::try_from(before.len()).unwrap_or(usize::MAX);
        if length > most {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        let whole = file.read_exact(&mut bytes);
        if whole.is_ok() && stamp(&before) == stamp(&file.metadata()?) {
            return Ok(Some(bytes));
        }
        // An end too early is a change as well.
        whole.or_else(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Ok(()),
            _ => Err(error),
        })?;
        *file = open(path)?;
    }
    Err(io::Error::from(ErrorKind::WouldBlock))
}

/// A system file of `root`, where there is one of a sane size.
#[must_use]
pub fn read_system(root: &Path, path: &str) -> Option<Vec<u8>> {
    let path = resolve(root, Path::new(path)).ok()?;
    let mut file = open(&path).ok()?;
    if odd_kind(file.metadata().ok()?.file_type()).is_some() {
        return None;
    }
    read_still(&path, &mut file, MAX_SYSTEM_FILE).ok()?
}

/// An error in the words of the project, without Rust's "(os error 2)".
#[must_use]
pub fn words(error: &io::Error) -> String {
    let known = error.raw_os_error().and_then(ettan_wire::error_text);
    known.map_or_else(|| error.to_string(), ToString::to_string)
}
