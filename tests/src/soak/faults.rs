//! Faults of process 1, and its replacement, at random moments while services are killed: nobody
//! else notices.

use super::Row;
use super::dice::Dice;
use super::gaps::Pings;
use super::herd::{Herd, Plan};
use super::watch::at_rest;
use super::who::{Who, pause};
use rustix::process::Signal;
use std::time::Duration;

/// Services that write lines.
const CHATTERERS: usize = 4;

/// The longest life of a service, microseconds: some two hundred kills a second.
const LIFE_MAX_US: u64 = 500_000;

/// The longest pause between two faults, microseconds.
const PAUSE_MAX_US: u64 = 40_000;

/// The most actions that PID 1 still performs before it fails.
const ACTIONS_MAX: u64 = 40;

/// One in so many faults is followed by another before the next execution can have settled.
const DOUBLE: u64 = 4;

/// Signals that processors send. From outside they come between any two instructions.
const SIGNALS: [Signal; 5] = [Signal::SEGV, Signal::BUS, Signal::ILL, Signal::FPE, Signal::ABORT];

/// Ways to fail that are asked for.
const KINDS: [&str; 3] = ["panic", "segv", "overflow"];

pub(super) fn crashes(rounds: u64) -> Vec<Row> {
    under_load("faults", rounds, |target, dice| {
        let gap = target.pings.gap(|| fault(&target.who, dice));
        // Not heard where a second fault came late.
        while target.who.ask(r#"{"verb":"fail","kind":"forget"}"#)["reply"] != "accepted" {}
        gap
    })
}

pub(super) fn upgrades(rounds: u64) -> Vec<Row> {
    under_load("new executions", rounds, |target, dice| {
        let by_signal = dice.below(2) == 0;
        target.pings.gap(|| match by_signal {
            true => target.who.signal(Signal::QUIT),
            false => drop(target.who.ask(r#"{"verb":"reexec"}"#)),
        })
    })
}

/// Who is struck.
struct Target {
    who: Who,
    pings: Pings,
}

/// One of eight ways to fail, and perhaps another soon after.
fn fault(who: &Who, dice: &mut Dice) {
    let nth = usize::try_from(dice.below(8)).unwrap_or(0);
    match (SIGNALS.get(nth), KINDS.get(nth.wrapping_sub(SIGNALS.len()))) {
        (Some(signal), _) => who.signal(*signal),
        (None, Some(kind)) => {
            let after = dice.below(ACTIONS_MAX);
            who.ask(&format!(r#"{{"verb":"fail","kind":"{kind}","after":{after}}}"#));
        }
        (None, None) => unreachable!("eight ways"),
    }
    if dice.below(DOUBLE) == 0 {
        pause(Duration::from_micros(dice.below(10_000)));
        // Where the new execution is not ready for it yet, the kernel drops it.
        who.signal(Signal::SEGV);
    }
}

/// Strikes so often while services are killed and lines are written.
fn under_load(
    what: &str,
    rounds: u64,
    strike: impl Fn(&mut Target, &mut Dice) -> Duration + Send,
) -> Vec<Row> {
    let mut herd =
        Herd::boot(Plan { seconds: 120 + rounds, chatterers: CHATTERERS, ..Plan::default() });
    let who = Who::of(&herd.machine);
    let pings = Pings::new(herd.machine.socket());
    let (mut target, mut dice) = (Target { who, pings }, Dice::new());
    let open = at_rest(&herd.machine);
    herd.doom(life);
    let mut gaps = std::thread::scope(|scope| {
        let striker = scope.spawn(move || {
            let strike_once = |_| {
                pause(Duration::from_micros(dice.below(PAUSE_MAX_US)));
                strike(&mut target, &mut dice)
            };
            (0..rounds).map(strike_once).collect::<Vec<Duration>>()
        });
        while !striker.is_finished() {
            herd.wait(Duration::from_millis(20));
            herd.take_in(life);
            herd.kill_due(false, u64::MAX);
        }
        striker.join().expect("every strike is survived")
    });
    herd.gather();
    let grown = at_rest(&herd.machine).abs_diff(open);
    let (lines, lost) = herd.lines();
    let counts = &herd.counts;
    let starts = SERVICES_AND_CHATTERERS.abs_diff(counts.starts - counts.kills);
    vec![
        Row::at_most("services started that nobody killed", rounds, counts.unasked, 0),
        Row::at_most("kills that no start followed", counts.kills, counts.missed + starts, 0),
        Row::at_most("second instances", counts.kills, counts.doubles, 0),
        Row::at_most("lines lost or twice", lines, lost, 0),
        Row::at_most("zombies older than 1 s", rounds, herd.watch.old_zombies, 0),
        Row::at_most("descriptors more or fewer", rounds, grown, 0),
        Row::p99(&format!("no answer around {what}"), &mut gaps, 50),
    ]
}

const SERVICES_AND_CHATTERERS: u64 = (super::herd::SERVICES + CHATTERERS) as u64;

fn life(dice: &mut Dice) -> Duration {
    Duration::from_micros(dice.below(LIFE_MAX_US))
}
