//! The hardware watchdog: a device that resets the machine unless it is fed. Does not decide when.
//!
//! Opening the device starts it. Closing it does not stop it, unless it was told so before
//! (watchdog-api.rst of the kernel): a PID 1 that dies leaves it running, as it should.

use crate::raw::retry;
use crate::{BorrowedFd, Errno, OwnedFd, Result};
use core::ffi::{CStr, c_int};
use rustix::fd::AsFd;
use rustix::fs::{FileType, Mode, OFlags, makedev};
use rustix::ioctl::{Getter, Opcode, Updater, ioctl, opcode};

/// Where it may be. The second is the older name of the first one.
const PLACES: [&CStr; 2] = [c"/dev/watchdog0", c"/dev/watchdog"];

/// /dev/watchdog as `makedev(10, 130)`.
const OLD_NAME: (u32, u32) = (10, 130);

/// Bytes of the name that a driver gives its device.
const NAME: usize = 32;

/// `struct watchdog_info`.
#[repr(C)]
struct Info {
    _options: u32,
    _firmware_version: u32,
    identity: [u8; NAME],
}

/// Requests of ioctl(2), as linux/watchdog.h makes them.
const GET_SUPPORT: Opcode = opcode::read::<Info>(b'W', 0);
const GET_BOOT_STATUS: Opcode = opcode::read::<c_int>(b'W', 2);
const SET_OPTIONS: Opcode = opcode::read::<c_int>(b'W', 4);
const KEEP_ALIVE: Opcode = opcode::read::<c_int>(b'W', 5);
const SET_TIMEOUT: Opcode = opcode::read_write::<c_int>(b'W', 6);
const GET_TIMEOUT: Opcode = opcode::read::<c_int>(b'W', 7);

/// `WDIOS_DISABLECARD`.
const DISABLE: c_int = 1;

/// A watchdog that runs.
#[derive(Debug)]
pub struct Watchdog {
    fd: OwnedFd,
}

/// What the device says about the last reset (`WDIOF_…`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastReset(u32);

impl LastReset {
    /// The reason in words; empty where the device knows none.
    #[must_use]
    pub const fn words(self) -> &'static str {
        const REASONS: [(u32, &str); 7] = [
            (0x20, "watchdog"),
            (0x01, "overheated"),
            (0x10, "power too low"),
            (0x40, "power too high"),
            (0x02, "fan failed"),
            (0x04, "external 1"),
            (0x08, "external 2"),
        ];
        let mut rest = REASONS.as_slice();
        while let Some(((bit, words), more)) = rest.split_first() {
            if self.0 & *bit != 0 {
                return words;
            }
            rest = more;
        }
        ""
    }
}

