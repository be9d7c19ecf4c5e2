//! One connection to PID 1, for a helper that asks one thing after the other. Knows no verb.

use std::ffi::CStr;

use ettan_sys::poll::{Interest, wait_one};
use ettan_sys::{AsFd, BorrowedFd, Errno, OwnedFd, socket};
use ettan_wire::{MAX_PACKET, Reply, Request, decode_reply, encode_request};

/// How long PID 1 may take to answer, in milliseconds: many times its longest turn.
const ANSWER_MS: u64 = 2_000;

/// One connection to PID 1.
#[derive(Debug)]
pub struct Line {
    connection: OwnedFd,
    packet: [u8; MAX_PACKET],
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

impl Line {
    /// To the control socket at `path`.
    ///
    /// # Errors
    /// Those of connect(2).
    pub fn new(path: &CStr) -> Result<Self, Errno> {
        Ok(Self { connection: socket::seqpacket_connect(path)?, packet: [0; MAX_PACKET] })
    }

    /// Asks.
    ///
    /// # Errors
    /// EMSGSIZE for what fits into no packet, and those of the socket.
    pub fn say(&mut self, request: &Request) -> Result<(), Errno> {
        let length = encode_request(request, &mut self.packet).map_err(|_| Errno::MSGSIZE)?;
        socket::send_waiting(&self.connection, self.packet.get(..length).unwrap_or_default())
    }

    /// The next packet.
    ///
    /// # Errors
    /// ETIMEDOUT when none comes, ECONNRESET when PID 1 is gone, EBADMSG for what is no reply.
    pub fn answer(&mut self) -> Result<Reply, Errno> {
        if !wait_one(&self.connection, Interest::Read, Some(ANSWER_MS))? {
            return Err(Errno::TIMEDOUT);
        }
        let answer = socket::recv(&self.connection, &mut self.packet)?.ok_or(Errno::AGAIN)?;
        if answer.len == 0 {
            return Err(Errno::CONNRESET);
        }
        let packet = self.packet.get_mut(..answer.len).unwrap_or_default();
        decode_reply(packet).map_err(|_| Errno::BADMSG)
    }
}
