//! The connection to PID 1: a packet there, packets back. Knows no verb.

use crate::code::Code;
use crate::escape::Screen;
use ettan_sys::poll::{self, Interest};
use ettan_sys::{Errno, OwnedFd, socket};
use ettan_wire::{
    MAX_PACKET, Refusal, Reply, Request, SOCKET, decode_reply, encode_request, error_text,
};
use std::sync::OnceLock;

/// How long an answer of PID 1 is awaited; without, for ever.
static PATIENCE_MS: OnceLock<u64> = OnceLock::new();

/// From now on no answer of PID 1 is awaited for longer.
pub(crate) fn be_patient_for(limit_ms: u64) {
    let _ = PATIENCE_MS.set(limit_ms);
}

/// A connection, good for one request after the other.
pub(crate) struct Link(OwnedFd);

/// A reply, and its packet as it came.
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) json: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// What to tell.
    pub(crate) text: String,
    /// What to exit with.
    pub(crate) code: Code,
}

impl Trouble {
    fn new(code: Code, text: impl Into<String>) -> Self {
        Self { text: text.into(), code }
    }

    /// Tells it.
    pub(crate) fn tell(self, screen: &Screen) -> Code {
        screen.complain(&self.text);
        self.code
    }
}

impl Link {
    /// Connects to the PID 1 of this machine.
    pub(crate) fn open() -> Result<Self, Trouble> {
        socket::seqpacket_connect(c"/run/ettan/control.sock").map(Self).map_err(|errno| match errno
        {
            Errno::ACCESS | Errno::PERM => {
                Trouble::new(Code::NotPermitted, "only root and the group ettan may talk to PID 1")
            }
            Errno::NOENT | Errno::CONNREFUSED => Trouble::new(
                Code::Failed,
                format!("nobody listens at {SOCKET}: is Ettan the PID 1 of this machine?"),
            ),
            other => Trouble::new(Code::Failed, format!("{SOCKET}: {}", in_words(other))),
        })
    }

    /// Connects and sends one request.
    pub(crate) fn ask(request: &Request) -> Result<Self, Trouble> {
        let link = Self::open()?;
        link.send(request)?;
        Ok(link)
    }

    /// Sends one request.
    pub(crate) fn send(&self, request: &Request) -> Result<(), Trouble> {
        let mut packet = [0; MAX_PACKET];
        let length = encode_request(request, &mut packet)
            .map_err(|fault| Trouble::new(Code::Usage, fault.to_string()))?;
        match socket::send_waiting(&self.0, &packet[..length]) {
            // It closed before reading, which it does with a last word: that is the answer.
            Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(errno) => Err(Trouble::new(Code::Failed, format!("PID 1: {}", in_words(errno)))),
        }
    }

    /// Whether a packet, or the end, comes within this time.
    pub(crate) fn is_ready_within(&self, limit_ms: u64) -> bool {
        poll::wait_one(&self.0, Interest::Read, Some(limit_ms)).unwrap_or(true)
    }

    /// Waits for the next packet.
    pub(crate) fn next(&self) -> Result<Answer, Trouble> {
        if PATIENCE_MS.get().is_some_and(|limit_ms| !self.is_ready_within(*limit_ms)) {
            return Err(Trouble::new(Code::Failed, "PID 1 does not answer"));
        }
        let mut packet = [0; MAX_PACKET];
        let received = match socket::recv_waiting(&self.0, &mut packet) {
            // It closed without reading all of ours; what it said before is still there.
            Err(Errno::CONNRESET) => socket::recv_waiting(&self.0, &mut packet),
            other => other,
        };
        let length = received
            .map_err(|errno| Trouble::new(Code::Failed, format!("PID 1: {}", in_words(errno))))?
            .len;
        if length == 0 {
            return Err(Trouble::new(Code::Failed, "PID 1 closed the connection"));
        }
        let bytes = packet.get_mut(..length).ok_or_else(|| no_sense("too long"))?;
        let json = String::from_utf8(bytes.to_vec()).map_err(|_| no_sense("not UTF-8"))?;
        let reply = decode_reply(bytes).map_err(|fault| no_sense(&fault.to_string()))?;
        Ok(Answer { reply, json })
    }

    /// Waits for the next packet; a refusal is trouble.
    pub(crate) fn expect(&self) -> Result<Answer, Trouble> {
        let answer = self.next()?;
        match answer.reply {
            Reply::Error(Refusal { code, text, .. }) => {
                Err(Trouble::new(Code::of_refusal(code), text.as_str()))
            }
            _ => Ok(answer),
        }
    }
}

fn no_sense(why: &str) -> Trouble {
    let text = format!("an answer of PID 1 makes no sense to this version: {why}");
    Trouble::new(Code::Failed, text)
}

fn in_words(errno: Errno) -> String {
    let number = errno.raw_os_error();
    error_text(number).map_or_else(|| format!("error {number}"), str::to_owned)
}
