//! The control socket over real sockets, with a real supervisor and processes that exist only in
//! the test's imagination. Time is a number that the test sets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm
)]

mod answers;
mod hostile;

use super::*;
use crate::testing::{Units, unit};
use ettan_core::{Action, Event, ExitStatus, Kind, Pid, SpawnFault, Step, Unit, Whom};
use ettan_table::Message;
use ettan_wire::{Request, decode_reply, encode_request};
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST_TOKEN: u64 = 16;

struct Known;

impl Facts for Known {
    fn command(&self, _: &str, _: ettan_core::Stage, _: u8) -> &str {
        "/bin/hook"
    }
    fn description(&self, unit: &str) -> &str {
        if unit == "web" { "a \"page\"\u{1b}[2J" } else { "" }
    }
    fn group(&self, unit: &str) -> Option<&str> {
        match unit {
            "web_00" => Some("web"),
            "bad_00" => Some("bad"),
            _ => None,
        }
    }
    fn program(&self, _: &str) -> &str {
        "/usr/bin/web"
    }
    fn directory(&self, _: &str) -> &str {
        "/srv/web"
    }
    fn pid_file(&self, unit: &str) -> &str {
        if unit == "web" { "/run/web.pid" } else { "" }
    }
    fn diagnostic(&self, nth: usize) -> Option<Message<'_>> {
        let text = "/etc/units/bad.toml:3:1: error: no such key";
        (nth == 0).then_some(Message { unit: Some("bad"), text })
    }
    fn diagnostic_about(&self, unit: &str) -> Option<&str> {
        self.diagnostic(0).filter(|message| message.unit == Some(unit)).map(|message| message.text)
    }
    fn told(&self, _: UnitId) -> (&str, &str) {
        ("", "")
    }
    fn loaded(&self) -> Option<Millis> {
        Some(Millis(90_000))
    }
    fn units(&self) -> usize {
        1
    }
    fn diagnostics(&self) -> usize {
        1
    }
    fn complaints(&self) -> super::facts::Complaints {
        super::facts::Complaints { errors: 1, ..Default::default() }
    }
    fn allocations_after_boot(&self) -> u64 {
        0
    }
    fn degraded(&self) -> Text<256> {
        Text::new()
    }
    fn history(&self) -> super::History {
        super::History::default()
    }
    fn watchdog(&self) -> Option<crate::watchdog::Report> {
        None
    }

    fn last_end(&self) -> Text<96> {
        Text::new()
    }
}

/// A PID 1 of which only the control socket is real.
struct World {
    control: Box<Control>,
    supervisor: Box<Supervisor>,
    epoll: Epoll,
    now: Millis,
    path: PathBuf,
    next_pid: i32,
    /// What the next spawns end with.
    spawn_fault: Option<SpawnFault>,
    /// Processes stay after a stop signal.
    stubborn: bool,
    commands: Vec<Command>,
}

impl World {
    fn new(names: &[&str]) -> Self {
        Self::with(names.iter().map(|name| unit(name)).collect())
    }

    fn with(units: Vec<Unit>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ettan-control-{}-{number}.sock", std::process::id());
        let mut world = Self {
            control: Box::new(Control::new(FIRST_TOKEN)),
            supervisor: Box::new(Supervisor::new()),
            epoll: Epoll::new().unwrap(),
            now: Millis(100_000),
            path: std::env::temp_dir().join(name),
            next_pid: 100,
            spawn_fault: None,
            stubborn: false,
            commands: Vec::new(),
        };
        world.open();
        world.supervisor.load(world.now, &Units(units));
        world.settle();
        world
    }

    fn open(&mut self) {
        let path = self.c_path();
        self.control.open(&self.epoll, path).unwrap();
    }

