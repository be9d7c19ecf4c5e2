//! Stories of the watcher in a network namespace of their own, made by `unshare` and `ip`, so
//! they need root; everything in it goes with the process. PID 1 is played by a socket.

use std::collections::BTreeMap;
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
use ettan_wire::{Condition, End, MAX_PACKET, Reply, Request, decode_request, encode_reply};

/// Set in the processes that have a network namespace of their own.
const INSIDE: &str = "ETTAN_WATCH_TEST_INSIDE";

/// The name of the thread that watches.
const WATCHER: &str = "watcher";

/// How often the watcher waited for something so far.
fn wake_ups() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let statuses = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")));
    let named = format!("Name:\t{WATCHER}\n");
    let status = statuses.flatten().find(|status| status.starts_with(&named)).unwrap();
    let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    waits.unwrap().trim().parse().unwrap()
}

/// Runs the test again in its own network namespace, and there the story.
fn in_a_network(test: &str, tell: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return story(tell);
    }
    let program = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .arg("--net")
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success());
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
fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().unwrap();
    assert!(status.success(), "ip {words}");
}

/// PID 1's end of the control socket, and what it was told.
struct World {
    folder: PathBuf,
    listener: Option<OwnedFd>,
    facts: BTreeMap<String, bool>,
    /// Everything in the order it was told: `+network`, `-network`.
    heard: Vec<String>,
}

impl World {
    /// An address for a socket, where nobody listens yet.
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("ettan-watch-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        World { folder, listener: None, facts: BTreeMap::new(), heard: Vec::new() }
    }

    fn path(&self) -> CString {
        CString::new(self.folder.join("control.sock").as_os_str().as_bytes()).unwrap()
    }

    /// Listens at the address, replacing what was there.
    fn listen(&mut self) {
        self.listener = Some(socket::seqpacket_listen(&self.path(), 0o600).unwrap());
    }

