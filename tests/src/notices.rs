//! Follows the notices of a machine through its control socket and puts each into words.

use crate::Client;
use rustix::fd::{AsFd, BorrowedFd};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A follower of `events`; connects when the socket is there.
#[derive(Debug)]
pub(crate) struct Notices {
    socket: PathBuf,
    client: Option<Client>,
}

impl Notices {
    /// A follower of the machine whose root file system is `root`.
    #[must_use]
    pub(crate) fn new(root: &Path) -> Self {
        Self { socket: root.join("run/ettan/control.sock"), client: None }
    }

    /// The next notice, if there is one now.
    pub(crate) fn next(&mut self) -> Option<String> {
        if self.client.is_none() {
            self.client = connect(&self.socket);
        }
        let client = self.client.as_ref()?;
        while let Ok(Some(packet)) = client.receive_now() {
            if let Some(notice) = words(&packet) {
                return Some(notice);
            }
        }
        None
    }

    /// What becomes readable when the next notice comes; None as long as nobody listens.
    #[must_use]
    pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.client.as_ref().map(AsFd::as_fd)
    }
}

fn connect(socket: &Path) -> Option<Client> {
    let client = Client::connect(socket).ok()?;
    client.send(br#"{"verb":"events","recent":true}"#).ok()?;
    Some(client)
}

/// A change of state as `web backoff: …`, other news of a unit as `web says: …`, news of the
/// whole machine as `machine: …`; the text is the one of the log.
fn words(packet: &str) -> Option<String> {
    let value: Value = serde_json::from_str(packet).ok()?;
    let field = |name| value.get(name).and_then(Value::as_str);
    let text = field("text")?;
    Some(match (field("reply")?, field("unit"), field("state")) {
        ("event", Some(unit), Some(state)) => format!("{unit} {state}: {text}"),
        ("event", Some(unit), None) => format!("{unit} says: {text}"),
        ("event", None, _) => format!("machine: {text}"),
        _ => return None,
    })
}
