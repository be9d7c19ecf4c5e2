//! private-tmp, protect-system and read-write-paths, in mounts that only this process sees.

use crate::words::{Place, Protect};
use crate::{Done, Trouble, run, trouble};
use ettan_sys::spawn::SpawnStep;
use ettan_sys::{Errno, place};
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What holds for a path and all below it, where nothing longer says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    ReadOnly,
    /// As the machine has it.
    Left,
}

/// What protect-system makes read-only, and what it leaves.
const USR: &[&str] = &["usr", "boot", "efi"];
const FULL: &[&str] = &["usr", "boot", "efi", "etc"];
const STRICT: &[&str] = &[""];
const KERNEL: &[&str] = &["dev", "proc", "sys"];

/// Arranges the mounts. The namespace is ours already.
pub(crate) fn arrange(place: &Place) -> Done {
    let root = place.root.as_ref().map_or(Path::new("/"), |root| as_path(root));
    let root = real(root).map_err(failed(SpawnStep::Root, root))?;
    let mut rules = BTreeMap::new();
    if place.private_tmp {
        for directory in ["tmp", "var/tmp"] {
            let path = root.join(directory);
            // One may be missing, and both may be the same.
            let Some(path) = real(&path).ok().filter(|path| path.starts_with(&root)) else {
                continue;
            };
            if rules.insert(path.clone(), Rule::Left).is_none() {
                place::mount_scratch(&c_path(&path)).map_err(failed(SpawnStep::Mount, &path))?;
            }
        }
    }
    let shut = match place.protect {
        Protect::Nothing => return Ok(()),
        Protect::Usr => USR,
        Protect::Full => FULL,
        Protect::Strict => STRICT,
    };
    gather(place, &root, shut, &mut rules)?;
    for path in rules.keys().filter(|path| *path != Path::new("/")) {
        place::mount_itself(&c_path(path)).map_err(failed(SpawnStep::Mount, path))?;
    }
    shut_off(&rules)
}

fn gather(place: &Place, root: &Path, shut: &[&str], rules: &mut BTreeMap<PathBuf, Rule>) -> Done {
    let mut put = |path: &Path, rule, may_lack| match real(path) {
        Ok(path) => {
            rules.entry(path).or_insert(rule);
            Ok(())
        }
        Err(Errno::NOENT) if may_lack => Ok(()),
        Err(errno) => Err(failed(SpawnStep::Mount, path)(errno)),
    };
    for (path, may_lack) in &place.writable {
        let path = as_path(path);
        put(&root.join(path.strip_prefix("/").unwrap_or(path)), Rule::Left, *may_lack)?;
    }
    for path in run::directories(place)? {
        put(as_path(&path), Rule::Left, false)?;
    }
    for path in shut {
        put(&root.join(path), Rule::ReadOnly, true)?;
    }
    for path in KERNEL.iter().filter(|_| shut == STRICT) {
        put(&root.join(path), Rule::Left, true)?;
    }
    Ok(())
}

/// Everything mounted where the rules say so becomes read-only.
fn shut_off(rules: &BTreeMap<PathBuf, Rule>) -> Done {
    let path = Path::new("/proc/self/mountinfo");
    let table = std::fs::read(path);
    let table = table.map_err(|error| failed(SpawnStep::Mount, path)(errno(&error)))?;
    for (path, options) in mounted(&table) {
        if rule_of(&path, rules) != Some(Rule::ReadOnly) {
            continue;
        }
        match place::protect(&c_path(&path), &options) {
            Ok(()) => {}
            // Below another mount, where nobody sees it, or one that not even root may look at.
            Err(Errno::NOENT | Errno::INVAL | Errno::ACCESS | Errno::NOTDIR)
                if !rules.contains_key(&path) => {}
            Err(errno) => return Err(failed(SpawnStep::Mount, &path)(errno)),
        }
    }
    Ok(())
}

fn rule_of(path: &Path, rules: &BTreeMap<PathBuf, Rule>) -> Option<Rule> {
    path.ancestors().find_map(|above| rules.get(above)).copied()
}

/// Mount points with their options (proc(5), fields 5 and 6).
fn mounted(table: &[u8]) -> Vec<(PathBuf, Vec<u8>)> {
    let line = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b' ').skip(4);
        let path = PathBuf::from(OsStr::from_bytes(&unescape(fields.next()?)));
        Some((path, fields.next()?.to_vec()))
    };
    table.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// `\040` is a space.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let digits = after.get(..3).and_then(|digits| core::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (first, byte) {
            (b'\\', Some(byte)) => {
                plain.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

fn real(path: &Path) -> Result<PathBuf, Errno> {
    path.canonicalize().map_err(|error| errno(&error))
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

fn failed(step: SpawnStep, path: &Path) -> impl Fn(Errno) -> Trouble {
    trouble_at(step, c_path(path))
}

fn trouble_at(step: SpawnStep, path: CString) -> impl Fn(Errno) -> Trouble {
    move |errno| trouble(step, &path)(errno)
}

fn as_path(path: &CString) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

fn c_path(path: &Path) -> CString {
    // The kernel gave it, or it was one: no NUL is in it.
    CString::new(path.as_os_str().to_owned().into_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_rule_holds() {
        let rules = BTreeMap::from([
            ("/".into(), Rule::ReadOnly),
            ("/data/db".into(), Rule::Left),
            ("/data/db/sealed".into(), Rule::ReadOnly),
        ]);
        let rule = |path: &str| rule_of(Path::new(path), &rules).unwrap();
        assert_eq!([rule("/"), rule("/data"), rule("/data/dbx")], [Rule::ReadOnly; 3]);
        assert_eq!([rule("/data/db"), rule("/data/db/x")], [Rule::Left; 2]);
        assert_eq!(rule("/data/db/sealed/x"), Rule::ReadOnly);
        assert_eq!(rule_of(Path::new("/etc"), &BTreeMap::new()), None);
    }

    #[test]
    fn the_kernels_table_is_read() {
        let table = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
            30 22 0:5 /a /a\\040b\\134c ro,nosuid - tmpfs tmpfs rw\nrubbish\n";
        let found = mounted(table);
        assert_eq!(found[0], ("/".into(), b"rw,relatime".to_vec()));
        assert_eq!(found[1], ("/a b\\c".into(), b"ro,nosuid".to_vec()));
        assert_eq!(found.len(), 2);
    }
}
