//! What PID 1 asks: `unit NAME RUN COURSE MAIN WORDS`, and `notify` with the socket of sd_notify.
//! What it is told: `ready NAME RUN` and the like.

use std::os::fd::BorrowedFd;

use ettan_sys::socket;

/// The longest packet from PID 1, and to it.
pub(crate) const MAX_PACKET: usize = 4096;

/// How far a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// It is about to be executed; nothing of this run exists yet.
    Begin,
    /// Its program runs; it is not ready.
    Await,
    /// It is up.
    Up,
    /// It is being stopped.
    Stop,
    /// Nothing of it is left.
    Off,
}

/// One unit as PID 1 sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit<'a> {
    pub(crate) name: &'a str,
    /// The cookie of its run, 16 hexadecimal digits.
    pub(crate) run: &'a str,
    pub(crate) course: Course,
    /// Its main process; 0 is none.
    pub(crate) main: i32,
    pub(crate) words: &'a str,
}

/// What one packet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    Unit(Unit<'a>),
    /// Hear what services say at the socket that came with this packet.
    Notify,
}

/// None: no packet of PID 1's.
pub(crate) fn read(bytes: &[u8]) -> Option<Packet<'_>> {
    let text = str::from_utf8(bytes).ok()?;
    if text == "notify" {
        return Some(Packet::Notify);
    }
    let mut fields = text.splitn(6, ' ');
    if fields.next()? != "unit" {
        return None;
    }
    let name = fields.next().filter(|name| !name.is_empty() && !name.contains('/'))?;
    let run = fields.next().filter(|run| run.len() == 16)?;
    let course = match fields.next()? {
        "begin" => Course::Begin,
        "await" => Course::Await,
        "up" => Course::Up,
        "stop" => Course::Stop,
        "off" => Course::Off,
        _ => return None,
    };
    let main = fields.next()?.parse().ok()?;
    Some(Packet::Unit(Unit { name, run, course, main, words: fields.next().unwrap_or("") }))
}

/// Tells PID 1.
pub(crate) struct Teller<'a>(pub(crate) BorrowedFd<'a>);

impl Teller<'_> {
    /// Of this run of the unit; `more` may be cut. PID 1 reads all of it soon: waiting is short.
    pub(crate) fn tell(&self, verb: &str, name: &str, run: &str, more: &str) {
        let line = more.lines().next().unwrap_or("");
        let mut end = line.len().min(256);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let packet = format!("{verb} {name} {run} {}", &line[..end]);
        if let Err(error) = socket::send_waiting(self.0, packet.trim_end().as_bytes()) {
            complain!("telling PID 1: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_read_and_rubbish_is_not() {
        let run = "0123456789abcdef";
        let text = format!("unit web {run} await 17 path=/run/x any");
        let unit =
            Unit { name: "web", run, course: Course::Await, main: 17, words: "path=/run/x any" };
        assert_eq!(read(text.as_bytes()), Some(Packet::Unit(unit)));
        let bare = format!("unit web {run} off 0");
        assert!(matches!(read(bare.as_bytes()), Some(Packet::Unit(Unit { words: "", .. }))));
        assert_eq!(read(b"notify"), Some(Packet::Notify));
        for rubbish in
            ["", "unit", "unit web", "unit web 1 up 0", "unit ../x 0123456789abcdef up 0"]
        {
            assert_eq!(read(rubbish.as_bytes()), None, "{rubbish}");
        }
    }
}
