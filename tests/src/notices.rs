//! Follows the notices of a machine through its control socket and puts each into words.

use crate::{Client, Limit, Received};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// A follower of `events`; connects when the socket is there. A thread reads, so that PID 1 has
/// no reason to drop us while a test does something else; it ends with the machine.
#[derive(Debug)]
pub(crate) struct Notices {
    socket: PathBuf,
    told: Option<Receiver<String>>,
}

impl Notices {
    /// A follower of the machine whose root file system is `root`.
    #[must_use]
    pub(crate) fn new(root: &Path) -> Self {
        Self { socket: root.join("run/ettan/control.sock"), told: None }
    }

    /// The next notice if there is one within that time.
    pub(crate) fn next(&mut self, time: Duration) -> Next {
        if self.told.is_none() {
            self.told = follow(&self.socket);
        }
        let Some(told) = &self.told else { return Next::Silent };
        match told.recv_timeout(time) {
            Ok(notice) => Next::Told(notice),
            Err(RecvTimeoutError::Timeout) => Next::Late,
            Err(RecvTimeoutError::Disconnected) => Next::Ended,
        }
    }
}

/// What a look for the next notice came to.
#[derive(Debug)]
pub(crate) enum Next {
    /// Here it is.
    Told(String),
    /// There was none in that time.
    Late,
    /// Nobody listens yet.
    Silent,
    /// PID 1 has closed the connection and all is read.
    Ended,
}

fn follow(socket: &Path) -> Option<Receiver<String>> {
    let client = connect(socket)?;
    let (teller, told) = channel();
    thread::spawn(move || {
        loop {
            match client.receive(Limit::seconds(3600)) {
                Received::Packet(packet) => {
                    if words(&packet).is_some_and(|notice| teller.send(notice).is_err()) {
                        return;
                    }
                }
                Received::Closed | Received::Late => return,
            }
        }
    });
    Some(told)
}

fn connect(socket: &Path) -> Option<Client> {
    let client = Client::connect(socket).ok()?;
    client.send(br#"{"verb":"events","recent":true}"#).ok()?;
    Some(client)
}

/// A change of state as `web backoff: …`, other news of a unit as `web says: …`, news of the
/// whole machine as `machine: …`; the text is the one of the log.
pub(crate) fn words(packet: &str) -> Option<String> {
    let value: Value = serde_json::from_str(packet).ok()?;
    let field = |name| value.get(name).and_then(Value::as_str);
    let text = field("text").unwrap_or_default();
    Some(match (field("reply")?, field("unit"), field("state")) {
        ("event", Some(unit), Some(state)) => format!("{unit} {state}: {text}"),
        ("event", Some(unit), None) => format!("{unit} says: {text}"),
        ("event", None, _) => format!("machine: {text}"),
        ("lost", _, _) => "harness lost: it read too slowly".to_owned(),
        _ => return None,
    })
}

/// The place of a notice among all of them; 0 for what has none.
pub(crate) fn sequence(packet: &str) -> u64 {
    let value: Option<Value> = serde_json::from_str(packet).ok();
    value.and_then(|value| value.get("sequence")?.as_u64()).unwrap_or_default()
}
