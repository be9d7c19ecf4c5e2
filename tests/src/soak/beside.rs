//! What only computes: simulated hours of the core, and hostile inputs for each reader of bytes
//! from outside. Programs of their own, run with the lowest priority; their words go to a file each.

use super::Row;
use crate::binaries::{target, workspace};
use std::fs::{self, File};
use std::process::{Command, Stdio};

pub(super) fn hours(rounds: u64) -> Vec<Row> {
    let broken = run("hours", "ETTAN_SIM_HOURS", rounds, &["test", "-p", "ettan-core"]);
    vec![Row::at_most("simulated hours of faults: tests that failed", rounds, broken, 0)]
}

pub(super) fn inputs(rounds: u64) -> Vec<Row> {
    let words = ["run", "-q", "-p", "ettan-hostile"];
    let broken = run("inputs", "ETTAN_FUZZ_ROUNDS", rounds, &words);
    vec![Row::at_most("hostile inputs for each reader: readers that failed", rounds, broken, 0)]
}

/// Has cargo do it; 1 when it failed.
fn run(name: &str, variable: &str, rounds: u64, words: &[&str]) -> u64 {
    let path = target().join(format!("soak-{name}.txt"));
    let words_of_it = File::create(&path).expect("a file for what it says");
    let also = words_of_it.try_clone().expect("a file has two names");
    let status = Command::new("nice")
        .args(["-n", "19", "cargo"])
        .args(words)
        .args(["--locked", "--profile", "soak"])
        .current_dir(workspace())
        .env(variable, rounds.to_string())
        .stdin(Stdio::null())
        .stdout(words_of_it)
        .stderr(also)
        .status()
        .expect("nice(1) is there");
    if !status.success() {
        eprintln!("soak: {name}: {status}\n{}", fs::read_to_string(&path).unwrap_or_default());
    }
    u64::from(!status.success())
}
