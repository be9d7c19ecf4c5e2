//! Stories of the end of the machine.

use crate::world::script::{CLEAN, ERROR, KILLED, TERMED};
use crate::world::{Fleet, Script, World, oneshot, simple};
use ettan_core::{Ask, ExitStatus, Outcome, Power, Reason, SHUTDOWN_MS, Stage, Unit};

#[test]
fn f1_04_shutdown_goes_past_an_unkillable_process() {
    let script = Script { term_ms: None, kill_ms: 10_000_000, ..Script::GOOD };
    let mut world = World::boot_with([simple("db"), simple("web").after("db")], &[("web", script)]);
    world.run_ms(100);
    world.strays = (None, None);
    world.skip();
    world.shutdown(Power::Reboot, false);
    let begun = world.now;
    world.expect(["web stopping", "web sweeping"]);
    world.expect(["db stopping", "db sweeping", "db down"]);
    let (power, _) = world.run_to_power();
    assert_eq!(power, Power::Reboot);
    assert!(world.now - begun <= 30_000, "{}", world.now - begun);
}

#[test]
fn shutdown_goes_in_reverse_order_and_ends_in_the_power_action() {
    let mut world =
        World::boot([simple("db"), simple("web").after("db"), oneshot("net").remains()]);
    world.run_ms(3_000);
    world.skip();
    world.shutdown(Power::PowerOff, false);
    world.expect(["shutdown stopping-units"]);
    world.expect([
        "web stopping",
        "web sweeping",
        "web down",
        "db stopping",
        "db sweeping",
        "db down",
    ]);
    world.expect(["shutdown killing-strays", "shutdown stopping-builtins"]);
    world.expect(["shutdown closing-filesystems", "shutdown off"]);
    assert_eq!(world.power, Some(Power::PowerOff));
    assert_eq!(world.supervisor.next_deadline(), None);
}

#[test]
fn the_first_decision_stays_unless_forced() {
    let mut world = World::boot([simple("web")]);
    world.always("web", Script { term_ms: None, ..Script::GOOD });
    world.restart("web");
    world.run_ms(100);
    world.shutdown(Power::PowerOff, false);
    world.shutdown(Power::Reboot, false);
    world.run_ms(100);
    world.shutdown(Power::Halt, true);
    let (power, span) = world.run_to_power();
    assert_eq!(power, Power::Halt);
    assert!(span <= 2_000, "{span}");
}

const TO_THE_FILE_SYSTEMS: [&str; 4] = [
    "shutdown stopping-units",
    "shutdown killing-strays",
    "shutdown stopping-builtins",
    "shutdown closing-filesystems",
];

/// Ignores TERM, and KILL does not help.
const STUCK: Script = Script { term_ms: None, kill_ms: 1 << 40, ..Script::GOOD };
/// Ignores TERM.
const DEAF: Script = Script { term_ms: None, ..Script::GOOD };
/// Has a lot to write before it ends.
const fn writes(ms: u64) -> Script {
    Script { term_ms: Some(ms), ..Script::GOOD }
}

fn patient(unit: &mut Unit) {
    unit.stop_timeout_ms = 90_000;
}

/// `web` uses `db`, which holds data. Neither is in a hurry.
fn web_and_data(web: Script, db: Script) -> World {
    let units =
        [simple("web").requires("db").with(patient), simple("db").holds_data().with(patient)];
    let mut world = World::boot_with(units, &[("web", web), ("db", db)]);
    world.run_ms(3_000);
    world.skip();
    world
}

/// How the last process of the unit ended.
fn end_of(world: &World, name: &str) -> Option<ExitStatus> {
    world.view(name).last_exit
}

#[test]
fn shutdown_is_bounded_when_nothing_helps() {
    for (within_ms, expected) in [(SHUTDOWN_MS, 30_000), (1, 5_000), (60_000, 60_000)] {
        let for_ever = simple("web").with(|unit| unit.stop_timeout_ms = 0);
        let data = simple("x").requires("db").holds_data().with(patient);
        let mut world = World::boot_with(
            [for_ever, simple("db").requires("web"), data],
            &[("web", STUCK), ("db", STUCK), ("x", STUCK)],
        );
        world.strays = (None, None);
        world.close_ms = None;
        world.run_ms(100);
        world.supervisor.bound_shutdown(within_ms);
        world.shutdown(Power::Reboot, false);
        assert_eq!(world.run_to_power(), (Power::Reboot, expected));
    }
}

#[test]
fn a_file_system_that_does_not_close_is_not_waited_for_however_long_there_is() {
    let mut world = World::boot([simple("web")]);
    world.close_ms = None;
    world.supervisor.bound_shutdown(600_000);
    world.shutdown(Power::Reboot, false);
    let (_, span) = world.run_to_power();
    assert!(span < 16_000, "{span}");
}