impl Watchdog {
    /// Opens it, which starts it with the time-out it has.
    ///
    /// # Errors
    /// ENOENT, ENODEV and ENXIO without one, EBUSY when somebody else has it, EMFILE.
    pub fn open() -> Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let mut outcome = Err(Errno::NOENT);
        for place in PLACES {
            outcome = retry(|| rustix::fs::open(place, flags, Mode::empty()));
            match outcome {
                Err(Errno::NOENT | Errno::NODEV | Errno::NXIO) => {}
                _ => break,
            }
        }
        outcome.map(|fd| Self { fd })
    }

    /// One that an execution before this one has opened.
    pub(crate) const fn inherited(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// The name that the driver gives it, as much of it as is text. Empty without one.
    pub fn identity<'b>(&self, buffer: &'b mut [u8; NAME]) -> &'b str {
        // SAFETY: this request fills a `struct watchdog_info`.
        let found = unsafe { ioctl(&self.fd, Getter::<GET_SUPPORT, Info>::new()) };
        *buffer = found.map_or([0; NAME], |info: Info| info.identity);
        let name = buffer.split(|&byte| byte == 0).next().unwrap_or_default();
        name.utf8_chunks().next().map_or("", |chunk| chunk.valid())
    }

    /// Asks for a time-out in seconds; gives what the driver made of it.
    ///
    /// # Errors
    /// EINVAL when it cannot be that long, EOPNOTSUPP and ENOTTY when it cannot be changed.
    pub fn set_timeout(&self, seconds: u32) -> Result<u32> {
        let wanted = c_int::try_from(seconds).map_err(|_| Errno::INVAL)?;
        self.number::<SET_TIMEOUT>(wanted)
    }

    /// The time-out in seconds.
    ///
    /// # Errors
    /// EOPNOTSUPP and ENOTTY when the driver does not say.
    pub fn timeout(&self) -> Result<u32> {
        self.number::<GET_TIMEOUT>(0)
    }

    /// What it knows about the last reset.
    #[must_use]
    pub fn last_reset(&self) -> LastReset {
        LastReset(self.number::<GET_BOOT_STATUS>(0).unwrap_or(0))
    }

    /// The machine may run for another time-out.
    ///
    /// # Errors
    /// EIO and what else a device says that is broken.
    pub fn feed(&self) -> Result<()> {
        match self.number::<KEEP_ALIVE>(0) {
            // Old drivers want a byte; any but the one that disarms.
            Err(Errno::OPNOTSUPP | Errno::NOTTY) => {
                retry(|| rustix::io::write(&self.fd, b"\0")).map(drop)
            }
            other => other.map(drop),
        }
    }

    /// Stops it for good.
    ///
    /// # Errors
    /// EBUSY when it can never be stopped (`nowayout`).
    pub fn disarm(self) -> Result<()> {
        // For drivers that stop when they are closed, and only after this byte.
        let _ = retry(|| rustix::io::write(&self.fd, b"V"));
        match self.number::<SET_OPTIONS>(DISABLE) {
            Err(Errno::OPNOTSUPP | Errno::NOTTY) => Ok(()),
            other => other.map(drop),
        }
    }

    /// For a request that reads, or writes, one int.
    fn number<const REQUEST: Opcode>(&self, mut number: c_int) -> Result<u32> {
        // SAFETY: all requests above but the first are about one int.
        retry(|| unsafe { ioctl(&self.fd, Updater::<REQUEST, c_int>::new(&mut number)) })?;
        Ok(number.unsigned_abs())
    }
}

impl AsFd for Watchdog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether a descriptor is one.
pub(crate) fn is_one(fd: BorrowedFd<'_>) -> bool {
    let Ok(found) = rustix::fs::fstat(fd) else { return false };
    let is = |device| found.st_rdev == device;
    let (major, minor) = OLD_NAME;
    FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice
        && (is(makedev(major, minor))
            || PLACES
                .iter()
                .any(|&place| rustix::fs::stat(place).is_ok_and(|there| is(there.st_rdev))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f3_11_the_requests_are_those_of_linux() {
        assert_eq!(GET_SUPPORT, 0x8028_5700);
        assert_eq!(GET_BOOT_STATUS, 0x8004_5702);
        assert_eq!(SET_OPTIONS, 0x8004_5704);
        assert_eq!(KEEP_ALIVE, 0x8004_5705);
        assert_eq!(SET_TIMEOUT, 0xc004_5706);
        assert_eq!(GET_TIMEOUT, 0x8004_5707);
    }

    #[test]
    fn f3_11_a_device_that_is_no_watchdog_is_not_taken_for_one() {
        let null = std::fs::File::options().write(true).open("/dev/null").unwrap();
        assert!(!is_one(null.as_fd()));
    }

    #[test]
    fn f3_11_every_request_to_something_else_is_an_error() {
        let null = std::fs::File::options().write(true).open("/dev/null").unwrap();
        let odd = Watchdog { fd: null.into() };
        assert_eq!(odd.timeout(), Err(Errno::NOTTY));
        assert_eq!(odd.set_timeout(15), Err(Errno::NOTTY));
        assert_eq!(odd.set_timeout(u32::MAX), Err(Errno::INVAL));
        assert_eq!(odd.identity(&mut [0; NAME]), "");
        assert_eq!(odd.last_reset().words(), "");
        // What knows no request is fed by a byte.
        assert_eq!(odd.feed(), Ok(()));
    }

    #[test]
    fn the_watchdog_comes_first_among_the_reasons() {
        assert_eq!(LastReset(0).words(), "");
        assert_eq!(LastReset(0x21).words(), "watchdog");
        assert_eq!(LastReset(0x10).words(), "power too low");
    }
}