    /// Starts the watcher, which ends with the process.
    fn watch(&self) {
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
    fn expect(&mut self, wishes: &[&str]) {
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
    fn is_quiet(&self) -> bool {
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
            for reply in self.answer(request) {
                let length = encode_reply(&reply, &mut packet).unwrap();
                socket::send_waiting(&guest, &packet[..length]).unwrap();
            }
        }
    }
}

impl World {
    fn answer(&mut self, request: Request) -> Vec<Reply> {
        match request {
            Request::Conditions => {
                let known = self.facts.iter().map(|(name, holds)| {
                    Reply::Condition(Condition { name: name.as_str().into(), holds: *holds })
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

/// An interface `eth0` whose cable ends in `switch`.
fn ethernet() {
    ip("link add eth0 type veth peer name switch");
    ip("link set eth0 up");
}

const IN: &str = "link set switch up";
const OUT: &str = "link set switch down";

#[test]
fn a_network_comes_piece_by_piece_and_the_cable_goes_out_and_in() {
    in_a_network("a_network_comes_piece_by_piece_and_the_cable_goes_out_and_in", || {
        let mut world = World::new();
        world.listen();
        world.watch();
        world.expect(&["-network", "-network:link"]);
        ethernet();
        world.expect(&["-network:eth0:address"]);
        ip(IN);
        world.expect(&["+network:link"]);
        ip("address add 192.0.2.7/24 dev eth0");
        world.expect(&["+network:eth0:address", "-network"]);
        ip("route add default via 192.0.2.1");
        world.expect(&["+network"]);
        for _ in 0..3 {
            ip(OUT);
            world.expect(&["-network", "-network:eth0:address", "-network:link"]);
            ip(IN);
            world.expect(&["+network", "+network:eth0:address", "+network:link"]);
        }
        ip("route del default");
        world.expect(&["-network", "+network:eth0:address"]);
        ip("route add default via 192.0.2.1 metric 300");
        world.expect(&["+network"]);
        // The kernel removes the route along with the address, and says nothing of it.
        ip("address del 192.0.2.7/24 dev eth0");
        world.expect(&["-network", "-network:eth0:address"]);
        ip("address add 192.0.2.7/24 dev eth0");
        world.expect(&["+network:eth0:address", "-network"]);
        ip("link del eth0");
        world.expect(&["-network:eth0:address", "-network:link"]);
    });
}

#[test]
fn ipv6_counts_once_the_address_is_checked() {
    in_a_network("ipv6_counts_once_the_address_is_checked", || {
        if !std::path::Path::new("/proc/net/if_inet6").exists() {
            eprintln!("this kernel has no IPv6: nothing tested");
            return;
        }
        let mut world = World::new();
        world.listen();
        world.watch();
        ethernet();
        ip(IN);
        world.expect(&["+network:link", "-network:eth0:address"]);
        ip("-6 route add default via fe80::1 dev eth0");
        ip("address add 2001:db8::7/64 dev eth0");
        world.expect(&["+network:eth0:address", "+network"]);
        ip("-6 route del default");
        world.expect(&["-network"]);
    });
}

#[test]
fn only_changes_are_told() {
    in_a_network("only_changes_are_told", || {
        let mut world = World::new();
        // Its address checks would be changes at times of their own; without IPv6 none come.
        let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        ethernet();
        ip(IN);
        ip("address add 192.0.2.7/24 dev eth0");
        ip("route add default via 192.0.2.1");
        world.listen();
        world.watch();
        world.expect(&["+network", "+network:link", "+network:eth0:address"]);
        assert!(world.is_quiet());
        let before = wake_ups();
        assert!(world.is_quiet());
        assert_eq!(wake_ups(), before, "it woke up without a reason");
        world.heard.clear();
        // Changes that change no condition.
        ip("address add 192.0.2.8/24 dev eth0");
        ip("link set switch mtu 1400");
        ip("route add 198.51.100.0/24 via 192.0.2.1");
        assert!(world.is_quiet());
        ip("route del default");
        world.expect(&["-network"]);
        assert_eq!(world.heard, ["-network"]);
    });
}

#[test]
fn pid_1_is_told_everything_when_it_listens_at_last_and_when_it_listens_anew() {
    in_a_network(
        "pid_1_is_told_everything_when_it_listens_at_last_and_when_it_listens_anew",
        || {
            let mut world = World::new();
            ethernet();
            ip(IN);
            ip("address add 192.0.2.7/24 dev eth0");
            world.watch();
            // Nobody listens meanwhile.
            world.listen();
            world.expect(&["+network:link", "+network:eth0:address", "-network"]);
            assert!(world.is_quiet());
            world.facts.clear();
            world.listen();
            world.expect(&["+network:link", "+network:eth0:address", "-network"]);
        },
    );
}

#[test]
fn what_a_predecessor_told_and_is_no_more_is_taken_back() {
    in_a_network("what_a_predecessor_told_and_is_no_more_is_taken_back", || {
        let mut world = World::new();
        for told in ["network", "network:usb0:address", "clock"] {
            world.facts.insert(told.to_owned(), true);
        }
        ethernet();
        ip(IN);
        ip("address add 192.0.2.7/24 dev eth0");
        world.listen();
        world.watch();
        world.expect(&["+network:link", "+network:eth0:address", "-network"]);
        world.expect(&["-network:usb0:address"]);
        // Somebody else's.
        world.expect(&["+clock"]);
        assert!(world.is_quiet());
    });
}

#[test]
fn a_storm_of_changes_ends_in_the_truth() {
    in_a_network("a_storm_of_changes_ends_in_the_truth", || {
        let mut world = World::new();
        world.listen();
        world.watch();
        world.expect(&["-network"]);
        // More than the notices that the kernel keeps for us.
        let batch = world.folder.join("batch");
        let commands: String = (0..3_000)
            .map(|n| format!("address add 198.18.{}.{}/32 dev lo\n", n / 250, n % 250 + 1))
            .chain((0..20).map(|n| format!("link add a{n} type veth peer name b{n}\n")))
            .chain((0..20).map(|n| format!("link del a{n}\n")))
            .collect();
        fs::write(&batch, commands).unwrap();
        ip(&format!("-batch {}", batch.display()));
        ethernet();
        ip(IN);
        ip("address add 192.0.2.7/24 dev eth0");
        ip("route add default via 192.0.2.1");
        world.expect(&["+network", "+network:eth0:address"]);
        let held = world.facts.iter().filter(|(_, holds)| **holds).count();
        assert_eq!(held, 3, "{:?}", world.facts);
    });
}
