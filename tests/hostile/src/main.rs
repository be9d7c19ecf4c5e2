//! Tries all targets, or those named, and prints a table: `tests/run fuzz`. Rounds and seed come
//! from `ETTAN_FUZZ_ROUNDS` and `ETTAN_SEED`. `--examples DIR` writes the examples instead, a
//! directory for each target, as libFuzzer wants them.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ettan_hostile::{Figures, Plan, TARGETS, Target, examples_of, run};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [option, directory] = words.as_slice()
        && option == "--examples"
    {
        return write_examples(Path::new(directory)).expect("a directory to write to");
    }
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| words.is_empty() || words.iter().any(|word| word == target.name))
        .collect();
    assert!(!chosen.is_empty(), "which? {}", names());
    let plan = Plan::of_environment();
    println!("seed {}, {} rounds each", plan.seed, plan.rounds);
    println!(
        "{:<16} {:>11} {:>9} {:>9} {:>9} {:>11}",
        "target", "inputs", "accepted", "cpu s", "us each", "slowest us"
    );
    let all = run_all(&chosen, plan);
    let inputs: u64 = all.iter().map(|figures| figures.rounds).sum();
    let seconds: f64 = all.iter().map(|figures| figures.took.as_secs_f64()).sum();
    println!("{:<16} {inputs:>11} {:>9} {seconds:>9.1}", "all", "");
}

fn names() -> String {
    TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(" ")
}

/// One thread for each processor; each takes the next target that nobody has.
fn run_all(targets: &[&Target], plan: Plan) -> Vec<Figures> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let figures = run(target, plan);
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    print(target, &figures);
                    all.push(figures);
                }
            });
        }
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn print(target: &Target, figures: &Figures) {
    let inputs = figures.rounds.max(1) as f64;
    println!(
        "{:<16} {:>11} {:>8.1}% {:>9.1} {:>9.2} {:>11}",
        target.name,
        figures.rounds,
        figures.accepted as f64 * 100.0 / inputs,
        figures.took.as_secs_f64(),
        figures.took.as_secs_f64() * 1e6 / inputs,
        figures.slowest.as_micros()
    );
}

fn write_examples(top: &Path) -> std::io::Result<()> {
    for target in TARGETS {
        let directory = top.join(target.name);
        std::fs::create_dir_all(&directory)?;
        for (number, example) in examples_of(target.name).iter().enumerate() {
            std::fs::write(directory.join(format!("example-{number:03}")), example)?;
        }
    }
    Ok(())
}
