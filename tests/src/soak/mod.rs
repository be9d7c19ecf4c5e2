//! The soak: what must hold a million times. Each part is a function of its rounds, so that
//! `make soak` runs the whole and the tests one hundredth of it. docs/soak.md says what the
//! figures mean.

mod beside;
mod calls;
mod channel;
mod cuts;
mod dice;
mod faults;
mod floods;
mod gaps;
mod herd;
mod kills;
mod lines;
mod reuse;
mod segments;
mod table;
mod watch;
mod who;
mod words;

pub use table::{Row, Table};

use crate::limit::slowness;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// A part of the soak: its name on the command line, its rounds, and what it does with them.
pub struct Part {
    /// What `tests/run soak NAME` asks for.
    pub name: &'static str,
    /// The whole of it.
    pub rounds: u64,
    /// What it can share the machine with.
    pub company: Company,
    /// Runs it.
    pub run: fn(u64) -> Vec<Row>,
}

/// What a part can share the machine with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// It computes, and yields to everything else: runs beside the parts that count.
    Computes,
    /// It waits more than it does, for what must heal: runs beside others too.
    Waits,
    /// It counts what must not happen, whatever else the machine does.
    Counts,
    /// It measures times: alone.
    Measures,
}

/// Every part, in the order of the table.
pub const PARTS: [Part; 10] = [
    part("hours", 6_000, Company::Computes, beside::hours),
    part("inputs", 10_000_000, Company::Computes, beside::inputs),
    part("kills", 1_000_000, Company::Counts, kills::run),
    part("reuse", 1_000_000, Company::Counts, reuse::run),
    part("words", 100_000, Company::Counts, words::run),
    part("calls", 3_000, Company::Waits, calls::run),
    part("cuts", 100, Company::Waits, cuts::run),
    part("crashes", 1_000, Company::Measures, faults::crashes),
    part("upgrades", 1_000, Company::Measures, faults::upgrades),
    part("floods", 10_000, Company::Measures, floods::run),
];

const fn part(name: &'static str, rounds: u64, company: Company, run: fn(u64) -> Vec<Row>) -> Part {
    Part { name, rounds, company, run }
}

/// Runs these parts, those that only compute or wait beside those that count, and says whether all
/// was reached. A part that cannot be brought to its end is one that was not, and the others follow.
pub fn run(parts: &[(&Part, u64)], table: &Table) -> bool {
    let of = |company| parts.iter().filter(move |(part, _)| part.company == company);
    let all = |company| {
        of(company).fold(true, |all, (part, rounds)| {
            table.add(part.name, || attempt(part, *rounds)) && all
        })
    };
    let side_by_side = std::thread::scope(|scope| {
        let beside =
            [Company::Computes, Company::Waits].map(|company| scope.spawn(move || all(company)));
        let counted = all(Company::Counts);
        let ended = beside.map(|lane| lane.join().expect("a part that fails is a row"));
        counted && ended == [true, true]
    });
    all(Company::Measures) && side_by_side
}

/// A part's rows; one that says so where it ended too soon.
fn attempt(part: &Part, rounds: u64) -> Vec<Row> {
    catch_unwind(AssertUnwindSafe(|| (part.run)(rounds)))
        .unwrap_or_else(|_| vec![Row::at_most("ended before its time: see above", rounds, 1, 0)])
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
    let reached = Table::default().add(name, || (part.run)(part.rounds / 100));
    assert!(reached, "an aim of {name} is not reached; see the table");
}
