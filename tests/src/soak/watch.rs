//! What process 1 looks like from outside: memory, descriptors, and children it has not reaped.

use super::patience;
use crate::{Machine, Namespace, Process};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(250);

/// So old a zombie may grow.
const ZOMBIE_AGE: Duration = Duration::from_secs(1);

/// Looks now and then.
#[derive(Debug)]
pub(crate) struct Watch {
    init: i32,
    proc: PathBuf,
    next: Instant,
    /// By number and birth, since when.
    zombies: HashMap<(i32, u64), Instant>,
    /// Zombies that grew too old.
    pub(crate) old_zombies: u64,
    /// The least and most memory seen since `settled`, KiB.
    memory: Option<(u64, u64)>,
}

impl Watch {
    /// For the machine whose process 1 the host knows by this number.
    pub(crate) fn new(init: i32) -> Self {
        let proc = PathBuf::from(format!("/proc/{init}/root/proc"));
        let zombies = HashMap::new();
        Self { init, proc, next: Instant::now(), zombies, old_zombies: 0, memory: None }
    }

    /// Everything has been used once: from now on memory counts.
    pub(crate) fn settled(&mut self) {
        self.memory = memory_kib(self.init).map(|now| (now, now));
    }

    /// Whether memory counts already.
    pub(crate) fn has_settled(&self) -> bool {
        self.memory.is_some()
    }

    /// How far memory moved since it settled, KiB.
    pub(crate) fn memory_moved_kib(&self) -> u64 {
        self.memory.map_or(u64::MAX, |(least, most)| most - least)
    }

    /// How long until the next look is due.
    pub(crate) fn due_in(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Looks, if it is time; false if it is not.
    pub(crate) fn look(&mut self) -> bool {
        let now = Instant::now();
        if now < self.next {
            return false;
        }
        self.next = now + EVERY;
        if let (Some((least, most)), Some(here)) = (self.memory, memory_kib(self.init)) {
            self.memory = Some((least.min(here), most.max(here)));
        }
        let zombies = Process::all(&self.proc).into_iter().filter(Process::is_zombie);
        let before = std::mem::take(&mut self.zombies);
        for zombie in zombies {
            let who = (zombie.pid, zombie.born);
            let since = before.get(&who).copied().unwrap_or(now);
            if now - since > ZOMBIE_AGE.mul_f64(patience()) {
                self.old_zombies += 1;
                eprint!("soak: a zombie for {:?}: {}", now - since, Process::table(&[zombie]));
            } else {
                self.zombies.insert(who, since);
            }
        }
        true
    }
}

/// Memory of a process without the pages of its file, which the kernel takes and gives; KiB.
fn memory_kib(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// How many descriptors a process has open.
fn descriptors(pid: i32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |fds| fds.count() as u64)
}

/// Descriptors of process 1 when nothing is under way: the same number many times in a row.
pub(crate) fn at_rest(machine: &Namespace) -> u64 {
    let (mut last, mut times) = (0, 0);
    while times < 20 {
        assert!(!machine.limit().over(), "descriptors come and go for ever");
        rustix::event::poll(&mut [], Some(&MOMENT)).expect("a moment passes");
        let now = descriptors(machine.init());
        (last, times) = (now, if now == last { times + 1 } else { 0 });
    }
    last
}

const MOMENT: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
