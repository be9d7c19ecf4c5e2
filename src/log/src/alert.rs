//! Asks PID 1 to start a unit because a line was written. One request at a time, and never the
//! same one again at once: a flood of lines starts nothing more often than every ten seconds.

use std::ffi::CString;

use ettan_sys::poll::{Epoll, Interest};
use ettan_sys::{Errno, OwnedFd, clock, socket};
use ettan_wire::{Change, MAX_PACKET, Reply, Request, Text, decode_reply, encode_request};

/// The same unit is not asked for again before.
const PAUSE_MS: u64 = 10_000;

/// How long PID 1 may take to answer: many times its longest turn.
const ANSWER_MS: u64 = 2_000;

/// Units that were or are to be started.
pub(crate) struct Alerts {
    /// PID 1's control socket.
    path: CString,
    /// What `Epoll` calls the connection.
    token: u64,
    asked: Option<Asked>,
    units: Vec<Unit>,
}

struct Unit {
    name: String,
    wanted: bool,
    /// Not before.
    at_ms: u64,
}

/// The request that is under way.
struct Asked {
    connection: OwnedFd,
    unit: String,
    until_ms: u64,
}

impl Alerts {
    /// Nothing is wanted yet.
    pub(crate) fn new(path: CString, token: u64) -> Self {
        Alerts { path, token, asked: None, units: Vec::new() }
    }

    /// This unit is to be started.
    pub(crate) fn want(&mut self, name: &str) {
        match self.units.iter_mut().find(|unit| unit.name == name) {
            Some(unit) => unit.wanted = true,
            None => self.units.push(Unit { name: name.to_owned(), wanted: true, at_ms: 0 }),
        }
    }

    /// When there is something to do without an answer.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        match &self.asked {
            Some(asked) => Some(asked.until_ms),
            None => self.units.iter().filter(|unit| unit.wanted).map(|unit| unit.at_ms).min(),
        }
    }

    /// Asks for the next one, if that may be now.
    pub(crate) fn go_on(&mut self, poll: &Epoll) {
        let now = clock::now();
        if self.asked.as_ref().is_some_and(|asked| asked.until_ms <= now) {
            self.end(poll, Err("PID 1 does not answer".to_owned()));
        }
        while self.asked.is_none()
            && let Some(unit) = self.units.iter_mut().find(|u| u.wanted && u.at_ms <= now)
        {
            (unit.wanted, unit.at_ms) = (false, now.saturating_add(PAUSE_MS));
            match ask(&self.path, &unit.name) {
                Ok(connection) => {
                    let watched = poll.add(&connection, self.token, Interest::Read);
                    let (unit, until_ms) = (unit.name.clone(), now.saturating_add(ANSWER_MS));
                    if watched.is_ok() {
                        self.asked = Some(Asked { connection, unit, until_ms });
                    }
                }
                Err(error) => {
                    complain!("{}: not started for an alert: {error}; in 10 s again", unit.name);
                    unit.wanted = true;
                }
            }
        }
    }

    /// There is an answer.
    pub(crate) fn hear(&mut self, poll: &Epoll) {
        let Some(asked) = &self.asked else { return };
        let mut packet = [0; MAX_PACKET];
        let heard = match socket::recv(&asked.connection, &mut packet) {
            Ok(None) => return,
            Ok(Some(answer)) if answer.len == 0 => Err("PID 1 hung up".to_owned()),
            Ok(Some(answer)) => {
                match decode_reply(packet.get_mut(..answer.len).unwrap_or_default()) {
                    Ok(Reply::Error(refusal)) => Err(refusal.text.to_string()),
                    Ok(_) => Ok(()),
                    Err(_) => Err("PID 1 gave no answer that is one".to_owned()),
                }
            }
            Err(error) => Err(error.to_string()),
        };
        self.end(poll, heard);
        self.go_on(poll);
    }

    fn end(&mut self, poll: &Epoll, heard: Result<(), String>) {
        let Some(asked) = self.asked.take() else { return };
        let _ = poll.remove(&asked.connection);
        if let Err(why) = heard {
            complain!("{}: not started for an alert: {why}", asked.unit);
        }
    }
}

/// A connection over which PID 1 is asked to start the unit. Waits for nothing.
fn ask(path: &CString, unit: &str) -> Result<OwnedFd, Errno> {
    let mut packet = [0; MAX_PACKET];
    let request = Request::Start(Change { unit: Text::from(unit), wait: false });
    let length = encode_request(&request, &mut packet).map_err(|_| Errno::MSGSIZE)?;
    let connection = socket::seqpacket_connect_now(path)?;
    socket::send(&connection, packet.get(..length).unwrap_or_default())?;
    Ok(connection)
}
