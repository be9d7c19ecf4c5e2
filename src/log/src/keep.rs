//! Keeps logs on a disk as well: a thread copies what is new in memory to it, so that a disk that
//! hangs or fails holds up nobody. Memory absorbs meanwhile; what it had to let go is said.
//!
//! The copy is byte for byte, whole lines only, so the length of the file on disk says how far it
//! came, whoever was killed: docs/adr/0016.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ettan_sys::clock;

use crate::note::{self, DAY_MS, Note, Place};
use crate::packet::Limits;
use crate::page::Amount;
use crate::record::Stamps;
use crate::stamp::Stamp;
use crate::store::{self, Store};

/// Bytes copied at a time.
const CHUNK: usize = 64 * 1024;

/// Small: the chunk is on the heap.
const STACK_BYTES: usize = 128 * 1024;

/// Jobs that may wait: a job names a log, not bytes, so more of them say nothing new.
const JOBS: usize = 64;

/// Times that a log is looked at anew because it was rotated meanwhile. Then others have their turn.
const TRIES: u32 = 32;

const RETRY_FIRST_MS: u64 = 1_000;
const RETRY_MOST_MS: u64 = 30_000;

/// A log that has something new.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) name: String,
    /// Its directory in memory.
    pub(crate) from: PathBuf,
    /// Its directory on disk.
    pub(crate) to: PathBuf,
    pub(crate) limits: Limits,
    /// The most bytes a day.
    pub(crate) budget_bytes: Option<u64>,
    /// What memory has let go of since the logger started.
    pub(crate) gone: Amount,
}

/// What the thread is told.
enum Order {
    Keep(Job),
    /// Say that all orders before are done: asked for below this root, at this time.
    Say(PathBuf, u64),
}

/// The thread, and the way to it.
pub(crate) struct Keeper {
    sender: SyncSender<Order>,
    thread: JoinHandle<()>,
}

impl Keeper {
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, orders) = sync_channel(JOBS);
        let work = move || work(&orders);
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(work)?;
        Ok(Keeper { sender, thread })
    }

    /// Has the log copied. False when too much waits already: to be asked again.
    pub(crate) fn keep(&self, job: Job) -> bool {
        self.sender.try_send(Order::Keep(job)).is_ok()
    }

    /// Has it said when all that was asked for is done. False as in `keep`.
    pub(crate) fn say_flushed(&self, root: PathBuf, asked_ms: u64) -> bool {
        self.sender.try_send(Order::Say(root, asked_ms)).is_ok()
    }

    /// The same, and waits until it is heard.
    pub(crate) fn keep_at_last(&self, job: Job) {
        let _ = self.sender.send(Order::Keep(job));
    }

    /// Copies what it was asked to and ends. Takes as long as the disk takes.
    pub(crate) fn end(self) {
        drop(self.sender);
        let _ = self.thread.join();
    }
}

/// One log's copy.
struct Kept {
    job: Job,
    store: Store,
    place: Option<Place>,
    /// The same, counted from what the logger wrote first; None where that is not known.
    copied: Option<Amount>,
    spent: Spent,
    lost: Amount,
    error: Option<String>,
    retry: Option<(u64, u64)>,
}

/// Bytes written to the disk.
#[derive(Clone, Copy, Default)]
struct Spent {
    /// Since `day_ms`.
    today: u64,
    day_ms: u64,
    /// Since the logger of this boot that started to keep it.
    total: u64,
}

