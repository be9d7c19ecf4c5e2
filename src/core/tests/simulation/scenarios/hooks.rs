//! Stories of the commands around a program.

use crate::world::script::{CLEAN, ERROR};
use crate::world::{Script, World, forking, oneshot, simple};
use ettan_core::{Ask, ExitStatus, HookEnd, Outcome, Power, Reason, Restart, Stage, Step};

#[test]
fn hooks_run_one_after_the_other_around_the_program() {
    let unit = simple("web")
        .hooks(Stage::Pre, 2)
        .hooks(Stage::Post, 1)
        .hooks(Stage::Stop, 1)
        .hooks(Stage::StopPost, 2);
    let mut world = World::boot([unit]);
    world.expect(["web preparing", "web starting", "web finishing", "web up"]);
    assert_eq!((world.spawned("web/Pre0"), world.spawned("web/Pre1")), (1, 1));
    assert_eq!((world.spawned("web/Post0"), world.spawned("web/Stop0")), (1, 0));
    world.stop("web");
    world.expect(["web stopping", "web sweeping", "web cleaning", "web sweeping", "web down"]);
    assert_eq!((world.spawned("web/Stop0"), world.spawned("web/StopPost1")), (1, 1));
    assert_eq!(world.living("web"), 0);
}

#[test]
fn what_a_pre_hook_leaves_behind_is_gone_before_the_program_starts() {
    let leaves = Script { leftovers: 2, ..Script::runs(5, CLEAN) };
    let mut world = World::boot_with([simple("web").hooks(Stage::Pre, 2)], &[("web/Pre", leaves)]);
    // The check before each start sees that nothing is left.
    world.expect(["web preparing", "web starting", "web up"]);
    assert_eq!(world.living("web"), 1);
}

#[test]
fn a_failing_pre_hook_fails_the_start_and_stop_post_runs_all_the_same() {
    let unit = simple("web").restart(Restart::No).hooks(Stage::Pre, 2).hooks(Stage::StopPost, 1);
    let mut world = World::boot_with([unit], &[("web/Pre", Script::runs(5, ERROR))]);
    world.expect([
        "web preparing",
        "web hook Pre 0",
        "web sweeping",
        "web cleaning",
        "web sweeping",
        "web failed",
    ]);
    assert_eq!((world.spawned("web"), world.spawned("web/Pre1")), (0, 0));
    let end = HookEnd::Exited(ExitStatus::Code(1));
    let reason = Reason::Hook(Stage::Pre, 0, end);
    assert_eq!(
        world.supervisor.outcome(world.id("web"), Ask::Start),
        Some(Outcome::Failed(reason))
    );
}

#[test]
fn a_tolerated_failure_is_none() {
    let unit = simple("web").tolerant(Stage::Pre, 2);
    let fault = Script::fault(Step::Exec, 2);
    let mut world = World::boot_with([unit], &[("web/Pre", fault)]);
    world.expect(["web preparing", "web hook Pre 0", "web hook Pre 1", "web starting", "web up"]);
}

#[test]
fn a_failing_post_hook_ends_what_was_started() {
    let unit = simple("web").restart(Restart::No).hooks(Stage::Post, 1);
    let mut world = World::boot_with([unit], &[("web/Post", Script::runs(5, ERROR))]);
    world.expect([
        "web starting",
        "web finishing",
        "web hook Post 0",
        "web stopping",
        "web sweeping",
        "web failed",
    ]);
    assert_eq!(world.living("web"), 0);
}

#[test]
fn all_of_a_start_is_bounded_by_one_time_out() {
    let unit = simple("web").restart(Restart::No).hooks(Stage::Pre, 1).hooks(Stage::Post, 1);
    let endless = Script { runs_ms: None, ..Script::GOOD };
    for (slow, news) in [("web/Pre", "web preparing"), ("web/Post", "web starting")] {
        let mut world = World::boot_with([unit.clone()], &[(slow, endless)]);
        let before = world.now;
        world.expect(["web preparing"]);
        world.run_ms(29_900);
        assert!(["preparing", "finishing"].contains(&world.state("web")), "{news}");
        world.run_ms(2_000);
        assert_eq!(world.state("web"), "failed");
        assert_eq!(world.view("web").reason, Reason::StartTimeout);
        assert_eq!(world.living("web"), 0);
        assert!(world.now - before < 40_000);
    }
}

#[test]
fn stop_hooks_run_while_the_program_lives_and_cannot_hold_it_up_for_ever() {
    let endless = Script { runs_ms: None, term_ms: None, ..Script::GOOD };
    let unit = simple("web").hooks(Stage::Stop, 2);
    let mut world = World::boot_with([unit], &[("web/Stop", endless)]);
    world.expect(["web starting", "web up"]);
    let before = world.now;
    world.stop("web");
    world.run_ms(9_000);
    assert_eq!((world.state("web"), world.living("web")), ("stopping", 2));
    world.expect(["web stopping", "web hook Stop 0", "web sweeping", "web down"]);
    // The program ends 5 ms after the stop signal; what is left of the hook is swept.
    assert_eq!(world.now - before, 10_006);
    assert_eq!(world.spawned("web/Stop1"), 0);
}

