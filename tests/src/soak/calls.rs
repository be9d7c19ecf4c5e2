//! The first system call of process 1 fails, the second, and so on, each in every way, while
//! services are killed: afterwards all is as it was. Then every call of a kind fails for a while.

use super::Row;
use crate::inject::EINTR;
use crate::ordeal::{Damage, ERRNOS, Ordeal, Work};
use std::cell::Cell;

pub(super) fn run(rounds: u64) -> Vec<Row> {
    let mut ordeal = Ordeal::begin(120 + rounds);
    let done = Cell::new(0);
    let mut damages = Vec::new();
    for from in 0..ERRNOS.len() {
        let count = |_: &u64| done.set(done.get() + 1);
        let calls = (1..).take_while(|_| done.get() < rounds).inspect(count);
        damages.extend(ordeal.each_call(calls, from, Work::Services));
    }
    let mut rows = vec![row("calls that failed once and did damage", done.get(), &damages)];
    let ways = usize::try_from(rounds / 300).unwrap_or(0).clamp(1, ERRNOS.len());
    // For ever interrupted is none of them.
    let for_a_while = ERRNOS.into_iter().filter(|errno| *errno != EINTR).take(ways);
    let damages = ordeal.each_kind(for_a_while);
    rows.push(row("ways of all calls of a kind that did damage", ways as u64, &damages));
    rows
}

/// A dead process 1 would have ended the part.
fn row(what: &str, rounds: u64, damages: &[Damage]) -> Row {
    for damage in damages {
        eprintln!("soak: {damage:?}");
    }
    Row::at_most(what, rounds, damages.len() as u64, 0)
}
