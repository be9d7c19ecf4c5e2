//! What both stand-ins need: signals as events, a wait with a time limit,
//! dropping privileges, and starting another copy of oneself. Decides nothing.
//!
//! A daemon forks. Forking is unsafe in Rust, and this crate forbids unsafe, so a
//! "fork" here is a fork followed by an exec of the same program: parent, process
//! group, session, environment and start time are what a fork would give.
#![forbid(unsafe_code)]

pub mod syslog;

use std::io;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Gid, Group, User};

/// Signals that arrive as readable events instead of interrupting.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks `wanted` in this process and reads them from here on. A signal that
    /// is not named keeps its default effect.
    pub fn catch(wanted: &[Signal]) -> io::Result<Signals> {
        let mut set = SigSet::empty();
        for signal in wanted {
            set.add(*signal);
        }
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Signals(SignalFd::with_flags(&set, flags)?))
    }

    /// The next signal that is already here, if any.
    pub fn take(&mut self) -> io::Result<Option<Signal>> {
        match self.0.read_signal()? {
            None => Ok(None),
            Some(info) => {
                let number = i32::try_from(info.ssi_signo).map_err(io::Error::other)?;
                Ok(Some(Signal::try_from(number)?))
            }
        }
    }

    /// Waits until a signal is here, one of `others` is readable, or `until`.
    pub fn wait(&self, others: &[&dyn AsFdDyn], until: Option<Instant>) -> io::Result<()> {
        let mut polled = vec![PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        for other in others {
            polled.push(PollFd::new(other.borrowed(), PollFlags::POLLIN));
        }
        match poll(&mut polled, timeout(until)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Anything with a descriptor, whatever its type.
pub trait AsFdDyn {
    /// Its descriptor.
    fn borrowed(&self) -> std::os::fd::BorrowedFd<'_>;
}

impl<T: AsFd> AsFdDyn for T {
    fn borrowed(&self) -> std::os::fd::BorrowedFd<'_> {
        self.as_fd()
    }
}

fn timeout(until: Option<Instant>) -> PollTimeout {
    let Some(until) = until else {
        return PollTimeout::NONE;
    };
    let left = until.saturating_duration_since(Instant::now());
    // Rounded up: waking a moment early would spin until the moment has passed.
    let left = left.saturating_add(Duration::from_micros(999));
    PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX)
}

/// Starts another copy of this program with these arguments, and no input. Its
/// parent is the caller, and it outlives the caller.
pub fn start_self(arguments: &[String], wipe_environment: bool) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).stdin(Stdio::null());
    if wipe_environment {
        command.env_clear();
    }
    command.spawn()
}

/// Becomes `user` and `group` for good, with no supplementary groups.
pub fn drop_privileges(user: Option<&str>, group: Option<&str>) -> Result<(), String> {
    let user = user.map(find_user).transpose()?;
    let group: Option<Gid> = match group {
        Some(name) => Some(find_group(name)?),
        None => user.as_ref().map(|user| user.gid),
    };
    if let Some(gid) = group {
        nix::unistd::setgroups(&[]).map_err(|e| format!("setgroups: {e}"))?;
        nix::unistd::setgid(gid).map_err(|e| format!("setgid {gid}: {e}"))?;
    }
    if let Some(user) = user {
        nix::unistd::setuid(user.uid).map_err(|e| format!("setuid {}: {e}", user.uid))?;
    }
    Ok(())
}

fn find_user(name: &str) -> Result<User, String> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(format!("user {name} not found")),
        Err(errno) => Err(format!("user {name}: {errno}")),
    }
}

fn find_group(name: &str) -> Result<Gid, String> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid),
        Ok(None) => Err(format!("group {name} not found")),
        Err(errno) => Err(format!("group {name}: {errno}")),
    }
}

/// Closes descriptors 0, 1 and 2 and leaves them closed, as old daemons do.
pub fn close_standard_streams() {
    for descriptor in 0..=2 {
        // One that is closed already is as good.
        let _ = nix::unistd::close(descriptor);
    }
}
