//! Ends of processes that a unit's file names, and what follows from those. Decides nothing.

use crate::ExitStatus;
use heapless::Vec;

/// The most exit codes of one list, which makes eight bytes with their number: a service tells
/// fewer apart, and each unit pays for all of them.
pub const MAX_STATUSES: usize = 7;

/// Exit codes, and signals by one bit each. Real-time signals, from 32 on, end nothing by custom
/// and have no place here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    codes: Vec<u8, MAX_STATUSES, u8>,
    signals: u32,
}

impl Statuses {
    /// None.
    pub const NONE: Self = Self { codes: Vec::new(), signals: 0 };

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.signals == 0
    }

    /// Whether it names this end; whether a core was dumped does not matter.
    #[must_use]
    pub fn has(&self, status: ExitStatus) -> bool {
        match status {
            ExitStatus::Code(code) => self.codes.contains(&code),
            ExitStatus::Signal { signal, .. } => self.signals & bit(signal) != 0,
        }
    }

    /// Adds one; false: there is no room for another code, or no such signal.
    pub fn add(&mut self, status: ExitStatus) -> bool {
        match status {
            _ if self.has(status) => true,
            ExitStatus::Code(code) => self.codes.push(code).is_ok(),
            ExitStatus::Signal { signal, .. } => {
                self.signals |= bit(signal);
                bit(signal) != 0
            }
        }
    }

    /// All of them, codes first.
    pub fn iter(&self) -> impl Iterator<Item = ExitStatus> + '_ {
        let signals = (1..32).filter(|signal| self.signals & bit(*signal) != 0);
        let signals = signals.map(|signal| ExitStatus::Signal { signal, core: false });
        self.codes.iter().map(|code| ExitStatus::Code(*code)).chain(signals)
    }

    /// The signals as they are kept: bit 1 is signal 1.
    pub(crate) const fn signals(&self) -> u32 {
        self.signals
    }

    /// The codes as they are kept.
    pub(crate) fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// As it was kept; None: more codes than there is room for.
    pub(crate) fn of(codes: &[u8], signals: u32) -> Option<Self> {
        Some(Self { codes: Vec::from_slice(codes).ok()?, signals })
    }
}

/// The bit of a signal; 0 where there is none of that number.
const fn bit(signal: u8) -> u32 {
    match signal {
        1..32 => 1_u32.wrapping_shl(signal as u32),
        _ => 0,
    }
}
