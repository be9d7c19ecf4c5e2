//! How long to wait before starting again. Reads no state but the numbers it is given.

use crate::{ExitStatus, Kind, Restart, SpawnFault, Step, Unit, signals};

/// A run is never called long below this, whatever `min_uptime_ms` says: a program that ends at
/// once would otherwise be started hundreds of times a second.
pub(crate) const MIN_RUN_MS: u64 = if cfg!(feature = "no-floor") { 1 } else { 100 };

/// A delay is never shorter than this, for the same reason.
pub(crate) const MIN_DELAY_MS: u64 = if cfg!(feature = "no-floor") { 1 } else { 50 };

/// Short runs in a row from which on a unit is called crash-looping.
pub(crate) const CRASH_LOOP: u32 = 3;

/// A small generator for the jitter (SplitMix64). Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// What a generator of the same future starts from.
    pub(crate) const fn state(&self) -> u64 {
        self.state
    }

    fn throw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The delay after `before` delays in a row: doubled each time up to the unit's limit, ±10 %.
pub(crate) fn delay_ms(unit: &Unit, before: u32, dice: &mut Dice) -> u64 {
    let first = u64::from(unit.restart_delay_ms);
    let most = u64::from(unit.restart_delay_max_ms.max(unit.restart_delay_ms));
    let plain = first.saturating_mul(1_u64 << before.min(31)).min(most);
    // 90 % to 110 %, in thousandths.
    let thousandths = dice.throw().checked_rem(201).unwrap_or(100).saturating_add(900);
    (plain.saturating_mul(thousandths) / 1000).max(MIN_DELAY_MS)
}

/// How a run went, as far as the restart policy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It ended as it should.
    Success,
    /// It said itself that it failed.
    Failure,
    /// A signal or a time-out ended it.
    Abnormal,
}

/// Judges an exit. As with systemd, HUP, INT, PIPE and TERM end a daemon well, but not a oneshot.
pub(crate) fn verdict(unit: &Unit, status: ExitStatus) -> Verdict {
    let daemon = match unit.kind {
        Kind::Simple | Kind::Notify | Kind::Forking => true,
        Kind::Oneshot { .. } | Kind::Target => false,
    };
    match status {
        _ if unit.success.has(status) => Verdict::Success,
        ExitStatus::Code(0) => Verdict::Success,
        ExitStatus::Code(_) => Verdict::Failure,
        ExitStatus::Signal {
            signal: signals::HUP | signals::INT | signals::PIPE | signals::TERM,
            ..
        } if daemon => Verdict::Success,
        ExitStatus::Signal { .. } => Verdict::Abnormal,
    }
}

/// Whether policy starts the unit again after such an end.
pub(crate) fn again(restart: Restart, verdict: Verdict) -> bool {
    match (restart, verdict) {
        (Restart::Always, _)
        | (Restart::OnSuccess, Verdict::Success)
        | (Restart::OnFailure, Verdict::Failure | Verdict::Abnormal)
        | (Restart::OnAbnormal, Verdict::Abnormal) => true,
        (Restart::No, _)
        | (Restart::OnSuccess, Verdict::Failure | Verdict::Abnormal)
        | (Restart::OnFailure, Verdict::Success)
        | (Restart::OnAbnormal, Verdict::Success | Verdict::Failure) => false,
    }
}

/// The same numbers on every architecture Linux has.
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// The machine lacks something for the moment (tests/FAULTS.md 1.10): the start stays pending,
/// whatever the restart policy says.
pub(crate) fn is_temporary(fault: SpawnFault) -> bool {
    let scarce = matches!(fault.errno, EAGAIN | ENOMEM | ENFILE | EMFILE);
    match fault.step {
        Step::Fork | Step::Pipe | Step::Cgroup => true,
        Step::Table
        | Step::Tty
        | Step::Descriptors
        | Step::Limits
        | Step::Group
        | Step::User
        | Step::WorkingDirectory
        | Step::Exec
        | Step::Interpreter
        | Step::Scheduling
        | Step::Capabilities
        | Step::Directory
        | Step::Stream
        | Step::Mount
        | Step::Network
        | Step::Root => scarce,
    }
}
