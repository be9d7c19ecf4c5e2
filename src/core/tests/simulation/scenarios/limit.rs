//! Stories of units that are given up, because their file says so.

use crate::world::script::ERROR;
use crate::world::{Script, World, simple};
use ettan_core::{Ask, LimitAction, Outcome, Power, Reason, Restart, Step};

const CRASHES: Script = Script { runs_ms: Some(10), ends: ERROR, ..Script::GOOD };

#[test]
fn so_many_starts_in_a_time_and_no_more() {
    let unit = simple("web").limit(3, 10_000, LimitAction::Nothing);
    let mut world = World::boot_with([unit], &[("web", CRASHES)]);
    world.expect(["web starting", "web up", "web sweeping", "web backoff"]);
    world.expect(["web starting", "web up", "web sweeping", "web backoff"]);
    world.expect(["web starting", "web up", "web sweeping", "web failed", "web gave-up"]);
    world.run_ms(3_600_000);
    world.expect_quiet(&["web"]);
    assert_eq!(world.spawned("web"), 3);
    assert!(world.view("web").gave_up);
    assert_eq!(world.view("web").reason, Reason::Exited(ERROR));
    let outcome = world.supervisor.outcome(world.id("web"), Ask::Start);
    assert_eq!(outcome, Some(Outcome::Failed(Reason::Exited(ERROR))));
}

#[test]
fn who_ends_more_seldom_is_never_given_up() {
    let unit = simple("web").limit(3, 10_000, LimitAction::Nothing);
    let mut world = World::boot_with([unit], &[("web", Script::runs(5_000, ERROR))]);
    world.run_ms(600_000);
    assert!(world.spawned("web") > 100);
    assert!(!world.view("web").gave_up);
}

#[test]
fn long_runs_count_too() {
    let unit = simple("web").limit(4, 60_000, LimitAction::Nothing);
    let mut world = World::boot_with([unit], &[("web", Script::runs(5_000, ERROR))]);
    world.run_ms(60_000);
    assert_eq!((world.spawned("web"), world.state("web")), (4, "failed"));
}

#[test]
fn a_start_by_hand_counts_anew() {
    let unit = simple("web").limit(2, 10_000, LimitAction::Nothing);
    let mut world = World::boot_with([unit], &[("web", CRASHES)]);
    world.run_ms(5_000);
    assert_eq!((world.spawned("web"), world.state("web")), (2, "failed"));
    world.start("web");
    assert!(!world.view("web").gave_up);
    world.run_ms(5_000);
    assert_eq!((world.spawned("web"), world.state("web")), (4, "failed"));
    world.always("web", Script::GOOD);
    world.start("web");
    world.run_ms(5_000);
    assert_eq!(world.state("web"), "up");
}

#[test]
fn reset_makes_it_down_and_forgets() {
    let unit = simple("web").limit(2, 3_600_000, LimitAction::Nothing);
    let mut world = World::boot_with([unit, simple("app")], &[("web", CRASHES)]);
    world.run_ms(5_000);
    world.skip();
    world.ask("web", Ask::Reset);
    world.expect(["web down"]);
    let view = world.view("web");
    assert_eq!((view.restarts, view.in_a_row, view.gave_up), (0, 0, false));
    assert_eq!(world.supervisor.outcome(world.id("web"), Ask::Reset), Some(Outcome::Done));
    world.run_ms(60_000);
    world.expect_quiet(&["web"]);
    // What is up stays up, and what waits goes on waiting.
    world.kill("app");
    world.run_ms(5_000);
    assert_eq!(world.view("app").restarts, 1);
    world.ask("app", Ask::Reset);
    assert_eq!((world.state("app"), world.view("app").restarts), ("up", 0));
}

#[test]
fn reset_during_a_back_off_begins_the_delays_anew() {
    let mut world = World::boot_with([simple("web")], &[("web", CRASHES)]);
    world.run_ms(60_000);
    assert_eq!(world.state("web"), "backoff");
    world.ask("web", Ask::Reset);
    assert_eq!((world.state("web"), world.view("web").crash_looping), ("backoff", false));
    world.skip();
    world.expect(["web starting", "web up", "web sweeping", "web backoff"]);
    let before = world.now;
    world.expect(["web starting"]);
    assert!(world.now - before < 300);
}

#[test]
fn what_the_machine_has_nothing_for_does_not_count() {
    let unit = simple("web").limit(2, 3_600_000, LimitAction::Reboot);
    let mut world = World::boot_with([unit], &[("web", Script::fault(Step::Fork, 11))]);
    world.run_ms(600_000);
    assert_eq!(world.state("web"), "backoff");
    world.always("web", Script::GOOD);
    world.run_ms(40_000);
    assert_eq!(world.state("web"), "up");
}

#[test]
fn a_program_that_is_not_there_is_given_up_as_well() {
    let unit = simple("web").limit(2, 10_000, LimitAction::Nothing);
    let mut world = World::boot_with([unit], &[("web", Script::fault(Step::Exec, 2))]);
    world.expect(["web starting", "web backoff", "web starting", "web failed", "web gave-up"]);
}

#[test]
fn the_machine_follows_if_the_file_says_so() {
    let actions = [
        (LimitAction::Reboot, Power::Reboot),
        (LimitAction::RebootForce, Power::Reboot),
        (LimitAction::PowerOff, Power::PowerOff),
    ];
    for (action, power) in actions {
        let units = [simple("web").limit(1, 10_000, action), simple("app")];
        let mut world = World::boot_with(units, &[("web", CRASHES)]);
        assert_eq!(world.run_to_power().0, power);
        let stopped = world.news.iter().any(|line| line == "app down");
        assert_eq!(stopped, action != LimitAction::RebootForce);
    }
}

#[test]
fn policy_that_does_not_restart_gives_nothing_up() {
    let unit = simple("web").restart(Restart::No).limit(1, 10_000, LimitAction::Reboot);
    let mut world = World::boot_with([unit], &[("web", CRASHES)]);
    world.run_ms(60_000);
    assert_eq!((world.state("web"), world.view("web").gave_up), ("failed", false));
}

#[test]
fn restart_reset_sec_says_when_short_runs_are_forgiven() {
    let unit = simple("web").with(|unit| unit.restart_reset_ms = 5_000);
    let mut world = World::boot_with([unit], &[("web", CRASHES)]);
    world.run_ms(10_000);
    world.always("web", Script::GOOD);
    while world.state("web") != "up" {
        world.turn(u64::MAX);
    }
    world.run_ms(4_000);
    assert!(world.view("web").crash_looping);
    world.run_ms(1_500);
    assert!(!world.view("web").crash_looping);
}
