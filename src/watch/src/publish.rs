//! Tells PID 1 conditions over the control socket, one after the other.

use std::ffi::CStr;

use ettan_sys::poll::{Interest, wait_one};
use ettan_sys::{Errno, socket};
use ettan_wire::{
    Condition as Fact, ErrorCode, MAX_PACKET, Reply, Request, Text, decode_reply, encode_request,
};

use crate::facts::Condition;

/// How long PID 1 may take to answer, in milliseconds: many times its longest turn.
const ANSWER_MS: u64 = 2_000;

/// Tells them all in one connection, which PID 1 would close if it were kept idle.
///
/// # Errors
/// Those of the socket; ETIMEDOUT when PID 1 does not answer, EBUSY when it has no room for us.
/// Nobody can say then how many arrived.
pub(crate) fn publish(path: &CStr, conditions: &[Condition]) -> Result<(), Errno> {
    if conditions.is_empty() {
        return Ok(());
    }
    let connection = socket::seqpacket_connect(path)?;
    let mut packet = [0; MAX_PACKET];
    for condition in conditions {
        let fact = Fact { name: Text::from(condition.name.as_str()), holds: condition.holds };
        let request = Request::Condition(fact);
        let length = encode_request(&request, &mut packet).map_err(|_| Errno::MSGSIZE)?;
        socket::send_waiting(&connection, packet.get(..length).unwrap_or_default())?;
        if !wait_one(&connection, Interest::Read, Some(ANSWER_MS))? {
            return Err(Errno::TIMEDOUT);
        }
        let answer = socket::recv(&connection, &mut packet)?.ok_or(Errno::AGAIN)?;
        if answer.len == 0 {
            return Err(Errno::CONNRESET);
        }
        let reply = decode_reply(packet.get_mut(..answer.len).unwrap_or_default());
        match reply {
            Ok(Reply::Error(refusal)) => match refusal.code {
                ErrorCode::Busy | ErrorCode::Idle => return Err(Errno::BUSY),
                // Said again it would be refused again.
                _ => complain!("{}: refused: {}", condition.name, refusal.text),
            },
            Ok(_) => {}
            Err(_) => return Err(Errno::BADMSG),
        }
    }
    Ok(())
}
