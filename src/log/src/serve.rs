//! The logger's one loop: waits, reads a bit of each pipe that has something, hands it on.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use crate::kernel::{self, Poll, Received};
use crate::ledger::{Desk, Ledger};
use crate::packet::{self, Limits, MAX_PACKET, Packet};
use crate::page::Page;
use crate::stamp::Stamp;

/// Bytes of each of the two buffers: what a pipe holds, so that one read empties it.
pub const BUFFER_BYTES: usize = 64 * 1024;

/// Logs at a time: as many as there can be units, and the helpers' and Ettan's own.
const MAX_LOGS: usize = 1024 + 32;

/// Pipes read in one turn, each at most one buffer, before PID 1 is listened to again.
const PIPES_A_TURN: usize = 64;

/// Packets taken in one turn.
const PACKETS_A_TURN: usize = 64;

/// Reads of one pipe when it is emptied: 1 MiB, the largest pipe, so that a service that
/// floods cannot keep us at it.
const READS_TO_EMPTY: usize = 16;

/// The log of PID 1 itself, which needs no pipe.
const OWN_NAME: &str = "ettan";

/// Between two attempts to write what is lost into a file, in milliseconds; doubles.
const RETRY_FIRST_MS: u64 = 1_000;
const RETRY_MOST_MS: u64 = 30_000;

const CONTROL: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;

/// The memory of one logger: nothing else of it grows with what services write.
pub struct Buffers {
    /// What was read.
    pub input: [u8; BUFFER_BYTES],
    /// What is to be written.
    pub output: [u8; BUFFER_BYTES],
}

/// Why the logger ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// PID 1 closed its end.
    Closed,
    /// TERM.
    Asked,
}

struct Log {
    name: String,
    pipe: Option<OwnedFd>,
    ledger: Ledger,
}

struct Logger<'a> {
    root: &'a Path,
    poll: Poll,
    logs: Vec<Option<Log>>,
    input: &'a mut [u8],
    desk: Desk<'a>,
    retry: Option<Retry>,
}

#[derive(Clone, Copy)]
struct Retry {
    at: Instant,
    wait_ms: u64,
}

/// Logs below `root` what PID 1 sends over `control`, until that closes or `signals` (which
/// becomes readable on TERM) says so. The error is one of setting up, never of a log.
pub fn serve(
    root: &Path,
    control: BorrowedFd<'_>,
    signals: Option<BorrowedFd<'_>>,
    buffers: &mut Buffers,
) -> std::io::Result<End> {
    let poll = Poll::new(PIPES_A_TURN)?;
    poll.add(control, CONTROL)?;
    if let Some(signals) = signals {
        poll.add(signals, SIGNALS)?;
    }
    let desk = Desk { stamp: Stamp::new(), second: 0, page: Page::new(&mut buffers.output) };
    let input = &mut buffers.input;
    let mut logger = Logger { root, poll, logs: Vec::new(), input, desk, retry: None };
    let end = loop {
        if let Some(end) = logger.turn(control)? {
            break end;
        }
    };
    logger.empty_all(end);
    Ok(end)
}

