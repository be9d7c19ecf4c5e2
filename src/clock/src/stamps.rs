//! When units whose timer catches up were started last, told to PID 1 after boot. The stage that starts
//! them writes it down (`ettan-enter`), as the time stamp of a file. PID 1 itself looks at no disk.

use std::ffi::CString;
use std::fs::{self, File};
use std::path::Path;

use ettan_sys::poll::{Interest, wait_one};
use ettan_sys::{Errno, OwnedFd, clock, socket};
use ettan_wire::{MAX_PACKET, Ran, Reply, Request, SOCKET, Text, decode_reply, encode_request};

use crate::floor;

/// One empty file for each unit.
const TIMERS: &str = "/var/lib/ettan/timers";

/// How long PID 1 may take to answer, in milliseconds: many times its longest turn.
const ANSWER_MS: u64 = 2_000;

/// Tells it of all such units.
///
/// # Errors
/// Those of the socket; ETIMEDOUT when PID 1 does not answer.
pub(crate) fn tell() -> Result<(), Errno> {
    let mut line = Line::new()?;
    for unit in persistent(&mut line)? {
        let Some(second) = last(Path::new(TIMERS), &unit) else { continue };
        line.say(&Request::Ran(Ran { unit, second }))?;
        line.answer()?;
    }
    Ok(())
}

fn persistent(line: &mut Line) -> Result<Vec<Text<64>>, Errno> {
    line.say(&Request::List)?;
    let mut units = Vec::new();
    loop {
        match line.answer()? {
            Reply::Unit(status) if status.persistent => units.push(status.unit),
            Reply::End(_) => return Ok(units),
            Reply::Error(_) => return Err(Errno::BUSY),
            _ => {}
        }
    }
}

/// When the unit was started last, in seconds since 1970. One that never was counts from now on: what
/// it misses until its first start is caught up, too.
fn last(folder: &Path, unit: &str) -> Option<i64> {
    let path = folder.join(unit);
    if let Some(second) = floor::stamp(&path) {
        return Some(second);
    }
    let created = fs::create_dir_all(folder).and_then(|()| File::create(&path));
    if let Err(error) = created {
        crate::say!("{}: {error}; runs that {unit} misses are not caught up", path.display());
        return None;
    }
    Some(clock::wall().div_euclid(1000))
}

/// One connection to PID 1.
struct Line {
    connection: OwnedFd,
    packet: [u8; MAX_PACKET],
}

impl Line {
    fn new() -> Result<Self, Errno> {
        let path = CString::new(SOCKET).map_err(|_| Errno::INVAL)?;
        Ok(Self { connection: socket::seqpacket_connect(&path)?, packet: [0; MAX_PACKET] })
    }

    fn say(&mut self, request: &Request) -> Result<(), Errno> {
        let length = encode_request(request, &mut self.packet).map_err(|_| Errno::MSGSIZE)?;
        socket::send_waiting(&self.connection, self.packet.get(..length).unwrap_or_default())
    }

    fn answer(&mut self) -> Result<Reply, Errno> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use ettan_sys::stamp::set_written;

    #[test]
    fn a_unit_that_never_ran_counts_from_now_on() {
        let folder = std::env::temp_dir().join(format!("ettan-stamps-{}", std::process::id()));
        let now = clock::wall() / 1000;
        let told = last(&folder.join("deep"), "backup").unwrap();
        assert!((now..now + 60).contains(&told));
        let file = File::options().append(true).open(folder.join("deep/backup")).unwrap();
        set_written(&file, 4_000_000_000).unwrap();
        assert_eq!(last(&folder.join("deep"), "backup"), Some(4_000_000_000), "past 2038 too");
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(last(Path::new("/proc/ettan"), "backup"), None);
    }
}
