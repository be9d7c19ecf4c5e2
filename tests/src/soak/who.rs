//! Process 1 as the one to whom things are done, from any thread: signals and requests.

use crate::{Client, Limit, Namespace, Received};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A process 1.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    init: i32,
    pub(crate) socket: PathBuf,
}

impl Who {
    /// That of a machine.
    pub(crate) fn of(machine: &Namespace) -> Self {
        Self { init: machine.init(), socket: machine.socket() }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let init = Pid::from_raw(self.init).expect("a process");
        kill_process(init, signal).expect("PID 1 lives");
    }

    /// The answer to a request; Null when PID 1 failed before it could give one.
    pub(crate) fn ask(&self, request: &str) -> Value {
        let limit = Limit::seconds(10);
        let client = loop {
            match Client::connect(&self.socket) {
                Ok(client) => break client,
                Err(errno) => assert!(!limit.over(), "nobody listens: {errno}"),
            }
        };
        if client.send(request.as_bytes()).is_err() {
            return Value::Null;
        }
        match client.receive(limit) {
            Received::Packet(packet) => serde_json::from_str(&packet).expect("a packet is JSON"),
            Received::Closed => Value::Null,
            Received::Late => panic!("{request}: no answer"),
        }
    }
}

/// Lets so much time pass.
pub(crate) fn pause(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let left = rustix::event::Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let _ = rustix::event::poll(&mut [], Some(&left));
    }
}
