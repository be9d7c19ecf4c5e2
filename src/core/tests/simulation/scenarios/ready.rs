//! Stories of units that are up only once they are ready, and of units that do not work.

use crate::world::script::{CLEAN, KILLED};
use crate::world::{Script, World, forking, simple};
use ettan_core::{Ask, Event, Outcome, Reason, Remedy, Restart};

/// Is never ready.
const MUTE: Script = Script { ready_ms: None, ..Script::GOOD };

fn health(world: &mut World, unwell: Option<Remedy>) {
    let unit = world.id("web");
    world.handle(Event::Health { unit, unwell });
}

#[test]
fn f2_21_a_unit_is_up_once_it_is_ready_and_not_before() {
    let mut world = World::boot([forking("telldusd").awaited(), simple("web").after("telldusd")]);
    world.expect(["telldusd starting", "telldusd seeking", "telldusd awaiting"]);
    assert_eq!(world.state("web"), "down", "it waits for a unit that is not ready");
    let unit = world.id("telldusd");
    assert_eq!(world.supervisor.outcome(unit, Ask::Start), None);
    world.expect(["telldusd up", "web starting", "web up"]);
    assert_eq!(world.supervisor.outcome(unit, Ask::Start), Some(Outcome::Done));
}

#[test]
fn nothing_is_executed_before_the_prober_knows_of_it() {
    let mut world = World::new(1);
    world.load(crate::world::Fleet(vec![simple("web").awaited()]));
    assert_eq!((world.state("web"), world.spawned("web")), ("starting", 0));
    world.ask("web", Ask::Stop);
    world.expect(["web starting", "web down"]);
    world.run_ms(100);
    assert_eq!(world.spawned("web"), 0, "an answer that comes too late starts nothing");
}

#[test]
fn a_start_that_does_not_become_ready_has_failed() {
    let unit = simple("web").awaited().restart(Restart::No);
    let mut world = World::boot_with([unit], &[("web", MUTE)]);
    world.expect(["web starting", "web awaiting", "web stopping", "web sweeping", "web failed"]);
    assert_eq!(world.now, 1_000 + 30_000 + 5);
    assert_eq!(world.view("web").reason, Reason::StartTimeout);
    // It is tried again where policy says so.
    let unit = simple("web").awaited();
    let mut world = World::boot_with([unit], &[("web", MUTE)]);
    world.expect(["web starting", "web awaiting", "web stopping", "web sweeping", "web backoff"]);
}

#[test]
fn a_main_process_that_ends_before_it_is_ready_is_a_failed_start() {
    for ends in [CLEAN, KILLED] {
        let script = Script { ready_ms: None, ..Script::runs(20, ends) };
        for unit in [simple("web").awaited(), forking("web").awaited()] {
            let unit = unit.restart(Restart::OnFailure);
            let mut world = World::boot_with([unit], &[("web", script)]);
            while world.state("web") != "awaiting" {
                world.turn(u64::MAX);
            }
            world.skip();
            world.expect(["web sweeping", "web backoff"]);
            assert_eq!(world.view("web").in_a_row, 1);
        }
    }
}

#[test]
fn a_unit_that_asks_for_time_gets_it() {
    let script = Script { ready_ms: Some(40_000), ..Script::GOOD };
    let mut world = World::boot_with([simple("web").awaited()], &[("web", script)]);
    world.expect(["web starting", "web awaiting"]);
    world.run_ms(29_000);
    let unit = world.id("web");
    world.handle(Event::Extend { unit, span_ms: 20_000 });
    world.expect(["web up"]);
    // The next start has no more time than the first one had.
    world.ask("web", Ask::Restart);
    world.expect(["web stopping", "web sweeping", "web starting", "web awaiting", "web stopping"]);
    assert_eq!(world.view("web").reason, Reason::StartTimeout);
}

#[test]
fn a_unit_that_does_not_work_is_told_of_or_restarted() {
    let mut world = World::boot([simple("web").restart(Restart::No)]);
    world.expect(["web starting", "web up"]);
    health(&mut world, Some(Remedy::Tell));
    health(&mut world, Some(Remedy::Tell));
    assert!(world.view("web").unwell);
    health(&mut world, None);
    world.expect(["web unwell", "web well"]);
    world.run_ms(2_000);
    health(&mut world, Some(Remedy::Restart));
    world.expect(["web unwell", "web stopping", "web sweeping", "web backoff", "web starting"]);
    assert!(!world.view("web").unwell);
    assert_eq!(world.view("web").reason, Reason::Unhealthy);
}

#[test]
fn a_unit_that_hangs_is_aborted_and_its_policy_says_what_follows() {
    let mut world = World::boot([simple("web")]);
    world.expect(["web starting", "web up"]);
    world.run_ms(2_000);
    health(&mut world, Some(Remedy::Abort));
    world.expect(["web unwell", "web stopping", "web sweeping", "web starting", "web up"]);
    assert_eq!(world.view("web").reason, Reason::Watchdog);
    let mut world = World::boot([simple("web").restart(Restart::No)]);
    world.expect(["web starting", "web up"]);
    health(&mut world, Some(Remedy::Abort));
    world.expect(["web unwell", "web stopping", "web sweeping", "web failed"]);
}

#[test]
fn the_machine_restarts_for_a_unit_that_is_worth_it() {
    let mut world = World::boot([simple("web")]);
    world.expect(["web starting", "web up"]);
    health(&mut world, Some(Remedy::Reboot));
    assert_eq!(world.run_to_power().0, ettan_core::Power::Reboot);
}
