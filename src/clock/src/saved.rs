//! The file whose time stamp is the last time that is known. It has no content, so a power cut
//! leaves the old one or the new one, and nothing torn.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::floor;

/// The file, and what was wrong with it last.
#[derive(Debug)]
pub(crate) struct Saved {
    path: PathBuf,
    trouble: Option<io::ErrorKind>,
}

impl Saved {
    pub(crate) fn at(path: &Path) -> Self {
        Saved { path: path.to_owned(), trouble: None }
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// In seconds since 1970.
    pub(crate) fn time(&self) -> Option<i64> {
        floor::stamp(&self.path)
    }

    /// Writes down that it is now, and has it on the disk. Says once what keeps it from that: a
    /// root that is read-only, mostly.
    pub(crate) fn save(&mut self) {
        let trouble = self.try_to().err();
        if let Some(error) = &trouble
            && self.trouble != Some(error.kind())
        {
            let path = self.path.display();
            crate::say!("{path}: {error}; after a power cut the clock starts further back");
        }
        self.trouble = trouble.map(|error| error.kind());
    }

    fn try_to(&self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::options().append(true).create(true).open(&self.path)?;
        ettan_sys::stamp::touch(&file)?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_saved_anew_also_when_it_is_earlier_now() {
        let folder = std::env::temp_dir().join(format!("ettan-saved-{}", std::process::id()));
        let mut saved = Saved::at(&folder.join("deep/clock"));
        assert!(!saved.exists() && saved.time().is_none());
        saved.save();
        let now = ettan_sys::clock::wall() / 1000;
        let is_now = |saved: &Saved| (now - 60..now + 60).contains(&saved.time().unwrap());
        assert!(is_now(&saved));
        // A clock that was wrong once is set right by a time server; the next boot is to know.
        let file = File::options().append(true).open(folder.join("deep/clock")).unwrap();
        ettan_sys::stamp::set_written(&file, 4_000_000_000).unwrap();
        assert_eq!(saved.time(), Some(4_000_000_000));
        saved.save();
        assert!(is_now(&saved));
        assert_eq!(saved.trouble, None);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_cannot_be_saved_is_no_end() {
        let mut saved = Saved::at(Path::new("/proc/ettan/clock"));
        saved.save();
        assert!(saved.trouble.is_some() && saved.time().is_none());
    }
}
