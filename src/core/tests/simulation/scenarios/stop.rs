//! Stories of services that are stopped, and of those that will not be.

use crate::world::script::{CLEAN, ERROR};
use crate::world::{Script, World, forking, simple};
use ettan_core::{Ask, Outcome};

#[test]
fn f1_03_a_service_that_ignores_term_is_killed_after_its_time_out() {
    let script = Script { term_ms: None, ..Script::GOOD };
    let mut world = World::boot_with([simple("web")], &[("web", script)]);
    world.expect(["web starting", "web up"]);
    let before = world.now;
    world.stop("web");
    world.expect(["web stopping", "web sweeping", "web down"]);
    assert_eq!(world.now - before, 10_001);
    assert_eq!(world.living("web"), 0);
}

#[test]
fn f1_04_an_unkillable_process_is_reported_and_no_second_one_started() {
    let script = Script { term_ms: None, kill_ms: 65_000, ..Script::GOOD };
    let mut world = World::boot_with([simple("web"), simple("other")], &[("web", script)]);
    world.expect(["web starting", "web up"]);
    world.restart("web");
    world.expect(["web stopping", "web sweeping", "web unkillable", "web unkillable"]);
    assert!(world.view("web").unkillable);
    assert_eq!(world.state("other"), "up");
    world.expect(["web unkillable", "web starting", "web up"]);
    assert!(!world.view("web").unkillable);
}

#[test]
fn f1_07_leftovers_are_gone_before_the_restart() {
    let script = Script { leftovers: 3, ..Script::GOOD };
    let mut world = World::boot_with([simple("web")], &[("web", script)]);
    world.run_ms(2_000);
    assert_eq!(world.living("web"), 4);
    world.skip();
    // The check before each spawn sees that nothing is left.
    world.kill("web");
    world.expect(["web sweeping", "web starting", "web up"]);
    world.stop("web");
    world.expect(["web stopping", "web sweeping", "web down"]);
    assert_eq!(world.living("web"), 0);
}

#[test]
fn f1_18_stop_while_a_restart_is_pending_cancels_it() {
    let mut world = World::boot_with([simple("web")], &[("web", Script::runs(10, ERROR))]);
    world.expect(["web starting", "web up", "web sweeping", "web backoff"]);
    world.stop("web");
    world.expect(["web down"]);
    world.run_ms(120_000);
    assert_eq!(world.spawned("web"), 1);
    assert_eq!(world.supervisor.outcome(world.id("web"), Ask::Stop), Some(Outcome::Done));
}

#[test]
fn f1_18_stop_while_starting_ends_stopped() {
    let slow = Script { launcher: (5_000, CLEAN), ..Script::GOOD };
    let mut world = World::boot_with([forking("tell")], &[("tell", slow)]);
    world.expect(["tell starting"]);
    world.run_ms(100);
    world.stop("tell");
    world.expect(["tell stopping", "tell sweeping", "tell down"]);
    world.run_ms(120_000);
    assert_eq!(world.living("tell"), 0);
    assert_eq!(world.spawned("tell"), 1);
}

#[test]
fn start_while_stopping_starts_after_it_is_down() {
    let script = Script { term_ms: Some(500), ..Script::GOOD };
    let mut world = World::boot_with([simple("web")], &[("web", script)]);
    world.run_ms(10);
    world.stop("web");
    world.run_ms(100);
    world.start("web");
    assert_eq!(world.supervisor.outcome(world.id("web"), Ask::Start), None);
    world.expect([
        "web starting",
        "web up",
        "web stopping",
        "web sweeping",
        "web starting",
        "web up",
    ]);
    assert_eq!(world.supervisor.outcome(world.id("web"), Ask::Start), Some(Outcome::Done));
}