impl Logger<'_> {
    fn turn(&mut self, control: BorrowedFd<'_>) -> std::io::Result<Option<End>> {
        let now = Instant::now();
        let timeout = self.retry.map(|retry| {
            let wait = retry.at.saturating_duration_since(now).as_millis();
            u64::try_from(wait).unwrap_or(RETRY_MOST_MS).saturating_add(1)
        });
        self.poll.wait(timeout)?;
        self.look_at_the_clock();
        let tokens = || (0..PIPES_A_TURN).map_while(|index| self.poll.ready(index));
        let asked = tokens().any(|token| token == SIGNALS);
        let packets = tokens().any(|token| token == CONTROL);
        if packets && self.take_packets(control) {
            return Ok(Some(End::Closed));
        }
        if asked {
            return Ok(Some(End::Asked));
        }
        let mut index = 0;
        while let Some(token) = self.poll.ready(index) {
            index += 1;
            if let Ok(slot) = usize::try_from(token)
                && token < SIGNALS
            {
                self.read_once(slot);
            }
        }
        self.retry_if_due();
        Ok(None)
    }

    fn look_at_the_clock(&mut self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let wall_ms = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
        self.desk.stamp.set(wall_ms);
        self.desk.second = wall_ms / 1000;
    }

    /// True at the end.
    fn take_packets(&mut self, control: BorrowedFd<'_>) -> bool {
        let mut buffer = [0; MAX_PACKET];
        for _ in 0..PACKETS_A_TURN {
            match kernel::receive(control, &mut buffer) {
                Ok(Received::Packet(length, pipe)) => match packet::read(&buffer[..length]) {
                    Some(packet) => self.obey(packet, pipe),
                    None => eprintln!("ettan-log: a packet that is no request; ignored"),
                },
                Ok(Received::TooLong) => eprintln!("ettan-log: a packet too long; ignored"),
                Ok(Received::Nothing) => return false,
                Ok(Received::Ended) => return true,
                Err(error) => {
                    eprintln!("ettan-log: receiving from PID 1: {error}");
                    return false;
                }
            }
        }
        false
    }

    fn obey(&mut self, packet: Packet<'_>, pipe: Option<OwnedFd>) {
        match packet {
            Packet::Open { name, limits } => match pipe {
                Some(pipe) => self.open(name, limits, pipe),
                None => eprintln!("ettan-log: {name}: no pipe came along; not logged"),
            },
            Packet::Close { name } => {
                if let Some(slot) = self.find(name) {
                    self.close(slot);
                }
            }
            Packet::Mark { name, text } => {
                let found = self.find(name);
                let slot = if found.is_none() && name == OWN_NAME {
                    self.insert(OWN_NAME, Limits::default())
                } else {
                    found
                };
                // What a process said last belongs before the note that it is gone.
                if let Some(slot) = slot {
                    self.empty(slot);
                    self.with(slot, |log, desk| log.ledger.note(desk, text));
                }
            }
        }
    }

    fn open(&mut self, name: &str, limits: Limits, pipe: OwnedFd) {
        if let Some(slot) = self.find(name) {
            self.empty(slot);
        }
        let Some(slot) = self.insert(name, limits) else {
            eprintln!("ettan-log: {name}: {MAX_LOGS} logs are open already; not logged");
            return;
        };
        let watched = kernel::never_wait(pipe.as_fd())
            .and_then(|()| self.poll.add(&pipe, slot as u64));
        if let Err(error) = watched {
            eprintln!("ettan-log: {name}: its pipe cannot be waited for: {error}; not logged");
            return;
        }
        if let Some(Some(log)) = self.logs.get_mut(slot) {
            log.ledger.set_limits(limits);
            log.pipe = Some(pipe);
        }
    }

    /// Reads what is left; the log goes once nobody can write to the pipe any more.
    fn close(&mut self, slot: usize) {
        self.empty(slot);
        let without_pipe =
            self.logs.get(slot).is_some_and(|log| log.as_ref().is_some_and(|l| l.pipe.is_none()));
        if without_pipe {
            self.finish(slot);
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.logs.iter().position(|log| log.as_ref().is_some_and(|log| log.name == name))
    }

    /// The slot of this name, a new one if need be.
    fn insert(&mut self, name: &str, limits: Limits) -> Option<usize> {
        if let Some(slot) = self.find(name) {
            return Some(slot);
        }
        let ledger = Ledger::new(self.root.join(name), limits);
        let log = Some(Log { name: name.to_owned(), pipe: None, ledger });
        if let Some(slot) = self.logs.iter().position(Option::is_none) {
            self.logs[slot] = log;
            return Some(slot);
        }
        if self.logs.len() >= MAX_LOGS {
            return None;
        }
        self.logs.push(log);
        Some(self.logs.len() - 1)
    }

    fn with(&mut self, slot: usize, work: impl FnOnce(&mut Log, &mut Desk<'_>)) {
        if let Some(Some(log)) = self.logs.get_mut(slot) {
            work(log, &mut self.desk);
            if log.ledger.has_gap() && self.retry.is_none() {
                self.retry = Some(Retry::after(RETRY_FIRST_MS));
            }
        }
    }

    /// One read, one write. False if there was nothing.
    fn read_once(&mut self, slot: usize) -> bool {
        let Some(Some(log)) = self.logs.get(slot) else { return false };
        let Some(pipe) = &log.pipe else { return false };
        match kernel::read(pipe.as_fd(), self.input) {
            Ok(Some(0)) => {
                self.finish(slot);
                false
            }
            Ok(Some(length)) => {
                self.make_room(slot);
                let input = std::mem::take(&mut self.input);
                self.with(slot, |log, desk| log.ledger.take(desk, &input[..length]));
                self.input = input;
                true
            }
            Ok(None) => false,
            Err(error) => {
                eprintln!("ettan-log: {}: reading its pipe: {error}; closed", log.name);
                self.finish(slot);
                false
            }
        }
    }

    /// Out of descriptors, the files of the others are closed: each is opened again when there
    /// is something to write.
    fn make_room(&mut self, slot: usize) {
        let second = self.desk.second;
        let Some(Some(log)) = self.logs.get_mut(slot) else { return };
        let Err(error) = log.ledger.prepare(second) else { return };
        if is_out_of_descriptors(&error) {
            for log in self.logs.iter_mut().flatten() {
                log.ledger.shed();
            }
        }
    }

    fn empty(&mut self, slot: usize) {
        for _ in 0..READS_TO_EMPTY {
            if !self.read_once(slot) {
                return;
            }
        }
    }

    fn finish(&mut self, slot: usize) {
        self.with(slot, |log, desk| log.ledger.finish(desk));
        if let Some(log) = self.logs.get_mut(slot) {
            *log = None;
        }
    }

    /// Before the end. After TERM another logger goes on where this one stops, in the same line.
    fn empty_all(&mut self, end: End) {
        for slot in 0..self.logs.len() {
            self.empty(slot);
            match end {
                End::Closed => self.finish(slot),
                End::Asked => self.with(slot, |log, desk| {
                    let _ = log.ledger.heal(desk);
                }),
            }
        }
    }

    fn retry_if_due(&mut self) {
        let Some(retry) = self.retry else { return };
        if retry.at > Instant::now() {
            return;
        }
        let mut left = false;
        for log in self.logs.iter_mut().flatten() {
            left |= log.ledger.has_gap() && log.ledger.heal(&mut self.desk).is_err();
        }
        self.retry = left.then(|| Retry::after((retry.wait_ms * 2).min(RETRY_MOST_MS)));
    }
}

impl Retry {
    fn after(wait_ms: u64) -> Self {
        Retry { at: Instant::now() + std::time::Duration::from_millis(wait_ms), wait_ms }
    }
}

fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    let code = error.raw_os_error();
    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
        .iter()
        .any(|errno| code == Some(errno.raw_os_error()))
}

/// Where logs are, of a running system.
pub fn root() -> PathBuf {
    PathBuf::from("/run/log/ettan")
}
