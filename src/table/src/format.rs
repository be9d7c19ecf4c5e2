//! The layout, in one place for both halves. All numbers are 32-bit little endian words.
//!
//! ```text
//! magic (2 words) · version · length · crc32 of all that follows
//! units · policies · settings · words · string bytes · messages · ended · rescue
//! (five counts, two lists, 0 or 1)
//! unit records · policy records · settings records · words · strings
//! ```
//! A list is a place in the words: its length, then its items. A string is a place in the
//! string bytes, up to the next NUL; place 0 is the empty string. Policies, settings, lists
//! and strings are shared by the units that have the same: a trivial unit costs its record and
//! its name.

use ettan_core::{ExitStatus, KillMode, Kind, LimitAction, NeedKind, Probes, Restart, Stage, Unit};

/// Bytes 0 to 7.
pub(crate) const MAGIC: [u8; 8] = *b"ettantbl";
/// Changes with every change of the layout; PID 1 and its loader are one file, so they agree.
pub(crate) const VERSION: u32 = 15;
/// Words before the unit records.
pub(crate) const HEADER_WORDS: usize = 13;
/// Bytes before what the checksum covers.
pub(crate) const UNCHECKED_BYTES: usize = 20;
/// "No settings": a target.
pub(crate) const NONE: u32 = u32::MAX;

/// One word as it lies in the table.
pub(crate) type Word = [u8; 4];
/// name · description · policy · settings · argv · needs · pid file · tty · fingerprint (2) · hooks ·
/// group · timer
pub(crate) type UnitRecord = [Word; UNIT_WORDS];
/// Words of a unit record.
pub(crate) const UNIT_WORDS: usize = 13;
/// Words of one hook: its stage and whether it may fail, its argv.
pub(crate) const HOOK_WORDS: usize = 2;
/// restart delay · its maximum · min uptime · start time-out · stop time-out · kind, restart, kill
/// signal, flags · reload signal, kill mode, action of the start limit, nice · exit statuses that are a success · those
/// after which it is not started again · restart reset · burst of the start limit · its interval
pub(crate) type PolicyRecord = [Word; POLICY_WORDS];
/// Words of a policy record.
pub(crate) const POLICY_WORDS: usize = 12;
/// uid · gid · groups · working directory · umask · envp · log size · log files · log words ·
/// extras · place · probe words
pub(crate) type SettingsRecord = [Word; SETTINGS_WORDS];
/// Words of a settings record.
pub(crate) const SETTINGS_WORDS: usize = 12;

/// The longest unit or condition name in bytes (`tests/FAULTS.md` 5.2).
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
        Kind::Notify => 5,
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
        5 => Some(Kind::Notify),
        _ => None,
    }
}

/// In the order of their declarations: a stage's number is its place.
pub(crate) const STAGES: [Stage; 5] =
    [Stage::Pre, Stage::Post, Stage::Stop, Stage::StopPost, Stage::Reload];

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

/// An exit status as an item of a list: a code, or 256 and the number of a signal.
#[cfg(feature = "write")]
pub(crate) const fn status_to_word(status: ExitStatus) -> u32 {
    match status {
        ExitStatus::Code(code) => code as u32,
        ExitStatus::Signal { signal, .. } => SIGNALS | signal as u32,
    }
}

/// As [`status_to_word`], the other way.
pub(crate) fn status_from_word(word: u32) -> Option<ExitStatus> {
    match u8::try_from(word) {
        Ok(code) => Some(ExitStatus::Code(code)),
        Err(_) => {
            let signal = u8::try_from(word.checked_sub(SIGNALS)?).ok()?;
            Some(ExitStatus::Signal { signal, core: false })
        }
    }
}

/// Where the numbers of signals begin in a list of exit statuses.
const SIGNALS: u32 = 256;

/// In the order of their declarations: an action's number is its place.
pub(crate) const LIMIT_ACTIONS: [LimitAction; 4] =
    [LimitAction::Nothing, LimitAction::Reboot, LimitAction::RebootForce, LimitAction::PowerOff];

/// In the order of their declarations: a mode's number is its place.
pub(crate) const KILL_MODES: [KillMode; 3] =
    [KillMode::ControlGroup, KillMode::Mixed, KillMode::Process];

/// What a unit says in one byte. Bit 0: starts at boot; bits 1 and 2: what the prober has to do;
/// bit 3: skipped; bit 4: critical; bit 5: answers a reload; bit 6: holds data.
#[cfg(feature = "write")]
pub(crate) const fn flags_to_byte(unit: &Unit) -> u8 {
    let probes = match unit.probes {
        Probes::Nothing => 0,
        Probes::Up => 2,
        Probes::Ready => 4,
    };
    let skipped = if unit.skipped { 8 } else { 0 };
    let critical = if unit.critical { 16 } else { 0 };
    let reload_answers = if unit.reload_answers { 32 } else { 0 };
    let holds_data = if unit.holds_data { 64 } else { 0 };
    probes | skipped | critical | reload_answers | holds_data | unit.autostart as u8
}

/// As [`flags_to_byte`], the other way.
pub(crate) struct Flags {
    pub(crate) autostart: bool,
    pub(crate) probes: Probes,
    pub(crate) skipped: bool,
    pub(crate) critical: bool,
    pub(crate) reload_answers: bool,
    pub(crate) holds_data: bool,
}

impl Flags {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        let probes = match byte >> 1 & 3 {
            0 => Probes::Nothing,
            1 => Probes::Up,
            2 => Probes::Ready,
            _ => return None,
        };
        if byte >> 7 != 0 {
            return None;
        }
        let (skipped, critical) = (byte & 8 != 0, byte & 16 != 0);
        let (reload_answers, holds_data) = (byte & 32 != 0, byte & 64 != 0);
        let autostart = byte & 1 == 1;
        Some(Self { autostart, probes, skipped, critical, reload_answers, holds_data })
    }
}

/// A need in one word: kind in bits 28 to 31, sort of target in bits 26 and 27, then a unit's
/// index or a string's place.
pub(crate) const NEED_KIND_BITS: u32 = 28;
/// Where the sort begins. 26 bits of string bytes are a hundred times what the most units have.
pub(crate) const NEED_VALUE_BITS: u32 = 26;
/// Mask of the value.
pub(crate) const NEED_VALUE: u32 = (1 << NEED_VALUE_BITS) - 1;

/// A kind of need as bits.
#[cfg(feature = "write")]
pub(crate) const fn need_kind_to_bits(kind: NeedKind) -> u32 {
    match kind {
        NeedKind::After => 0,
        NeedKind::Wants => 1,
        NeedKind::Requires => 2,
        NeedKind::BindsTo => 3,
        NeedKind::Conflicts => 4,
        NeedKind::PartOf => 5,
        NeedKind::OnFailure => 6,
    }
}

/// Bits as a kind of need.
pub(crate) const fn need_kind_from_bits(bits: u32) -> Option<NeedKind> {
    match bits {
        0 => Some(NeedKind::After),
        1 => Some(NeedKind::Wants),
        2 => Some(NeedKind::Requires),
        3 => Some(NeedKind::BindsTo),
        4 => Some(NeedKind::Conflicts),
        5 => Some(NeedKind::PartOf),
        6 => Some(NeedKind::OnFailure),
        _ => None,
    }
}
