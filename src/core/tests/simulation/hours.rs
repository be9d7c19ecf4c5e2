//! Hours and years of a machine on which everything goes wrong, from a seed.
//!
//! ETTAN_SIM_HOURS: how many simulated hours (200 if not said; `make soak` asks for 6,000).
//! ETTAN_SEED: only the world of this seed, with its whole trace on standard output.

use crate::world::script::Rng;
use crate::world::{Fleet, World, simple};
use ettan_core::{Ask, Event, Haste, Phase, Power};

const HOUR_MS: u64 = 3_600_000;
/// One world lives this long before its shutdown.
const LIFE_MS: u64 = 5 * HOUR_MS;

fn hours() -> u64 {
    std::env::var("ETTAN_SIM_HOURS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// A life from boot to power-off. Returns events, starts and the hash of the trace.
fn live(seed: u64, span_ms: u64, told: bool) -> (u64, u64, u64) {
    let mut world = World::new(seed);
    world.chaos = true;
    world.instant = seed.is_multiple_of(2);
    world.told = told;
    let mut dice = Rng(seed ^ 0x5eed);
    let log = world.supervisor.builtin(simple("ettan-log").unit);
    assert!(log.is_some());
    world.always("ettan-log", crate::world::Script::runs(40_000, crate::world::script::ERROR));
    let count = dice.between(1, 24);
    world.load(Fleet::random(&mut dice, count));
    let end = world.now + span_ms;
    while world.now < end {
        world.run_ms(span(&mut dice));
        meddle(&mut world, &mut dice);
    }
    end_of_the_world(&mut world, &mut dice);
    (world.events, world.spawns.values().sum(), world.trace_hash())
}

/// Quiet times and busy ones.
fn span(dice: &mut Rng) -> u64 {
    let most = dice.pick(&[1, 20, 300, 1_000, 5_000, 60_000, 60_000, 300_000]);
    dice.below(most)
}

/// An operator, a watcher or bad luck does something.
fn meddle(world: &mut World, dice: &mut Rng) {
    let units: Vec<_> = world.supervisor.units().collect();
    let Some(unit) = (!units.is_empty()).then(|| dice.pick(&units)) else { return };
    match dice.below(24) {
        0..=3 => world.handle(Event::Ask { unit, ask: Ask::Start }),
        4..=5 => world.handle(Event::Ask { unit, ask: Ask::Stop }),
        6 => world.handle(Event::Ask { unit, ask: Ask::Restart }),
        7 => world.handle(Event::Ask { unit, ask: Ask::Reload }),
        8 => world.handle(Event::Ask { unit, ask: Ask::Signal(9) }),
        9 => {
            let fleet = world.fleet.mutate(dice);
            world.load(fleet);
        }
        10..=12 => {
            let name = dice.pick(&["network", "clock"]);
            world.condition(name, dice.chance(70));
        }
        13 => massacre(world),
        14 => world.wall(i64::try_from(dice.below(5_000_000_000)).expect("small")),
        _ => strike(world, dice),
    }
}

/// kill -9 of any process, main or not.
fn strike(world: &mut World, dice: &mut Rng) {
    let pids: Vec<i32> = world.processes.keys().copied().collect();
    if !pids.is_empty() {
        world.end(dice.pick(&pids), crate::world::script::KILLED);
    }
}

fn massacre(world: &mut World) {
    let pids: Vec<i32> = world.processes.keys().copied().collect();
    for pid in pids {
        world.end(pid, crate::world::script::KILLED);
    }
}

fn end_of_the_world(world: &mut World, dice: &mut Rng) {
    world.strays = dice.pick(&[(Some(1), Some(1)), (None, Some(500)), (None, None)]);
    world.close_ms = dice.pick(&[Some(50), Some(14_000), None]);
    let power = dice.pick(&[Power::Reboot, Power::PowerOff, Power::Halt]);
    let within_ms = dice.pick(&[0, 5_000, 30_000, 30_000, 30_000, 240_000]);
    world.supervisor.bound_shutdown(within_ms);
    match dice.below(10) {
        0 => world.handle(Event::Shutdown { power, haste: Haste::PowerFails }),
        nth => world.shutdown(power, nth == 1),
    }
    if dice.chance(30) {
        world.run_ms(dice.below(3_000));
        meddle(world, dice);
    }
    if dice.chance(10) {
        world.handle(Event::Shutdown { power, haste: Haste::PowerFails });
    }
    let (ended, _) = world.run_to_power();
    assert_eq!(ended, power);
    assert_eq!(world.supervisor.phase(), Phase::Off);
    // Whatever still happens, nothing follows.
    world.supervisor.handle(ettan_core::Millis(world.now), Event::Tick);
    world.supervisor.handle(
        ettan_core::Millis(world.now),
        Event::Shutdown { power: Power::Halt, haste: Haste::Force },
    );
    assert_eq!(world.supervisor.next_action(), None);
}

#[test]
fn many_hours_of_faults() {
    if let Some(seed) = std::env::var("ETTAN_SEED").ok().and_then(|text| text.parse().ok()) {
        let _ = live(seed, LIFE_MS, true);
        return;
    }
    let worlds = (hours() * HOUR_MS).div_ceil(LIFE_MS);
    let (mut events, mut starts) = (0, 0);
    for seed in 1..=worlds {
        let (more, started, _) = live(seed, LIFE_MS, false);
        events += more;
        starts += started;
    }
    println!("{} simulated hours: {events} events, {starts} starts", worlds * LIFE_MS / HOUR_MS);
    assert!(starts > worlds * 20, "the worlds are too quiet: {starts} starts");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [7, 8, 9] {
        assert_eq!(live(seed, HOUR_MS / 2, false), live(seed, HOUR_MS / 2, false));
    }
    assert_ne!(live(7, HOUR_MS / 2, false).2, live(8, HOUR_MS / 2, false).2);
}
