//! Stories of the end of the machine.

use crate::world::script::ERROR;
use crate::world::{Fleet, Script, World, oneshot, simple};
use ettan_core::{Ask, Outcome, Power, Reason};

#[test]
fn f1_04_shutdown_goes_past_an_unkillable_process() {
    let script = Script { term_ms: None, kill_ms: 10_000_000, ..Script::GOOD };
    let mut world = World::boot_with([simple("db"), simple("web").after("db")], &[("web", script)]);
    world.run_ms(100);
    world.strays = (None, None);
    world.skip();
    world.shutdown(Power::Reboot, false);
    world.expect(["web stopping", "web sweeping", "web unkillable"]);
    world.expect(["db stopping", "db sweeping", "db down"]);
    let (power, span) = world.run_to_power();
    assert_eq!(power, Power::Reboot);
    assert!(span <= 35_000, "{span}");
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

#[test]
fn shutdown_is_bounded_when_nothing_helps() {
    let stuck = Script { term_ms: None, kill_ms: 1 << 40, ..Script::GOOD };
    let for_ever = simple("web").with(|unit| unit.stop_timeout_ms = 0);
    let mut world = World::boot_with(
        [for_ever, simple("db").requires("web"), simple("x").requires("db")],
        &[("web", stuck), ("db", stuck), ("x", stuck)],
    );
    world.strays = (None, None);
    world.close_ms = None;
    world.run_ms(100);
    world.shutdown(Power::Reboot, false);
    let bound = world.supervisor.shutdown_bound_ms();
    assert_eq!(bound, 30_000 + 30_000 + 10_000 + 10_000 + 15_000);
    world.run_to_power();
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
