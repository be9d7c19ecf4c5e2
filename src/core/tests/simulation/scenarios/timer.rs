//! Stories of units that the clock starts, and of clocks that jump.

use crate::world::script::{CLEAN, ERROR};
use crate::world::{Fleet, Script, Spec, World, oneshot, simple};
use ettan_core::{Calendar, Event, MAX_TIMERS, Millis, Power, Reason, Timer, Zone};

const HOUR_MS: u64 = 3_600_000;
const DAY: i64 = 86_400;

/// 2026-11-29, a Sunday, at midnight.
const SUNDAY: i64 = 1_795_910_400;
/// When it is 3:30 on it.
const MOMENT: i64 = SUNDAY + 12_600;

/// Every day at 3:30.
fn nightly() -> Timer {
    let at = Calendar { days: 0x7f, hours: 1 << 3, minutes: 1 << 30, zone: Zone::UTC };
    Timer { at: Some(at), ..Timer::default() }
}

fn spans(on_boot_ms: Option<u32>, every_ms: u32) -> Timer {
    Timer { on_boot_ms, every_ms, ..Timer::default() }
}

/// A job that takes ten milliseconds.
fn world_of(specs: impl IntoIterator<Item = Spec>) -> World {
    let mut world = World::new(1);
    world.always("job", Script::runs(10, CLEAN));
    world.load(Fleet(specs.into_iter().collect()));
    world
}

/// A world in which the wall clock is right and shows this.
fn world_at(timer: Timer, second: i64) -> World {
    let mut world = world_of([oneshot("job").timer(timer)]);
    world.wall(second);
    world.condition("clock", true);
    world
}

/// When it is next, in milliseconds from now.
fn due(world: &World) -> Option<u64> {
    let timer = world.supervisor.timer(world.id("job")).expect("it has one");
    timer.due.map(|due| due.since(Millis(world.now)))
}

#[test]
fn a_span_after_the_boot_and_then_again_and_again() {
    let mut world = world_of([oneshot("job").timer(spans(Some(60_000), 3_600_000))]);
    world.run_ms(58_000);
    assert_eq!(world.spawned("job"), 0, "not at boot");
    world.run_ms(1_500);
    assert_eq!(world.spawned("job"), 1);
    assert_eq!(world.view("job").reason, Reason::Exited(CLEAN));
    world.run_ms(10 * HOUR_MS);
    assert_eq!(world.spawned("job"), 11);
    assert_eq!(due(&world), Some(HOUR_MS - 500), "the pace is kept, however long the job takes");
}

#[test]
fn without_a_first_span_the_first_time_is_one_span_away() {
    let mut world = world_of([oneshot("job").timer(spans(None, 5_000))]);
    assert_eq!(due(&world), Some(5_000));
    world.run_ms(5_100);
    assert_eq!(world.spawned("job"), 1);
    // Added later, what was to come after the boot comes at once.
    world.load(Fleet(vec![oneshot("late").timer(spans(Some(100), 0))]));
    world.expect(["late starting"]);
}

#[test]
fn f7_06_a_wall_clock_that_jumps_moves_no_span() {
    let mut calm = world_of([oneshot("job").timer(spans(Some(60_000), 600_000))]);
    let mut wild = world_of([oneshot("job").timer(spans(Some(60_000), 600_000))]);
    wild.condition("clock", true);
    for second in [0, SUNDAY, 60, 4_000_000_000, SUNDAY, -1] {
        wild.wall(second);
        calm.run_ms(HOUR_MS);
        wild.run_ms(HOUR_MS);
        assert_eq!(calm.spawned("job"), wild.spawned("job"));
        assert_eq!(due(&calm), due(&wild));
    }
}

#[test]
fn a_moment_waits_until_the_clock_is_right() {
    let mut world = world_of([oneshot("job").timer(nightly())]);
    // As a board without a battery starts.
    world.wall(MOMENT - 5);
    world.run_ms(HOUR_MS);
    assert_eq!((world.spawned("job"), due(&world)), (0, None));
    assert!(world.supervisor.timer(world.id("job")).expect("it has one").awaits_clock);
    let clock =
        (0..).find(|nth| world.supervisor.condition_at(*nth).is_none_or(|(n, _)| n == "clock"));
    assert!(clock.is_some_and(|nth| world.supervisor.is_waited_for(nth)), "the watcher is to look");
    world.wall(MOMENT - 2);
    world.condition("clock", true);
    assert_eq!(due(&world), Some(2_000));
    world.run_ms(1_999);
    assert_eq!(world.spawned("job"), 0);
    world.run_ms(1);
    assert_eq!(world.spawned("job"), 1);
    // Whoever kept it right is gone for a week; it is gone by all the same.
    world.condition("clock", false);
    world.run_ms(7 * 24 * HOUR_MS);
    assert_eq!(world.spawned("job"), 8);
}

