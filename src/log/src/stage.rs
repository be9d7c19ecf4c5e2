//! Keeps what was taken out of a pipe until it is in a log: a small file beside the logs, so that
//! a logger killed at any moment leaves its successor to go on at the very byte.
//!
//! Output goes from the pipe into this file by splice(2), which a signal cannot stop between
//! taking and keeping: the length of the file says what was taken. Before each write to a log, the
//! *intent* is noted: which file, how long it is, how long it will be, and up to where the stage
//! is in it then. The log's length thus says whether the write happened. docs/adr/0015 has the
//! reasons.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ettan_sys::{Errno, pipe};

use crate::packet::MAX_PACKET;

/// Beside the units' folders; no unit has a name with a dot in front.
const NAME: &str = ".stage";

/// What the file begins with, so that nothing else is taken for it. Its last byte is the format.
const MAGIC: [u8; 8] = *b"ettan-s\x02";

/// The format before: the same, but that all is for the unit's own log, where ours has a 0.
const FORMER_MAGIC: [u8; 8] = *b"ettan-s\x01";

/// Where output begins. What is before fits one page of memory, which is written whole or not at
/// all.
const DATA_AT: u64 = 4096;

/// Where the owner's packet is.
const OWNER_AT: u64 = 64;

/// Where the intent is: one byte, and numbers that a file of six of them has at the same place.
const INTENT_AT: u64 = 15;

/// A write to a log that was about to happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Intent {
    /// Bytes of the stage that were in the log before.
    from: u64,
    /// Bytes of the stage that are in the log after.
    to: u64,
    /// The line before is not whole, whatever the log ends with: so it was before the write.
    in_line_from: bool,
    /// And so it is after.
    in_line_to: bool,
    /// The log's file; 0: nothing was about to be written.
    inode: u64,
    /// Its length before.
    size: u64,
    /// Its length after.
    new_size: u64,
    /// Which of the logs that the stage is for: 0 is the unit's own, then come its routes. Those
    /// before have all of it.
    target: u64,
}

/// The one stage of a logger.
pub(crate) struct Stage {
    path: PathBuf,
    file: Option<File>,
    /// The packet that opened the log whose output is here.
    owner: Vec<u8>,
    intent: Intent,
    /// Bytes in the stage.
    filled: u64,
    looked_second: u64,
}

/// What came out of a pipe.
pub(crate) enum Filled {
    /// So many bytes, which are in the buffer; 0: the pipe is at its end.
    Read(usize),
    /// So many bytes, which the pipe has no more, and which cannot be read back.
    Unread(usize, io::Error),
}

/// What a logger that was killed left.
pub(crate) struct Left {
    /// The packet that opened the log it belongs to.
    pub(crate) owner: Vec<u8>,
    /// The write that was under way, to be looked up in the files of that log.
    write: Intent,
}

impl Left {
    /// Which of the logs that the stage is for was being written.
    pub(crate) fn target(&self) -> u64 {
        self.write.target
    }

    /// The write that it speaks of has been done.
    pub(crate) fn is_done(&self) -> bool {
        self.write.to > 0 && self.write.from == self.write.to
    }

    /// What comes next goes on in the line before, even where the log ends with a line end.
    pub(crate) fn is_in_line(&self) -> bool {
        self.write.in_line_from
    }

    /// How much of what was for this log is in it.
    pub(crate) fn from(&self) -> u64 {
        self.write.from
    }

    /// Settles with one file of the log whether the write happened, and undoes half of one. None
    /// if it is not the file that was written to.
    pub(crate) fn settle(&mut self, file: &File) -> io::Result<Option<()>> {
        let found = file.metadata()?;
        if self.write.inode == 0 || found.ino() != self.write.inode {
            return Ok(None);
        }
        if found.len() >= self.write.new_size {
            self.write = self.write.done();
        } else {
            file.set_len(self.write.size.min(found.len()))?;
        }
        self.write.inode = 0;
        Ok(Some(()))
    }
}

