//! The machine's name and what its kernel was told. Small files of /proc.

use crate::raw::retry;
use crate::{Errno, Result};
use core::ffi::CStr;
use rustix::fs::{Mode, OFlags};
/// The two halves of a device's number, as stat(2) gives it (makedev(3)).
pub use rustix::fs::{major, minor};

/// The longest name Linux takes.
pub const MAX_HOSTNAME: usize = 64;

/// For open(2): reads and writes go to the disk, past the kernel's cache. Not every file system can.
pub const O_DIRECT: i32 = OFlags::DIRECT.bits().cast_signed();

/// Names the machine.
///
/// # Errors
/// EINVAL above [`MAX_HOSTNAME`] bytes, EPERM.
pub fn set_hostname(name: &[u8]) -> Result<()> {
    rustix::system::sethostname(name)
}

/// The first line of `text` without blanks around it, if it can be a host name: letters, digits,
/// dots and dashes, at most [`MAX_HOSTNAME`]. Comment lines (`#`) and empty ones are passed over.
#[must_use]
pub fn parse_hostname(text: &[u8]) -> Option<&[u8]> {
    let name = text
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|line| !line.is_empty() && !line.starts_with(b"#"))?;
    let fine = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    (name.len() <= MAX_HOSTNAME && name.iter().all(fine)).then_some(name)
}

/// The kernel's command line, as much of it as fits. Any bytes may be in it.
///
/// # Errors
/// ENOENT without /proc.
pub fn kernel_command_line(buffer: &mut [u8]) -> Result<&[u8]> {
    read_file(c"/proc/cmdline", buffer).map(<[u8]>::trim_ascii)
}

/// The words of a kernel's command line before a `--` (what follows is init's).
fn words(command_line: &[u8]) -> impl Iterator<Item = &[u8]> {
    command_line.split(u8::is_ascii_whitespace).take_while(|&found| found != b"--")
}

/// Whether this word stands in a kernel's command line.
#[must_use]
pub fn has_word(command_line: &[u8], word: &[u8]) -> bool {
    words(command_line).any(|found| found == word)
}

/// What follows `key` in the first word of a kernel's command line that begins with it.
#[must_use]
pub fn value_of<'a>(command_line: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    words(command_line).find_map(|found| found.strip_prefix(key))
}

/// Has the kernel restart the machine so many seconds after a panic; 0 leaves it dead.
///
/// # Errors
/// ENOENT without /proc, EROFS in a container.
pub fn restart_after_panic(seconds: u8) -> Result<()> {
    write_number(c"/proc/sys/kernel/panic", seconds.into())
}

/// Has niceness count between sessions too. Each service is a session of its own, and the kernel
/// would share the processor among sessions first (sched(7), "The autogroup feature").
///
/// # Errors
/// ENOENT where the kernel does no such thing; EROFS in a container.
pub fn switch_autogroup_off() -> Result<()> {
    write_number(c"/proc/sys/kernel/sched_autogroup_enabled", 0)
}

/// Lets so many datagrams wait in each UNIX socket that is made from now on.
///
/// # Errors
/// As [`restart_after_panic`].
pub fn set_datagram_queue(length: u16) -> Result<()> {
    write_number(c"/proc/sys/net/unix/max_dgram_qlen", length)
}

fn write_number(path: &CStr, number: u16) -> Result<()> {
    use std::io::Write;
    let mut text = [0_u8; 6];
    let mut rest = &mut text[..];
    write!(rest, "{number}").map_err(|_| Errno::INVAL)?;
    let left = rest.len();
    let len = text.len().saturating_sub(left);
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = retry(|| rustix::fs::open(path, flags, Mode::empty()))?;
    retry(|| rustix::io::write(&file, text.get(..len).unwrap_or(&[]))).map(drop)
}

/// The beginning of a file, as much of it as fits.
///
/// # Errors
/// ENOENT, EACCES, EISDIR, EIO.
pub fn read_file<'b>(path: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = retry(|| rustix::fs::open(path, flags, Mode::empty()))?;
    let mut len = 0_usize;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match retry(|| rustix::io::read(&file, &mut *rest))? {
            0 => break,
            more => len = len.saturating_add(more),
        }
    }
    Ok(buffer.get(..len).unwrap_or(&[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostname_is_the_first_real_line_or_nothing() {
        assert_eq!(parse_hostname(b"# name\n\n pi-7 \nother\n"), Some(&b"pi-7"[..]));
        assert_eq!(parse_hostname(b"pi.local"), Some(&b"pi.local"[..]));
        for bad in [&b""[..], b"\n", b"a b", b"\xff", b"a\0b", &[b'a'; 65]] {
            assert_eq!(parse_hostname(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn f7_10_words_of_the_command_line_count_up_to_two_dashes() {
        let line = b"root=/dev/mmcblk0p2 single --- x=\xff -- quiet";
        assert!(has_word(line, b"single"));
        assert!(!has_word(line, b"quiet"));
        assert!(!has_word(line, b"root"));
        assert!(!has_word(b"", b"single"));
        assert_eq!(value_of(line, b"root="), Some(&b"/dev/mmcblk0p2"[..]));
        assert_eq!(value_of(line, b"nothing="), None);
    }

    #[test]
    fn the_kernels_command_line_is_capped_at_the_buffer() {
        let mut large = [0; 4096];
        let whole = kernel_command_line(&mut large).unwrap().to_vec();
        let mut small = [0; 5];
        let begun = kernel_command_line(&mut small).unwrap();
        assert!(whole.starts_with(begun) && begun.len() <= 5);
        assert_eq!(read_file(c"/no/such/file", &mut small), Err(Errno::NOENT));
    }
}
