//! Asks PID 1 for the conditions it knows, and tells it new ones, over the control socket.

use std::ffi::CStr;

use ettan_sys::Errno;
use ettan_wire::{Condition as Fact, Conditions, ErrorCode, Known, Reply, Request, Text};

use crate::line::Line;
use crate::told::Condition;

/// What PID 1 knows, of whomever it has it, and which of it units wait for. Nothing when it does
/// not know the question. The line says a word or ends when units may wait for others.
///
/// # Errors
/// As for [`publish`].
pub(crate) fn known(path: &CStr) -> Result<(Vec<Known>, Line), Errno> {
    let mut line = Line::new(path)?;
    line.say(&Request::Conditions(Conditions { follow: true }))?;
    let mut all = Vec::new();
    loop {
        match line.answer()? {
            Reply::Condition(known) => all.push(known),
            Reply::End(_) => return Ok((all, line)),
            Reply::Error(refusal) => match refusal.code {
                ErrorCode::UnknownVerb => return Ok((Vec::new(), line)),
                _ => return Err(Errno::BUSY),
            },
            _ => return Err(Errno::BADMSG),
        }
    }
}

/// Tells them all in one connection, which PID 1 would close if it were kept idle.
///
/// # Errors
/// Those of the socket; ETIMEDOUT when PID 1 does not answer, EBUSY when it has no room for us.
/// Nobody can say then how many arrived.
pub(crate) fn publish(path: &CStr, conditions: &[Condition]) -> Result<(), Errno> {
    if conditions.is_empty() {
        return Ok(());
    }
    let mut line = Line::new(path)?;
    for condition in conditions {
        let fact = Fact { name: Text::from(condition.name.as_str()), holds: condition.holds };
        line.say(&Request::Condition(fact))?;
        if let Reply::Error(refusal) = line.answer()? {
            match refusal.code {
                ErrorCode::Busy | ErrorCode::Idle => return Err(Errno::BUSY),
                // Said again it would be refused again.
                _ => complain!("{}: refused: {}", condition.name, refusal.text),
            }
        }
    }
    Ok(())
}
