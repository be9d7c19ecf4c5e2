//! One log's copy on a disk: how far it is, what it may cost, and what it says of what it missed.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use ettan_sys::clock;

use super::Job;
use super::spent::Spent;
use crate::held::{Held, TRIES, held, too_fast};
use crate::note::{Note, Place};
use crate::page::Amount;
use crate::record::Stamps;
use crate::stamp::Stamp;
use crate::store::{self, Store};

const RETRY_FIRST_MS: u64 = 1_000;
const RETRY_MOST_MS: u64 = 30_000;

/// Archives that stay on a full disk.
const ARCHIVES_LEFT: usize = 1;

/// One log's copy.
pub(super) struct Kept {
    pub(super) job: Job,
    store: Store,
    place: Option<Place>,
    /// The same, counted from what the logger wrote first; None where that is not known.
    copied: Option<Amount>,
    pub(super) spent: Spent,
    /// What the other logs of the unit cost today.
    pub(super) others_today: u64,
    lost: Amount,
    error: Option<String>,
    /// When it is tried again, and how long that waited.
    pub(super) retry: Option<(u64, u64)>,
}

impl Kept {
    pub(super) fn new(job: &Job) -> Self {
        let note = Note::read(&job.from).unwrap_or_default();
        let spent = Spent::of(&note);
        let lost = Amount { bytes: note.lost_bytes, lines: note.lost_lines };
        Kept {
            job: job.clone(),
            store: Store::new(job.to.clone()),
            place: note.place,
            copied: None,
            spent,
            others_today: 0,
            lost,
            error: None,
            retry: None,
        }
    }

    /// Copies all there is, or as much as may be, and tries again later if need be.
    pub(super) fn bring(&mut self, chunk: &mut [u8]) {
        let before = self.retry.take();
        match self.copy(chunk) {
            Ok(()) => self.error = None,
            Err(error) => {
                if self.error.is_none() {
                    complain!("{}: not kept on disk for now: {error}", self.job.name);
                }
                self.error = Some(error.to_string());
                // What is open may be gone with the disk.
                self.store.shed();
                let wait = before.map_or(RETRY_FIRST_MS, |(_, wait)| (wait * 2).min(RETRY_MOST_MS));
                self.retry = Some((clock::now().saturating_add(wait), wait));
            }
        }
        self.note();
    }

    fn copy(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        self.open()?;
        for _ in 0..TRIES {
            if self.copy_files(&held(&self.job.from)?, chunk)?.is_some() {
                self.spent.save_if_due(&self.job.to, &self.store);
                return self.store.sync();
            }
        }
        Err(too_fast())
    }

    /// Copies what is new in these files. None when the log was rotated meanwhile, so that a name
    /// means another file now.
    fn copy_files(&mut self, files: &[Held], chunk: &mut [u8]) -> io::Result<Option<()>> {
        let from_inode = self.place.map(|place| place.from_inode);
        let found = files.iter().position(|file| Some(file.inode) == from_inode);
        if from_inode.is_some() && found.is_none() {
            self.tell_gap()?;
        }
        if self.copied.is_none() {
            let Some(copied) = self.count_copied(files, found, chunk)? else { return Ok(None) };
            self.copied = Some(copied);
        }
        for (at, held) in files.iter().enumerate().skip(found.unwrap_or(0)) {
            let Some(mut file) = held.open()? else { return Ok(None) };
            let from_byte =
                if found == Some(at) { self.place.map_or(0, |p| p.from_byte) } else { 0 };
            let (to_inode, to_size) = (self.store.inode(), self.store.size());
            self.place = Some(Place { from_inode: held.inode, from_byte, to_inode, to_size });
            if !self.copy_file(&mut file, chunk)? {
                break;
            }
        }
        Ok(Some(()))
    }

    /// What was copied before, counted from what the logger wrote first. None as above.
    fn count_copied(
        &self,
        files: &[Held],
        found: Option<usize>,
        chunk: &mut [u8],
    ) -> io::Result<Option<Amount>> {
        let mut copied = self.job.gone;
        let (Some(found), Some(place)) = (found, self.place) else { return Ok(Some(copied)) };
        for (at, held) in files.iter().enumerate().take(found + 1) {
            let Some(file) = held.open()? else { return Ok(None) };
            let most = if at == found { place.from_byte } else { u64::MAX };
            copied = copied.plus(store::count(&file, most, chunk)?);
        }
        Ok(Some(copied))
    }