impl Stage {
    /// The stage below `root`; it is made when there is something to put in.
    pub(crate) fn new(root: &Path) -> Self {
        Stage {
            path: root.join(NAME),
            file: None,
            owner: Vec::new(),
            intent: Intent::default(),
            filled: 0,
            looked_second: 0,
        }
    }

    /// What the logger before left here, if anything.
    pub(crate) fn left(&mut self) -> Option<Left> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path).ok()?;
        let mut head = vec![0; OWNER_AT as usize + MAX_PACKET];
        read_back(&file, &mut head, 0).ok()?;
        let (numbers, owner) = head.split_at(OWNER_AT as usize);
        let write = Intent::read(numbers)?;
        let length = usize::from(u16::from_le_bytes([*numbers.get(8)?, *numbers.get(9)?]));
        let owner = owner.get(..length)?.to_vec();
        self.filled = file.metadata().ok()?.len().saturating_sub(DATA_AT);
        self.file = Some(file);
        self.owner.clone_from(&owner);
        (self.filled > 0).then_some(Left { owner, write })
    }

    /// Puts what was left into the buffer, all of it, and goes on where the other logger was.
    pub(crate) fn take_up(&mut self, left: &Left, into: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &self.file else { return Ok(0) };
        let Intent { from, target, in_line_from, .. } = left.write;
        self.intent = Intent { from, to: from, target, ..Intent::start(in_line_from) };
        let length = usize::try_from(self.filled).unwrap_or(usize::MAX).min(into.len());
        read_back(file, &mut into[..length], DATA_AT)?;
        Ok(length)
    }

    /// What is in the stage goes to the log of this number now; those before have it.
    pub(crate) fn turn_to(&mut self, target: u64, is_in_line: bool) {
        if self.filled > 0 {
            self.intent = Intent { target, ..Intent::start(is_in_line) };
            self.note();
        }
    }

    /// Takes from the pipe what is there, at most a buffer, and gives it out as well. The owner is the
    /// packet that opened its log, which may be within a line.
    ///
    /// # Errors
    /// Nothing was taken. EAGAIN: the pipe is empty. Anything else: a caller who reads the pipe by
    /// himself does so at his own risk.
    pub(crate) fn fill(
        &mut self,
        owner: &[u8],
        is_in_line: bool,
        pipe: BorrowedFd<'_>,
        into: &mut [u8],
        second: u64,
    ) -> io::Result<Filled> {
        self.intent = Intent::start(is_in_line);
        self.prepare(owner, second)?;
        let Some(file) = &self.file else { return Err(Errno::NOENT.into()) };
        let taken = pipe::move_to_file(pipe, file, DATA_AT, into.len())?;
        self.filled = taken as u64;
        let room = into.get_mut(..taken).ok_or_else(|| Errno::IO.into());
        let read = room.and_then(|room| read_back(file, room, DATA_AT));
        Ok(match read {
            Ok(()) => Filled::Read(taken),
            Err(error) => Filled::Unread(taken, error),
        })
    }

    /// Notes that a file of this number and size is about to get longer by `length`, of which the
    /// next `bytes` of what the stage has for it are part. Then what follows `is_in_line` or not.
    pub(crate) fn intend(
        &mut self,
        inode: u64,
        size: u64,
        length: u64,
        bytes: u64,
        is_in_line: bool,
    ) {
        if self.filled == 0 {
            return;
        }
        let before = self.intent.done();
        let (to, new_size) = (before.to + bytes, size + length);
        self.intent = Intent { to, in_line_to: is_in_line, inode, size, new_size, ..before };
        self.note();
    }

    /// The next bytes of the stage will never be in a log.
    pub(crate) fn skip(&mut self, bytes: u64) {
        if self.filled > 0 && bytes > 0 {
            self.intent = Intent { to: self.intent.to + bytes, ..self.intent }.done();
            self.note();
        }
    }

    /// The write that was intended has been done.
    pub(crate) fn settle(&mut self) {
        if self.intent.inode != 0 {
            self.intent = self.intent.done();
            self.note();
        }
    }

    /// Everything in the stage has come to its place.
    pub(crate) fn clear(&mut self) {
        if let Some(file) = &self.file
            && self.filled > 0
            && let Err(error) = file.set_len(DATA_AT)
        {
            complain!("the stage cannot be cleared: {error}");
            // Rather no stage than one that is logged twice.
            let _ = fs::remove_file(&self.path);
            self.file = None;
        }
        self.filled = 0;
        self.intent = Intent::default();
    }

    /// The file, with this owner in it and nothing else.
    fn prepare(&mut self, owner: &[u8], second: u64) -> io::Result<()> {
        if self.looked_second != second {
            self.looked_second = second;
            if self.file.as_ref().is_some_and(|file| !crate::store::is_same(file, &self.path)) {
                self.file = None;
            }
        }
        let file = match &mut self.file {
            Some(file) if self.owner == owner => {
                return file.write_all_at(&self.intent.bytes(), INTENT_AT);
            }
            Some(file) => file,
            none => none.insert(create(&self.path)?),
        };
        let mut head = Vec::with_capacity(OWNER_AT as usize + MAX_PACKET);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&u16::try_from(owner.len()).unwrap_or(0).to_le_bytes());
        head.resize(INTENT_AT as usize, 0);
        head.extend_from_slice(&self.intent.bytes());
        head.resize(OWNER_AT as usize, 0);
        head.extend_from_slice(owner);
        head.resize(OWNER_AT as usize + MAX_PACKET, 0);
        self.owner.clear();
        file.write_all_at(&head, 0)?;
        self.owner.extend_from_slice(owner);
        Ok(())
    }

    fn note(&self) {
        if let Some(file) = &self.file
            && let Err(error) = file.write_all_at(&self.intent.bytes(), INTENT_AT)
        {
            complain!("the stage cannot be written: {error}");
        }
    }
}