fn work(orders: &Receiver<Order>) {
    let mut all: Vec<Kept> = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let due = all.iter().filter_map(|kept| kept.retry.map(|(at, _)| at)).min();
        let wait = due.map(|at| Duration::from_millis(at.saturating_sub(clock::now())));
        let order = match wait {
            Some(wait) => orders.recv_timeout(wait),
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match order {
            Ok(Order::Keep(job)) => take_on(&mut all, job).bring(&mut chunk),
            Ok(Order::Say(root, asked_ms)) => note::say_flushed(&root, asked_ms),
            Err(RecvTimeoutError::Timeout) => {
                let now = clock::now();
                for kept in all.iter_mut().filter(|k| k.retry.is_some_and(|(at, _)| at <= now)) {
                    kept.bring(&mut chunk);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The copy that this job is about, a new one if need be.
fn take_on(all: &mut Vec<Kept>, job: Job) -> &mut Kept {
    let at = all.iter().position(|kept| kept.job.name == job.name);
    let at = at.unwrap_or_else(|| {
        all.push(Kept::new(&job));
        all.len() - 1
    });
    let kept = &mut all[at];
    if kept.job.to != job.to {
        *kept = Kept::new(&job);
    }
    kept.job = job;
    kept
}

impl Kept {
    fn new(job: &Job) -> Self {
        let note = Note::read(&job.from).unwrap_or_default();
        let Note { today_bytes: today, day_ms, total_bytes: total, .. } = note;
        let spent = Spent { today, day_ms, total };
        let lost = Amount { bytes: note.lost_bytes, lines: note.lost_lines };
        Kept {
            job: job.clone(),
            store: Store::new(job.to.clone()),
            place: note.place,
            copied: None,
            spent,
            lost,
            error: None,
            retry: None,
        }
    }

    /// Copies all there is, or as much as may be, and tries again later if need be.
    fn bring(&mut self, chunk: &mut [u8]) {
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
            copied = copied.plus(store::count(file.take(most), chunk)?);
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
            if !self.may_spend(text.len() as u64) {
                return Ok(false);
            }
            if self.store.size() >= self.job.limits.max_size_bytes {
                self.note();
                self.store.sync()?;
                self.store.rotate(self.job.limits, second())?;
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

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        loop {
            match self.store.append(text) {
                Err(error) if store::is_full(&error) && self.store.remove_oldest() => {}
                other => break other?,
            }
        }
        let bytes = text.len() as u64;
        self.spent.today = self.spent.today.saturating_add(bytes);
        self.spent.total = self.spent.total.saturating_add(bytes);
        Ok(())
    }

    /// Opens the file on disk. If another logger of this boot wrote to it, its length says how far
    /// that came; after a power cut, half a line at its end goes.
    fn open(&mut self) -> io::Result<()> {
        if !self.store.prepare(self.job.limits, second())? {
            return Ok(());
        }
        let (inode, size) = (self.store.inode(), self.store.size());
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

    /// Whether so many bytes are within the day's budget. If not, it goes on when the day is over.
    fn may_spend(&mut self, bytes: u64) -> bool {
        let now = clock::now();
        if now.saturating_sub(self.spent.day_ms) >= DAY_MS {
            (self.spent.today, self.spent.day_ms) = (0, now);
        }
        let Some(budget) = self.job.budget_bytes else { return true };
        let within = self.spent.today.saturating_add(bytes) <= budget;
        if !within {
            self.retry = Some((self.spent.day_ms.saturating_add(DAY_MS), RETRY_FIRST_MS));
        }
        within
    }

    /// Says how far it is. A power cut takes this with the memory that it speaks of.
    fn note(&self) {
        let note = Note {
            directory: self.job.to.clone(),
            place: self.place,
            today_bytes: self.spent.today,
            day_ms: self.spent.day_ms,
            total_bytes: self.spent.total,
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

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.ino())
}

/// A file of the log in memory, as it was called when they were listed.
struct Held {
    path: PathBuf,
    inode: u64,
}

impl Held {
    /// None when the name means another file by now, or none.
    fn open(&self) -> io::Result<Option<File>> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Ok((file.metadata()?.ino() == self.inode).then_some(file))
    }
}

/// The files of the log in this directory, the oldest first. The logger may rotate them any time,
/// and each time adds a name: names that are the same afterwards meant the same files meanwhile.
fn held(directory: &Path) -> io::Result<Vec<Held>> {
    for _ in 0..TRIES {
        let paths = store::files(directory)?;
        let held = paths.iter().filter_map(|path| {
            let path = path.clone();
            inode(&path).map(|inode| Held { path, inode })
        });
        let held = held.collect();
        if store::files(directory)? == paths {
            return Ok(held);
        }
    }
    Err(too_fast())
}

fn too_fast() -> io::Error {
    io::Error::other("the log in memory is rotated faster than it can be read")
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
