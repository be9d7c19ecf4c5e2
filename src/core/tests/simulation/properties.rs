//! What must hold for any units, any events and any order of them.

use crate::world::script::Rng;
use crate::world::{Fleet, World, simple};
use ettan_core::{
    Action, Ask, Event, ExitStatus, Haste, MAX_UNITS, Millis, Notice, Pid, Power, Remedy,
    SpawnFault, Step, Supervisor, UnitId,
};
use proptest::prelude::*;

/// One thing that is done to a world that otherwise keeps its promises.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Wait(u64),
    Start(usize),
    Stop(usize),
    Restart(usize),
    Reload(usize),
    Reset(usize),
    Kill(usize),
    Load(u64),
    Condition(bool),
    Clock,
    Wall(i64),
    Shutdown(Haste),
}

pub(crate) fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (0_u64..5_000).prop_map(Deed::Wait),
        2 => (0_u64..100_000).prop_map(Deed::Wait),
        3 => (0_usize..24).prop_map(Deed::Start),
        2 => (0_usize..24).prop_map(Deed::Stop),
        2 => (0_usize..24).prop_map(Deed::Restart),
        2 => (0_usize..24).prop_map(Deed::Reload),
        1 => (0_usize..24).prop_map(Deed::Reset),
        5 => (0_usize..24).prop_map(Deed::Kill),
        1 => any::<u64>().prop_map(Deed::Load),
        2 => any::<bool>().prop_map(Deed::Condition),
        1 => Just(Deed::Clock),
        1 => (0_i64..5_000_000_000).prop_map(Deed::Wall),
        1 => prop_oneof![20 => Just(Haste::Orderly), 2 => any_haste()].prop_map(Deed::Shutdown),
    ]
}

pub(crate) fn perform(world: &mut World, deed: Deed) {
    let ask = |world: &mut World, nth: usize, ask| {
        let unit = world.supervisor.units().nth(nth);
        if let Some(unit) = unit {
            world.handle(Event::Ask { unit, ask });
        }
    };
    match deed {
        Deed::Wait(span) => world.run_ms(span),
        Deed::Start(nth) => ask(world, nth, Ask::Start),
        Deed::Stop(nth) => ask(world, nth, Ask::Stop),
        Deed::Restart(nth) => ask(world, nth, Ask::Restart),
        Deed::Reload(nth) => ask(world, nth, Ask::Reload),
        Deed::Reset(nth) => ask(world, nth, Ask::Reset),
        Deed::Kill(nth) => {
            let pid = world.processes.keys().copied().nth(nth);
            if let Some(pid) = pid {
                world.end(pid, crate::world::script::KILLED);
            }
        }
        Deed::Load(seed) => {
            let fleet = world.fleet.mutate(&mut Rng(seed));
            world.load(fleet);
        }
        Deed::Condition(holds) => world.condition("network", holds),
        Deed::Clock => world.condition("clock", true),
        Deed::Wall(second) => world.wall(second),
        Deed::Shutdown(haste) => world.handle(Event::Shutdown { power: Power::Reboot, haste }),
    }
}

fn any_haste() -> impl Strategy<Value = Haste> {
    prop_oneof![Just(Haste::Orderly), Just(Haste::PowerFails), Just(Haste::Force)]
}

