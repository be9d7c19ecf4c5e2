//! Says what to start. Plain data, laid out so that execve takes it as it is.

use super::rights::Rights;
use crate::{BorrowedFd, Errno, Result};
use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU8, Ordering};

/// The most strings of one list: 256 that a unit may have, the cookie or the three that execute a
/// unit by way of its place, the five of a command around the program, and one to spare.
pub const MAX_STRINGS: usize = 266;

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
    /// A terminal that becomes its controlling one.
    pub tty_path: Option<&'a CStr>,
    /// Which of its descriptors 0 to 2 that is.
    pub tty_fds: [bool; 3],
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
    own_pid: Option<&'a OwnPid>,
    borrows: PhantomData<&'a CStr>,
}

impl<'a> Strings<'a> {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        let pointers = [core::ptr::null(); MAX_STRINGS + 1];
        Self { pointers, len: 0, own_pid: None, borrows: PhantomData }
    }

    /// Adds a string at the end.
    ///
    /// # Errors
    /// E2BIG when the list is full.
    pub fn push(&mut self, string: &'a CStr) -> Result<()> {
        self.push_pointer(string.as_ptr())
    }

    /// Adds a variable that the child fills in; one at the most.
    ///
    /// # Errors
    /// As [`Strings::push`].
    pub fn push_own_pid(&mut self, variable: &'a OwnPid) -> Result<()> {
        self.push_pointer(variable.0.as_ptr().cast())?;
        self.own_pid = Some(variable);
        Ok(())
    }

    fn push_pointer(&mut self, pointer: *const c_char) -> Result<()> {
        if self.len >= MAX_STRINGS {
            return Err(Errno::TOOBIG);
        }
        *self.pointers.get_mut(self.len).ok_or(Errno::TOOBIG)? = pointer;
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// In the child, whose number this is.
    pub(super) fn fill_in(&self, pid: u32) {
        if let Some(variable) = self.own_pid {
            variable.fill(pid);
        }
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
    pub(crate) const fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// A variable whose value is the process id of whoever has it: only the child can know that. It
/// shares our memory until it executes, so it writes the digits where the list points.
#[derive(Debug)]
pub struct OwnPid([AtomicU8; OWN_PID_MAX]);

/// A name of up to 20 letters, `=`, ten digits and the NUL.
const OWN_PID_MAX: usize = 32;

impl OwnPid {
    /// `NAME=` without a value as yet; of a longer name the end is cut.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let text = Self([const { AtomicU8::new(0) }; OWN_PID_MAX]);
        let letters = name.bytes().take(OWN_PID_MAX - 12).chain([b'=']);
        for (place, letter) in text.0.iter().zip(letters) {
            place.store(letter, Ordering::Relaxed);
        }
        text
    }

    fn fill(&self, pid: u32) {
        const POWERS: [u32; 10] =
            [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
        let behind_name = self.0.iter().skip_while(|place| place.load(Ordering::Relaxed) != b'=');
        let mut places = behind_name.skip(1);
        for power in POWERS.into_iter().filter(|power| *power <= pid.max(1)) {
            let digit = pid.checked_div(power).unwrap_or(0).checked_rem(10).unwrap_or(0);
            if let Some(place) = places.next() {
                place.store(b'0' | u8::try_from(digit).unwrap_or(0), Ordering::Relaxed);
            }
        }
        // The child before, which came to nothing, may have had a longer number.
        places.for_each(|place| place.store(0, Ordering::Relaxed));
    }
}

impl Default for Strings<'_> {
    fn default() -> Self {
        Self::new()
    }
}
