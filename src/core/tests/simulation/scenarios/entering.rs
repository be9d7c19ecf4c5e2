//! Stories of units whose place is prepared by a process of their own before the program is
//! executed.

use crate::world::script::{CLEAN, KILLED};
use crate::world::{Script, World, forking, oneshot, simple};
use ettan_core::{Reason, Restart, SpawnFault, Step};

#[test]
fn a_unit_is_up_once_its_program_was_executed_and_not_before() {
    let scripts = [("web", Script::prepares(700))];
    let mut world = World::boot_with([simple("web"), simple("user").after("web")], &scripts);
    world.expect(["web starting"]);
    world.run_ms(600);
    assert!(world.pid("web").is_some());
    world.expect_quiet(&["web", "user"]);
    world.expect(["web up", "user starting", "user up"]);
    assert_eq!(world.living("web"), 1);
}

#[test]
fn what_cannot_be_prepared_is_a_failed_start_that_names_the_step() {
    let fault = SpawnFault { step: Step::Directory, errno: 20 };
    let script = Script { prepares_ms: Some(40), ..Script::fault(Step::Directory, 20) };
    let unit = simple("web").restart(Restart::No);
    let mut world = World::boot_with([unit], &[("web", script)]);
    world.expect(["web starting", "web failed"]);
    assert_eq!(world.view("web").reason, Reason::Spawn(fault));
    assert_eq!(world.living("web"), 0);
}

#[test]
fn f1_02_a_preparation_that_hangs_is_bounded_by_the_start_timeout() {
    let script = Script { term_ms: None, ..Script::prepares(10_000_000) };
    let unit = simple("web").with(|unit| {
        (unit.start_timeout_ms, unit.stop_timeout_ms) = (5_000, 1_000);
    });
    let mut world = World::boot_with([unit], &[("web", script)]);
    world.expect(["web starting"]);
    let began = world.now;
    world.expect(["web stopping", "web sweeping", "web backoff"]);
    assert!((6_000..6_100).contains(&(world.now - began)), "{}", world.now - began);
    assert_eq!(world.view("web").reason, Reason::StartTimeout);
    assert_eq!(world.living("web"), 0);
}

#[test]
fn a_preparation_can_be_stopped_and_killed() {
    let mut world = World::boot_with([simple("web")], &[("web", Script::prepares(900))]);
    world.expect(["web starting"]);
    world.stop("web");
    world.expect(["web stopping", "web sweeping", "web down"]);
    world.start("web");
    world.expect(["web starting"]);
    world.run_ms(10);
    world.kill("web");
    world.expect(["web sweeping", "web backoff", "web starting", "web up"]);
    assert_eq!(world.view("web").last_exit, Some(KILLED));
}

#[test]
fn launchers_and_oneshots_are_prepared_too() {
    let scripts = [
        ("daemon", Script::prepares(100)),
        ("once", Script { runs_ms: Some(5), ends: CLEAN, ..Script::prepares(100) }),
    ];
    let mut world = World::boot_with([forking("daemon"), oneshot("once")], &scripts);
    world.expect(["daemon starting", "once starting", "once sweeping", "once down"]);
    world.expect(["daemon seeking", "daemon up"]);
}
