//! Takes pipes over from the execution before: by its records, and without those from what units' processes
//! have open.

use super::doors::DOORS;
use super::pipe::Pipe;
use super::{Ends, LogPolicy, Pipes, own_name};
use crate::state::PipeRecord;
use ettan_core::{Name, UnitId};
use ettan_sys::pipe;
use std::os::fd::OwnedFd;

impl Pipes {
    /// The pipes that the execution before had; allocates as `new` does.
    pub(crate) fn again(
        mut output: Ends,
        logger: Option<OwnedFd>,
        doors: [Option<OwnedFd>; DOORS.len()],
    ) -> Self {
        output.shown &= logger.is_some();
        let (owner, policy) = (own_name(), LogPolicy::DEFAULT);
        let own = Pipe { owner, output, errors: None, policy, unread: false };
        Self::with(logger, Some(own), doors)
    }

    /// Takes over the pipe of one unit.
    pub(crate) fn take_over(
        &mut self,
        unit: UnitId,
        owner: &Name,
        (mut output, mut errors): (Ends, Option<Ends>),
        record: &PipeRecord,
    ) {
        for ends in core::iter::once(&mut output).chain(&mut errors) {
            ends.shown &= self.logger.is_open();
        }
        let PipeRecord { max_size_bytes, max_files, .. } = *record;
        let policy = LogPolicy { max_size_bytes, max_files, words: 0 };
        self.put(unit, Pipe { owner: owner.clone(), output, errors, policy, unread: false });
    }

    /// Finds among `spare` the ends of the pipes that a unit's process has as its output and as its
    /// standard error; `apart`: whether the log is to tell one from the other.
    pub(crate) fn find_ends(
        &mut self,
        unit: UnitId,
        owner: &Name,
        policy: LogPolicy,
        spare: &mut Vec<OwnedFd>,
        (identities, apart): ([Option<u64>; 2], bool),
    ) {
        let mut ends = |identity: Option<u64>| {
            let identity = identity?;
            let mut end = |is_write| {
                let at = spare.iter().position(|fd| {
                    pipe::identity(fd) == Ok(identity) && pipe::is_write_end(fd) == Ok(is_write)
                })?;
                Some(spare.swap_remove(at))
            };
            Some(Ends { read: end(false)?, write: end(true)?, identity, shown: false })
        };
        let (output, errors) = match identities.map(&mut ends) {
            // Its output goes elsewhere, and is the log's all the same.
            [None, Some(errors)] if !apart => (Some(errors), None),
            [output, errors] => (output, errors),
        };
        let output = output.or_else(|| errors.as_ref().and_then(|_| Ends::new().ok()));
        if let Some(output) = output {
            self.put(unit, Pipe { owner: owner.clone(), output, errors, policy, unread: false });
        }
    }
}
