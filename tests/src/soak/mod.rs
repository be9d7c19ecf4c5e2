//! The soak: what must hold a million times. Each part is a function of its rounds, so that
//! `make soak` runs the whole and the tests one hundredth of it. docs/soak.md says what the
//! figures mean.

mod calls;
mod channel;
mod dice;
mod faults;
mod floods;
mod gaps;
mod herd;
mod kills;
mod lines;
mod reuse;
mod watch;
mod who;

use crate::limit::slowness;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A part of the soak: its name on the command line, its rounds, and what it does with them.
pub struct Part {
    /// What `tests/run soak NAME` asks for.
    pub name: &'static str,
    /// The whole of it.
    pub rounds: u64,
    /// Runs it.
    pub run: fn(u64) -> Vec<Row>,
}

/// Every part, in the order of the table.
pub const PARTS: [Part; 6] = [
    Part { name: "kills", rounds: 1_000_000, run: kills::run },
    Part { name: "reuse", rounds: 1_000_000, run: reuse::run },
    Part { name: "crashes", rounds: 1_000, run: faults::crashes },
    Part { name: "upgrades", rounds: 1_000, run: faults::upgrades },
    Part { name: "calls", rounds: 3_000, run: calls::run },
    Part { name: "floods", rounds: 10_000, run: floods::run },
];

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was counted or measured.
    pub what: String,
    /// How often there was occasion for it.
    pub rounds: u64,
    /// What came out.
    pub figure: String,
    /// What should.
    pub aim: String,
    /// Whether it did.
    pub reached: bool,
}

impl Row {
    /// A count that may not be above `most`.
    pub(crate) fn at_most(what: &str, rounds: u64, count: u64, most: u64) -> Self {
        let aim = if most == 0 { "0".to_owned() } else { format!("≤ {most}") };
        let (what, figure) = (what.to_owned(), count.to_string());
        Self { what, rounds, figure, aim, reached: count <= most }
    }

    /// What is told and has no aim.
    pub(crate) fn note(what: &str, count: u64) -> Self {
        let figure = count.to_string();
        Self { what: what.to_owned(), rounds: 1, figure, aim: String::new(), reached: true }
    }

    /// The 99th percentile of times, which may not be above `most_ms`.
    pub(crate) fn p99(what: &str, times: &mut [Duration], most_ms: u64) -> Self {
        times.sort_unstable();
        let at = |of_hundred: usize| times.get((times.len() * of_hundred).div_ceil(100).max(1) - 1);
        let ms = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
        let (p99, most) = (ms(at(99)), ms(at(100)));
        let figure = format!("{:.1} {p99:.1} {most:.1}", ms(at(50)));
        let (what, aim) = (format!("{what}, ms: median, p99, most"), format!("p99 ≤ {most_ms}"));
        let reached = p99 <= most_ms as f64 * patience();
        Self { what, rounds: times.len() as u64, figure, aim, reached }
    }
}

/// Runs a part, prints its lines of the table, and says whether all was reached.
///
/// # Panics
/// When the part cannot be brought to its end.
pub fn run(part: &Part, rounds: u64) -> bool {
    let begun = Instant::now();
    let rows = (part.run)(rounds);
    print!("{}", table(part.name, &rows, begun.elapsed()));
    rows.iter().all(|row| row.reached)
}

/// A sample runs among other tests.
static SAMPLES: AtomicBool = AtomicBool::new(false);

/// How many times longer things may take than the aim says.
fn patience() -> f64 {
    if SAMPLES.load(Ordering::Relaxed) { 10.0 * slowness() } else { 1.0 }
}

/// One hundredth of a part, as the tests want it: fails when an aim is not reached, of times ten
/// times the aim.
///
/// # Panics
/// When the part is not there, or an aim not reached.
pub fn sample(name: &str) {
    let part = PARTS.iter().find(|part| part.name == name).expect("a part of the soak");
    SAMPLES.store(true, Ordering::Relaxed);
    assert!(run(part, part.rounds / 100), "an aim of {name} is not reached; see the table");
}

/// The title of the table.
#[must_use]
pub fn title() -> String {
    line(["part", "what", "rounds", "figure", "aim", "reached"])
}

fn table(part: &str, rows: &[Row], took: Duration) -> String {
    let mut text = String::new();
    for row in rows {
        let reached = if row.reached { "yes" } else { "NO" };
        let rounds = row.rounds.to_string();
        text += &line([part, &row.what, &rounds, &row.figure, &row.aim, reached]);
    }
    let _ = writeln!(text, "{part}: {:.0} s", took.as_secs_f64());
    text
}

fn line([part, what, rounds, figure, aim, reached]: [&str; 6]) -> String {
    format!("{part:<9} {what:<58} {rounds:>9} {figure:>18} {aim:>9} {reached:>8}\n")
}
