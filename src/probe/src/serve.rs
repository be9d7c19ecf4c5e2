//! The prober's one loop: hears PID 1, then the services, then looks at what is due.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use ettan_sys::poll::{Epoll, Interest, Ready};
use ettan_sys::signals::Signals;
use ettan_sys::socket::{self, Peer};
use ettan_sys::{Errno, cgroup, clock, process, procfs, reap};

use crate::budget::Budget;
use crate::notify::{self, MAX_DATAGRAM};
use crate::packet::{self, Course, MAX_PACKET, Packet, Teller, Unit};
use crate::watch::Watch;

/// Datagrams heard in one turn, before PID 1 is heard again.
const A_TURN: usize = 64;

/// While a look is under way that nothing wakes us for.
const CALLING_MS: u64 = 10;

/// Between two words about datagrams that did not count.
const DROPPED_EVERY_MS: u64 = 60_000;

const CONTROL: u64 = 0;
const SIGNALS: u64 = 1;
const NOTIFY: u64 = 2;

/// Where things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// What this prober knows and the next one has to.
    pub notes: &'a Path,
    /// What the logger writes.
    pub logs: &'a Path,
}

impl Places<'_> {
    /// The log of this unit.
    pub(crate) fn log_of(&self, name: &str) -> PathBuf {
        self.logs.join(name).join("current")
    }
}

struct Prober<'a> {
    control: OwnedFd,
    places: Places<'a>,
    poll: Epoll,
    notify: Option<OwnedFd>,
    watches: HashMap<String, Watch>,
    budget: Budget,
    dropped_at_ms: u64,
    /// Our own cgroup, which is PID 1's: those of the units are below it.
    base: Vec<u8>,
}

/// Looks at what PID 1 asks for over `control`, until that closes.
///
/// # Errors
/// Those of setting up and of waiting.
pub fn serve(control: OwnedFd, mut signals: Signals, places: Places<'_>) -> Result<(), Errno> {
    let poll = Epoll::new()?;
    poll.add(&control, CONTROL, Interest::Read)?;
    poll.add(&signals, SIGNALS, Interest::Read)?;
    let mut buffer = [0; 512];
    let base = procfs::cgroup_of(process::own_pid(), &mut buffer).unwrap_or_default().to_vec();
    let mut prober = Prober {
        control,
        places,
        poll,
        notify: None,
        watches: HashMap::new(),
        budget: Budget::new(),
        dropped_at_ms: 0,
        base,
    };
    let mut ready = [Ready::default(); 4];
    loop {
        prober.poll.wait(&mut ready, prober.timeout_ms())?;
        while let Ok(Some(_)) = signals.read() {}
        prober.reap();
        if prober.hear_pid_1() {
            return Ok(());
        }
        prober.hear_services();
        let now_ms = clock::now();
        let teller = Teller(prober.control.as_fd());
        prober.watches.values_mut().for_each(|watch| watch.turn(now_ms, &teller));
    }
}

