//! What was found before a start: how far the files were whose new lines count, and whether READY=1
//! has come since; and a reload under way. Kept in a file of its own in memory, so that the next
//! prober knows it too.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How a file was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// In nanoseconds.
    pub(crate) changed: i128,
}

impl Mark {
    /// None: there is no such file.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        let changed = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
        Some(Self { inode: file.ino(), size: file.size(), changed })
    }
}

/// What is known of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// READY=1 came.
    pub(crate) notified: bool,
    /// RELOADING=1 came, and no READY=1 since: when that was.
    pub(crate) reloading_ms: Option<u64>,
    /// Of the file that log-pattern is about.
    pub(crate) log: Option<Mark>,
    /// Of the file that log-activity is about.
    pub(crate) activity: Option<Mark>,
}

/// Where the sample of this unit is kept.
fn file(notes: &Path, name: &str) -> PathBuf {
    notes.join(name).join("run")
}

/// The descriptor file of a unit: a pipe with a name, that PID 1 hands to the program.
pub(crate) fn pipe(notes: &Path, name: &str) -> PathBuf {
    notes.join(name).join("ready")
}

impl Sample {
    /// Keeps it. What cannot be kept is only missed if this prober ends.
    pub(crate) fn keep(&self, notes: &Path, name: &str, run: &str) {
        let mark = |mark: Option<Mark>| {
            mark.map_or(String::from("-"), |m| format!("{}:{}:{}", m.inode, m.size, m.changed))
        };
        let text = format!(
            "{run} {} {} {} {}\n",
            u8::from(self.notified),
            mark(self.log),
            mark(self.activity),
            self.reloading_ms.map_or(String::from("-"), |at| at.to_string())
        );
        let path = file(notes, name);
        let draft = path.with_extension("new");
        let kept = fs::create_dir_all(notes.join(name))
            .and_then(|()| fs::write(&draft, text))
            .and_then(|()| fs::rename(&draft, &path));
        if let Err(error) = kept {
            complain!("{name}: {}: {error}", path.display());
        }
    }

    /// That of this run, if it was kept.
    pub(crate) fn kept(notes: &Path, name: &str, run: &str) -> Option<Self> {
        let text = fs::read_to_string(file(notes, name)).ok()?;
        let mut words = text.split_ascii_whitespace();
        if words.next()? != run {
            return None;
        }
        let notified = words.next()? == "1";
        let mut mark = || {
            let mut parts = words.next()?.splitn(3, ':');
            let (inode, size) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some(Mark { inode, size, changed: parts.next()?.parse().ok()? })
        };
        let (log, activity) = (mark(), mark());
        let reloading_ms = words.next().and_then(|word| word.parse().ok());
        Some(Self { notified, reloading_ms, log, activity })
    }
}

/// Nothing is known of the unit any more.
pub(crate) fn forget(notes: &Path, name: &str) {
    // Left behind, it is of a run that nobody asks about.
    let _ = fs::remove_dir_all(notes.join(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_that_of_its_run_only() {
        let notes = std::env::temp_dir().join(format!("ettan-sample-{}", std::process::id()));
        let mark = Mark::of(Path::new("/proc/self/exe"));
        let sample = Sample { notified: true, reloading_ms: Some(7), log: mark, activity: None };
        sample.keep(&notes, "web", "0123456789abcdef");
        assert_eq!(Sample::kept(&notes, "web", "0123456789abcdef"), Some(sample));
        assert_eq!(Sample::kept(&notes, "web", "ffffffffffffffff"), None);
        forget(&notes, "web");
        assert_eq!(Sample::kept(&notes, "web", "0123456789abcdef"), None);
        fs::remove_dir_all(notes).expect("ours");
    }
}
