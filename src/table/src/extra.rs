//! What few units have beside the usual, as a list of items. A unit without any pays one word.

use crate::format::Word;

/// One thing that a service is given beside the usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// A resource limit: Linux's number of the resource (`RLIMIT_CPU` is 0), soft and hard value,
    /// `u64::MAX` for none.
    Limit {
        /// 0 to 15.
        resource: u8,
        /// What holds.
        soft: u64,
        /// What the service may raise it to.
        hard: u64,
    },
    /// Scheduling priority, -20 to 19.
    Nice(i8),
    /// I/O scheduling class (1 realtime, 2 best-effort, 3 idle).
    IoClass(u8),
    /// The processors it may run on, one bit each.
    CpuAffinity(u64),
    /// Out-of-memory score, -1000 to 1000.
    OomScoreAdjust(i16),
    /// It can gain no privilege by executing a file.
    NoNewPrivileges,
    /// The capabilities that it can have at all, one bit each.
    BoundingSet(u64),
    /// The capabilities that it has although it is not root, one bit each.
    Ambient(u64),
    /// The descriptor that it writes a newline to once it is ready, 3 to 7.
    ReadyFd(u8),
    /// A limit of its cgroup, `u64::MAX` for none.
    Share {
        /// Of what.
        knob: Knob,
        /// How much.
        value: u64,
    },
    /// Descriptors 0 to 2, where they are not the usual ones.
    Streams([Stream; 3]),
    /// A run leaves something behind that is removed after it.
    Leaves,
}

/// What PID 1 itself can make a descriptor; anything else is for the stage of `Launch::place`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Nothing: /dev/null.
    Null,
    /// The unit's log.
    Log,
    /// The terminal of tty-path.
    Tty,
    /// The unit's log, as what it says of errors; descriptor 2 alone.
    Error,
}

/// A file of cgroup v2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knob {
    /// `memory.max`, in bytes.
    MemoryMax,
    /// `memory.high`, in bytes.
    MemoryHigh,
    /// `pids.max`, in tasks.
    TasksMax,
    /// `cpu.weight`, 1 to 10,000.
    CpuWeight,
    /// `cpu.max`, in microseconds of each 100,000.
    CpuQuota,
}

/// Words of one item: tag and sub-tag, two numbers of two words.
pub(crate) const EXTRA_WORDS: usize = 5;
/// The most items of a unit.
pub const MAX_EXTRAS: usize = 256;

/// An item as it lies in the table.
pub(crate) struct Raw {
    pub(crate) tag: u8,
    pub(crate) sub: u8,
    pub(crate) first: u64,
    pub(crate) second: u64,
}

impl Extra {
    #[cfg(feature = "write")]
    pub(crate) fn raw(&self) -> Raw {
        let plain = |tag, sub, first| Raw { tag, sub, first, second: 0 };
        match self {
            Self::Limit { resource, soft, hard } => {
                Raw { tag: 1, sub: *resource, first: *soft, second: *hard }
            }
            Self::Nice(nice) => plain(2, nice.cast_unsigned(), 0),
            Self::IoClass(class) => plain(3, *class, 0),
            Self::CpuAffinity(mask) => plain(4, 0, *mask),
            Self::OomScoreAdjust(score) => plain(5, 0, u64::from(score.cast_unsigned())),
            Self::NoNewPrivileges => plain(6, 0, 0),
            Self::BoundingSet(set) => plain(7, 0, *set),
            Self::Ambient(set) => plain(8, 0, *set),
            Self::Share { knob, value } => plain(9, *knob as u8, *value),
            Self::Streams([first, second, third]) => {
                let number = |stream: &Stream| *stream as u8;
                let numbers = [number(first), number(second), number(third), 0, 0, 0, 0, 0];
                plain(20, 0, u64::from_le_bytes(numbers))
            }
            Self::Leaves => plain(21, 0, 0),
            Self::ReadyFd(number) => plain(10, *number, 0),
        }
    }

    /// None where the item means nothing.
    fn of(raw: Raw) -> Option<Self> {
        let Raw { tag, sub, first, second } = raw;
        Some(match tag {
            1 => Self::Limit { resource: (sub < 16).then_some(sub)?, soft: first, hard: second },
            2 => Self::Nice(sub.cast_signed()),
            3 => Self::IoClass(sub),
            4 => Self::CpuAffinity(first),
            5 => Self::OomScoreAdjust(u16::try_from(first).ok()?.cast_signed()),
            6 => Self::NoNewPrivileges,
            7 => Self::BoundingSet(first),
            8 => Self::Ambient(first),
            10 => Self::ReadyFd((3..8).contains(&sub).then_some(sub)?),
            9 => Self::Share { knob: *KNOBS.get(usize::from(sub))?, value: first },
            20 => {
                let [first, second, third, ..] = first.to_le_bytes();
                let stream = |number: u8| STREAMS.get(usize::from(number)).copied();
                Self::Streams([stream(first)?, stream(second)?, stream(third)?])
            }
            21 => Self::Leaves,
            _ => return None,
        })
    }
}

/// In the order of their declarations: a value's number is its place.
const KNOBS: [Knob; 5] =
    [Knob::MemoryMax, Knob::MemoryHigh, Knob::TasksMax, Knob::CpuWeight, Knob::CpuQuota];

/// As above.
const STREAMS: [Stream; 4] = [Stream::Null, Stream::Log, Stream::Tty, Stream::Error];

/// The extras of one unit, in order.
#[derive(Clone, Debug)]
pub struct Extras<'a>(core::slice::Iter<'a, [Word; EXTRA_WORDS]>);

impl<'a> Extras<'a> {
    pub(crate) fn new(words: &'a [Word]) -> Self {
        Self(words.as_chunks().0.iter())
    }

    /// How many are left.
    pub(crate) fn count_left(&self) -> usize {
        self.0.len()
    }
}

impl Iterator for Extras<'_> {
    type Item = Extra;

    fn next(&mut self) -> Option<Self::Item> {
        let [tags, a, b, c, d] = self.0.next()?.map(u32::from_le_bytes);
        let [tag, sub, _, _] = tags.to_le_bytes();
        let wide = |low, high| u64::from(low) | (u64::from(high) << 32);
        Extra::of(Raw { tag, sub, first: wide(a, b), second: wide(c, d) })
    }
}
