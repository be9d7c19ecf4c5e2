//! One log pipe, of a unit or of PID 1 itself: its ends, how its log is kept, and what the logger knows of it.

use super::own_name;
use crate::channel::{Channel, Sent};
use crate::state::{EndsRecord, PipeRecord};
use core::fmt::Arguments;
use ettan_core::Name;
use ettan_sys::{Errno, pipe, reexec};
use ettan_table::{HASH_OF_NOTHING, Launch, hash_on};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The longest packet to the logger, as it reads them.
const PACKET_MAX: usize = 3072;

/// Size and number of a log's files, as the logger is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogPolicy {
    /// A file is rotated at this size.
    pub(crate) max_size_bytes: u32,
    /// This many files are kept, the current one included.
    pub(crate) max_files: u16,
    /// A sum of the other words for the logger, to see that they changed.
    pub(crate) words: u64,
}

impl LogPolicy {
    /// What holds where a unit's table entry says nothing (docs/ettan-unit.5.md, `[log]`).
    pub(crate) const DEFAULT: Self = {
        let ettan_table::LogPolicy { max_size_bytes, max_files } = ettan_table::LogPolicy::DEFAULT;
        assert!(max_size_bytes as u64 == ettan_log::DEFAULT_MAX_SIZE_BYTES);
        assert!(max_files as u32 == ettan_log::DEFAULT_MAX_FILES);
        Self { max_size_bytes, max_files, words: 0 }
    };

    /// What a unit's table entry says.
    pub(crate) fn of(launch: &Launch<'_>) -> Self {
        let words = match launch.log_words.to_bytes() {
            b"" => 0,
            words => hash_on(HASH_OF_NOTHING, words),
        };
        let ettan_table::LogPolicy { max_size_bytes, max_files } = launch.log;
        Self { max_size_bytes, max_files, words }
    }
}

pub(super) struct Pipe {
    /// Whose, and so the log's name: a load may give a unit's place to another, or to nobody.
    pub(super) owner: Name,
    pub(super) output: Ends,
    /// For standard error, from the first start on that kept it apart.
    pub(super) errors: Option<Ends>,
    pub(super) policy: LogPolicy,
    /// No logger has read anything of it: what is in it is of the first run.
    pub(super) unread: bool,
}

/// Both ends of one pipe.
pub(crate) struct Ends {
    pub(crate) read: OwnedFd,
    pub(crate) write: OwnedFd,
    /// What the kernel calls it; 0 where it does not say.
    pub(crate) identity: u64,
    /// The running logger knows it.
    pub(crate) shown: bool,
}

impl Pipe {
    /// PID 1's. Our own writes must never wait for a logger.
    pub(super) fn own() -> Result<Self, Errno> {
        let pipe = Self::new(&own_name(), LogPolicy::DEFAULT)?;
        pipe::set_nonblocking(&pipe.output.write, true)?;
        Ok(pipe)
    }

    pub(super) fn new(owner: &Name, policy: LogPolicy) -> Result<Self, Errno> {
        Ok(Self { owner: owner.clone(), output: Ends::new()?, errors: None, policy, unread: true })
    }

    /// The output's, then those of the errors.
    pub(super) fn ends(&mut self) -> impl Iterator<Item = &mut Ends> {
        core::iter::once(&mut self.output).chain(&mut self.errors)
    }

    /// No byte waits for a logger.
    pub(super) fn is_empty(&self) -> bool {
        let mut ends = core::iter::once(&self.output).chain(&self.errors);
        ends.all(|ends| pipe::waiting(&ends.read).is_none_or(|bytes| bytes == 0))
    }

    /// How many pipes the logger does not know.
    pub(super) fn unshown(&self) -> usize {
        let ends = core::iter::once(&self.output).chain(&self.errors);
        ends.filter(|ends| !ends.shown).count()
    }

    /// Another policy holds. Gives how many pipes are to be shown again.
    pub(super) fn renew(&mut self, policy: LogPolicy) -> usize {
        if core::mem::replace(&mut self.policy, policy) == policy {
            return 0;
        }
        self.ends().filter_map(|ends| core::mem::take(&mut ends.shown).then_some(())).count()
    }

    /// Shows the logger what it does not know; and how far the run has `begun` whose words it will find there.
    pub(super) fn show(
        &mut self,
        logger: &mut Channel,
        begun: Option<&str>,
        words: &[u8],
    ) -> Result<Sent, Errno> {
        let name = &self.owner;
        let LogPolicy { max_size_bytes, max_files, .. } = self.policy;
        if !self.output.shown {
            let (key, note, end) = begun.map_or(("", "", ""), |note| ("note=", note, " "));
            let head = format_args!("open {name} {max_size_bytes} {max_files} {key}{note}{end}");
            if self.output.show(logger, head, words)? == Sent::NotNow {
                return Ok(Sent::NotNow);
            }
            self.unread = false;
        }
        if let Some(errors) = self.errors.as_mut().filter(|errors| !errors.shown) {
            let head = format_args!("open {name} {max_size_bytes} {max_files} stream=err ");
            return errors.show(logger, head, words);
        }
        Ok(Sent::Taken)
    }

    pub(super) fn record(&self) -> PipeRecord {
        PipeRecord {
            output: self.output.record(),
            errors: self.errors.as_ref().map(Ends::record),
            max_size_bytes: self.policy.max_size_bytes,
            max_files: self.policy.max_files,
        }
    }
}

impl Ends {
    pub(super) fn new() -> Result<Self, Errno> {
        let pipe::Pipe { read, write } = pipe::pipe()?;
        let _ = pipe::let_write(&write);
        let identity = pipe::identity(&read).unwrap_or(0);
        Ok(Self { read, write, identity, shown: false })
    }

    pub(super) fn record(&self) -> EndsRecord {
        reexec::keep(&self.read);
        reexec::keep(&self.write);
        EndsRecord {
            read: self.read.as_raw_fd(),
            write: self.write.as_raw_fd(),
            identity: self.identity,
            shown: self.shown,
        }
    }

    pub(super) fn show(
        &mut self,
        logger: &mut Channel,
        head: Arguments<'_>,
        words: &[u8],
    ) -> Result<Sent, Errno> {
        let mut packet = [0; PACKET_MAX];
        let mut room = packet.as_mut_slice();
        // The loader lets no words through that are longer.
        let _ = room.write_fmt(head);
        let _ = room.write(words);
        let left = room.len();
        let used = packet.get(..PACKET_MAX.saturating_sub(left)).unwrap_or_default();
        let sent = logger.send(used, Some(self.read.as_fd()))?;
        self.shown = sent == Sent::Taken;
        Ok(sent)
    }
}