/// Any event at all, possible or not.
pub(crate) fn any_event() -> impl Strategy<Value = Event<'static>> {
    let unit = || (0_u16..12).prop_map(UnitId);
    let pid = || (1_i32..30).prop_map(|raw| Pid::new(raw).expect("positive"));
    let status = || {
        prop_oneof![
            (0_u8..3).prop_map(ExitStatus::Code),
            (1_u8..16).prop_map(|signal| ExitStatus::Signal { signal, core: false }),
        ]
    };
    let ask = prop_oneof![
        Just(Ask::Start),
        Just(Ask::Once),
        Just(Ask::Stop),
        Just(Ask::Restart),
        Just(Ask::Reload),
        Just(Ask::Reset),
        Just(Ask::Signal(9))
    ];
    let fault = (0_i32..40).prop_map(|errno| SpawnFault {
        step: if errno % 2 == 0 { Step::Fork } else { Step::Exec },
        errno,
    });
    let remedy = prop_oneof![
        Just(Remedy::Tell),
        Just(Remedy::Restart),
        Just(Remedy::Abort),
        Just(Remedy::Reboot),
    ];
    let name = prop_oneof![Just("network"), Just("clock"), Just("")];
    prop_oneof![
        4 => (unit(), ask).prop_map(|(unit, ask)| Event::Ask { unit, ask }),
        3 => (unit(), pid()).prop_map(|(unit, pid)| Event::Entering { unit, pid }),
        6 => (unit(), pid()).prop_map(|(unit, pid)| Event::Spawned { unit, pid }),
        2 => (unit(), fault).prop_map(|(unit, fault)| Event::SpawnFailed { unit, fault }),
        6 => (pid(), status()).prop_map(|(pid, status)| Event::Exited { pid, status }),
        4 => unit().prop_map(|unit| Event::Emptied { unit }),
        3 => (unit(), pid()).prop_map(|(unit, pid)| Event::MainFound { unit, pid }),
        2 => (unit(), prop::option::of(status()))
            .prop_map(|(unit, status)| Event::MainLost { unit, status }),
        3 => unit().prop_map(|unit| Event::Announced { unit }),
        2 => unit().prop_map(|unit| Event::Runs { unit }),
        3 => unit().prop_map(|unit| Event::Ready { unit }),
        2 => (unit(), 0_u64..90_000)
            .prop_map(|(unit, at)| Event::Reloaded { unit, since: Millis(at) }),
        1 => (unit(), 0_u64..90_000).prop_map(|(unit, span_ms)| Event::Extend { unit, span_ms }),
        2 => (unit(), prop::option::of(remedy))
            .prop_map(|(unit, unwell)| Event::Health { unit, unwell }),
        2 => (name, any::<bool>()).prop_map(|(name, holds)| Event::Condition { name, holds }),
        1 => any::<i64>().prop_map(|ahead_ms| Event::Wall { ahead_ms }),
        1 => (unit(), any::<i64>()).prop_map(|(unit, second)| Event::Ran { unit, second }),
        1 => any_haste().prop_map(|haste| Event::Shutdown { power: Power::Halt, haste }),
        1 => Just(Event::StraysGone),
        1 => Just(Event::FilesystemsClosed),
        3 => Just(Event::Tick),
    ]
}

pub(crate) fn settings() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(settings())]

    /// One main process, requirements up, no lost wake-up: `world::checks` looks at every step.
    #[test]
    fn promises_hold_whatever_is_done(
        seed in any::<u64>(),
        count in 1_u64..20,
        deeds in prop::collection::vec(deed(), 1..80),
    ) {
        let mut world = World::new(seed);
        world.chaos = true;
        world.instant = seed.is_multiple_of(2);
        world.load(Fleet::random(&mut Rng(seed), count));
        for deed in deeds {
            perform(&mut world, deed);
        }
        if world.power.is_none() {
            world.shutdown(Power::PowerOff, false);
            world.run_to_power();
        }
        prop_assert_eq!(world.supervisor.next_deadline(), None);
    }

    /// Every event in every state returns: possible or not, in any order, with time jumping.
    #[test]
    fn every_event_in_every_state_returns(
        seed in any::<u64>(),
        events in prop::collection::vec((any_event(), 0_u64..40_000), 1..300),
    ) {
        let mut supervisor = Box::new(Supervisor::new());
        let mut now = 0;
        supervisor.load(Millis(now), &Fleet::random(&mut Rng(seed), 10));
        let mut powers = 0;
        for (event, span) in events {
            now += span;
            supervisor.handle(Millis(now), event);
            let mut actions = 0;
            while let Some(action) = supervisor.next_action() {
                actions += 1;
                prop_assert!(actions < 10_000, "no end to the actions");
                prop_assert_eq!(powers, 0, "an action after the power action");
                if let Action::Publish(Notice::Unexpected { event, .. }) = action {
                    prop_assert_ne!(event, "Settle", "settling turned in circles");
                    prop_assert_ne!(event, "TooManyActions", "an action was refused");
                }
                powers += usize::from(matches!(action, Action::Power(_)));
            }
            let due = supervisor.next_deadline().is_some_and(|at| at.0 <= now);
            prop_assert!(!due || !matches!(event, Event::Tick), "a deadline stays due");
        }
        prop_assert!(powers <= 1);
    }

    /// Each unexpected end of a restart=always service is followed by exactly one start.
    #[test]
    fn p4_every_exit_is_followed_by_exactly_one_start(
        runs in prop::collection::vec(1_u64..5_000, 1..40),
        kill in any::<bool>(),
    ) {
        let mut world = World::boot([simple("web"), crate::world::forking("tell")]);
        let mut ends = 0;
        for run in runs {
            world.run_ms(run);
            for name in ["web", "tell"] {
                if world.state(name) == "up" {
                    let before = world.spawned(name);
                    if kill {
                        world.kill(name);
                    } else {
                        let pid = world.pid(name).expect("up");
                        world.end(pid, ExitStatus::Code(0));
                    }
                    world.run_ms(40_000);
                    prop_assert_eq!(world.spawned(name), before + 1);
                    prop_assert_eq!(world.state(name), "up");
                    ends += 1;
                }
            }
        }
        prop_assert_eq!(world.spawned("web") + world.spawned("tell"), ends + 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..settings() })]

    /// The same with far more units than there is room for actions: none is ever refused, for that
    /// would be published as what was not expected.
    #[test]
    fn there_is_room_for_every_action(
        seed in any::<u64>(),
        deeds in prop::collection::vec(deed(), 1..30),
    ) {
        let mut world = World::new(seed);
        world.chaos = true;
        world.instant = seed.is_multiple_of(2);
        // The checks look at all units.
        world.checks.every = 100;
        world.load(Fleet::random(&mut Rng(seed), 200));
        for deed in deeds {
            perform(&mut world, deed);
        }
        if world.power.is_none() {
            world.shutdown(Power::PowerOff, false);
            world.run_to_power();
        }
    }
}

