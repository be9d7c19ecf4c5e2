//! Numbers of services that are gone are given to decoys at once, as often as the kernel can be
//! brought to do it: no decoy is ever signalled.

use super::Row;
use super::dice::Dice;
use super::herd::{Herd, PLACE, Plan, SERVICES};
use super::who::{Who, pause};
use crate::{Cgroups, Machine};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many decoys there are at a time.
const DECOYS: u64 = 120;

/// Process numbers end here; the kernel begins again at 300. Fifty services, their launchers and
/// the decoys leave hardly one free.
const PID_MAX: u64 = 540;

/// The longest life of a service, microseconds.
const LIFE_MAX_US: u64 = 40_000;

/// The longest pause between two requests that signal, microseconds.
const PAUSE_MAX_US: u64 = 20_000;

const BREEDER: &str = include_str!("decoys.pl");

pub(super) fn run(rounds: u64) -> Vec<Row> {
    let without = rounds / 10;
    let mut rows = reuse("", rounds - without, Cgroups::Own);
    rows.extend(reuse(" without cgroups", without, Cgroups::Missing));
    rows
}

/// What the breeder has told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    reused: u64,
    hit: u64,
}

fn reuse(how: &str, rounds: u64, cgroups: Cgroups) -> Vec<Row> {
    let seconds = 120 + rounds / 50;
    let before = format!(
        "mount -t proc proc /mnt && echo {PID_MAX} >/mnt/sys/kernel/pid_max && umount /mnt && \
         mkdir -p {PLACE}/was"
    );
    let plan = Plan { seconds, before, cgroups, others_kill: true, ..Plan::default() };
    let mut herd = Herd::boot(plan);
    herd.machine.write(&format!("{PLACE}/decoys.pl"), BREEDER.as_bytes());
    let breed = format!(
        "cd {PLACE}; setsid perl decoys.pl {PLACE} {DECOYS} >/dev/null 2>errors </dev/null &"
    );
    assert_eq!(herd.machine.sh(&breed).code, 0, "no decoys");
    let (who, over) = (Who::of(&herd.machine), AtomicBool::new(false));
    herd.doom(life);
    std::thread::scope(|scope| {
        scope.spawn(|| signal(&who, &over));
        while told(&herd).reused < rounds && herd.counts.missed == 0 {
            assert!(!herd.machine.limit().over(), "it takes too long: {:?}", told(&herd));
            herd.wait(Duration::from_millis(20));
            herd.take_in(life);
            herd.kill_due(false, u64::MAX);
        }
        over.store(true, Ordering::Relaxed);
    });
    herd.gather();
    let Told { reused, hit } = told(&herd);
    vec![
        Row::at_most(&format!("decoys signalled{how}"), reused, hit, 0),
        Row::at_most(&format!("second instances{how}"), reused, herd.counts.doubles, 0),
        Row::at_most(&format!("services missed{how}"), herd.counts.kills, herd.counts.missed, 0),
    ]
}

fn told(herd: &Herd) -> Told {
    let path = herd.machine.root().join("soak/decoys");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut numbers = text.split(' ').filter_map(|word| word.parse().ok());
    let mut number = || numbers.next().unwrap_or_default();
    Told { reused: number(), hit: number() }
}

fn life(dice: &mut Dice) -> Duration {
    Duration::from_micros(dice.below(LIFE_MAX_US))
}

/// Has PID 1 itself signal services, some of which have just gone.
fn signal(who: &Who, over: &AtomicBool) {
    let mut dice = Dice::new();
    while !over.load(Ordering::Relaxed) {
        pause(Duration::from_micros(dice.below(PAUSE_MAX_US)));
        let unit = dice.below(SERVICES as u64);
        who.ask(&match dice.below(4) {
            0 => format!(r#"{{"verb":"restart","unit":"s{unit:02}"}}"#),
            1 => format!(r#"{{"verb":"kill","unit":"s{unit:02}","signal":15}}"#),
            _ => format!(r#"{{"verb":"kill","unit":"s{unit:02}","signal":9}}"#),
        });
    }
}
