//! Says to whoever started us how far we are (sd_notify(3)).

use std::os::unix::net::UnixDatagram;
use std::{env, io};

/// Sends `text` (`READY=1`, `WATCHDOG=1`) to the socket in `NOTIFY_SOCKET`; nothing without one.
///
/// # Errors
/// Nobody listens there, or its queue is full.
pub fn notify(text: &str) -> io::Result<()> {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let ours = UnixDatagram::unbound()?;
    ours.set_nonblocking(true)?;
    ours.send_to(text.as_bytes(), socket).map(drop)
}
