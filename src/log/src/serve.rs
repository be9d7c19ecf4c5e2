//! The logger's one loop: waits, reads a bit of each pipe that has something, hands it on.

mod messages;

use std::io::ErrorKind;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use ettan_sys::poll::{Epoll, Interest, Ready};
use ettan_sys::signals::Signals;
use ettan_sys::{Errno, clock, pipe, socket};

use crate::keep::{Job, Keeper};
use crate::kernel::Kernel;
use crate::ledger::{Desk, Ledger};
use crate::note::{self, Note};
use crate::packet::{self, Keep, Limits, MAX_PACKET, Packet, When};
use crate::page::Page;
use crate::stage::Stage;
use crate::store;
use crate::syslog::Syslog;

/// Bytes of each of the two buffers: what a pipe holds, so that one read empties it.
const BUFFER_BYTES: usize = 64 * 1024;

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

/// What is kept on a disk is brought there so often: a power cut takes no more than this.
const KEEP_EVERY_MS: u64 = 5_000;

/// Between two attempts to write what is lost into a file, in milliseconds; doubles.
const RETRY_FIRST_MS: u64 = 1_000;
const RETRY_MOST_MS: u64 = 30_000;

const CONTROL: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;
const SYSLOG: u64 = u64::MAX - 2;
const KERNEL: u64 = u64::MAX - 3;

/// The memory of one logger: nothing else of it grows with what services write.
pub struct Buffers {
    input: [u8; BUFFER_BYTES],
    output: [u8; BUFFER_BYTES],
}

impl Buffers {
    /// Empty ones, 128 KiB in all.
    #[must_use]
    pub const fn new() -> Self {
        Buffers { input: [0; BUFFER_BYTES], output: [0; BUFFER_BYTES] }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
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
    /// The packet that opened it, for the stage.
    packet: Vec<u8>,
    pipe: Option<OwnedFd>,
    ledger: Ledger,
    /// Where it is kept on a disk too.
    disk: Option<Disk>,
    limits: Limits,
}

struct Disk {
    directory: PathBuf,
    always: bool,
    budget_bytes: Option<u64>,
    /// Something is to be brought there.
    wanted: bool,
}

impl Disk {
    fn of(keep: Keep<'_>) -> Option<Self> {
        let always = match keep.when {
            When::Never => return None,
            When::Always => true,
            When::Asked => false,
        };
        let directory = PathBuf::from(keep.directory);
        let budget_bytes = keep.budget_bytes;
        directory.is_absolute().then_some(Disk { directory, always, budget_bytes, wanted: always })
    }
}

struct Logger<'a> {
    root: &'a Path,
    poll: Epoll,
    logs: Vec<Option<Log>>,
    syslog: Option<Syslog>,
    kernel: Option<Kernel>,
    input: &'a mut [u8],
    desk: Desk<'a>,
    retry: Option<Retry>,
    keeper: Option<Keeper>,
    /// When something is to be brought to a disk.
    keep_at_ms: Option<u64>,
    /// When somebody asked for that, who is to be told once it is done.
    flush_asked_ms: Option<u64>,
}

#[derive(Clone, Copy)]
struct Retry {
    at_ms: u64,
    wait_ms: u64,
}

/// Logs below `root` what PID 1 sends over `control`, until that closes or `signals` has TERM.
///
/// # Errors
/// Those of setting up and of waiting; never those of a log.
pub fn serve(
    root: &Path,
    control: BorrowedFd<'_>,
    signals: Option<Signals>,
    buffers: &mut Buffers,
) -> Result<End, Errno> {
    let poll = Epoll::new()?;
    poll.add(control, CONTROL, Interest::Read)?;
    if let Some(signals) = &signals {
        poll.add(signals, SIGNALS, Interest::Read)?;
    }
    let desk = Desk::new(Page::new(&mut buffers.output), Stage::new(root));
    let input = &mut buffers.input;
    let mut logger = Logger {
        root,
        poll,
        logs: Vec::new(),
        syslog: None,
        kernel: None,
        input,
        desk,
        retry: None,
        keeper: None,
        keep_at_ms: None,
        flush_asked_ms: None,
    };
    logger.look_at_the_clock();
    logger.take_up();
    let end = logger.run(control, signals)?;
    logger.empty_all(end);
    Ok(end)
}

