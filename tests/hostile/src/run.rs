//! One target, many inputs from a seed: counts, times, and says how to get a failure again.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::{Dice, Target, examples_of, mutate};

/// Rounds of each target in `make test`.
const ROUNDS: u64 = 100_000;

/// No input may keep a reader this long. The slowest takes a few milliseconds; the rest is for a
/// machine that does other things.
const TOO_SLOW: Duration = Duration::from_secs(2);

/// How often to try, from where.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The seed of the first round; each round's is one more.
    pub seed: u64,
    /// How many rounds.
    pub rounds: u64,
}

impl Plan {
    /// As `ETTAN_SEED` and `ETTAN_FUZZ_ROUNDS` say; else a new seed and 100,000 rounds.
    ///
    /// # Panics
    /// When they are no numbers.
    #[must_use]
    pub fn of_environment() -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
        };
        let seed = number("ETTAN_SEED").unwrap_or_else(fresh);
        Self { seed, rounds: number("ETTAN_FUZZ_ROUNDS").unwrap_or(ROUNDS) }
    }
}

/// Another one each time, short enough to be typed.
fn fresh() -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    Dice::new(now.as_nanos() as u64).roll() >> 32
}

/// What a run was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Inputs tried.
    pub rounds: u64,
    /// How many of them were taken for good.
    pub accepted: u64,
    /// The processor's time for all of them together.
    pub took: Duration,
    /// The slowest of them.
    pub slowest: Duration,
}

/// Tries all examples, then as many changed ones as planned.
///
/// # Panics
/// When an assertion of the target fails; what failed, and how to get there again, is on stderr.
#[must_use]
pub fn run(target: &Target, plan: Plan) -> Figures {
    let examples = examples_of(target.name);
    assert!(!examples.is_empty(), "{} has no example", target.name);
    let mut figures = Figures::default();
    for example in &examples {
        attempt(target, example, "an example", &mut figures);
    }
    let begun = cpu_time();
    for round in 0..plan.rounds {
        let seed = plan.seed.wrapping_add(round);
        let bytes = mutate(&examples, target.words, &mut Dice::new(seed));
        attempt(target, &bytes, seed, &mut figures);
    }
    figures.took = cpu_time().saturating_sub(begun);
    figures
}

/// This thread's, so that what else the machine does counts little.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn attempt(target: &Target, bytes: &[u8], seed: impl std::fmt::Display, figures: &mut Figures) {
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(bytes)));
    let took = begun.elapsed();
    let accepted = outcome.unwrap_or_else(|panic| {
        let name = target.name;
        eprintln!(
            "{name} failed, seed {seed}: \"{}\"\nagain: ETTAN_SEED={seed} ETTAN_FUZZ_ROUNDS=1 \
             cargo test -p ettan-hostile --test seeded -- {name}",
            bytes.escape_ascii()
        );
        resume_unwind(panic)
    });
    assert!(took < TOO_SLOW, "{}: {took:?} for seed {seed}", target.name);
    figures.rounds += 1;
    figures.accepted += u64::from(accepted);
    figures.slowest = figures.slowest.max(took);
}