impl Intent {
    const BYTES: usize = 1 + 6 * 8;

    /// Nothing is in the log, which is within a line or not.
    fn start(is_in_line: bool) -> Self {
        Intent { in_line_from: is_in_line, in_line_to: is_in_line, ..Intent::default() }
    }

    /// Nothing is about to be written any more: it has been.
    fn done(self) -> Self {
        let Intent { to, in_line_to, target, .. } = self;
        Intent { from: to, to, target, ..Intent::start(in_line_to) }
    }

    fn bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let Intent { from, to, in_line_from, in_line_to, inode, size, new_size, target } = self;
        let numbers = [from, to, inode, size, new_size, target];
        bytes[0] = u8::from(in_line_from) | u8::from(in_line_to) << 1;
        for (to, number) in bytes[1..].as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *to = number.to_le_bytes();
        }
        bytes
    }

    fn read(head: &[u8]) -> Option<Self> {
        if ![&MAGIC[..], &FORMER_MAGIC].contains(&head.get(..8)?) {
            return None;
        }
        let (in_line, numbers) = head.get(INTENT_AT as usize..)?.split_first()?;
        let mut numbers = numbers.as_chunks::<8>().0.iter().copied().map(u64::from_le_bytes);
        let mut next = || numbers.next();
        Some(Intent {
            from: next()?,
            to: next()?,
            in_line_from: in_line & 1 != 0,
            in_line_to: in_line & 2 != 0,
            inode: next()?,
            size: next()?,
            new_size: next()?,
            target: next()?,
        })
    }
}

/// Attempts to read what is nowhere else.
const ATTEMPTS: usize = 3;

/// Reads all of it; after a failure once more, for the kernel may have no memory for a moment.
fn read_back(file: &File, into: &mut [u8], at: u64) -> io::Result<()> {
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        outcome = file.read_exact_at(into, at);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let open = || {
        // A link in its place leads elsewhere.
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => fs::remove_file(path)?,
            Ok(_) | Err(_) => {}
        }
        options.open(path)
    };
    let file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            open()?
        }
        other => other?,
    };
    file.set_len(DATA_AT)?;
    Ok(file)
}