    /// Copies what is new in one file. False when the budget is used up.
    fn copy_file(&mut self, file: &mut File, chunk: &mut [u8]) -> io::Result<bool> {
        loop {
            let Some(mut place) = self.place else { return Ok(true) };
            file.seek(SeekFrom::Start(place.from_byte))?;
            let length = fill(file, chunk)?;
            let end = chunk[..length].iter().rposition(|byte| *byte == b'\n');
            let Some(text) = end.and_then(|end| chunk.get(..=end)) else { return Ok(true) };
            let rotates = self.store.size() >= self.job.limits.max_size_bytes;
            if rotates {
                self.spent.begin_round(0);
            }
            let within = self.within_budget(text);
            if within.is_empty() {
                return Ok(false);
            }
            let text = within;
            if rotates {
                self.note();
                self.store.sync()?;
                self.store.rotate(self.job.limits, second())?;
                self.spent.save(&self.job.to, &self.store);
            }
            (place.to_inode, place.to_size) = (self.store.inode(), self.store.size());
            self.place = Some(place);
            self.note();
            self.append(text)?;
            place.from_byte += text.len() as u64;
            place.to_size = self.store.size();
            self.place = Some(place);
            self.copied = self.copied.map(|copied| copied.plus(Amount::of(text)));
        }
    }

    /// A full disk is given the oldest archive, and then waited for: whoever fills it takes that room as well, and
    /// the newest past would go for a few lines, which memory has.
    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        match self.store.append(text) {
            Err(error) if store::is_full(&error) && self.store.remove_oldest(ARCHIVES_LEFT) => {
                self.store.append(text)?;
            }
            other => other?,
        }
        self.spent.add(text.len() as u64);
        Ok(())
    }

    /// Opens the file on disk. If another logger of this boot wrote to it, its length says how far
    /// that came; after a power cut, half a line at its end goes.
    fn open(&mut self) -> io::Result<()> {
        let is_opened = self.store.prepare(self.job.limits, second())?;
        self.spent.begin_round(self.store.size());
        if !is_opened {
            return Ok(());
        }
        let (inode, size) = (self.store.inode(), self.store.size());
        self.spent.load_once(&self.job.to, &self.store);
        match &mut self.place {
            Some(place) if place.to_inode == inode && size >= place.to_size => {
                place.from_byte += size - place.to_size;
                place.to_size = size;
                // Half a write: the next one begins where it ended, but not within a line.
                if self.store.mid_line() {
                    let cut = self.store.mend()?;
                    place.from_byte = place.from_byte.saturating_sub(cut);
                    place.to_size = self.store.size();
                }
                Ok(())
            }
            _ => match self.store.mend()? {
                0 => Ok(()),
                cut => self
                    .tell(&format!("cut off {cut} bytes here: half a line, as the power left it")),
            },
        }
    }

    /// Memory let go of more than the disk had.
    fn tell_gap(&mut self) -> io::Result<()> {
        let gone = self.job.gone;
        let lost = self.copied.map(|copied| Amount {
            bytes: gone.bytes.saturating_sub(copied.bytes),
            lines: gone.lines.saturating_sub(copied.lines),
        });
        let why = self.error.as_deref().unwrap_or("memory was full before the disk had it");
        match lost {
            Some(lost) => {
                let text =
                    format!("lost {} bytes ({} line ends) here: {why}", lost.bytes, lost.lines);
                self.tell(&text)?;
                self.lost = self.lost.plus(lost);
            }
            None => self.tell(&format!("lost a part here: {why}"))?,
        }
        self.place = None;
        self.copied = Some(gone);
        Ok(())
    }

    /// A note of our own in the copy.
    fn tell(&mut self, text: &str) -> io::Result<()> {
        let mut stamp = Stamp::new();
        stamp.set(u64::try_from(clock::wall()).unwrap_or(0));
        let mut line = stamp.text(Stamps::Iso).to_vec();
        line.extend_from_slice(b"*");
        line.extend_from_slice(text.as_bytes());
        line.push(b'\n');
        self.append(&line)
    }

    /// The whole lines that are within the day's budget. If that is less, it goes on when the day is
    /// over.
    fn within_budget<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        self.spent.look();
        let Some(budget) = self.job.budget_bytes else { return text };
        let left = budget.saturating_sub(self.spent.today).saturating_sub(self.others_today);
        let left = usize::try_from(self.spent.room(left)).unwrap_or(usize::MAX);
        if text.len() <= left {
            return text;
        }
        self.retry = Some((self.spent.look_again_ms(), RETRY_FIRST_MS));
        let end = text[..left].iter().rposition(|byte| *byte == b'\n');
        end.map_or(&[], |end| &text[..=end])
    }

    /// Says how far it is. A power cut takes this with the memory that it speaks of.
    fn note(&self) {
        let note = Note {
            directory: self.job.to.clone(),
            place: self.place,
            today_bytes: self.spent.today,
            day_ms: self.spent.day_ms,
            total_bytes: self.spent.total,
            text_bytes: self.spent.text,
            lost_bytes: self.lost.bytes,
            lost_lines: self.lost.lines,
            budget_bytes: self.job.budget_bytes,
            is_used_up: self.retry.is_some() && self.error.is_none(),
            error: self.error.clone(),
        };
        note.write(&self.job.from);
    }
}

fn second() -> u64 {
    u64::try_from(clock::wall()).unwrap_or(0) / 1000
}

fn fill(file: &mut File, chunk: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < chunk.len() {
        match file.read(&mut chunk[length..])? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}
