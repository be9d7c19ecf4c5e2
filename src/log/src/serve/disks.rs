//! Has what is kept on a disk brought there: when it is time, when asked, at the end.

use std::path::{Path, PathBuf};

use ettan_sys::clock;

use super::{Log, Logger, RETRY_FIRST_MS, messages};
use crate::keep::{Job, Keeper};
use crate::note::{self, Note};
use crate::packet::{Keep, When};
use crate::store;

/// What is kept on a disk is brought there so often: a power cut takes no more than this.
pub(super) const KEEP_EVERY_MS: u64 = 5_000;

/// Where a log is kept on a disk too.
pub(super) struct Disk {
    pub(super) directory: PathBuf,
    pub(super) always: bool,
    pub(super) budget_bytes: Option<u64>,
    /// Something is to be brought there.
    pub(super) wanted: bool,
}

impl Disk {
    pub(super) fn of(keep: Keep<'_>) -> Option<Self> {
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

impl Logger<'_> {
    /// A log that is kept on a disk when asked is to be brought there.
    pub(super) fn ask_for(&mut self, slot: usize) {
        let routes = self.logs.get(slot).and_then(|log| log.as_ref()?.routes.as_ref());
        for to in routes.map(|routes| routes.slots.clone()).unwrap_or_default() {
            self.ask_for(to);
        }
        if let Some(disk) = self.logs.get_mut(slot).and_then(|log| log.as_mut()?.disk.as_mut()) {
            disk.wanted = true;
            self.keep_at_ms = Some(clock::now());
        }
    }

    /// Brings what was said up to now to the disks, for somebody who waits for it.
    pub(super) fn flush(&mut self) {
        self.read_syslog(messages::AT_THE_END);
        for slot in 0..self.logs.len() {
            if self.comes_to_a_disk(slot) {
                self.empty(slot);
                self.ask_for(slot);
            }
        }
        self.flush_asked_ms = Some(clock::now());
        self.keep(false);
    }

    /// What the unit says is kept on a disk: in its own log, or in that of a route.
    fn comes_to_a_disk(&self, slot: usize) -> bool {
        let log = |slot: usize| self.logs.get(slot).and_then(Option::as_ref);
        let is_kept = |slot: usize| log(slot).is_some_and(|log| log.disk.is_some());
        let routes = log(slot).and_then(|log| log.routes.as_ref());
        is_kept(slot) || routes.is_some_and(|routes| routes.slots.iter().any(|to| is_kept(*to)))
    }

    /// Once the keeper has all jobs, the one who asked for them is told when they are done.
    pub(super) fn say_flushed(&mut self) {
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
    pub(super) fn keep(&mut self, at_last: bool) {
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
                unit: log.unit.clone(),
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
}

/// Says where the copy will be, so that what former boots left there can be read now. Whoever
/// starts first after that finds the folder made.
pub(super) fn announce(
    log: &Path,
    directory: &Path,
    budget_bytes: Option<u64>,
    owner: Option<(u32, u32)>,
) {
    if Note::read(log).is_none() && store::create_directory(log, owner).is_ok() {
        let directory = directory.to_owned();
        Note { directory, budget_bytes, ..Note::default() }.write(log);
    }
}
