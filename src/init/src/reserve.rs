//! Descriptors kept back for the moment when none is left: given up to look for what is left of a
//! unit and to start it, and taken again at once. Holds no other meaning.

use ettan_sys::{Errno, OwnedFd, pipe};
use std::os::fd::BorrowedFd;

/// A start takes two for each of two log pipes and one for the cgroup; a look for leftovers three; the
/// rest is for what happens on the way.
const RESERVE: usize = 10;

/// Open for nothing, so that their numbers are free when they are needed.
#[derive(Default)]
pub(crate) struct Reserve(heapless::Vec<OwnedFd, RESERVE>);

impl Reserve {
    /// Gives them up. False when there were none.
    pub(crate) fn lend(&mut self) -> bool {
        let had = !self.0.is_empty();
        self.0.clear();
        had
    }

    /// Takes them again, as copies of `source`, as far as there are any.
    ///
    /// # Errors
    /// EMFILE: some are missing still.
    pub(crate) fn restock(&mut self, source: BorrowedFd<'_>) -> Result<(), Errno> {
        while !self.0.is_full() {
            // Cannot be full: that was just asked.
            let _ = self.0.push(pipe::duplicate(source)?);
        }
        Ok(())
    }

    /// Whether all are there.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.is_full()
    }
}

/// Whether this means that descriptors ran out.
pub(crate) fn is_out(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE)
}
