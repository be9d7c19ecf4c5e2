//! What is known to be past: time stamps of files. Sets nothing.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A moment that is past, in seconds since 1970, and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) second: i64,
    pub(crate) by: &'static str,
}

/// What is later than the build by more than this is no time but a mistake, which would stay for
/// ever: a clock that was once set wrong. In seconds; longer than a board is in use.
const LONGEST_USE_S: i64 = 25 * 366 * 24 * 60 * 60;

/// How much later than the saved time a log can be: that is saved every ten minutes, but not where its disk is
/// full. What is later still was written when the clock was wrong, and comes back with each boot otherwise.
const LONGEST_UNSAVED_S: i64 = 30 * 24 * 60 * 60;

/// Files looked at, at the most: 1,024 units' logs with four segments each.
const MAX_FILES: usize = 4_096;

/// The latest of them that can be true.
pub(crate) fn latest(known: &[Known], built: i64) -> Option<Known> {
    let most = built.saturating_add(LONGEST_USE_S);
    known.iter().filter(|one| one.second <= most).max_by_key(|one| one.second).copied()
}

/// When this file was written last.
pub(crate) fn stamp(path: &Path) -> Option<i64> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    ettan_sys::stamp::written(&path).ok()
}

/// When one of the files in the folders of this folder was written last, as far as the time that was `saved`
/// makes it credible.
pub(crate) fn newest(folder: &Path, saved: Option<i64>) -> Option<i64> {
    let most = saved.map_or(i64::MAX, |saved| saved.saturating_add(LONGEST_UNSAVED_S));
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries(folder).flat_map(|entry| entries(&entry.path()));
    let stamps = files.take(MAX_FILES).filter_map(|file| stamp(&file.path()));
    stamps.filter(|stamp| *stamp <= most).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ettan_sys::stamp::set_written;
    use std::fs::File;

    #[test]
    fn the_latest_that_can_be_true_counts() {
        let built = 1_764_000_000;
        let known = |second| Known { second, by: "a test" };
        let latest = |seconds: &[i64]| {
            let all: Vec<_> = seconds.iter().copied().map(known).collect();
            super::latest(&all, built).map(|one| one.second)
        };
        assert_eq!(latest(&[built, 0, 0]), Some(built));
        assert_eq!(latest(&[built, built + 5, built + 3]), Some(built + 5));
        // Past 2038, and nothing special.
        assert_eq!(latest(&[built, 2_200_000_000]), Some(2_200_000_000));
        // In the next century: once wrong is not wrong for ever.
        assert_eq!(latest(&[built, 4_102_444_800, i64::MAX]), Some(built));
        assert_eq!(latest(&[]), None);
    }

    #[test]
    fn the_newest_of_all_logs_is_found() {
        let folder = std::env::temp_dir().join(format!("ettan-floor-{}", std::process::id()));
        assert_eq!(newest(&folder, None), None);
        for (unit, second) in [("web", 1_000), ("db", 3_000_000_000), ("old", 500)] {
            fs::create_dir_all(folder.join(unit)).unwrap();
            let log = File::create(folder.join(unit).join("current")).unwrap();
            set_written(&log, second).unwrap();
        }
        fs::write(folder.join("no folder"), "").unwrap();
        assert_eq!(newest(&folder, None), Some(3_000_000_000));
        // Of a time when the clock was wrong: not once more at every boot.
        assert_eq!(newest(&folder, Some(900)), Some(1_000));
        assert_eq!(newest(&folder, Some(2_999_000_000)), Some(3_000_000_000));
        fs::remove_dir_all(&folder).unwrap();
    }
}