#[test]
fn file_systems_have_their_time_whatever_comes_before() {
    for (fails, share) in [(false, 7_000), (true, 1_670)] {
        let mut world = World::new(1);
        world.supervisor.builtin(simple("ettan-log").unit).expect("room");
        world.always("ettan-log", STUCK);
        world.always("web", STUCK);
        world.load(Fleet(vec![simple("web").with(patient)]));
        world.run_ms(100);
        world.strays = (None, None);
        world.close_ms = None;
        world.skip();
        match fails {
            true => world.power_fails(),
            false => world.shutdown(Power::PowerOff, false),
        }
        world.expect(TO_THE_FILE_SYSTEMS);
        let closing = world.now;
        world.run_to_power();
        assert_eq!(world.now - closing, share);
    }
}

#[test]
fn a_longer_stop_time_out_counts_within_the_time_there_is() {
    // Ten seconds are not too much, twenty are.
    for (needs_ms, end) in [(14_000, TERMED), (20_000, KILLED)] {
        let unit = simple("web").with(patient);
        let mut world = World::boot_with([unit], &[("web", writes(needs_ms))]);
        world.run_ms(3_000);
        world.shutdown(Power::Reboot, false);
        world.run_to_power();
        assert_eq!(end_of(&world, "web"), Some(end), "{needs_ms}");
    }
    let mut world = World::boot_with([simple("web").with(patient)], &[("web", writes(80_000))]);
    world.supervisor.bound_shutdown(120_000);
    world.run_ms(3_000);
    world.shutdown(Power::Reboot, false);
    world.run_to_power();
    assert_eq!(end_of(&world, "web"), Some(TERMED));
}

#[test]
fn who_holds_data_has_time_whatever_the_others_do() {
    for web in [DEAF, STUCK] {
        let mut world = web_and_data(web, writes(9_000));
        world.shutdown(Power::Reboot, false);
        let (_, span) = world.run_to_power();
        assert!(span <= 30_000, "{span}");
        assert_eq!(end_of(&world, "db"), Some(TERMED));
    }
    // Without the key it would have had no time at all.
    let units = [simple("web").requires("db").with(patient), simple("db").with(patient)];
    let mut world = World::boot_with(units, &[("web", DEAF), ("db", writes(10_000))]);
    world.run_ms(3_000);
    world.shutdown(Power::Reboot, false);
    world.run_to_power();
    assert_eq!(end_of(&world, "db"), Some(KILLED));
}

#[test]
fn order_holds_for_who_holds_data_too() {
    let mut world = web_and_data(writes(2_000), Script::GOOD);
    world.shutdown(Power::Reboot, false);
    world.expect(["web stopping", "web sweeping", "web down"]);
    world.expect(["db stopping", "db sweeping", "db down"]);
    assert_eq!(end_of(&world, "web"), Some(TERMED));
}

#[test]
fn what_data_is_kept_on_stays_until_the_data_is_safe() {
    let units = [
        oneshot("disk").remains(),
        simple("db").requires("disk").holds_data().with(patient),
        simple("web").requires("db").with(patient),
        simple("other").with(patient),
    ];
    let scripts =
        [("db", writes(8_000)), ("web", DEAF), ("other", DEAF), ("disk", Script::runs(1, CLEAN))];
    let mut world = World::boot_with(units, &scripts);
    world.run_ms(3_000);
    world.skip();
    world.shutdown(Power::Reboot, false);
    world.expect(["web stopping", "web sweeping", "web down", "db stopping"]);
    world.expect(["db sweeping", "db down", "disk sweeping", "disk down"]);
    assert_eq!(end_of(&world, "other"), Some(KILLED));
    assert_eq!(end_of(&world, "db"), Some(TERMED));
}

#[test]
fn failing_power_leaves_five_seconds_to_who_holds_data() {
    let mut world = web_and_data(DEAF, writes(1_000));
    world.strays = (None, None);
    world.close_ms = None;
    world.power_fails();
    assert_eq!(world.run_to_power(), (Power::PowerOff, 5_000));
    assert_eq!(end_of(&world, "web"), Some(KILLED));
    assert_eq!(end_of(&world, "db"), Some(TERMED));
}

#[test]
fn f8_03_power_that_fails_shortens_a_shutdown_and_changes_no_decision() {
    for after_ms in [0, 100, 5_000, 14_000, 19_000, 22_000, 24_000, 29_500] {
        let mut world = web_and_data(STUCK, STUCK);
        world.strays = (None, None);
        world.close_ms = None;
        world.shutdown(Power::Reboot, false);
        world.run_ms(after_ms);
        world.power_fails();
        let begun = world.now;
        assert_eq!(world.run_to_power().0, Power::Reboot);
        assert!(world.now - begun <= 5_000 && world.now - begun + after_ms <= 30_000);
    }
}

#[test]
fn f8_03_data_is_first_too_when_the_power_fails_in_the_middle() {
    // Before anybody is pressed, while the others are, and when all are.
    for after_ms in [1_000, 28_000, 82_000] {
        let mut world = web_and_data(DEAF, writes(1_000));
        world.supervisor.bound_shutdown(120_000);
        world.shutdown(Power::Reboot, false);
        world.run_ms(after_ms);
        world.power_fails();
        world.run_to_power();
        assert_eq!(end_of(&world, "db"), Some(TERMED), "{after_ms}");
    }
}

