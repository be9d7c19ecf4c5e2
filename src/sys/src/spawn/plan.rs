//! Says what to start. Plain data, laid out so that execve takes it as it is.

use super::rights::Rights;
use crate::{BorrowedFd, Errno, Result};
use core::ffi::{CStr, c_char};
use core::marker::PhantomData;

/// The most strings of one list: 256 that a unit may have, the cookie, and one to spare.
pub const MAX_STRINGS: usize = 258;

/// The most supplementary groups of a unit.
pub const MAX_GROUPS: usize = 32;

/// The most descriptors that a program is given: 0, 1, 2, a helper's 3 and 4, and some to spare.
/// Targets are below this number too.
pub const MAX_FDS: usize = 8;

/// Everything about a start.
#[derive(Clone, Copy, Debug)]
pub struct SpawnPlan<'a> {
    /// The file to execute, an absolute path.
    pub program: &'a CStr,
    /// The arguments, the program's name first.
    pub argv: &'a Strings<'a>,
    /// The environment, `NAME=VALUE` each. All of it.
    pub envp: &'a Strings<'a>,
    /// Whom it runs as; none: as this process does.
    pub identity: Option<Identity<'a>>,
    /// Where it starts; none: where this process is (PID 1 is in `/`).
    pub working_directory: Option<&'a CStr>,
    /// Its umask.
    pub umask: u32,
    /// A terminal that becomes its controlling one and its descriptors 0 to 2.
    pub tty_path: Option<&'a CStr>,
    /// Which descriptor of ours becomes which number of its; at most [`MAX_FDS`], numbers below
    /// [`MAX_FDS`], each once.
    pub fds: &'a [(BorrowedFd<'a>, i32)],
    /// The directory of its cgroup.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// How much the kernel should like to kill it when memory is short, -1000 to 1000; 0 for
    /// services. Where that cannot be set it starts all the same.
    pub oom_score_adj: i16,
    /// Limits, scheduling and capabilities that are not the usual ones.
    pub rights: Rights,
}

/// A user, a group and further groups, by number.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Exactly these supplementary groups, at most [`MAX_GROUPS`].
    pub groups: &'a [u32],
}

/// A list of strings as execve takes it: pointers with a null at the end, at most
/// [`MAX_STRINGS`]. Borrows the strings.
#[derive(Clone, Debug)]
pub struct Strings<'a> {
    pointers: [*const c_char; MAX_STRINGS + 1],
    len: usize,
    borrows: PhantomData<&'a CStr>,
}

impl<'a> Strings<'a> {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { pointers: [core::ptr::null(); MAX_STRINGS + 1], len: 0, borrows: PhantomData }
    }

    /// Adds a string at the end.
    ///
    /// # Errors
    /// E2BIG when the list is full.
    pub fn push(&mut self, string: &'a CStr) -> Result<()> {
        if self.len >= MAX_STRINGS {
            return Err(Errno::TOOBIG);
        }
        *self.pointers.get_mut(self.len).ok_or(Errno::TOOBIG)? = string.as_ptr();
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// A list of all of `strings`.
    ///
    /// # Errors
    /// E2BIG when they are more than [`MAX_STRINGS`].
    pub fn of(strings: impl IntoIterator<Item = &'a CStr>) -> Result<Self> {
        let mut list = Self::new();
        for string in strings {
            list.push(string)?;
        }
        Ok(list)
    }

    /// How many strings there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// For execve: ends in a null pointer, since the last place is never filled.
    pub(super) const fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

impl Default for Strings<'_> {
    fn default() -> Self {
        Self::new()
    }
}
