//! Signals processes and names them. Does not decide which.

use crate::kernel::{self, Feature};
use crate::raw::check;
use crate::{Errno, OwnedFd, Result};
use rustix::fd::{AsFd, AsRawFd};
use rustix::process::{Pid, PidfdFlags};

/// This process.
#[must_use]
pub fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Sends a signal to one process. Only to a child of ours that is not reaped: nothing else
/// keeps its number from being another's.
///
/// # Errors
/// EINVAL for numbers that name no single process or no signal (nothing is sent), ESRCH, EPERM.
pub fn kill(pid: i32, signal: u8) -> Result<()> {
    if pid <= 0 || signal == 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY: no memory is involved.
    check(unsafe { libc::kill(pid, i32::from(signal)) }.into()).map(drop)
}

/// Sends a signal to a process group. Only to one whose leader is an unreaped child of ours.
///
/// # Errors
/// EINVAL for 0, 1 and negative numbers (nothing is sent), ESRCH, EPERM.
pub fn kill_group(group: i32, signal: u8) -> Result<()> {
    if group <= 1 || signal == 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY: no memory is involved.
    check(unsafe { libc::kill(group.saturating_neg(), i32::from(signal)) }.into()).map(drop)
}

/// Sends a signal to every process there is but the first one, which has to be the caller: whoever
/// else asked would hit strangers. None forks out of it, for the kernel lets nobody fork meanwhile.
///
/// # Errors
/// EPERM where the caller is not process 1, EINVAL for no signal (nothing is sent), ESRCH.
pub fn kill_all(signal: u8) -> Result<()> {
    if own_pid() != 1 {
        return Err(Errno::PERM);
    }
    if signal == 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY: no memory is involved.
    check(unsafe { libc::kill(-1, i32::from(signal)) }.into()).map(drop)
}

/// Whether a process of this number is there: alive, or a zombie.
#[must_use]
pub fn exists(pid: i32) -> bool {
    checked(pid).is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(Errno::SRCH))
}

/// A descriptor that means this process and never another one of the same number. Readable once
/// it has ended.
///
/// # Errors
/// ENOSYS without [`Feature::Pidfd`], ESRCH, EMFILE.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    let pid = checked(pid).ok_or(Errno::SRCH)?;
    if !kernel::has(Feature::Pidfd) {
        return Err(Errno::NOSYS);
    }
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Err(errno) if kernel::is_refusal(errno) => {
            kernel::lacks(Feature::Pidfd);
            Err(Errno::NOSYS)
        }
        other => other,
    }
}

/// Sends a signal to the process that `pidfd` means.
///
/// # Errors
/// ESRCH when it has been reaped, EINVAL for no signal, EPERM.
pub fn pidfd_send_signal(pidfd: impl AsFd, signal: u8) -> Result<()> {
    if signal == 0 {
        return Err(Errno::INVAL);
    }
    let info = core::ptr::null::<libc::siginfo_t>();
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: a null siginfo means "as kill(2) would".
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, i32::from(signal), info, 0_u32) })
        .map(drop)
}

/// Does `work` in a child that is a copy of this process, and ends it with what that returns; the child's
/// number. For helpers of one thread: of several the child has only this one, and waits for ever for a lock that
/// another one had.
///
/// # Errors
/// EAGAIN, ENOMEM.
pub fn fork(work: impl FnOnce() -> i32) -> Result<i32> {
    // SAFETY: the copy has all memory as it is, and goes on here.
    match check(unsafe { libc::fork() }.into())? {
        0 => {
            let status = work();
            // SAFETY: ends the child, without what this process would do at its own end.
            unsafe { libc::_exit(status) }
        }
        child => Ok(i32::try_from(child).unwrap_or(0)),
    }
}

/// Makes orphans of our descendants our children, as they are process 1's. For tests and for
/// running supervised without being process 1.
///
/// # Errors
/// None are known.
pub fn become_subreaper() -> Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
}

/// None for what is no process's number; rustix panics on some of those.
pub(crate) fn checked(pid: i32) -> Option<Pid> {
    if pid > 0 { Pid::from_raw(pid) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{Interest, wait_one};
    use crate::testing::limit;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, Stdio};

    const TERM: u8 = libc::SIGTERM as u8;

    fn cat() -> Child {
        Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn p6_numbers_that_name_no_single_process_get_no_signal() {
        for pid in [0, -1, -2, i32::MIN] {
            assert_eq!(kill(pid, TERM), Err(Errno::INVAL));
        }
        for group in [1, 0, -1, i32::MIN] {
            assert_eq!(kill_group(group, TERM), Err(Errno::INVAL));
        }
        assert_eq!(kill(own_pid(), 0), Err(Errno::INVAL));
    }

    #[test]
    fn a_signal_reaches_its_process() {
        let _limit = limit(10.0);
        let mut child = cat();
        let pid = child.id() as i32;
        assert!(exists(pid));
        kill(pid, TERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert!(!exists(pid));
        assert_eq!(kill(pid, TERM), Err(Errno::SRCH));
    }

    /// The child does nothing that another test's thread could have a lock of.
    #[test]
    fn a_copy_of_this_process_does_its_work_and_ends() {
        let _limit = limit(10.0);
        let before = own_pid();
        let child = fork(|| if own_pid() == before { 1 } else { 7 }).unwrap();
        let status = crate::reap::wait_for(child);
        assert_eq!(status, Ok(crate::reap::Status::Code(7)));
    }

    #[test]
    fn f1_11_a_pidfd_means_one_process_for_ever() {
        let _limit = limit(10.0);
        if pidfd_open(own_pid()).is_err_and(|errno| errno == Errno::NOSYS) {
            return eprintln!("no pidfds here: nothing tested");
        }
        let mut child = cat();
        let pidfd = pidfd_open(child.id() as i32).unwrap();
        assert_eq!(wait_one(&pidfd, Interest::Read, Some(0)), Ok(false));
        assert_eq!(pidfd_send_signal(&pidfd, 0), Err(Errno::INVAL));
        pidfd_send_signal(&pidfd, TERM).unwrap();
        assert_eq!(wait_one(&pidfd, Interest::Read, Some(5_000)), Ok(true));
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert_eq!(pidfd_send_signal(&pidfd, TERM), Err(Errno::SRCH));
        assert_eq!(pidfd_open(-5).unwrap_err(), Errno::SRCH);
    }
}