    /// PID 1's path is a constant; a test's lives as long as the test program.
    fn c_path(&self) -> &'static CStr {
        Box::leak(CString::new(self.path.to_str().unwrap()).unwrap().into_boxed_c_str())
    }

    /// One turn of the loop: what is ready, its commands, what follows, answers.
    fn turn(&mut self) {
        let mut ready = [Ready::default(); 64];
        let count = self.epoll.wait(&mut ready, Some(0)).unwrap();
        for ready in &ready[..count] {
            let Self { control, supervisor, epoll, now, .. } = self;
            let context = Context { now: *now, supervisor, facts: &Known, epoll };
            if let Some(command) = control.on_ready(ready, &context) {
                self.commands.push(command.clone());
                self.perform(command);
            }
        }
        self.supervisor.handle(self.now, Event::Tick);
        self.settle();
        let Self { control, supervisor, epoll, now, .. } = self;
        control.after_turn(&Context { now: *now, supervisor, facts: &Known, epoll });
    }

    fn turns(&mut self, count: usize) {
        for _ in 0..count {
            self.turn();
        }
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Ask { unit, ask } => self.feed(Event::Ask { unit, ask }),
            Command::Condition { name, holds } => {
                self.feed(Event::Condition { name: &name, holds });
            }
            Command::Ran { unit, second } => self.feed(Event::Ran { unit, second }),
            Command::Shutdown { power, force } => {
                self.feed(Event::Shutdown { power, haste: crate::signals::haste(force) });
            }
            Command::Reexec | Command::Flush | Command::ReloadUnits => {}
            #[cfg(feature = "fault-injection")]
            Command::Fail(_) => {}
        }
    }

    fn feed(&mut self, event: Event<'_>) {
        self.supervisor.handle(self.now, event);
        self.settle();
    }

    /// Performs what the core asks for: processes start and end at once.
    fn settle(&mut self) {
        while let Some(action) = self.supervisor.next_action() {
            match action {
                Action::Spawn { unit, .. } => {
                    self.next_pid += 1;
                    let event = match self.spawn_fault {
                        Some(fault) => Event::SpawnFailed { unit, fault },
                        None => Event::Spawned { unit, pid: Pid::new(self.next_pid).unwrap() },
                    };
                    self.supervisor.handle(self.now, event);
                }
                Action::Signal { unit, whom: Whom::Main | Whom::All, signal } => {
                    let view = self.supervisor.view(unit).unwrap();
                    if let (Some(pid), false) = (view.state.pid(), self.stubborn) {
                        let status = ExitStatus::Signal { signal, core: false };
                        self.supervisor.handle(self.now, Event::Exited { pid, status });
                    }
                }
                Action::Sweep { unit } => {
                    self.supervisor.handle(self.now, Event::Emptied { unit });
                }
                Action::Publish(notice) => {
                    let sources =
                        Sources { supervisor: &self.supervisor, facts: &Known, now: self.now };
                    self.control.publish(&notice, sources);
                }
                _ => {}
            }
        }
    }

    /// A client that PID 1 has let in.
    fn client(&mut self) -> Client {
        let client = Client(socket::seqpacket_connect(self.c_path()).unwrap());
        self.turn();
        client
    }

    /// A client that may only look.
    fn viewer(&mut self) -> Client {
        self.guest(Peer::Viewer)
    }

    /// A client of this kind.
    fn guest(&mut self, peer: Peer) -> Client {
        let (ours, theirs) = socket::seqpacket_pair().unwrap();
        let Self { control, supervisor, epoll, now, .. } = self;
        let context = Context { now: *now, supervisor, facts: &Known, epoll };
        control.admit(ours, peer, &context);
        Client(theirs)
    }

    /// One request, and the packets that two turns bring.
    fn ask(&mut self, client: &Client, request: &Request) -> Vec<Reply> {
        client.send(request);
        self.turns(2);
        client.replies()
    }

    fn id(&self, name: &str) -> UnitId {
        self.supervisor.find(name).unwrap()
    }

    fn pid(&self, name: &str) -> Option<Pid> {
        self.supervisor.view(self.id(name)).unwrap().state.pid()
    }

    fn crash(&mut self, name: &str, status: ExitStatus) {
        let pid = self.pid(name).unwrap();
        self.feed(Event::Exited { pid, status });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The other end.
struct Client(OwnedFd);

impl Client {
    fn send(&self, request: &Request) {
        let mut packet = [0; MAX_PACKET];
        let length = encode_request(request, &mut packet).unwrap();
        self.raw(&packet[..length]);
    }

    fn raw(&self, packet: &[u8]) {
        socket::send(&self.0, packet).unwrap();
    }

    /// The next packet; None when there is none now, or when the connection ended.
    fn next(&self) -> Option<Reply> {
        let mut packet = [0; MAX_PACKET];
        let message = socket::recv(&self.0, &mut packet).ok()??;
        (message.len > 0).then(|| decode_reply(&mut packet[..message.len]).unwrap())
    }

    fn replies(&self) -> Vec<Reply> {
        std::iter::from_fn(|| self.next()).collect()
    }

    fn is_closed(&self) -> bool {
        let mut packet = [0; MAX_PACKET];
        match socket::recv(&self.0, &mut packet) {
            Ok(None) => false,
            Ok(Some(message)) => message.len == 0,
            Err(_) => true,
        }
    }
}

fn refused_with(replies: &[Reply]) -> Option<ErrorCode> {
    match replies {
        [Reply::Error(refusal)] => Some(refusal.code),
        _ => None,
    }
}