#[test]
fn f7_06_a_clock_that_jumps_over_a_moment_has_come_to_it_once() {
    let mut world = world_at(nightly(), MOMENT - 3_600);
    world.wall(MOMENT + 7_200);
    world.run_ms(1_000);
    assert_eq!(world.spawned("job"), 1);
    assert_eq!(due(&world), Some(22 * HOUR_MS - 1_000));
    // Over twelve years: one of the moments is enough.
    world.wall(MOMENT + 12 * 365 * DAY + 60);
    world.run_ms(1_000);
    assert_eq!(world.spawned("job"), 2);
    assert!(MOMENT + 12 * 365 * DAY > i64::from(i32::MAX), "past 2038");
}

#[test]
fn f7_06_a_clock_that_goes_back_comes_to_no_moment_twice() {
    let mut world = world_at(nightly(), MOMENT - 1);
    world.run_ms(2_000);
    assert_eq!(world.spawned("job"), 1);
    for back in [60, 7_200, 3 * DAY] {
        world.wall(MOMENT - back);
        world.run_ms(u64::try_from(back * 1_000).expect("positive") + 5_000);
        assert_eq!(world.spawned("job"), 1, "{back} s back");
    }
    world.run_ms(24 * HOUR_MS);
    assert_eq!(world.spawned("job"), 2, "the next one comes");
    // Set back by years: it was wrong before, and what is now is what counts.
    world.wall(MOMENT - 365 * DAY - 10);
    world.run_ms(11_000);
    assert_eq!(world.spawned("job"), 3);
}

#[test]
fn f7_06_a_clock_that_is_set_every_second_neither_spins_nor_hurries() {
    let mut world = world_at(nightly(), MOMENT - 3_600);
    let before = world.events;
    for second in 0..3_000 {
        let jitter = [0, 2, -2][usize::try_from(second % 3).expect("small")];
        world.wall(MOMENT - 3_600 + second + jitter);
        world.run_ms(1_000);
    }
    assert_eq!(world.spawned("job"), 0);
    assert!(world.events - before <= 3_000, "{}", world.events - before);
    world.run_ms(HOUR_MS);
    assert_eq!(world.spawned("job"), 1);
}

#[test]
fn what_was_missed_while_the_machine_was_off_is_caught_up_once() {
    let persistent = Timer { persistent: true, ..nightly() };
    let ran = |world: &mut World, second| {
        let unit = world.id("job");
        world.handle(Event::Ran { unit, second });
        world.run_ms(1_000);
    };
    let noon = SUNDAY + DAY / 2;
    for (timer, last, count) in [
        (persistent, MOMENT - DAY, 1),
        (persistent, MOMENT - 300 * DAY, 1),
        (persistent, MOMENT + 5, 0),
        // From a clock that was wrong.
        (persistent, MOMENT + 900 * DAY, 0),
        (nightly(), MOMENT - DAY, 0),
    ] {
        let mut world = world_at(timer, noon);
        world.run_ms(1_000);
        ran(&mut world, last);
        assert_eq!(world.spawned("job"), count, "{timer:?} {last}");
        ran(&mut world, last);
        assert_eq!(world.spawned("job"), count, "told twice");
        world.run_ms(24 * HOUR_MS);
        assert_eq!(world.spawned("job"), count + 1, "and it goes on");
    }
    // Started before the clock was right, when it showed the day before yesterday: it has run today.
    let mut world = world_of([oneshot("job").timer(persistent)]);
    world.start("job");
    ran(&mut world, MOMENT - 2 * DAY);
    world.wall(noon);
    world.condition("clock", true);
    ran(&mut world, MOMENT - 2 * DAY);
    assert_eq!(world.spawned("job"), 1);
    // Told before the clock is right, it waits for that.
    let mut world = world_of([oneshot("job").timer(persistent)]);
    ran(&mut world, MOMENT - DAY);
    assert_eq!(world.spawned("job"), 0);
    world.wall(noon);
    world.condition("clock", true);
    world.run_ms(1_000);
    assert_eq!(world.spawned("job"), 1);
}