#[test]
fn a_program_that_ends_by_itself_has_no_stop_hooks_but_those_after() {
    let unit = simple("web").hooks(Stage::Stop, 1).hooks(Stage::StopPost, 1);
    let mut world = World::boot([unit]);
    world.run_ms(2_000);
    world.skip();
    world.kill("web");
    world.expect(["web sweeping", "web cleaning", "web sweeping", "web starting", "web up"]);
    assert_eq!(world.spawned("web/Stop0"), 0);
    assert_eq!(world.spawned("web/StopPost0"), 1);
}

#[test]
fn stop_while_preparing_ends_the_hook_and_starts_nothing() {
    let slow = Script { runs_ms: Some(60_000), ..Script::GOOD };
    let unit = simple("web").hooks(Stage::Pre, 1).hooks(Stage::StopPost, 1);
    let mut world = World::boot_with([unit], &[("web/Pre", slow)]);
    world.run_ms(100);
    world.skip();
    world.stop("web");
    world.expect(["web stopping", "web sweeping", "web cleaning", "web sweeping", "web down"]);
    assert_eq!((world.spawned("web"), world.living("web")), (0, 0));
}

#[test]
fn a_main_process_that_dies_under_its_post_hook_is_a_run_that_ended() {
    let slow = Script { runs_ms: Some(60_000), ..Script::GOOD };
    let mut world = World::boot_with([simple("web").hooks(Stage::Post, 1)], &[("web/Post", slow)]);
    world.run_ms(100);
    world.skip();
    world.kill("web");
    world.expect(["web sweeping", "web backoff", "web starting", "web finishing"]);
    assert_eq!(world.living("web"), 2);
}

#[test]
fn a_oneshots_hooks() {
    let unit = oneshot("job").hooks(Stage::Pre, 1).hooks(Stage::Post, 1).hooks(Stage::StopPost, 1);
    let mut world = World::boot([unit, simple("web").requires("job")]);
    world.expect([
        "job preparing",
        "job starting",
        "job finishing",
        "job sweeping",
        "job cleaning",
        "job sweeping",
        "job down",
        "web starting",
        "web up",
    ]);
}

#[test]
fn a_oneshot_that_remains_is_undone_by_its_stop_hook() {
    let mut world = World::boot([oneshot("net").remains().hooks(Stage::Stop, 1)]);
    world.expect(["net starting", "net up"]);
    world.stop("net");
    world.expect(["net stopping", "net sweeping", "net down"]);
    assert_eq!(world.spawned("net/Stop0"), 1);
}

#[test]
fn a_forking_units_hooks() {
    let unit = forking("tell").hooks(Stage::Pre, 1).hooks(Stage::Post, 1).hooks(Stage::Stop, 1);
    let mut world = World::boot([unit]);
    world.expect(["tell preparing", "tell starting", "tell seeking", "tell finishing", "tell up"]);
    world.daemon_moves("tell");
    world.expect(["tell seeking", "tell up"]);
    assert_eq!(world.spawned("tell/Post0"), 1);
    world.stop("tell");
    world.expect(["tell stopping", "tell sweeping", "tell down"]);
}

#[test]
fn a_stop_hook_that_fails_in_its_stage_after_the_program_ended_is_still_heard() {
    let lost = Script { prepares_ms: Some(400), ..Script::fault(Step::Exec, 2) };
    let unit = simple("web").hooks(Stage::Stop, 1).with(|unit| unit.stop_timeout_ms = 0);
    let mut world = World::boot_with([unit], &[("web/Stop", lost)]);
    world.expect(["web starting", "web up"]);
    world.stop("web");
    world.expect(["web stopping"]);
    world.run_ms(100);
    world.kill("web");
    world.expect(["web hook Stop 0", "web sweeping", "web down"]);
}

#[test]
fn a_shutdown_by_force_while_a_pre_hook_runs_starts_no_program() {
    let slow = Script::runs(500, CLEAN);
    let unit = simple("web").hooks(Stage::Pre, 1);
    let mut world = World::boot_with([unit], &[("web/Pre", slow)]);
    world.expect(["web preparing"]);
    world.close_ms = Some(14_000);
    world.shutdown(Power::Reboot, true);
    // That nothing starts is looked at before each action.
    world.run_to_power();
    assert_eq!((world.spawned("web/Pre0"), world.spawned("web")), (1, 0));
}
