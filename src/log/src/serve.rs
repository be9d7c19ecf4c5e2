//! The logger's one loop: waits, reads a bit of each pipe that has something, hands it on.

mod disks;
mod messages;
mod packets;
mod reading;
mod resting;
mod routes;

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use ettan_sys::poll::{Epoll, Interest, Ready};
use ettan_sys::signals::Signals;
use ettan_sys::{Errno, clock};

use crate::alert::Alerts;
use crate::keep::Keeper;
use crate::kernel::Kernel;
use crate::ledger::{Desk, Ledger};
use crate::packet::{Limits, STREAMS, Stream};
use crate::page::Page;
use crate::stage::Stage;
use crate::syslog::Syslog;
use disks::Disk;
pub(crate) use disks::KEEP_EVERY_MS;
use resting::Rest;
pub(crate) use resting::Standing;
use routes::Routes;

/// Bytes of each of the two buffers: what a pipe holds, so that one read empties it.
const BUFFER_BYTES: usize = 64 * 1024;

/// Logs at a time: as many as there can be units, and the helpers' and Ettan's own; and the same
/// again for routes.
pub(crate) const MAX_LOGS: usize = 2 * (1024 + 32);

/// Pipes read in one turn, each at most one buffer, before PID 1 is listened to again.
const PIPES_A_TURN: usize = 64;

/// Between two attempts to write what is lost into a file, in milliseconds; doubles.
const RETRY_FIRST_MS: u64 = 1_000;
const RETRY_MOST_MS: u64 = 30_000;

const CONTROL: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;
const SYSLOG: u64 = u64::MAX - 2;
const KERNEL: u64 = u64::MAX - 3;
const ALERT: u64 = u64::MAX - 4;

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
    /// Whose it is: of a route, not its own name.
    unit: String,
    /// By stream.
    inlets: [Inlet; 2],
    ledger: Ledger,
    /// Where it is kept on a disk too.
    disk: Option<Disk>,
    limits: Limits,
    /// Where its lines go as well.
    routes: Option<Routes>,
}

/// Where a log's lines come from.
#[derive(Default)]
struct Inlet {
    /// The packet that opened it, for the stage.
    packet: Vec<u8>,
    pipe: Option<OwnedFd>,
    standing: Standing,
}

impl Inlet {
    fn of(packet: &[u8], pipe: OwnedFd) -> Self {
        Inlet { packet: packet.to_vec(), pipe: Some(pipe), standing: Standing::default() }
    }
}

impl Log {
    fn has_pipe(&self) -> bool {
        self.inlets.iter().any(|inlet| inlet.pipe.is_some())
    }
}

/// What the kernel says when there is something in the pipe of this stream.
fn token(slot: usize, stream: Stream) -> u64 {
    (slot as u64) << 1 | stream as u64
}

/// The reverse of [`token`].
fn of_token(token: u64) -> Option<(usize, Stream)> {
    let stream = STREAMS[usize::from(token & 1 == 1)];
    usize::try_from(token >> 1).ok().map(|slot| (slot, stream))
}

struct Logger<'a> {
    root: &'a Path,
    poll: Epoll,
    /// What PID 1 sends.
    packets: Standing,
    rest: Rest,
    logs: Vec<Option<Log>>,
    syslog: Option<Syslog>,
    kernel: Option<Kernel>,
    input: &'a mut [u8],
    desk: Desk<'a>,
    retry: Option<Retry>,
    keeper: Option<Keeper>,
    alerts: Alerts,
    /// What a route takes of the output at hand.
    chosen: Vec<u8>,
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

/// Logs below `root` what PID 1 sends over `control`, until that closes or `signals` has TERM. The
/// socket at `pid_1` is the one to ask it over for the start of a unit.
///
/// # Errors
/// Those of setting up and of waiting; never those of a log.
pub fn serve(
    root: &Path,
    pid_1: &CStr,
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
        packets: Standing::default(),
        rest: Rest::default(),
        logs: Vec::new(),
        syslog: None,
        kernel: None,
        input,
        desk,
        retry: None,
        keeper: None,
        alerts: Alerts::new(pid_1.to_owned(), ALERT),
        chosen: Vec::new(),
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
            if let Some(ready) = woken.iter().find(|ready| ready.token == CONTROL)
                && self.take_packets(control, ready.closed)
            {
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
            for ready in woken.iter().filter(|ready| ready.token < ALERT) {
                if let Some((slot, stream)) = of_token(ready.token) {
                    self.read_once(slot, stream);
                }
            }
            if woken.iter().any(|ready| ready.token == ALERT) {
                self.alerts.hear(&self.poll);
            }
            if self.alerts.due_ms().is_some_and(|at| at <= clock::now()) {
                self.alerts.go_on(&self.poll);
            }
            self.retry_if_due();
            self.try_again_if_due(control);
            if self.keep_at_ms.is_some_and(|at| at <= clock::now()) {
                self.keep(false);
            }
        }
    }

    fn timeout_ms(&self) -> Option<u64> {
        let retry = self.retry.map(|retry| retry.at_ms);
        let due = [retry, self.rest.due_ms(), self.keep_at_ms, self.alerts.due_ms()];
        let due = due.into_iter().flatten().min();
        due.map(|at| at.saturating_sub(clock::now()).saturating_add(1))
    }

    fn look_at_the_clock(&mut self) {
        let _ = self.desk.set_time(clock::moment());
    }

    fn with(&mut self, slot: usize, work: impl FnOnce(&mut Log, &mut Desk<'_>)) {
        if let Some(Some(log)) = self.logs.get_mut(slot) {
            work(log, &mut self.desk);
            let (written, limits) = (log.ledger.written(), log.limits);
            let due_ms =
                log.disk.as_mut().and_then(|disk| disk.heed(written, limits, clock::now()));
            if log.ledger.has_gap() && self.retry.is_none() {
                self.retry = Some(Retry::after(RETRY_FIRST_MS));
            }
            self.keep_by(due_ms);
        }
    }

    /// Before the end. After TERM another logger goes on where this one stops, in the same line.
    fn empty_all(&mut self, end: End) {
        self.read_syslog(messages::AT_THE_END);
        self.read_kernel(messages::AT_THE_END);
        for slot in 0..self.logs.len() {
            self.empty(slot);
            if end == End::Closed {
                self.end_line(slot);
            }
        }
        for slot in 0..self.logs.len() {
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

fn is_asked_to_end(signals: &mut Option<Signals>) -> bool {
    const TERM: u8 = 15;
    let Some(signals) = signals else { return false };
    let mut asked = false;
    while let Ok(Some(signal)) = signals.read() {
        asked |= signal.number == TERM;
    }
    asked
}
