//! How a fake program behaves, and the dice.

use ettan_core::{ExitStatus, SpawnFault};

/// SplitMix64, as in many a test; not the supervisor's own.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// From 0 to `end`, not included.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).expect("small")]
    }
}

pub const CLEAN: ExitStatus = ExitStatus::Code(0);
pub const ERROR: ExitStatus = ExitStatus::Code(1);
pub const KILLED: ExitStatus = ExitStatus::Signal { signal: 9, core: false };
pub const TERMED: ExitStatus = ExitStatus::Signal { signal: 15, core: false };

/// What a forking unit's daemon does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Main {
    /// Is found this long after the launcher began.
    After(u64),
    /// Writes no PID file, but lives.
    Silent,
    /// Dies before it can be found, this long after the launcher began.
    Dies(u64, ExitStatus),
}

/// One start of a program.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// exec does not even succeed.
    pub fault: Option<SpawnFault>,
    /// It is prepared for this long first; a fault then shows only at the end of that.
    pub prepares_ms: Option<u64>,
    /// It ends by itself after this time.
    pub runs_ms: Option<u64>,
    /// How it then ends.
    pub ends: ExitStatus,
    /// From TERM to its end; None ignores TERM.
    pub term_ms: Option<u64>,
    /// From KILL to its end (state D).
    pub kill_ms: u64,
    /// Children that ignore TERM and stay behind.
    pub leftovers: u32,
    /// A forking unit's launcher needs this long, and ends so.
    pub launcher: (u64, ExitStatus),
    /// A forking unit's daemon.
    pub main: Main,
    /// From its main process to being ready; None is never.
    pub ready_ms: Option<u64>,
}

impl Script {
    /// Runs for ever, ends at TERM.
    pub const GOOD: Self = Self {
        fault: None,
        prepares_ms: None,
        runs_ms: None,
        ends: ERROR,
        term_ms: Some(5),
        kill_ms: 1,
        leftovers: 0,
        launcher: (20, CLEAN),
        main: Main::After(10),
        ready_ms: Some(30),
    };

    pub fn runs(ms: u64, ends: ExitStatus) -> Self {
        Self { runs_ms: Some(ms), ends, ..Self::GOOD }
    }

    /// As `GOOD`, after such a preparation.
    pub fn prepares(ms: u64) -> Self {
        Self { prepares_ms: Some(ms), ..Self::GOOD }
    }

    pub fn fault(step: ettan_core::Step, errno: i32) -> Self {
        Self { fault: Some(SpawnFault { step, errno }), ..Self::GOOD }
    }

    /// Anything that can happen, mostly good. `oneshot` ends by itself.
    pub fn random(rng: &mut Rng, ends_alone: bool) -> Self {
        use ettan_core::Step;
        let statuses = [CLEAN, ERROR, KILLED, TERMED, ExitStatus::Code(203)];
        let mut script = Self { term_ms: Some(rng.between(1, 400)), ..Self::GOOD };
        script.ends = rng.pick(&statuses);
        if ends_alone {
            script.runs_ms = Some(rng.between(1, 3_000));
            script.ends = if rng.chance(80) { CLEAN } else { script.ends };
        } else if rng.chance(60) {
            let long = rng.pick(&[5, 90, 800, 1_500, 20_000, 70_000, 3_600_000]);
            script.runs_ms = Some(rng.between(1, long));
        }
        if rng.chance(6) {
            let step = rng.pick(&[Step::Fork, Step::Pipe, Step::Cgroup, Step::Exec, Step::User]);
            script.fault = Some(SpawnFault { step, errno: rng.pick(&[11, 12, 2, 24, 13]) });
        }
        if rng.chance(15) {
            script.prepares_ms = Some(rng.between(0, 900));
        }
        if rng.chance(10) {
            script.term_ms = None;
        }
        if rng.chance(4) {
            script.kill_ms = rng.between(100, 60_000);
        }
        if rng.chance(10) {
            script.leftovers = 2;
        }
        script.launcher = (rng.between(1, 300), if rng.chance(90) { CLEAN } else { ERROR });
        script.main = match rng.below(10) {
            0 => Main::Silent,
            1 => Main::Dies(rng.between(1, 400), rng.pick(&statuses)),
            _ => Main::After(rng.between(1, 500)),
        };
        script.ready_ms = match rng.below(10) {
            0 => None,
            _ => Some(rng.between(0, 3_000)),
        };
        script
    }
}
