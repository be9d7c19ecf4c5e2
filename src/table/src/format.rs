//! The layout, in one place for both halves. All numbers are 32-bit little endian words.
//!
//! ```text
//! magic (2 words) · version · length · crc32 of all that follows
//! units · policies · settings · words · string bytes · messages   (five counts, one list)
//! unit records · policy records · settings records · words · strings
//! ```
//! A list is a place in the words: its length, then its items. A string is a place in the
//! string bytes, up to the next NUL; place 0 is the empty string. Policies, settings, lists
//! and strings are shared by the units that have the same: a trivial unit costs its record and
//! its name.

use ettan_core::{Kind, Restart};

/// Bytes 0 to 7.
pub(crate) const MAGIC: [u8; 8] = *b"ettantbl";
/// Changes with every change of the layout; PID 1 and its loader are one file, so they agree.
pub(crate) const VERSION: u32 = 2;
/// Words before the unit records.
pub(crate) const HEADER_WORDS: usize = 11;
/// Bytes before what the checksum covers.
pub(crate) const UNCHECKED_BYTES: usize = 20;
/// "No settings": a target.
pub(crate) const NONE: u32 = u32::MAX;

/// One word as it lies in the table.
pub(crate) type Word = [u8; 4];
/// name · description · policy · settings · argv · needs · pid file · tty · fingerprint (2)
pub(crate) type UnitRecord = [Word; 10];
/// restart delay · its maximum · min uptime · start time-out · stop time-out · packed
pub(crate) type PolicyRecord = [Word; 6];
/// uid · gid · groups · working directory · umask · envp · log size · log files · log words ·
/// extras
pub(crate) type SettingsRecord = [Word; 10];

/// The longest unit or condition name in bytes (`faults.md` 5.2).
pub const MAX_NAME: usize = 64;
/// The most arguments of a program, its own name included: what PID 1 has pointers for.
pub const MAX_ARGUMENTS: usize = 256;
/// The most environment variables of a unit, the standard ones included.
pub const MAX_VARIABLES: usize = 256;
/// The most supplementary groups.
pub const MAX_GROUPS: usize = 32;

/// Whether `name` can name a unit: 1 to 64 of `A-Z a-z 0-9 : _ . @ -`, and no dot in front.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":_.@-".contains(&b))
}

/// A kind as a byte.
#[cfg(feature = "write")]
pub(crate) const fn kind_to_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Simple => 0,
        Kind::Forking => 1,
        Kind::Oneshot { remain_after_exit: false } => 2,
        Kind::Oneshot { remain_after_exit: true } => 3,
        Kind::Target => 4,
    }
}

/// A byte as a kind.
pub(crate) const fn kind_from_byte(byte: u8) -> Option<Kind> {
    match byte {
        0 => Some(Kind::Simple),
        1 => Some(Kind::Forking),
        2 => Some(Kind::Oneshot { remain_after_exit: false }),
        3 => Some(Kind::Oneshot { remain_after_exit: true }),
        4 => Some(Kind::Target),
        _ => None,
    }
}

/// A restart policy as a byte.
#[cfg(feature = "write")]
pub(crate) const fn restart_to_byte(restart: Restart) -> u8 {
    match restart {
        Restart::No => 0,
        Restart::Always => 1,
        Restart::OnSuccess => 2,
        Restart::OnFailure => 3,
        Restart::OnAbnormal => 4,
    }
}

/// A byte as a restart policy.
pub(crate) const fn restart_from_byte(byte: u8) -> Option<Restart> {
    match byte {
        0 => Some(Restart::No),
        1 => Some(Restart::Always),
        2 => Some(Restart::OnSuccess),
        3 => Some(Restart::OnFailure),
        4 => Some(Restart::OnAbnormal),
        _ => None,
    }
}

/// A need in one word: kind in bits 30 and 31, sort of target in bits 28 and 29, then a unit's
/// index or a string's place.
pub(crate) const NEED_VALUE_BITS: u32 = 28;
/// Mask of the value.
pub(crate) const NEED_VALUE: u32 = (1 << NEED_VALUE_BITS) - 1;
