//! `make soak`: runs the parts that are asked for, or all, shows the table and keeps it in
//! `soak.txt` in the target directory. `soak [PART [ROUNDS]]…`
#![forbid(unsafe_code)]

use ettan_tests::binaries::target;
use ettan_tests::soak::{PARTS, Part, Table, run};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let asked = match asked(&words) {
        Ok(asked) => asked,
        Err(word) => {
            let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
            eprintln!("soak: {word}: no such part; there are {}", names.join(", "));
            return ExitCode::from(2);
        }
    };
    let begun = Instant::now();
    let table = Table::kept_in(target().join("soak.txt"));
    let reached = run(&asked, &table);
    let word = if reached { "every aim was reached" } else { "NOT every aim was reached" };
    table.show(&format!("{word}; {:.1} min\n", begun.elapsed().as_secs_f64() / 60.0));
    if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The parts in the order asked for, each with its rounds.
fn asked(words: &[String]) -> Result<Vec<(&'static Part, u64)>, String> {
    let mut asked: Vec<(&'static Part, u64)> = Vec::new();
    for word in words {
        if let Ok(rounds) = word.parse() {
            asked.last_mut().ok_or_else(|| word.clone())?.1 = rounds;
        } else {
            let part = PARTS.iter().find(|part| part.name == word).ok_or_else(|| word.clone())?;
            asked.push((part, part.rounds));
        }
    }
    if asked.is_empty() {
        asked = PARTS.iter().map(|part| (part, part.rounds)).collect();
    }
    Ok(asked)
}