impl Prober<'_> {
    fn timeout_ms(&self) -> Option<u64> {
        let now_ms = clock::now();
        let due = self.watches.values().map(Watch::due_ms).min().unwrap_or(u64::MAX);
        let calling = self.watches.values().any(Watch::is_calling);
        match due.saturating_sub(now_ms) {
            wait if calling => Some(wait.min(CALLING_MS)),
            _ if due == u64::MAX => None,
            wait => Some(wait),
        }
    }

    fn reap(&mut self) {
        while let Ok(Some(reaped)) = reap::reap() {
            for watch in self.watches.values_mut() {
                watch.ended(reaped.pid, reaped.status);
            }
        }
    }

    /// True at the end.
    fn hear_pid_1(&mut self) -> bool {
        let mut buffer = [0; MAX_PACKET];
        loop {
            let got = match socket::recv_fd(&self.control, &mut buffer) {
                Ok(Some(got)) => got,
                Ok(None) => return false,
                Err(Errno::CONNRESET) => return true,
                Err(error) => {
                    complain!("hearing PID 1: {error}");
                    return true;
                }
            };
            if got.len == 0 && got.fd.is_none() {
                return true;
            }
            match buffer.get(..got.len).filter(|_| !got.truncated).and_then(packet::read) {
                Some(Packet::Notify) => self.open(got.fd),
                Some(Packet::Unit(unit)) => self.obey(&unit),
                None => complain!("a packet that is no request; ignored"),
            }
        }
    }

    fn open(&mut self, socket: Option<OwnedFd>) {
        let Some(socket) = socket else { return complain!("no socket came along") };
        if let Err(error) = self.poll.add(&socket, NOTIFY, Interest::Read) {
            complain!("services cannot be heard: {error}");
        }
        self.notify = Some(socket);
    }

    fn obey(&mut self, unit: &Unit<'_>) {
        let teller = Teller(self.control.as_fd());
        let watch =
            self.watches.entry(unit.name.to_owned()).or_insert_with(|| Watch::new(unit.name));
        watch.hear(unit, self.places, clock::now(), &teller);
        if unit.course == Course::Off {
            self.watches.remove(unit.name);
        }
    }

    /// Each datagram leaves the socket only once PID 1 was told what it says: a prober that ends in
    /// between loses nothing.
    fn hear_services(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        for _ in 0..A_TURN {
            let Some(socket) = &self.notify else { return };
            let got = match socket::peek(socket, &mut buffer) {
                Ok(Some(got)) => got,
                Ok(None) => return,
                Err(error) => {
                    complain!("hearing services: {error}");
                    return;
                }
            };
            // Closing a descriptor that came along (BARRIER=1) tells the sender that it was heard.
            drop(got.fd);
            if let (Some(peer), false) = (got.peer, got.truncated) {
                self.listen(peer, buffer.get(..got.len).unwrap_or_default());
            }
            let Some(socket) = &self.notify else { return };
            if let Err(error) = socket::skip(socket) {
                complain!("hearing services: {error}");
                return;
            }
        }
    }

    fn listen(&mut self, peer: Peer, datagram: &[u8]) {
        let now_ms = clock::now();
        let said = notify::parse(datagram);
        // What is said once has to be heard from a chatterbox too.
        let is_said_once = said.ready || said.reloading;
        if !self.budget.take(peer.pid, now_ms) && !is_said_once {
            return self.mention_dropped(now_ms);
        }
        // Whoever has sent this was announced before: that may not be read yet.
        if self.owner(peer.pid).is_none() && self.hear_pid_1() {
            return;
        }
        let Some(name) = self.owner(peer.pid) else { return };
        let teller = Teller(self.control.as_fd());
        if let Some(watch) = self.watches.get_mut(&name) {
            watch.listen(said, self.places, now_ms, &teller);
        }
    }

    fn mention_dropped(&mut self, now_ms: u64) {
        if now_ms >= self.dropped_at_ms {
            self.dropped_at_ms = now_ms.saturating_add(DROPPED_EVERY_MS);
            complain!("a service says more than it may: {} messages dropped", self.budget.dropped);
        }
    }

    /// The unit of a process: by its number, its cgroup, or the cookie in its environment.
    fn owner(&self, pid: i32) -> Option<String> {
        let by_main = self.watches.values().find(|watch| watch.main == pid && pid > 1);
        if let Some(watch) = by_main {
            return Some(watch.name.clone());
        }
        let mut buffer = [0; 512];
        let path = procfs::cgroup_of(pid, &mut buffer);
        if let Some(name) = path.and_then(|path| cgroup::unit_in(&self.base, path)) {
            let name = str::from_utf8(name).ok()?;
            return self.watches.get(name).map(|watch| watch.name.clone());
        }
        let has_cookie = |watch: &&Watch| {
            let cookie = format!("ETTAN_COOKIE={}", watch.run);
            procfs::first_environment_has(pid, cookie.as_bytes()) == Some(true)
        };
        self.watches.values().find(has_cookie).map(|watch| watch.name.clone())
    }
}
