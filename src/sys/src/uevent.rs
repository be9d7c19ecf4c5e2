//! Hears from the kernel that devices came, went or changed. Reads a notice only for what kind of
//! device it is about, what module that wants and what its node is called: what there is, sysfs
//! knows, also after notices were lost.

use crate::raw::retry;
use crate::{AsFd, BorrowedFd, Errno, OwnedFd, Result};
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with, sockopt,
};

/// The kernel's own notices; those of a udev come in another group.
const GROUP: u32 = 1;

/// What the kernel has room for in one (`UEVENT_BUFFER_SIZE`), twice.
const NOTICE: usize = 4096;

/// Notices read at once before the caller gets to look.
const NOTICES: u32 = 256;

/// Hears of devices.
#[derive(Debug)]
pub struct Monitor {
    fd: OwnedFd,
}

impl Monitor {
    /// From now on. Look into sysfs after it, not before, so as to miss nothing.
    ///
    /// # Errors
    /// EAFNOSUPPORT and EPROTONOSUPPORT where the kernel has no hot-plugging, EMFILE, ENFILE.
    pub fn new() -> Result<Self> {
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(KOBJECT_UEVENT),
        )?;
        bind(&fd, &SocketAddrNetlink::new(0, GROUP))?;
        // More than the default, which a hub full of devices fills; it may be refused.
        let _ = sockopt::set_socket_recv_buffer_size(&fd, 256 * 1024);
        Ok(Self { fd })
    }

    /// Takes the notices that are there. True if one may be about a device of these subsystems,
    /// also if some were dropped because there were too many.
    ///
    /// # Errors
    /// None are known.
    pub fn changed(&mut self, subsystems: &[&[u8]]) -> Result<bool> {
        let mut changed = false;
        let lost = self.hear(|notice| {
            // What says nothing of it may be about anything.
            changed |= subsystem(notice).is_none_or(|about| subsystems.contains(&about));
        })?;
        Ok(changed || lost)
    }

    /// Calls `each` with the notices that are there. True if some were dropped because there were
    /// too many.
    ///
    /// # Errors
    /// None are known.
    pub fn hear(&mut self, mut each: impl FnMut(&[u8])) -> Result<bool> {
        let mut lost = false;
        let mut notice = [0; NOTICE];
        for _ in 0..NOTICES {
            match retry(|| recv(&self.fd, &mut notice, RecvFlags::DONTWAIT)) {
                Ok((_, length)) => each(notice.get(..length).unwrap_or_default()),
                Err(Errno::NOBUFS) => lost = true,
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(lost)
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The subsystem that a notice says it is about: `usb`, `tty`. A notice is words that each end with
/// a NUL, `ACTION@PATH` first; None if it is not one, or does not say.
#[must_use]
pub fn subsystem(notice: &[u8]) -> Option<&[u8]> {
    let (head, mut words) = words(notice)?;
    if !head.contains(&b'@') {
        return None;
    }
    words.find_map(|word| word.strip_prefix(b"SUBSYSTEM="))
}

/// The alias of the module that a device wants which the notice says has come:
/// `usb:v0403p6001…`.
#[must_use]
pub fn added(notice: &[u8]) -> Option<&[u8]> {
    let (head, mut words) = words(notice)?;
    if !head.starts_with(b"add@") {
        return None;
    }
    words.find_map(|word| word.strip_prefix(b"MODALIAS="))
}

/// A device's node as the kernel makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// The device's subsystem: `tty`.
    pub subsystem: &'a [u8],
    /// Its name below /dev: `ttyUSB0`.
    pub name: &'a [u8],
    /// Its mode.
    pub mode: u32,
}

impl<'a> Node<'a> {
    /// That of a device of this subsystem which says this of itself; None where it has no node.
    pub fn new(subsystem: &'a [u8], says: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut name = None;
        // Where a device asks for no mode.
        let mut mode = 0o600;
        for word in says {
            if let Some(value) = word.strip_prefix(b"DEVNAME=") {
                name = Some(value);
            } else if let Some(value) = word.strip_prefix(b"DEVMODE=") {
                let value = std::str::from_utf8(value).ok();
                mode = value.and_then(|text| u32::from_str_radix(text, 8).ok()).unwrap_or(mode);
            }
        }
        Some(Self { subsystem, name: name?, mode })
    }
}

/// The node of a device that the notice says has come.
#[must_use]
pub fn node(notice: &[u8]) -> Option<Node<'_>> {
    let (head, words) = words(notice)?;
    if !head.starts_with(b"add@") {
        return None;
    }
    Node::new(subsystem(notice)?, words)
}

/// The first word of a notice, and the others.
fn words(notice: &[u8]) -> Option<(&[u8], impl Iterator<Item = &[u8]>)> {
    let mut words = notice.strip_suffix(b"\0")?.split(|byte| *byte == 0);
    Some((words.next()?, words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{Interest, wait_one};
    use crate::testing::limit;

    /// Asks the kernel for a notice about `/dev/null`. False where it does not take orders.
    fn shake() -> bool {
        std::fs::write("/sys/class/mem/null/uevent", "change").is_ok()
    }

    #[test]
    fn a_notice_is_heard_of_its_subsystem_only() {
        let _limit = limit(30.0);
        let mut monitor = Monitor::new().unwrap();
        if !shake() {
            eprintln!("no right to ask for a notice: nothing tested");
            return;
        }
        // Others may come in between.
        while !monitor.changed(&[b"mem"]).unwrap() {
            assert!(wait_one(&monitor, Interest::Read, None).unwrap());
        }
        assert!(shake());
        assert!(wait_one(&monitor, Interest::Read, None).unwrap());
        assert!(!monitor.changed(&[b"nobody's"]).unwrap());
    }

    #[test]
    fn what_got_lost_is_a_change() {
        let _limit = limit(120.0);
        let mut monitor = Monitor::new().unwrap();
        sockopt::set_socket_recv_buffer_size(&monitor.fd, 1).unwrap();
        if !shake() {
            eprintln!("no right to ask for a notice: nothing tested");
            return;
        }
        // The kernel keeps 2 KiB at least: a dozen notices.
        for _ in 0..200 {
            assert!(shake());
        }
        assert!(monitor.changed(&[b"nobody's"]).unwrap());
    }

    #[test]
    fn only_notices_say_what_they_are_about() {
        let cases: [(&[u8], Option<&[u8]>); 7] = [
            (b"add@/devices/x\0ACTION=add\0SUBSYSTEM=usb\0SEQNUM=7\0", Some(b"usb")),
            (b"add@/devices/x\0SUBSYSTEM=\0", Some(b"")),
            (b"add@/devices/x\0ACTION=add\0", None),
            (b"add@/devices/x\0SUBSYSTEM=usb", None),
            (b"libudev\0\xfe\xed\xca\xfe\0SUBSYSTEM=usb\0", None),
            (b"\0", None),
            (b"", None),
        ];
        for (notice, about) in cases {
            assert_eq!(subsystem(notice), about, "{}", notice.escape_ascii());
        }
    }

    #[test]
    fn what_has_come_says_what_its_node_is() {
        type Found = Option<(&'static [u8], &'static [u8], u32)>;
        let cases: [(&[u8], Found); 7] = [
            (b"add@/x\0SUBSYSTEM=tty\0DEVNAME=ttyUSB0\0", Some((b"tty", b"ttyUSB0", 0o600))),
            (
                b"add@/x\0DEVMODE=0664\0DEVNAME=bus/usb/001/002\0SUBSYSTEM=usb\0",
                Some((b"usb", b"bus/usb/001/002", 0o664)),
            ),
            (b"add@/x\0SUBSYSTEM=mem\0DEVNAME=x\0DEVMODE=rw\0", Some((b"mem", b"x", 0o600))),
            (b"add@/x\0SUBSYSTEM=mem\0DEVMODE=0666\0", None),
            (b"remove@/x\0SUBSYSTEM=tty\0DEVNAME=ttyUSB0\0", None),
            (b"add@/x\0SUBSYSTEM=usb\0", None),
            (b"add@/x\0DEVNAME=ttyUSB0\0", None),
        ];
        for (notice, found) in cases {
            let found = found.map(|(subsystem, name, mode)| Node { subsystem, name, mode });
            assert_eq!(node(notice), found, "{}", notice.escape_ascii());
        }
    }

    #[test]
    fn what_has_come_says_which_module_it_wants() {
        let cases: [(&[u8], Option<&[u8]>); 6] = [
            (b"add@/devices/x\0ACTION=add\0MODALIAS=usb:v0403\0SEQNUM=7\0", Some(b"usb:v0403")),
            (b"remove@/devices/x\0ACTION=remove\0MODALIAS=usb:v0403\0", None),
            (b"bind@/devices/x\0ACTION=bind\0MODALIAS=usb:v0403\0", None),
            (b"add@/devices/x\0MODALIAS=usb:v0403", None),
            (b"add@/devices/x\0", None),
            (b"\0MODALIAS=x:\0", None),
        ];
        for (notice, alias) in cases {
            assert_eq!(added(notice), alias, "{}", notice.escape_ascii());
        }
    }
}
