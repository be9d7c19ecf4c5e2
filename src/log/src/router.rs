//! Picks out of one stream of a unit's output what its routes take. A line is judged once it is whole, so its
//! beginning is kept meanwhile: in memory, and in a small file beside the log for a logger that
//! takes over in the middle of it.
//!
//! What a route gets is the same for the same output and the same beginning. So how many bytes of it
//! are in the route's log says where to go on, as it does for the unit's own log (`stage`).

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::ledger::MAX_LINE;
use crate::packet::{STREAMS, Stream};
use crate::page::find_line_end;
use crate::plain::{self, Access};
use crate::route::Rule;
use crate::stage::{Left, Stage};

/// The file with the beginning of the line, in the log's folder.
const fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Output => ".line",
        Stream::Error => ".line-err",
    }
}

/// The routes of one unit, and the line of this stream that is not whole yet.
pub(crate) struct Router {
    pub(crate) rules: Vec<Rule>,
    directory: PathBuf,
    name: &'static str,
    file: Option<File>,
    /// The beginning of the line, at most `MAX_LINE` bytes. With that many it is judged, and
    /// what follows goes where it went.
    head: Vec<u8>,
    /// All of it is in the file as well.
    is_kept: bool,
}

impl Router {
    /// Goes on with the line whose beginning is in this log's folder, if there is one.
    pub(crate) fn new(directory: &Path, stream: Stream, rules: Vec<Rule>) -> Self {
        Router::of(directory.to_owned(), name(stream), rules)
    }

    fn of(directory: PathBuf, name: &'static str, rules: Vec<Rule>) -> Self {
        let mut head = Vec::new();
        let file = plain::open(&directory, name, Access::Append);
        if let Ok(file) = &file {
            let _ = file.take(MAX_LINE as u64).read_to_end(&mut head);
        }
        Router { rules, directory, name, file: file.ok(), head, is_kept: true }
    }

    /// Without routes, the beginning of a line would be that of another one later.
    pub(crate) fn forget(directory: &Path) {
        for stream in STREAMS {
            let _ = plain::remove(directory, name(stream));
        }
    }

    /// Puts what the rule of this number takes of the output into `chosen`. True if a line was
    /// found that it takes.
    pub(crate) fn choose(&self, rule: usize, output: &[u8], chosen: &mut Vec<u8>) -> bool {
        chosen.clear();
        let Some(rule) = self.rules.get(rule) else { return false };
        let (mut head, mut rest, mut found) = (self.head.as_slice(), output, false);
        while !rest.is_empty() {
            let end = find_line_end(rest);
            let (piece, others) = rest.split_at(end.map_or(rest.len(), |at| at + 1));
            let text = end.map_or(piece, |at| &piece[..at]);
            let was_judged = head.len() >= MAX_LINE;
            let is_judged = end.is_some() || head.len() + text.len() >= MAX_LINE;
            if is_judged && takes(rule, head, text) {
                found |= !was_judged;
                chosen.extend_from_slice(if was_judged { b"" } else { head });
                chosen.extend_from_slice(piece);
            }
            (head, rest) = (b"", others);
        }
        found
    }

    /// The output has come to all routes: keeps the beginning of the line that it ends in, which
    /// the stage calls `target`.
    pub(crate) fn keep_head(&mut self, output: &[u8], stage: &mut Stage, target: u64) {
        let tail = output.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if self.head.is_empty() && tail == output.len() {
            return;
        }
        stage.turn_to(target, false);
        if tail > 0 {
            self.forget_line();
        }
        let room = MAX_LINE.saturating_sub(self.head.len());
        let more = output.get(tail..).unwrap_or_default();
        let more = more.get(..room).unwrap_or(more);
        let before = self.head.len() as u64;
        self.head.extend_from_slice(more);
        if more.is_empty() || !self.is_kept {
            return;
        }
        let kept = self.open().and_then(|mut file| {
            let (length, taken) = (more.len() as u64, output.len() as u64);
            stage.intend(file.metadata()?.ino(), before, length, taken, false);
            file.write_all(more)
        });
        if let Err(error) = kept {
            complain!(
                "{}: the beginning of a line is in memory only: {error}",
                self.directory.display()
            );
            // Rather none than one with a hole.
            (self.is_kept, self.file) = (false, None);
            let _ = plain::remove(&self.directory, self.name);
        }
    }

    /// Settles whether the beginning that a killed logger was to keep is kept, and takes it up.
    /// True if the whole output is dealt with.
    pub(crate) fn settle(&mut self, left: &mut Left) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        let is_kept = left.settle(file)?.is_some() && left.is_done();
        let rules = std::mem::take(&mut self.rules);
        *self = Router::of(std::mem::take(&mut self.directory), self.name, rules);
        Ok(is_kept)
    }

    /// The line gets no end: what of it each rule is still to have, in the order of the rules.
    pub(crate) fn end_line(&self) -> Vec<(usize, Vec<u8>)> {
        if self.head.is_empty() {
            return Vec::new();
        }
        let text = if self.head.len() >= MAX_LINE { &[][..] } else { &self.head };
        let takes = self.rules.iter().enumerate().filter(|(_, rule)| rule.takes(&self.head));
        takes.map(|(number, _)| (number, [text, b"\n"].concat())).collect()
    }

    /// And is forgotten then.
    pub(crate) fn forget_line(&mut self) {
        if !self.head.is_empty() {
            self.head.clear();
            let emptied = self.file.as_ref().is_none_or(|file| file.set_len(0).is_ok());
            self.is_kept = emptied || plain::remove(&self.directory, self.name).is_ok();
            if !emptied {
                self.file = None;
            }
        }
    }

    fn open(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            self.file = Some(plain::make(&self.directory, self.name, Access::Append, 0o600)?);
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Judges a line by its first `MAX_LINE` bytes.
fn takes(rule: &Rule, head: &[u8], text: &[u8]) -> bool {
    let room = MAX_LINE.saturating_sub(head.len());
    let text = text.get(..room).unwrap_or(text);
    if head.is_empty() { rule.takes(text) } else { rule.takes(&[head, text].concat()) }
}
