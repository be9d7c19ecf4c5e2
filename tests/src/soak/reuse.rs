//! Numbers of processes of services that are gone are given to decoys at once, as often as there
//! are such numbers: no decoy is ever signalled.

use super::Row;
use super::dice::Dice;
use super::herd::{Herd, PLACE, Plan, SERVICES};
use super::who::{Who, pause};
use crate::binaries::{Program, look};
use crate::{Cgroups, Machine, Namespace, Operate};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A way of it.
struct Way {
    /// What the rows say of it.
    how: &'static str,
    cgroups: Cgroups,
    rounds: u64,
    /// How many decoys there are at a time: each keeps its number for as long as it takes to breed
    /// so many others.
    decoys: u64,
    /// The longest life of a service, microseconds.
    life_max_us: u64,
}

/// Process numbers end here, where the kernel has that for each namespace; it begins again at 300.
/// So the numbers of decoys are soon those of services again.
const PID_MAX: u64 = 2_000;

/// Between two looks at what the breeder tells.
const ASK: Duration = Duration::from_millis(50);

/// The longest pause between two requests that signal, microseconds.
const PAUSE_MAX_US: u64 = 20_000;

pub(super) fn run(rounds: u64) -> Vec<Row> {
    let without = rounds / 10;
    let with = Way {
        how: "",
        cgroups: Cgroups::Own,
        rounds: rounds - without,
        decoys: 300,
        life_max_us: 80_000,
    };
    // PID 1 looks at every process there is, for each end.
    let without = Way {
        how: " without cgroups",
        cgroups: Cgroups::Missing,
        rounds: without,
        decoys: 40,
        life_max_us: 1_000_000,
    };
    let mut rows = reuse(&with);
    rows.extend(reuse(&without));
    rows
}

/// What the breeder has told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    reused: u64,
    hit: u64,
    is_over: bool,
}

fn reuse(way: &Way) -> Vec<Row> {
    let Way { how, cgroups, rounds, decoys, life_max_us } = *way;
    let life = |dice: &mut Dice| Duration::from_micros(dice.below(life_max_us));
    let seconds = 120 + rounds / 50;
    let before = format!(
        "mount -t proc proc /mnt && {{ echo {PID_MAX} >/mnt/sys/kernel/pid_max || true; }} && \
         umount /mnt"
    );
    let plan = Plan { seconds, before, cgroups, others_kill: true, ..Plan::default() };
    let mut herd = Herd::boot(plan);
    breed(&mut herd, decoys);
    let mut asked = Instant::now();
    let (who, over) = (Who::of(&herd.machine), AtomicBool::new(false));
    herd.doom(life);
    std::thread::scope(|scope| {
        scope.spawn(|| signal(&who, &over));
        while herd.counts.missed == 0 {
            if asked.elapsed() > ASK {
                asked = Instant::now();
                let (told, errors) = (told(&herd.machine), errors(&herd.machine));
                if told.reused >= rounds {
                    break;
                }
                assert!(!herd.machine.limit().over(), "it takes too long: {told:?}, {errors}");
            }
            herd.wait(Duration::from_millis(20));
            herd.take_in(life);
            herd.kill_due(false, u64::MAX);
        }
        over.store(true, Ordering::Relaxed);
    });
    herd.gather();
    herd.machine.write(&format!("{PLACE}/over"), b"");
    herd.machine.until("the breeder has counted", |machine| told(machine).is_over);
    let Told { reused, hit, .. } = told(&herd.machine);
    vec![
        Row::at_most(&format!("decoys signalled{how}"), reused, hit, 0),
        Row::at_most(&format!("second instances{how}"), reused, herd.counts.doubles, 0),
        Row::at_most(&format!("services missed{how}"), herd.counts.kills, herd.counts.missed, 0),
        Row::at_most(&format!("zombies older than 1 s{how}"), reused, herd.watch.old_zombies, 0),
    ]
}

/// Starts the breeder, outside of everything that Ettan knows.
fn breed(herd: &mut Herd, decoys: u64) {
    let program = look(Program::Decoys).expect("decoys are not built: tests/run soak does it");
    let program = std::fs::read(program).expect("the breeder can be read");
    herd.machine.write(&format!("{PLACE}/breeder"), &program);
    herd.machine.write(&format!("{PLACE}/numbers"), b"");
    let start = format!(
        "cd {PLACE}; chmod 755 breeder; \
         setsid ./breeder {PLACE} {decoys} >/dev/null 2>errors </dev/null &"
    );
    assert_eq!(herd.machine.sh(&start).code, 0, "no decoys");
}

fn told(machine: &Namespace) -> Told {
    let text = read(machine, "decoys");
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    let mut number = || numbers.next().unwrap_or_default();
    Told { reused: number(), hit: number(), is_over: number() == 1 }
}

/// What the breeder had to say besides.
fn errors(machine: &Namespace) -> String {
    read(machine, "errors")
}

fn read(machine: &Namespace, name: &str) -> String {
    std::fs::read_to_string(machine.root().join("soak").join(name)).unwrap_or_default()
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
