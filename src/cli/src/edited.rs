//! Whether what stands in a unit's files is what PID 1 has read. Looks at the times of files, reads none.

use crate::enable::{ADMIN, RUNTIME, SHIPPED};
use ettan_sys::clock;
use ettan_wire::{Stats, UnitStatus};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the files of units are, the first that is used first.
pub(crate) const UNITS: [&str; 3] = [ADMIN, RUNTIME, SHIPPED];

/// The file of this unit, or drop-in, that was changed after PID 1 read it.
pub(crate) fn since_read(status: &UnitStatus, stats: &Stats) -> Option<PathBuf> {
    let now_ms = clock::wall();
    let age_ms = stats.uptime_ms.checked_sub(stats.loaded_ms?)?;
    // Reckoned by today's clock, so that one that was set right since then makes no file a new one.
    let read_ms = now_ms.checked_sub_unsigned(age_ms)?;
    changed(Path::new("/"), status, read_ms, now_ms)
}

/// What changed between these two moments, in milliseconds since 1970. What is newer than now was written by
/// a wrong clock, whenever that was.
fn changed(root: &Path, status: &UnitStatus, from_ms: i64, to_ms: i64) -> Option<PathBuf> {
    let is_new = |path: &PathBuf| {
        let times = [fs::metadata(path), fs::symlink_metadata(path)];
        times.iter().flatten().any(|times| (from_ms + 1..=to_ms).contains(&changed_ms(times)))
    };
    let at = files(root, status).into_iter().find(is_new)?;
    Some(Path::new("/").join(at.strip_prefix(root).unwrap_or(&at)))
}

/// The later of the two: a file that was moved here keeps the time of its content.
fn changed_ms(times: &Metadata) -> i64 {
    let ms = |s: i64, ns: i64| s.saturating_mul(1_000).saturating_add(ns / 1_000_000);
    ms(times.mtime(), times.mtime_nsec()).max(ms(times.ctime(), times.ctime_nsec()))
}

/// Where a definition of the unit may stand, of its template, or of the file that has it as an instance.
fn files(root: &Path, status: &UnitStatus) -> Vec<PathBuf> {
    let own = status.unit.to_string();
    let template = ettan_unit::template_of(&own);
    let group = status.group.as_ref().map(ToString::to_string);
    let mut files = Vec::new();
    for name in [Some(own), template, group].into_iter().flatten() {
        for units in UNITS {
            let file = root.join(units).join(format!("{name}.toml"));
            let folder = root.join(units).join(format!("{name}.toml.d"));
            let drop_ins = fs::read_dir(&folder).into_iter().flatten().flatten();
            let drop_ins = drop_ins.map(|entry| entry.path());
            let drop_ins = drop_ins.filter(|path| path.extension().is_some_and(|is| is == "toml"));
            files.push(file);
            files.extend(drop_ins);
            // One that is gone leaves nothing else.
            files.push(folder);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::up;

    #[test]
    fn a_file_that_was_changed_since_it_was_read_is_named() {
        let root = std::env::temp_dir().join(format!("ettan-edited-{}", std::process::id()));
        let folder = root.join("usr/lib/units/getty@.toml.d");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(root.join("etc/units")).unwrap();
        let of = |unit: &str, group: Option<&str>, from_ms, to_ms| {
            let group = group.map(Into::into);
            let status = UnitStatus { unit: unit.into(), group, ..up() };
            changed(&root, &status, from_ms, to_ms)
        };
        let file = root.join("etc/units/web.toml");
        fs::write(&file, "").unwrap();
        let at = changed_ms(&fs::metadata(&file).unwrap());
        let web = Some(PathBuf::from("/etc/units/web.toml"));
        assert_eq!(of("web", None, at - 1, at), web);
        assert_eq!(of("web_00", Some("web"), at - 1, at), web);
        assert_eq!(of("web", None, at, at + 9), None, "it was there when it was read");
        assert_eq!(of("web", None, at - 9, at - 1), None, "a wrong clock has written it");
        assert_eq!(of("other", None, at - 1, at), None);
        fs::write(folder.join("10.toml"), "").unwrap();
        let at = changed_ms(&fs::metadata(folder.join("10.toml")).unwrap());
        assert_eq!(
            of("getty@tty1", None, at - 1, at),
            Some("/usr/lib/units/getty@.toml.d/10.toml".into())
        );
        fs::remove_dir_all(&root).unwrap();
    }
}
