//! What the logger reads beside the pipes of units: /dev/log and /dev/kmsg. Held here, so that what is sent
//! there while a logger is dead is not lost.

use crate::channel::{Channel, Sent};
use crate::degraded::is_for_good;
use core::ffi::CStr;
use ettan_sys::{Errno, OwnedFd, kmsg, socket};
use std::os::fd::{AsFd, BorrowedFd};

/// One of them, and how it is called in the packet.
struct Door {
    name: &'static str,
    fd: OwnedFd,
    shown: bool,
}

/// Where syslog(3) sends its messages, for everybody.
const SYSLOG: &CStr = c"/dev/log";
const SYSLOG_MODE: u32 = 0o666;

/// How a door is opened.
pub(super) type Open = fn() -> Result<OwnedFd, Errno>;

/// The doors, by their names in packets to the logger.
pub(super) const DOORS: [(&str, Open); 2] =
    [("syslog", || socket::datagram_listen(SYSLOG, SYSLOG_MODE)), ("kernel", kmsg::open_reader)];

/// Those that are open, in the order of `DOORS`.
pub(super) struct Doors([Option<Door>; DOORS.len()]);

impl Doors {
    /// As the execution before had them.
    pub(super) fn over(doors: [Option<OwnedFd>; DOORS.len()]) -> Self {
        let mut names = DOORS.into_iter();
        Self(doors.map(|fd| Some(Door { name: names.next()?.0, fd: fd?, shown: false })))
    }

    /// Opens what is not. What this machine does not have stays away, which is no error. Gives how many were
    /// opened, and the last of the kernel's answers.
    pub(super) fn complete(&mut self) -> (usize, Result<(), Errno>) {
        let (mut opened, mut outcome) = (0_usize, Ok(()));
        for (door, (name, open)) in self.0.iter_mut().zip(DOORS) {
            if door.is_some() {
                continue;
            }
            match open() {
                Ok(fd) => {
                    *door = Some(Door { name, fd, shown: false });
                    opened = opened.saturating_add(1);
                }
                Err(errno) if is_for_good(errno) => {}
                Err(errno) => outcome = Err(errno),
            }
        }
        (opened, outcome)
    }

    /// Their descriptors.
    pub(super) fn each(&self) -> [Option<BorrowedFd<'_>>; DOORS.len()] {
        let [syslog, kernel] = &self.0;
        [syslog, kernel].map(|door| door.as_ref().map(|door| door.fd.as_fd()))
    }

    /// A new logger knows none. Gives how many there are.
    pub(super) fn hide(&mut self) -> usize {
        self.0.iter_mut().flatten().map(|door| door.shown = false).count()
    }

    /// Shows the logger the next one that it does not know; None: it knows all.
    ///
    /// # Errors
    /// As [`Channel::send`].
    pub(super) fn show_next(&mut self, logger: &mut Channel) -> Result<Option<Sent>, Errno> {
        let Some(door) = self.0.iter_mut().flatten().find(|door| !door.shown) else {
            return Ok(None);
        };
        let sent = logger.send(door.name.as_bytes(), Some(door.fd.as_fd()))?;
        door.shown = sent == Sent::Taken;
        Ok(Some(sent))
    }
}