/// A thousand units up, all killed at once, all back: in one go, and each event by itself.
#[test]
fn a_thousand_units_are_killed_at_once_and_come_back() {
    let mut world = World::new(5);
    // The checks look at all units; a thousand of them are looked at now and then.
    world.checks.every = 500;
    let names: Vec<String> = (0..MAX_UNITS - 1).map(|nth| format!("unit-{nth:04}")).collect();
    let mut specs: Vec<_> = names.iter().map(|name| simple(name)).collect();
    let mut all = crate::world::target("all");
    for name in &names {
        all = all.after(name);
    }
    specs.push(all);
    world.load(Fleet(specs));
    world.run_ms(2_000);
    assert_eq!(world.state("all"), "up");
    let pids: Vec<i32> = world.processes.keys().copied().collect();
    assert_eq!(pids.len(), MAX_UNITS - 1);
    for pid in pids {
        world.end(pid, crate::world::script::KILLED);
    }
    world.run_ms(1_000);
    assert!(names.iter().all(|name| world.state(name) == "up"));
    assert!(names.iter().all(|name| world.spawned(name) == 2));
}

/// The smallest order: no world, only the time that the core itself takes.
#[test]
fn an_exit_costs_microseconds_with_a_thousand_units() {
    let mut supervisor = Box::new(Supervisor::new());
    let specs = (0..1_000).map(|nth| simple(&format!("unit-{nth:04}"))).collect();
    supervisor.load(Millis(0), &Fleet(specs));
    let mut pid = 1;
    let mut pump = |supervisor: &mut Supervisor, now, event| {
        let mut answers = vec![event];
        while let Some(event) = answers.pop() {
            supervisor.handle(Millis(now), event);
            while let Some(action) = supervisor.next_action() {
                match action {
                    Action::Spawn { unit, .. } => {
                        pid += 1;
                        answers
                            .push(Event::Spawned { unit, pid: Pid::new(pid).expect("positive") });
                    }
                    Action::Sweep { unit } => answers.push(Event::Emptied { unit }),
                    _ => {}
                }
            }
        }
    };
    pump(&mut supervisor, 0, Event::Tick);
    let pids: Vec<i32> = (2..1_002).collect();
    let began = std::time::Instant::now();
    for raw in pids {
        let status = ExitStatus::Signal { signal: 9, core: false };
        let pid = Pid::new(raw).expect("positive");
        assert!(supervisor.unit_of(pid).is_some());
        pump(&mut supervisor, 5_000, Event::Exited { pid, status });
    }
    let each = began.elapsed() / 1_000;
    println!("exit to restart: {each:?} of the core's time");
    // Ten times what a busy build machine takes; a walk over all units would take more.
    assert!(each.as_micros() < 100, "{each:?}");
}
