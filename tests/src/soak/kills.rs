//! kill -9 of fifty services, again and again, with the back-off off: each is back, once, and
//! process 1 grows by nothing.

use super::Row;
use super::dice::Dice;
use super::herd::{Herd, Plan, SERVICES};
use super::watch::at_rest;
use crate::Machine;
use std::time::{Duration, Instant};

/// One in so many turns kills everybody at once.
const MASSACRE: u64 = 2_000;

/// Of what is not killed at once, nobody lives longer.
const LIFE_MAX_US: u64 = 40_000;

pub(super) fn run(rounds: u64) -> Vec<Row> {
    let mut herd = Herd::boot(Plan { seconds: 120 + rounds / 100, ..Plan::default() });
    // Everything is used once before memory counts.
    kill(&mut herd, SERVICES as u64 * 10);
    herd.watch.settled();
    let open = at_rest(&herd.machine);
    kill(&mut herd, rounds);
    let counts = &herd.counts;
    let lost = (counts.kills + SERVICES as u64).abs_diff(counts.starts) + counts.missed;
    let told = herd.restarts().abs_diff(counts.kills);
    let mut rows = vec![
        Row::at_most("kills that no start followed", rounds, lost, 0),
        Row::at_most("kills that PID 1 did not count", rounds, told, 0),
        Row::at_most("second instances", rounds, counts.doubles, 0),
        Row::at_most("starts that nobody asked for", rounds, counts.unasked, 0),
        Row::at_most("zombies older than 1 s", rounds, herd.watch.old_zombies, 0),
    ];
    let grown = at_rest(&herd.machine).abs_diff(open);
    rows.push(Row::at_most("descriptors more or fewer", rounds, grown, 0));
    let moved = herd.watch.memory_moved_kib();
    rows.push(Row::at_most("memory of PID 1 moved, KiB", rounds, moved, 64));
    rows
}

/// So many kills, and everybody is back.
fn kill(herd: &mut Herd, rounds: u64) {
    let begun = Instant::now();
    let end = herd.counts.kills + rounds;
    herd.doom(life);
    while herd.counts.kills < end && herd.counts.missed == 0 {
        assert!(!herd.machine.limit().over(), "it takes too long: {:?}", herd.counts.kills);
        herd.wait(Duration::from_millis(50));
        herd.take_in(life);
        let all = herd.dice.below(MASSACRE) == 0;
        let left = end - herd.counts.kills;
        herd.kill_due(all, left);
    }
    herd.gather();
    let rate = rounds as f64 / begun.elapsed().as_secs_f64();
    eprintln!("soak: {rounds} kills, {rate:.0} a second");
}

/// Every eighth is killed as soon as it is seen.
fn life(dice: &mut Dice) -> Duration {
    let at_once = dice.below(8) == 0;
    Duration::from_micros(if at_once { 0 } else { dice.below(LIFE_MAX_US) })
}
