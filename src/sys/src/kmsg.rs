//! Writes lines to the kernel's log. Never waits: what does not fit is lost and counted.

use crate::{Errno, OwnedFd, Result};
use core::fmt::Write;
use core::sync::atomic::{AtomicU32, Ordering};
use heapless_line::Line;
use rustix::fs::{FileType, Mode, OFlags};

/// The longest record the kernel takes is 1,024 bytes less its own prefix.
pub const LINE: usize = 976;

/// Syslog priorities, as the kernel reads them in `<N>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Needs a person.
    Error = 3,
    /// Worth a look.
    Warning = 4,
    /// Worth knowing.
    Notice = 5,
    /// The ordinary course of things.
    Info = 6,
    /// For the authors.
    Debug = 7,
}

/// /dev/kmsg, open for writing.
#[derive(Debug)]
pub struct Kmsg {
    fd: OwnedFd,
    lost: AtomicU32,
}

impl Kmsg {
    /// Opens it.
    ///
    /// # Errors
    /// ENOENT without /dev, EPERM in an unprivileged container, EMFILE.
    pub fn open() -> Result<Self> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(c"/dev/kmsg", flags, Mode::empty())?;
        Ok(Self { fd, lost: AtomicU32::new(0) })
    }

    /// Writes one line as `ettan: TEXT`, cut at [`LINE`] bytes; control characters become
    /// blanks. One system call, never waits.
    ///
    /// # Errors
    /// EAGAIN and what else write(2) gives; the line is lost then.
    pub fn line(&self, level: Level, text: core::fmt::Arguments<'_>) -> Result<()> {
        let mut line = Line::<LINE>::new();
        // A full line is cut, which is no error.
        let _ = write!(line, "<{}>ettan: ", Facility::DAEMON.with(level));
        let _ = line.write_fmt(text);
        line.end();
        match rustix::io::write(&self.fd, line.bytes()) {
            // A signal cannot interrupt it half way: a record is written whole or not.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                Err(errno)
            }
        }
    }

    /// How many lines were lost.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// /dev/kmsg for reading: each read(2) gives one record, from the oldest there is; EAGAIN when
/// there is no more, EPIPE when some were overwritten unread. How far it was read goes with every copy
/// of the descriptor.
///
/// # Errors
/// ENOENT without /dev, EPERM without CAP_SYSLOG where the kernel restricts it, EMFILE; ENODEV when
/// it is something else than the kernel's.
pub fn open_reader() -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(c"/dev/kmsg", flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&fd)?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if is_device && stat.st_rdev == rustix::fs::makedev(1, 11) { Ok(fd) } else { Err(Errno::NODEV) }
}

/// The syslog facility "daemon", so that the kernel does not take our lines for its own.
struct Facility(u8);

impl Facility {
    const DAEMON: Self = Self(3 << 3);

    fn with(&self, level: Level) -> u8 {
        self.0 | level as u8
    }
}

/// A line of text that is cut where it is full.
mod heapless_line {
    use core::fmt;

    pub(super) struct Line<const N: usize> {
        bytes: [u8; N],
        len: usize,
    }

    impl<const N: usize> Line<N> {
        pub(super) const fn new() -> Self {
            Self { bytes: [0; N], len: 0 }
        }

        pub(super) fn bytes(&self) -> &[u8] {
            self.bytes.get(..self.len).unwrap_or(&[])
        }

        /// A line break would start a second record, an escape would reach the console. The one
        /// at the end has to be: until then the kernel shows a record to nobody.
        pub(super) fn end(&mut self) {
            for byte in self.bytes.iter_mut().filter(|byte| byte.is_ascii_control()) {
                *byte = b' ';
            }
            self.len = self.len.min(N.saturating_sub(1));
            let _ = fmt::Write::write_str(self, "\n");
        }
    }

    impl<const N: usize> fmt::Write for Line<N> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for byte in text.bytes() {
                let Some(slot) = self.bytes.get_mut(self.len) else { return Err(fmt::Error) };
                *slot = byte;
                self.len = self.len.saturating_add(1);
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::heapless_line::Line;
    use super::*;

    #[test]
    fn a_line_is_cut_and_tamed() {
        let mut line = Line::<16>::new();
        assert!(write!(line, "a\x1b[2J\nb{}", "x".repeat(100)).is_err());
        line.end();
        assert_eq!(line.bytes(), b"a [2J bxxxxxxxx\n");
    }

    #[test]
    fn a_line_arrives_whole_in_the_kernels_log() {
        let Ok(kmsg) = Kmsg::open() else {
            return eprintln!("no /dev/kmsg here: nothing tested");
        };
        let reader = open_reader().unwrap();
        let mark = crate::random::number();
        kmsg.line(Level::Info, format_args!("test {mark:x}\nof a line")).unwrap();
        assert_eq!(kmsg.lost(), 0);
        let mut record = [0; 8192];
        let found = std::iter::from_fn(|| {
            loop {
                match rustix::io::read(&reader, &mut record) {
                    Ok(len) => break Some(String::from_utf8_lossy(&record[..len]).into_owned()),
                    // Overwritten before we came to it.
                    Err(Errno::PIPE) => {}
                    Err(_) => break None,
                }
            }
        })
        .find(|record| record.contains(&format!("{mark:x}")))
        .unwrap();
        assert!(found.starts_with("30,") && found.contains(";ettan: test"), "{found}");
        assert!(found.contains(&format!("test {mark:x} of a line\n")), "{found}");
    }
}
