//! Asks process 1 whether it is there, again and again, and measures how long it was not.

use crate::{Client, Limit, Received};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Nothing keeps PID 1 away so long.
const GIVE_UP_SECONDS: u64 = 10;

/// A gap that is worth a word.
const TELL: Duration = Duration::from_millis(300);

/// What had no effect for so long is done again.
const AGAIN: Duration = Duration::from_millis(100);

/// Somebody who asks.
#[derive(Debug)]
pub(crate) struct Pings {
    socket: PathBuf,
    client: Option<Client>,
}

impl Pings {
    /// At this control socket.
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket, client: None }
    }

    /// The time without an answer around what `strike` leads to: from the last answer of the
    /// execution that is struck to the first of the one after it.
    ///
    /// # Panics
    /// When that takes too long.
    pub(crate) fn gap(&mut self, mut strike: impl FnMut()) -> Duration {
        let limit = Limit::seconds(GIVE_UP_SECONDS);
        while !self.ping(limit) {
            assert!(!limit.over(), "PID 1 does not answer");
        }
        let mut last = Instant::now();
        let mut struck = last;
        strike();
        while self.ping(limit) {
            last = Instant::now();
            // An upgrade is refused while the one before is on trial.
            if last - struck > AGAIN {
                struck = last;
                strike();
            }
            assert!(!limit.over(), "PID 1 took no notice");
        }
        while !self.ping(limit) {
            assert!(!limit.over(), "PID 1 does not answer any more");
        }
        let gap = last.elapsed();
        if gap > TELL {
            eprintln!("soak: no answer for {gap:?}");
        }
        gap
    }

    /// Whether there was an answer. A connection lives as long as the execution it was made to.
    fn ping(&mut self, limit: Limit) -> bool {
        if self.client.is_none() {
            self.client = Client::connect(&self.socket).ok();
        }
        let answered = self.client.as_ref().is_some_and(|client| {
            client.send(br#"{"verb":"hello","version":1}"#).is_ok()
                && matches!(client.receive(limit), Received::Packet(_))
        });
        if !answered {
            self.client = None;
        }
        answered
    }
}
