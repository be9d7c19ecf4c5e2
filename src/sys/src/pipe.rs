//! Makes pipes and moves bytes through descriptors.

use crate::raw::retry;
use crate::{OwnedFd, Result};
use rustix::fd::AsFd;
use rustix::pipe::PipeFlags;

/// Both ends of a pipe.
#[derive(Debug)]
pub struct Pipe {
    /// Where bytes come out.
    pub read: OwnedFd,
    /// Where bytes go in.
    pub write: OwnedFd,
}

/// A pipe that no child inherits by accident. Both ends block.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn pipe() -> Result<Pipe> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    Ok(Pipe { read, write })
}

/// Lets whoever has an end of this pipe open it for writing by its name in /proc/self/fd too, as a program does that
/// is told to log to /dev/stderr. As made it is its maker's only; to read it stays so.
///
/// # Errors
/// None known.
pub fn let_write(end: impl AsFd) -> Result<()> {
    rustix::fs::fchmod(end, rustix::fs::Mode::from_raw_mode(0o622))
}

/// Makes a pipe with a name, for its owner only. One that is there already stays.
///
/// # Errors
/// ENOENT without the directory, EROFS, ENOSPC.
pub fn make_named(path: &core::ffi::CStr) -> Result<()> {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    match rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0) {
        Ok(()) | Err(crate::Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Both ends of a pipe with a name at once: opening it waits for nobody, nor does reading or
/// writing.
///
/// # Errors
/// ENOENT, EMFILE; EINVAL when it is no pipe.
pub fn open_named(path: &core::ffi::CStr) -> Result<OwnedFd> {
    use rustix::fs::OFlags;
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let end = retry(|| rustix::fs::open(path, flags, rustix::fs::Mode::empty()))?;
    identity(&end).map(|_| end)
}

/// Which pipe this is an end of: the same number for both ends.
///
/// # Errors
/// EINVAL when it is no pipe.
pub fn identity(end: impl AsFd) -> Result<u64> {
    let stat = rustix::fs::fstat(end)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo {
        Ok(stat.st_ino)
    } else {
        Err(crate::Errno::INVAL)
    }
}

/// Whether this is the end that bytes go into.
///
/// # Errors
/// None are known.
pub fn is_write_end(end: impl AsFd) -> Result<bool> {
    Ok(rustix::fs::fcntl_getfl(end)?.contains(rustix::fs::OFlags::WRONLY))
}

/// Whether reading and writing wait (the default) or give EAGAIN. Counts for every copy of the
/// descriptor, in other processes too.
///
/// # Errors
/// None are known.
pub fn set_nonblocking(fd: impl AsFd, nonblocking: bool) -> Result<()> {
    let mut flags = rustix::fs::fcntl_getfl(&fd)?;
    flags.set(rustix::fs::OFlags::NONBLOCK, nonblocking);
    rustix::fs::fcntl_setfl(&fd, flags)
}

/// How many bytes wait to be read; None where the kernel does not say.
pub fn waiting(end: impl AsFd) -> Option<u64> {
    rustix::io::ioctl_fionread(end).ok()
}

/// Reads once; 0 is end of file.
///
/// # Errors
/// EAGAIN when nothing is there and the descriptor does not block.
pub fn read(fd: impl AsFd, into: &mut [u8]) -> Result<usize> {
    retry(|| rustix::io::read(&fd, &mut *into))
}

/// Moves what is in the pipe, at most `most` bytes, into a file at `at`; 0 is end of file. Never
/// waits for the pipe. A signal, even KILL, does not come between: what has left the pipe is in the
/// file.
///
/// # Errors
/// EAGAIN when nothing is there, ENOSPC, EINVAL when the file's system cannot or it is open for
/// appending.
pub fn move_to_file(pipe: impl AsFd, file: impl AsFd, at: u64, most: usize) -> Result<usize> {
    let flags = rustix::pipe::SpliceFlags::NONBLOCK;
    retry(|| rustix::pipe::splice(&pipe, None, &file, Some(&mut at.clone()), most, flags))
}

/// Writes once; gives how much was taken.
///
/// # Errors
/// EAGAIN when there is no room and the descriptor does not block, EPIPE when nobody can read.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> Result<usize> {
    retry(|| rustix::io::write(&fd, bytes))
}

/// A second descriptor for the same thing, closed on exec.
///
/// # Errors
/// EMFILE.
pub fn duplicate(fd: impl AsFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3)
}

