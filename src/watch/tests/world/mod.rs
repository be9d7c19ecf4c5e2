//! Stories of the watcher, each in namespaces of its own, made by `unshare`, so they need root;
//! everything in it goes with the process. PID 1 is played by a socket.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses what it needs")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ettan_sys::poll::{Interest, wait_one};
use ettan_sys::{netlink, socket};
use ettan_wire::{End, Known, MAX_PACKET, Reply, Request, decode_request, encode_reply};

/// Set in the processes that have namespaces of their own.
const INSIDE: &str = "ETTAN_WATCH_TEST_INSIDE";

/// The name of the thread that watches.
const WATCHER: &str = "watcher";

/// How often the watcher waited for something so far.
pub fn wake_ups() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let statuses = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")));
    let named = format!("Name:\t{WATCHER}\n");
    let status = statuses.flatten().find(|status| status.starts_with(&named)).unwrap();
    let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    waits.unwrap().trim().parse().unwrap()
}

/// What the watcher's epoll is told of: so many sources.
pub fn sources() -> usize {
    let descriptors = fs::read_dir("/proc/self/fdinfo").unwrap();
    let infos = descriptors.filter_map(|info| fs::read_to_string(info.unwrap().path()).ok());
    infos.map(|info| info.lines().filter(|line| line.starts_with("tfd:")).count()).sum()
}

/// Runs the test again in its own network and mounts, and there the story.
pub fn in_a_network(test: &str, tell: fn()) {
    in_a_network_under(&[], test, tell);
}

/// The same after these words. False in there.
pub fn in_a_network_under(before: &[&str], test: &str, tell: fn()) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        story(tell);
        return false;
    }
    let program = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private"])
        .args(before)
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success());
    true
}

/// Fails after 30 s (times `ETTAN_TEST_SLOW`).
fn story(tell: fn()) {
    let (done, ended) = mpsc::channel();
    let teller = thread::spawn(move || {
        tell();
        let _ = done.send(());
    });
    match ended.recv_timeout(limit()) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the time limit is over"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {}
    }
    if let Err(panic) = teller.join() {
        std::panic::resume_unwind(panic);
    }
}

fn limit() -> Duration {
    let slow = std::env::var("ETTAN_TEST_SLOW").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(30).mul_f64(slow.unwrap_or(1.0))
}

/// What `ip` does with these words.
pub fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().unwrap();
    assert!(status.success(), "ip {words}");
}

/// What `mount` does with these words; it goes with the process.
pub fn mount(words: &str) {
    let status = Command::new("mount").args(words.split(' ')).status().unwrap();
    assert!(status.success(), "mount {words}");
}

/// PID 1's end of the control socket, and what it was told.
pub struct World {
    pub folder: PathBuf,
    listener: Option<OwnedFd>,
    pub facts: BTreeMap<String, bool>,
    /// What units wait for.
    wanted: BTreeSet<String>,
    /// Who wants to hear when that changes.
    follower: Option<OwnedFd>,
    /// Everything in the order it was told: `+network`, `-network`.
    pub heard: Vec<String>,
}

impl World {
    /// An address for a socket, where nobody listens yet.
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("ettan-watch-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        World {
            folder,
            listener: None,
            facts: BTreeMap::new(),
            wanted: BTreeSet::new(),
            follower: None,
            heard: Vec::new(),
        }
    }

    fn path(&self) -> CString {
        CString::new(self.folder.join("control.sock").as_os_str().as_bytes()).unwrap()
    }

    /// Listens at the address, replacing what was there.
    pub fn listen(&mut self) {
        self.listener = Some(socket::seqpacket_listen(&self.path(), 0o600).unwrap());
    }

    /// Starts the watcher, which ends with the process.
    pub fn watch(&self) {
        let path = self.path();
        let work = move || {
            let mut buffer = vec![0; netlink::BUFFER_BYTES];
            let path: &CStr = &path;
            let Err(error) = ettan_watch::watch(path, &mut buffer);
            panic!("the watcher ended: {error}");
        };
        thread::Builder::new().name(WATCHER.to_owned()).spawn(work).unwrap();
    }

    /// Takes in what the watcher says until these hold (`+network`) or do not (`-network`), and
    /// nothing of it is left to be said.
    pub fn expect(&mut self, wishes: &[&str]) {
        let until = Instant::now() + limit();
        while !wishes.iter().all(|wish| self.is(wish)) {
            let left = until.saturating_duration_since(Instant::now());
            let listener = self.listener.as_ref().unwrap();
            let ms = u64::try_from(left.as_millis()).unwrap();
            assert!(
                wait_one(listener, Interest::Read, Some(ms)).unwrap() && ms > 0,
                "waiting for {wishes:?}, having heard {:?}",
                self.heard
            );
            self.take_connection();
        }
    }

    fn is(&self, wish: &str) -> bool {
        let (sign, name) = wish.split_at(1);
        self.facts.get(name) == Some(&(sign == "+"))
    }

    /// True if the watcher says nothing for 300 ms.
    pub fn is_quiet(&self) -> bool {
        let listener = self.listener.as_ref().unwrap();
        !wait_one(listener, Interest::Read, Some(300)).unwrap()
    }

    /// Answers one connection until it is closed.
    fn take_connection(&mut self) {
        let Some(guest) = socket::accept(self.listener.as_ref().unwrap()).unwrap() else { return };
        let mut packet = [0; MAX_PACKET];
        loop {
            assert!(wait_one(&guest, Interest::Read, Some(10_000)).unwrap());
            let got = socket::recv(&guest, &mut packet).unwrap().unwrap();
            if got.len == 0 {
                return;
            }
            let request = decode_request(&mut packet[..got.len]).unwrap();
            let follows = matches!(&request, Request::Conditions(wanted) if wanted.follow);
            for reply in self.answer(request) {
                let length = encode_reply(&reply, &mut packet).unwrap();
                socket::send_waiting(&guest, &packet[..length]).unwrap();
            }
            if follows {
                self.follower = Some(guest);
                return;
            }
        }
    }

    /// Units wait for these, from now on.
    pub fn want(&mut self, names: &[&str]) {
        self.wanted = names.iter().map(|name| name.to_string()).collect();
        // Its end says as much as a word.
        self.follower = None;
    }
}

impl World {
    fn answer(&mut self, request: Request) -> Vec<Reply> {
        match request {
            Request::Conditions(_) => {
                let names: BTreeSet<&String> = self.facts.keys().chain(&self.wanted).collect();
                let known = names.into_iter().map(|name| {
                    let holds = self.facts.get(name).copied().unwrap_or(false);
                    let wanted = self.wanted.contains(name);
                    Reply::Condition(Known { name: name.as_str().into(), holds, wanted })
                });
                known.chain([Reply::End(End { units: 0, diagnostics: 0 })]).collect()
            }
            Request::Condition(fact) => {
                let sign = if fact.holds { '+' } else { '-' };
                self.heard.push(format!("{sign}{}", fact.name));
                self.facts.insert(fact.name.to_string(), fact.holds);
                vec![Reply::Accepted]
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