#[test]
fn one_that_still_runs_is_passed_over() {
    let mut world = World::new(1);
    world.always("job", Script::runs(25_000, CLEAN));
    world.load(Fleet(vec![oneshot("job").timer(spans(Some(5_000), 10_000))]));
    world.expect(["job starting", "job passed-over", "job passed-over", "job sweeping"]);
    world.expect(["job down", "job starting"]);
    assert_eq!(world.spawned("job"), 2);
}

#[test]
fn nothing_is_started_while_there_is_a_rescue() {
    let mut world = World::boot([
        oneshot("job").timer(spans(None, 60_000)),
        simple("rescue").on_demand(),
        simple("other").on_demand(),
    ]);
    let rescue = world.id("rescue");
    world.supervisor.hush_timers_for(rescue);
    world.start("rescue");
    world.run_ms(61_000);
    assert_eq!(world.spawned("job"), 0);
    world.stop("rescue");
    world.start("other");
    world.run_ms(60_000);
    assert_eq!(world.spawned("job"), 1);
}

#[test]
fn one_that_failed_is_tried_again_and_alarms_again() {
    let mut world = World::new(1);
    world.always("job", Script::runs(10, ERROR));
    let job = oneshot("job").timer(spans(None, 60_000)).on_failure("mail");
    world.always("mail", Script::runs(10, CLEAN));
    world.load(Fleet(vec![job, oneshot("mail").on_demand()]));
    world.run_ms(5 * 60_000 + 1_000);
    assert_eq!((world.spawned("job"), world.spawned("mail")), (5, 5));
    assert_eq!(world.state("job"), "failed");
    assert!(!world.view("job").crash_looping, "an hour or a day lies between");
}

#[test]
fn a_stop_is_for_this_run_and_not_for_the_timer() {
    let mut world = World::boot([simple("job").timer(spans(None, 60_000))]);
    world.run_ms(61_000);
    assert_eq!((world.state("job"), world.view("job").reason), ("up", Reason::Timer));
    world.stop("job");
    world.run_ms(1_000);
    assert_eq!(world.state("job"), "down");
    world.run_ms(60_000);
    assert_eq!(world.state("job"), "up");
}

#[test]
fn nothing_is_started_once_the_end_has_begun() {
    let stubborn = Script { term_ms: None, ..Script::GOOD };
    let timed = oneshot("job").timer(spans(None, 3_000));
    let mut world = World::boot_with([timed, simple("web")], &[("web", stubborn)]);
    world.run_ms(1_000);
    world.shutdown(Power::Reboot, false);
    world.run_to_power();
    assert_eq!(world.spawned("job"), 0);
}

#[test]
fn a_load_that_changes_nothing_sets_no_timer_back() {
    let timer = |every| Timer { every_ms: every, ..nightly() };
    let fleet =
        |every| Fleet(vec![oneshot("job").timer(timer(every)), oneshot("job2").on_demand()]);
    let mut world = world_at(timer(60_000), MOMENT - 90);
    world.run_ms(40_000);
    world.load(fleet(60_000));
    assert_eq!(due(&world), Some(20_000));
    world.run_ms(25_000);
    // From when it ran last.
    world.load(fleet(50_000));
    assert_eq!(due(&world), Some(25_000), "the moment comes before the span is over");
    world.run_ms(100);
    world.load(Fleet(vec![oneshot("job")]));
    let spawned = world.spawned("job");
    world.run_ms(HOUR_MS);
    assert_eq!(world.spawned("job"), spawned, "it has no timer any more");
    assert!(world.supervisor.timer(world.id("job")).is_none());
    world.load(Fleet(vec![oneshot("job").timer(nightly()).on_demand()]));
    assert!(world.supervisor.timer(world.id("job")).is_none(), "not enabled");
}

#[test]
fn timers_that_do_not_fit_are_told_of() {
    let specs =
        (0..=MAX_TIMERS).map(|nth| oneshot(&format!("t{nth:03}")).timer(spans(None, 1_000)));
    let mut world = World::boot(specs);
    world.expect(["1 left-out"]);
}