/// The descriptor that whoever executed this program left open at `number`, as a descriptor of
/// our own that is closed on exec. The one at `number` stays open.
///
/// # Errors
/// EBADF when nothing is open there, EMFILE.
pub fn inherited(number: u8) -> Result<OwnedFd> {
    // SAFETY: it is lent to one call, which answers EBADF for a number that is not open; and no
    // u8 is the one forbidden number, -1.
    duplicate(unsafe { rustix::fd::BorrowedFd::borrow_raw(i32::from(number)) })
}

/// What is open at `number` does not reach a program that is executed. Nothing happens when nothing
/// is.
pub fn close_on_exec(number: u8) {
    // SAFETY: as above; a flag is set and nothing is closed here.
    let fd = unsafe { rustix::fd::BorrowedFd::borrow_raw(i32::from(number)) };
    let _ = rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;

    #[test]
    fn bytes_go_through_and_the_end_shows() {
        let ends = pipe().unwrap();
        let mut buffer = [0; 16];
        assert_eq!(write(&ends.write, b"hello"), Ok(5));
        assert_eq!(waiting(&ends.read), Some(5));
        assert_eq!(read(&ends.read, &mut buffer), Ok(5));
        assert_eq!(waiting(&ends.read), Some(0));
        set_nonblocking(&ends.read, true).unwrap();
        assert_eq!(read(&ends.read, &mut buffer), Err(Errno::AGAIN));
        let copy = duplicate(&ends.write).unwrap();
        drop(ends.write);
        assert_eq!(read(&ends.read, &mut buffer), Err(Errno::AGAIN));
        drop(copy);
        assert_eq!(read(&ends.read, &mut buffer), Ok(0));
    }

    #[test]
    fn a_full_pipe_says_so() {
        let ends = pipe().unwrap();
        set_nonblocking(&ends.write, true).unwrap();
        while write(&ends.write, &[0; 4096]).is_ok() {}
        assert_eq!(write(&ends.write, &[0; 4096]), Err(Errno::AGAIN));
        assert_eq!(read(&ends.read, &mut [0; 4096]), Ok(4096));
        assert_eq!(write(&ends.write, &[0; 4096]), Ok(4096));
        set_nonblocking(&ends.write, false).unwrap();
    }

    #[test]
    fn bytes_move_from_a_pipe_into_a_file() {
        let ends = pipe().unwrap();
        let file = crate::memory::memfd_create(c"ettan-test").unwrap();
        assert_eq!(move_to_file(&ends.read, &file, 2, 100), Err(Errno::AGAIN));
        write(&ends.write, b"hello").unwrap();
        assert_eq!(move_to_file(&ends.read, &file, 2, 4), Ok(4));
        assert_eq!(rustix::fs::fstat(&file).unwrap().st_size, 6);
        drop(ends.write);
        assert_eq!(move_to_file(&ends.read, &file, 6, 4), Ok(1));
        assert_eq!(move_to_file(&ends.read, &file, 7, 4), Ok(0));
        let mut buffer = [1; 8];
        assert_eq!(rustix::io::pread(&file, &mut buffer, 0), Ok(7));
        assert_eq!(buffer[..7], *b"\0\0hello");
    }

    #[test]
    fn nothing_is_inherited_by_accident() {
        let ends = pipe().unwrap();
        for end in [&ends.read, &ends.write, &duplicate(&ends.read).unwrap()] {
            let flags = rustix::io::fcntl_getfd(end).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }
}
