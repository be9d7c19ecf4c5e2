//! Descriptors kept back for the moment when none is left: given up to look for what is left of a
//! unit and to start it, and taken again at once. They are copies of /dev/null, which services find as descriptor
//! 0.

use crate::degraded::Task;
use crate::pid1::Pid1;
use ettan_sys::{Errno, OwnedFd, pipe};

/// A start takes two for each of two log pipes and one for the cgroup; a look for leftovers three; the
/// rest is for what happens on the way.
const RESERVE: usize = 10;

/// Open for nothing, so that their numbers are free when they are needed.
pub(crate) struct Reserve {
    /// /dev/null, which all are copies of.
    null: Option<OwnedFd>,
    spare: heapless::Vec<OwnedFd, RESERVE>,
}

impl Reserve {
    /// With nothing in reserve yet.
    pub(crate) fn new() -> Self {
        Self { null: open_null(), spare: heapless::Vec::new() }
    }

    /// What services find as descriptor 0.
    pub(crate) const fn null(&self) -> Option<&OwnedFd> {
        self.null.as_ref()
    }

    /// Opens it where that could not be done before.
    pub(crate) fn mend_null(&mut self) {
        if self.null.is_none() {
            self.null = open_null();
        }
    }

    /// Gives them up. False when there were none.
    fn lend(&mut self) -> bool {
        let had = !self.spare.is_empty();
        self.spare.clear();
        had
    }

    /// Takes them again, as far as there are any.
    ///
    /// # Errors
    /// EMFILE: some are missing still.
    fn restock(&mut self) -> Result<(), Errno> {
        let Some(null) = &self.null else { return Ok(()) };
        while !self.spare.is_full() {
            // Cannot be full: that was just asked.
            let _ = self.spare.push(pipe::duplicate(null)?);
        }
        Ok(())
    }
}

impl Pid1 {
    /// Does something that needs descriptors; when none is left, with those kept for it.
    pub(crate) fn with_reserve<T>(
        &mut self,
        act: impl Fn(&mut Self) -> T,
        failed: impl Fn(&Self, &T) -> Option<Errno>,
    ) -> T {
        let outcome = act(self);
        let out = failed(self, &outcome).is_some_and(is_out);
        if !out || !self.reserve.lend() {
            return outcome;
        }
        let outcome = act(self);
        self.restock();
        outcome
    }

    /// Takes the reserve again, as far as it goes.
    pub(crate) fn restock(&mut self) {
        if let Err(errno) = self.reserve.restock() {
            self.degraded.note(self.now, Task::Starting, errno);
        }
    }
}

/// Whether this means that descriptors ran out.
fn is_out(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE)
}

/// What a unit in the foreground has, too.
pub(crate) fn open_null() -> Option<OwnedFd> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null");
    null.ok().map(Into::into)
}