impl Logger<'_> {
    fn run(&mut self, control: BorrowedFd<'_>, mut signals: Option<Signals>) -> Result<End, Errno> {
        let mut ready = [Ready::default(); PIPES_A_TURN];
        loop {
            let count = self.poll.wait(&mut ready, self.timeout_ms())?;
            let woken = ready.get(..count).unwrap_or_default();
            self.look_at_the_clock();
            if woken.iter().any(|ready| ready.token == CONTROL) && self.take_packets(control) {
                return Ok(End::Closed);
            }
            if woken.iter().any(|ready| ready.token == SIGNALS) && is_asked_to_end(&mut signals) {
                return Ok(End::Asked);
            }
            if woken.iter().any(|ready| ready.token == SYSLOG) {
                self.read_syslog(messages::A_TURN);
            }
            if woken.iter().any(|ready| ready.token == KERNEL) {
                self.read_kernel(messages::A_TURN);
            }
            for ready in woken.iter().filter(|ready| ready.token < KERNEL) {
                if let Ok(slot) = usize::try_from(ready.token) {
                    self.read_once(slot);
                }
            }
            self.retry_if_due();
            if self.keep_at_ms.is_some_and(|at| at <= clock::now()) {
                self.keep(false);
            }
        }
    }

    fn timeout_ms(&self) -> Option<u64> {
        let due = self.retry.map(|retry| retry.at_ms).into_iter().chain(self.keep_at_ms).min();
        due.map(|at| at.saturating_sub(clock::now()).saturating_add(1))
    }

    fn look_at_the_clock(&mut self) {
        let _ = self.desk.set_time(clock::moment());
    }

    /// True at the end.
    fn take_packets(&mut self, control: BorrowedFd<'_>) -> bool {
        let mut buffer = [0; MAX_PACKET];
        for _ in 0..PACKETS_A_TURN {
            match socket::recv_fd(control, &mut buffer) {
                Ok(Some(got)) if got.truncated => complain!("a packet too long; ignored"),
                Ok(Some(got)) if got.len == 0 && got.fd.is_none() => return true,
                Ok(Some(got)) => match buffer.get(..got.len).and_then(packet::read) {
                    Some(packet) => self.obey(packet, &buffer[..got.len], got.fd),
                    None => complain!("a packet that is no request; ignored"),
                },
                Ok(None) => return false,
                Err(Errno::CONNRESET) => return true,
                Err(error) => {
                    complain!("receiving from PID 1: {error}");
                    return false;
                }
            }
        }
        false
    }

    fn obey(&mut self, packet: Packet<'_>, bytes: &[u8], pipe: Option<OwnedFd>) {
        match packet {
            Packet::Open { name, limits, keep } => match pipe {
                Some(pipe) => self.open(name, limits, keep, bytes, pipe),
                None => complain!("{name}: no pipe came along; not logged"),
            },
            Packet::Close { name } => {
                if let Some(slot) = self.find(name) {
                    self.close(slot);
                }
            }
            Packet::Flush => self.flush(),
            Packet::Syslog => match pipe {
                Some(socket) => self.listen_to_syslog(socket),
                None => complain!("no socket came along; syslog is not read"),
            },
            Packet::Kernel => match pipe {
                Some(source) => self.listen_to_kernel(source),
                None => complain!("no descriptor came along; the kernel's messages are not read"),
            },
            Packet::Mark { after, name, text } => {
                let found = self.find(name);
                let slot = if found.is_none() && name == OWN_NAME {
                    self.insert(OWN_NAME, Limits::default())
                } else {
                    found
                };
                // What a process said last belongs before the note that it is gone.
                if let Some(slot) = slot {
                    if after {
                        self.empty(slot);
                    }
                    self.with(slot, |log, desk| log.ledger.note(desk, text));
                    if text.starts_with("ended: ") && !text.ends_with("status 0") {
                        self.ask_for(slot);
                    }
                }
            }
        }
    }

    fn open(&mut self, name: &str, limits: Limits, keep: Keep<'_>, packet: &[u8], pipe: OwnedFd) {
        if let Some(slot) = self.find(name) {
            self.empty(slot);
        }
        let Some(slot) = self.insert(name, limits) else {
            complain!("{name}: {MAX_LOGS} logs are open already; not logged");
            return;
        };
        self.forget_pipe(slot);
        let watched = pipe::set_nonblocking(&pipe, true)
            .and_then(|()| self.poll.add(&pipe, slot as u64, Interest::Read));
        if let Err(error) = watched {
            complain!("{name}: its pipe cannot be waited for: {error}; not logged");
            return;
        }
        if let Some(Some(log)) = self.logs.get_mut(slot) {
            log.ledger.set_limits(limits);
            log.packet = packet.to_vec();
            log.limits = limits;
            log.disk = Disk::of(keep);
            if let Some(disk) = &log.disk {
                log.ledger.count_gone();
                announce(&self.root.join(name), &disk.directory, disk.budget_bytes, limits.owner);
                self.keep_at_ms.get_or_insert_with(|| clock::now() + KEEP_EVERY_MS);
            }
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
        let log = Some(Log {
            name: name.to_owned(),
            packet: Vec::new(),
            pipe: None,
            ledger,
            disk: None,
            limits,
        });
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
            if let Some(disk) = log.disk.as_mut().filter(|disk| disk.always) {
                disk.wanted = true;
                self.keep_at_ms.get_or_insert_with(|| clock::now() + KEEP_EVERY_MS);
            }
            if log.ledger.has_gap() && self.retry.is_none() {
                self.retry = Some(Retry::after(RETRY_FIRST_MS));
            }
        }
    }

    /// One read, one write. False if there was nothing.
    fn read_once(&mut self, slot: usize) -> bool {
        let Some(Some(log)) = self.logs.get(slot) else { return false };
        let Some(pipe) = &log.pipe else { return false };
        let second = self.desk.second;
        let taken = match self.desk.stage.fill(&log.packet, pipe.as_fd(), self.input, second) {
            // No room for the stage, or no file system that can: rather at risk than lost.
            Err(error) if error.raw_os_error() != Some(Errno::AGAIN.raw_os_error()) => {
                pipe::read(pipe, self.input).map_err(Into::into)
            }
            other => other,
        };
        match taken {
            Ok(0) => {
                self.finish(slot);
                false
            }
            Ok(length) => {
                self.make_room(slot);
                let input = std::mem::take(&mut self.input);
                self.with(slot, |log, desk| log.ledger.take(desk, &input[..length]));
                self.desk.stage.clear();
                self.input = input;
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => {
                complain!("{}: reading its pipe: {error}; closed", log.name);
                self.finish(slot);
                false
            }
        }
    }

    /// Logs what the logger before had taken out of a pipe when it was killed, and not yet
    /// written.
    fn take_up(&mut self) {
        let Some(mut left) = self.desk.stage.left() else { return };
        let owner = left.owner.clone();
        let slot = match packet::read(&owner) {
            Some(Packet::Open { name, limits, .. }) => self.insert(name, limits),
            Some(
                Packet::Close { .. }
                | Packet::Mark { .. }
                | Packet::Flush
                | Packet::Syslog
                | Packet::Kernel,
            )
            | None => None,
        };
        let Some(slot) = slot else {
            complain!("the stage says not whose it is; its content is lost");
            self.desk.stage.clear();
            return;
        };
        let input = std::mem::take(&mut self.input);
        self.with(slot, |log, desk| {
            let taken =
                log.ledger.settle(&mut left).and_then(|()| desk.stage.take_up(&left, input));
            match taken {
                Ok(length) => log.ledger.take(desk, &input[..length]),
                Err(error) => complain!("{}: its last words are lost: {error}", log.name),
            }
        });
        self.input = input;
        self.desk.stage.clear();
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
        self.ask_for(slot);
        self.keep(false);
        self.forget_pipe(slot);
        if let Some(log) = self.logs.get_mut(slot) {
            *log = None;
        }
    }

    /// PID 1 has the same pipe open, so closing ours alone would not end the waiting for it.
    fn forget_pipe(&mut self, slot: usize) {
        let pipe = self.logs.get_mut(slot).and_then(|log| log.as_mut()?.pipe.take());
        if let Some(Err(error)) = pipe.map(|pipe| self.poll.remove(pipe)) {
            complain!("a pipe cannot be left alone: {error}");
        }
    }

    /// A log that is kept on a disk when asked is to be brought there.
    fn ask_for(&mut self, slot: usize) {
        if let Some(disk) = self.logs.get_mut(slot).and_then(|log| log.as_mut()?.disk.as_mut()) {
            disk.wanted = true;
            self.keep_at_ms = Some(clock::now());
        }
    }

    /// Brings what was said up to now to the disks, for somebody who waits for it.
    fn flush(&mut self) {
        for slot in 0..self.logs.len() {
            if self.logs.get(slot).is_some_and(|log| log.as_ref().is_some_and(|l| l.disk.is_some()))
            {
                self.empty(slot);
                self.ask_for(slot);
            }
        }
        self.flush_asked_ms = Some(clock::now());
        self.keep(false);
    }

    /// Once the keeper has all jobs, the one who asked for them is told when they are done.
    fn say_flushed(&mut self) {
        let Some(asked_ms) = self.flush_asked_ms else { return };
        let waits = |log: &Log| log.disk.as_ref().is_some_and(|disk| disk.wanted);
        let told = match &self.keeper {
            _ if self.logs.iter().flatten().any(waits) => false,
            Some(keeper) => keeper.say_flushed(self.root.to_owned(), asked_ms),
            None => {
                note::say_flushed(self.root, asked_ms);
                true
            }
        };
        if told {
            self.flush_asked_ms = None;
        } else {
            self.keep_at_ms = Some(clock::now() + RETRY_FIRST_MS);
        }
    }

    /// Has what is wanted brought to the disks. Waits for them at the last only.
    fn keep(&mut self, at_last: bool) {
        self.keep_at_ms = None;
        for log in self.logs.iter_mut().flatten() {
            let Some(disk) = log.disk.as_mut().filter(|disk| disk.wanted) else { continue };
            if self.keeper.is_none() {
                match Keeper::start() {
                    Ok(keeper) => self.keeper = Some(keeper),
                    Err(error) => complain!("nothing is kept on disk for now: {error}"),
                }
            }
            let job = Job {
                name: log.name.clone(),
                from: self.root.join(&log.name),
                to: disk.directory.clone(),
                limits: log.limits,
                budget_bytes: disk.budget_bytes,
                gone: log.ledger.gone(),
            };
            disk.wanted = match &self.keeper {
                None => true,
                Some(keeper) if at_last => {
                    keeper.keep_at_last(job);
                    false
                }
                Some(keeper) => !keeper.keep(job),
            };
            if disk.wanted {
                self.keep_at_ms = Some(clock::now() + RETRY_FIRST_MS);
            }
        }
        self.say_flushed();
    }

    /// Before the end. After TERM another logger goes on where this one stops, in the same line.
    fn empty_all(&mut self, end: End) {
        self.read_syslog(messages::AT_THE_END);
        self.read_kernel(messages::AT_THE_END);
        for slot in 0..self.logs.len() {
            self.empty(slot);
            match end {
                // The last writer: what is kept on a disk is brought there now.
                End::Closed => {
                    self.with(slot, |log, desk| log.ledger.finish(desk));
                    self.ask_for(slot);
                }
                End::Asked => self.with(slot, |log, desk| {
                    let _ = log.ledger.heal(desk);
                }),
            }
        }
        if end == End::Closed {
            self.keep(true);
        }
        if let (End::Closed, Some(keeper)) = (end, self.keeper.take()) {
            keeper.end();
        }
    }

    fn retry_if_due(&mut self) {
        let Some(retry) = self.retry else { return };
        if retry.at_ms > clock::now() {
            return;
        }
        let mut left = false;
        for log in self.logs.iter_mut().flatten() {
            left |= log.ledger.has_gap()
                && (log.ledger.heal(&mut self.desk).is_err() || log.ledger.has_gap());
        }
        self.retry = left.then(|| Retry::after((retry.wait_ms * 2).min(RETRY_MOST_MS)));
    }
}

impl Retry {
    fn after(wait_ms: u64) -> Self {
        Retry { at_ms: clock::now().saturating_add(wait_ms), wait_ms }
    }
}

/// Says where the copy will be, so that what former boots left there can be read now. Whoever
/// starts first after that finds the folder made.
fn announce(log: &Path, directory: &Path, budget_bytes: Option<u64>, owner: Option<(u32, u32)>) {
    if Note::read(log).is_none() && store::create_directory(log, owner).is_ok() {
        let directory = directory.to_owned();
        Note { directory, budget_bytes, ..Note::default() }.write(log);
    }
}

fn is_asked_to_end(signals: &mut Option<Signals>) -> bool {
    const TERM: u8 = 15;
    let Some(signals) = signals else { return false };
    let mut asked = false;
    while let Ok(Some(signal)) = signals.read() {
        asked |= signal.number == TERM;
    }
    asked
}

fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| code == Some(errno.raw_os_error()))
}
