//! Records: what is restored goes on as if nothing had been, and hostile bytes harm nobody.

use crate::properties::{Deed, any_event, deed, perform, settings};
use crate::world::script::Rng;
use crate::world::{Fleet, World, simple};
use ettan_core::{
    Action, Event, MAX_CONDITIONS, Millis, Notice, Phase, RECORD_MAX, Supervisor, UnitId, View,
};
use proptest::prelude::*;

/// Every record of a supervisor.
#[derive(Clone, Debug)]
struct Image {
    whole: Vec<u8>,
    conditions: Vec<Vec<u8>>,
    units: Vec<(UnitId, Vec<u8>)>,
}

fn save(supervisor: &Supervisor) -> Image {
    let mut room = [0; RECORD_MAX];
    let length = supervisor.save_whole(&mut room);
    let whole = room[..length].to_vec();
    let mut conditions = Vec::new();
    for nth in 0..MAX_CONDITIONS {
        if let Some(length) = supervisor.save_condition(nth, &mut room) {
            conditions.push(room[..length].to_vec());
        }
    }
    let mut units = Vec::new();
    for id in supervisor.units() {
        let length = supervisor.save_unit(id, &mut room).expect("a unit has a record");
        assert!(length < RECORD_MAX, "a record that may have been cut");
        units.push((id, room[..length].to_vec()));
    }
    Image { whole, conditions, units }
}

#[test]
fn what_waits_does_not_start_where_nobody_knows_what_for() {
    let fleet = [simple("web").after("?network"), simple("db")];
    let world = World::boot(fleet);
    let image = save(&world.supervisor);
    let mut next = Box::new(Supervisor::new());
    next.restore_whole(&image.whole).expect("whole");
    for (id, unit) in &image.units {
        next.restore_unit(*id, unit).expect("unit");
    }
    // Of another version: it comes with the next load.
    next.restored(Millis(world.now), None, false);
    next.handle(Millis(world.now), Event::Tick);
    assert_eq!(next.next_action(), None);
    next.load(Millis(world.now), &world.fleet);
    next.handle(Millis(world.now), Event::Tick);
    let starts = std::iter::from_fn(|| next.next_action())
        .any(|action| matches!(action, Action::Spawn { .. }));
    assert!(!starts, "its condition does not hold");
}

/// Replaces the world's supervisor by one that knows only the records. What that one asks for at
/// once is under way in the world already, and must be nothing else.
fn reexecute(world: &mut World) {
    let image = save(&world.supervisor);
    let mut next = Box::new(Supervisor::new());
    next.restore_whole(&image.whole).expect("whole");
    for condition in &image.conditions {
        next.restore_condition(condition).expect("condition");
    }
    for (id, unit) in &image.units {
        next.restore_unit(*id, unit).expect("unit");
    }
    next.restored(Millis(world.now), Some(&world.fleet), false);
    while let Some(action) = next.next_action() {
        let known = matches!(
            action,
            Action::SeekMain { .. }
                | Action::Announce { .. }
                | Action::Sweep { .. }
                | Action::KillStrays { .. }
                | Action::CloseFilesystems
                | Action::Publish(Notice::CycleBroken { .. })
                | Action::Publish(Notice::LeftOut { .. })
        );
        assert!(known, "{action:?} was not under way");
    }
    for id in world.supervisor.units() {
        // Which of several blockers is named depends on where it was looked first.
        let view = |of: &Supervisor| {
            of.view(id).map(|view| format!("{:?}", View { blocked_by: None, ..view }))
        };
        assert_eq!(view(&next), view(&world.supervisor));
        assert_eq!(next.unit(id), world.supervisor.unit(id));
    }
    assert_eq!(next.next_deadline(), world.supervisor.next_deadline());
    world.supervisor = next;
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn f8_7_the_same_happens_whether_pid_1_was_executed_anew_or_not(
        seed in any::<u64>(),
        count in 1_u64..20,
        deeds in prop::collection::vec((deed(), any::<bool>()), 1..60),
    ) {
        let new = || {
            let mut world = World::new(seed);
            world.chaos = true;
            world.instant = true;
            world.load(Fleet::random(&mut Rng(seed), count));
            world
        };
        let (mut one, mut other) = (new(), new());
        for (deed, anew) in deeds {
            if matches!(deed, Deed::Load(_)) && one.supervisor.phase() != Phase::Running {
                // Ignored by the core; the world would take it for the units in force.
                continue;
            }
            perform(&mut one, deed.clone());
            perform(&mut other, deed);
            if anew && other.power.is_none() {
                reexecute(&mut other);
            }
            prop_assert_eq!(one.trace_hash(), other.trace_hash());
        }
    }

    /// Bytes flipped, cut and swapped: refused or taken, and whatever was taken goes on living.
    #[test]
    fn f8_9_hostile_records_are_refused_or_harmless(
        seed in any::<u64>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
        events in prop::collection::vec((any_event(), 0_u64..40_000), 1..60),
    ) {
        let mut world = World::new(seed);
        world.chaos = true;
        world.load(Fleet::random(&mut Rng(seed), 10));
        world.run_ms(2_000);
        let mut image = save(&world.supervisor);
        let count = image.units.len();
        for (which, place, byte) in &flips {
            let (_, record) = &mut image.units[which.index(count)];
            let at = place.index(record.len());
            record[at] = *byte;
        }
        if let Some((which, place)) = cut {
            let (_, record) = &mut image.units[which.index(count)];
            let at = place.index(record.len());
            record.truncate(at);
        }
        let mut next = Box::new(Supervisor::new());
        let _ = next.restore_whole(&image.whole);
        for (id, unit) in &image.units {
            let _ = next.restore_unit(*id, unit);
        }
        next.restored(Millis(world.now), Some(&world.fleet), true);
        let mut now = world.now;
        let drain = |next: &mut Supervisor| {
            for _ in 0..10_000 {
                if next.next_action().is_none() {
                    return true;
                }
            }
            false
        };
        prop_assert!(drain(&mut next));
        for (event, span) in events {
            now += span;
            next.handle(Millis(now), event);
            prop_assert!(drain(&mut next), "no end to the actions");
        }
    }
}
