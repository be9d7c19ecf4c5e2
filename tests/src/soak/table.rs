//! The soak's table: one row for each thing that was counted or measured, shown as soon as its
//! part is over, and kept in a file.

use super::patience;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// All rows so far.
#[derive(Debug, Default)]
pub struct Table {
    /// Where it is kept besides; None: only shown.
    file: Option<PathBuf>,
    text: Mutex<String>,
}

impl Table {
    /// One that is kept in `file`, with its title.
    #[must_use]
    pub fn kept_in(file: PathBuf) -> Self {
        let table = Self { file: Some(file), text: Mutex::default() };
        table.show(&line(["part", "what", "rounds", "figure", "aim", "reached"]));
        table
    }

    /// Adds what a part comes to, and how long it took. Says whether all was reached.
    pub fn add(&self, part: &str, run: impl FnOnce() -> Vec<Row>) -> bool {
        let begun = Instant::now();
        let rows = run();
        self.show(&lines(part, &rows, begun.elapsed()));
        rows.iter().all(|row| row.reached)
    }

    /// Adds a last word.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn show(&self, lines: &str) {
        print!("{lines}");
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(lines);
        if let Some(file) = &self.file {
            fs::write(file, text.as_bytes()).expect("the table can be kept");
        }
    }
}

fn lines(part: &str, rows: &[Row], took: Duration) -> String {
    let mut text = String::new();
    for row in rows {
        let reached = if row.reached { "yes" } else { "NO" };
        let rounds = row.rounds.to_string();
        text += &line([part, &row.what, &rounds, &row.figure, &row.aim, reached]);
    }
    let _ = writeln!(text, "{part:<9} took {:.0} s", took.as_secs_f64());
    text
}

fn line([part, what, rounds, figure, aim, reached]: [&str; 6]) -> String {
    format!("{part:<9} {what:<58} {rounds:>9} {figure:>18} {aim:>9} {reached:>8}\n")
}