#[test]
fn the_program_has_its_share_where_a_hook_before_it_hangs() {
    let web = simple("web").with(patient).hooks(Stage::Stop, 1);
    let db = simple("db").holds_data().with(patient);
    let scripts = [("web", writes(500)), ("web/Stop", DEAF), ("db", writes(9_000))];
    let mut world = World::boot_with([web, db], &scripts);
    world.run_ms(3_000);
    world.shutdown(Power::Reboot, false);
    world.run_to_power();
    assert_eq!(end_of(&world, "web"), Some(TERMED));
}

#[test]
fn file_systems_are_closed_anew_by_the_time_that_is_left() {
    let mut world = World::boot([simple("web")]);
    world.close_ms = None;
    world.skip();
    world.shutdown(Power::PowerOff, false);
    world.expect(TO_THE_FILE_SYSTEMS);
    world.run_ms(1_000);
    assert_eq!(world.closings, 1);
    world.power_fails();
    assert_eq!(world.closings, 2);
    let (_, span) = world.run_to_power();
    assert_eq!(span, 5_000);
}

#[test]
fn everybody_has_the_stop_signal_before_kill_however_many_wait_for_each_other() {
    let chain = ["a", "b", "c", "d", "e", "f"];
    let mut units = vec![simple("a").with(patient)];
    for pair in chain.windows(2) {
        units.push(simple(pair[1]).requires(pair[0]).with(patient));
    }
    let mut world = World::boot_with(units, &[("f", DEAF), ("e", DEAF)]);
    world.run_ms(3_000);
    world.shutdown(Power::Reboot, false);
    world.run_to_power();
    for name in ["a", "b", "c", "d"] {
        assert_eq!(end_of(&world, name), Some(TERMED), "{name}");
    }
}

#[test]
fn a_start_asked_for_during_shutdown_is_refused() {
    let mut world = World::boot([simple("web"), simple("late").on_demand()]);
    world.shutdown(Power::Reboot, false);
    world.start("late");
    let outcome = world.supervisor.outcome(world.id("late"), Ask::Start);
    assert_eq!(outcome, Some(Outcome::Failed(Reason::Shutdown)));
    world.run_to_power();
    assert_eq!(world.spawned("late"), 0);
}

#[test]
fn builtin_units_restart_and_stop_last() {
    let mut world = World::new(1);
    world.supervisor.builtin(simple("ettan-log").unit).expect("room");
    world.load(Fleet(vec![simple("web")]));
    world.expect(["ettan-log starting", "ettan-log up"]);
    world.run_ms(3_000);
    world.kill("ettan-log");
    world.expect(["ettan-log sweeping", "ettan-log starting", "ettan-log up"]);
    world.shutdown(Power::Reboot, false);
    world.expect([
        "shutdown stopping-units",
        "shutdown killing-strays",
        "shutdown stopping-builtins",
    ]);
    world.expect(["ettan-log stopping", "ettan-log sweeping", "ettan-log down"]);
    world.expect(["shutdown closing-filesystems", "shutdown off"]);
}

#[test]
fn a_builtin_unit_in_back_off_does_not_start_during_shutdown() {
    let mut world = World::new(1);
    world.supervisor.builtin(simple("ettan-log").unit).expect("room");
    world.always("ettan-log", Script::runs(1, ERROR));
    world.always("web", Script { term_ms: Some(5_000), ..Script::GOOD });
    world.load(Fleet(vec![simple("web")]));
    world.expect(["ettan-log starting", "ettan-log up", "ettan-log sweeping", "ettan-log backoff"]);
    world.shutdown(Power::Reboot, false);
    world.expect(["ettan-log down"]);
    world.run_to_power();
    assert_eq!(world.spawned("ettan-log"), 1);
}

#[test]
fn f8_01_whoever_no_list_shows_is_killed_before_file_systems_are_closed() {
    let order = |strays, force| {
        let mut world = World::boot([simple("web")]);
        world.strays = strays;
        world.run_ms(100);
        world.skip();
        world.shutdown(Power::Reboot, force);
        world.run_to_power();
        let of_all = |news: &&str| news.starts_with("shutdown") || news.starts_with("killed");
        world.news().filter(of_all).map(ToString::to_string).collect::<Vec<_>>()
    };
    let orderly = [
        "shutdown stopping-units",
        "shutdown killing-strays",
        "shutdown stopping-builtins",
        "killed the rest",
        "shutdown closing-filesystems",
        "shutdown off",
    ];
    assert_eq!(order((Some(1), Some(1)), false), orderly);
    assert_eq!(order((None, None), false), orderly);
    // By force nobody is stopped.
    assert_eq!(order((None, None), true), ["shutdown closing-filesystems", "shutdown off"]);
}
