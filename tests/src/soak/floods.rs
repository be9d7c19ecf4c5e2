//! Requests, signals and log lines without end, all at once: a service that is killed meanwhile is
//! back all the same.

use super::Row;
use super::dice::Dice;
use super::herd::{Herd, Plan};
use super::who::{Who, pause};
use crate::{Client, Limit};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The longest life of a service, microseconds: some hundred kills a second.
const LIFE_MAX_US: u64 = 1_000_000;

/// One in so many signals is HUP, which has the units read again.
const RELOAD: u64 = 1_000;

/// Between two signals, and between two clients of one kind: it is PID 1 that is tried here, and
/// not how the kernel shares processors with us.
const BREATH: Duration = Duration::from_micros(50);

/// What PID 1 has no use for.
const USELESS: [Signal; 4] = [Signal::WINCH, Signal::PIPE, Signal::ALARM, Signal::CHILD];

/// What is asked: much, little, nothing, nonsense.
const REQUESTS: [&str; 6] = [
    r#"{"verb":"list"}"#,
    r#"{"verb":"events","recent":true}"#,
    r#"{"verb":"status","unit":"s07"}"#,
    r#"{"verb":"start","unit":"s08","wait":true}"#,
    r#"{"verb":"#,
    r#"{"verb":"is-active","unit":"nobody"}"#,
];

/// What was thrown at PID 1.
#[derive(Debug, Default)]
struct Thrown {
    requests: AtomicU64,
    signals: AtomicU64,
    over: AtomicBool,
}

pub(super) fn run(rounds: u64) -> Vec<Row> {
    let flood = "[service]\nexec-start = \"/usr/bin/soak-worker /soak 0 flood\"\n".to_owned();
    let seconds = 120 + rounds / 10;
    let mut herd = Herd::boot(Plan {
        seconds,
        chatterers: 2,
        more: vec![("flood", flood)],
        ..Plan::default()
    });
    let (who, thrown) = (Who::of(&herd.machine), Thrown::default());
    herd.doom(life);
    std::thread::scope(|scope| {
        scope.spawn(|| ask(&who, &thrown));
        scope.spawn(|| ask_and_go(&who, &thrown));
        scope.spawn(|| signal(&who, &thrown));
        while herd.counts.kills < rounds && herd.counts.missed == 0 {
            herd.wait(Duration::from_millis(20));
            herd.take_in(life);
            let left = rounds - herd.counts.kills;
            herd.kill_due(false, left);
            if herd.counts.kills >= rounds / 20 && !herd.watch.has_settled() {
                herd.watch.settled();
            }
        }
        herd.gather();
        thrown.over.store(true, Ordering::Relaxed);
    });
    let lines = herd.lines();
    let moved = herd.watch.memory_moved_kib();
    let counts = &mut herd.counts;
    vec![
        Row::p99("a killed service is back", &mut counts.delays, 100),
        Row::at_most("services missed", rounds, counts.missed, 0),
        Row::at_most("services started that nobody killed", rounds, counts.unasked, 0),
        Row::at_most("second instances", rounds, counts.doubles, 0),
        Row::at_most("lines lost or twice", lines.0, lines.1, 0),
        Row::at_most("memory of PID 1 moved, KiB", rounds, moved, 64),
        Row::note("requests meanwhile", thrown.requests.load(Ordering::Relaxed)),
        Row::note("signals meanwhile", thrown.signals.load(Ordering::Relaxed)),
    ]
}

fn life(dice: &mut Dice) -> Duration {
    Duration::from_micros(dice.below(LIFE_MAX_US))
}

/// One client after the other asks and reads all of the answer that is there.
fn ask(who: &Who, thrown: &Thrown) {
    let mut dice = Dice::new();
    while !thrown.over.load(Ordering::Relaxed) {
        throw(who, &mut dice, thrown, |client| {
            let _ = client.receive(Limit::moment());
            while let Ok(Some(_)) = client.receive_now() {}
        });
    }
}

/// Clients that ask and go without reading, some after a while.
fn ask_and_go(who: &Who, thrown: &Thrown) {
    let (mut dice, mut kept) = (Dice::new(), Vec::new());
    while !thrown.over.load(Ordering::Relaxed) {
        throw(who, &mut dice, thrown, |client| kept.push(client));
        if kept.len() > 40 {
            kept.clear();
        }
    }
}

fn throw(who: &Who, dice: &mut Dice, thrown: &Thrown, then: impl FnOnce(Client)) {
    pause(BREATH);
    // EAGAIN: too many wait already to be let in.
    let Ok(client) = Client::connect(&who.socket) else { return };
    let nth = usize::try_from(dice.below(REQUESTS.len() as u64)).unwrap_or(0);
    let request = REQUESTS.get(nth).copied().unwrap_or_default();
    if client.send(request.as_bytes()).is_ok() {
        thrown.requests.fetch_add(1, Ordering::Relaxed);
    }
    then(client);
}

fn signal(who: &Who, thrown: &Thrown) {
    let mut dice = Dice::new();
    while !thrown.over.load(Ordering::Relaxed) {
        pause(BREATH);
        let nth = usize::try_from(dice.below(USELESS.len() as u64)).unwrap_or(0);
        let useless = USELESS.get(nth).copied().unwrap_or(Signal::WINCH);
        who.signal(if dice.below(RELOAD) == 0 { Signal::HUP } else { useless });
        thrown.signals.fetch_add(1, Ordering::Relaxed);
    }
}
