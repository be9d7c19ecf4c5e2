//! Keeps logs on a disk as well: a thread copies what is new in memory to it, so that a disk that
//! hangs or fails holds up nobody. Memory absorbs meanwhile; what it had to let go is said.
//!
//! The copy is byte for byte, whole lines only, so the length of the file on disk says how far it
//! came, whoever was killed: docs/adr/0016.

mod copy;
mod spent;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ettan_sys::clock;

use crate::note;
use crate::packet::Limits;
use crate::page::Amount;
use copy::Kept;

/// Bytes copied at a time.
const CHUNK: usize = 64 * 1024;

/// Small: the chunk is on the heap.
const STACK_BYTES: usize = 128 * 1024;

/// Jobs that may wait: a job names a log, not bytes, so more of them say nothing new.
const JOBS: usize = 64;

/// A log that has something new.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) name: String,
    /// Its directory in memory.
    pub(crate) from: PathBuf,
    /// Its directory on disk.
    pub(crate) to: PathBuf,
    pub(crate) limits: Limits,
    /// The unit that it is of, all logs of which share a budget.
    pub(crate) unit: String,
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
            Ok(Order::Keep(job)) => {
                let at = take_on(&mut all, job);
                bring(&mut all, at, &mut chunk);
            }
            Ok(Order::Say(root, asked_ms)) => note::say_flushed(&root, asked_ms),
            Err(RecvTimeoutError::Timeout) => {
                let now = clock::now();
                for at in 0..all.len() {
                    if all[at].retry.is_some_and(|(due, _)| due <= now) {
                        bring(&mut all, at, &mut chunk);
                    }
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn bring(all: &mut [Kept], at: usize, chunk: &mut [u8]) {
    let unit = all[at].job.unit.clone();
    let others = all.iter().enumerate().filter(|(n, kept)| *n != at && kept.job.unit == unit);
    let others = others.map(|(_, kept)| kept.spent.today_now()).sum();
    all[at].others_today = others;
    all[at].bring(chunk);
}

/// Where the copy is that this job is about, a new one if need be.
fn take_on(all: &mut Vec<Kept>, job: Job) -> usize {
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
    at
}
