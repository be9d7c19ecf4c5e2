//! Reads the log of a service that numbers its lines, across rotations, and counts what is not
//! as it was written.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// One log.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    file: Option<File>,
    /// What has no line end yet.
    rest: Vec<u8>,
    /// The line that is to come next.
    next: u64,
    /// How many lines there were.
    pub(crate) seen: u64,
    /// How many are missing, came twice, or in the wrong order.
    pub(crate) lost: u64,
}

impl Lines {
    /// The log at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None, rest: Vec::new(), next: 1, seen: 0, lost: 0 }
    }

    /// Reads what is new.
    pub(crate) fn follow(&mut self) {
        // A rotated file gets no more lines once its successor is there.
        let is_old = self.file.as_ref().is_some_and(|file| !self.is_current(file));
        self.read();
        if is_old || self.file.is_none() {
            self.file = File::open(&self.path).ok();
            self.read();
        }
    }

    fn is_current(&self, file: &File) -> bool {
        let numbers = file.metadata().and_then(|open| Ok((open, fs::metadata(&self.path)?)));
        numbers.is_ok_and(|(open, here)| open.ino() == here.ino())
    }

    fn read(&mut self) {
        let Some(file) = &mut self.file else { return };
        let _ = file.read_to_end(&mut self.rest).expect("a log can be read");
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        String::from_utf8_lossy(&whole).lines().for_each(|line| self.count(line));
    }

    fn count(&mut self, line: &str) {
        let number = line.split_once("line ").and_then(|(_, rest)| rest.split_once(' '));
        let Some(number) = number.and_then(|(number, _)| number.parse::<u64>().ok()) else {
            return;
        };
        if number != self.next {
            eprintln!("soak: {}: {} and not {}", self.path.display(), line, self.next);
            self.lost += number.abs_diff(self.next);
        }
        (self.next, self.seen) = (number + 1, self.seen + 1);
    }
}
