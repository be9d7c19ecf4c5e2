//! Stories of units that change while they run.

use crate::world::script::ERROR;
use crate::world::{Fleet, Main, Script, Spec, World, forking, oneshot, simple, target};
use ettan_core::{Ask, Outcome, Reason, Restart, Stage};

#[test]
fn f5_09_a_unit_that_is_gone_runs_on_as_an_orphan() {
    let mut world = World::boot([simple("web"), simple("old")]);
    world.run_ms(5_000);
    world.skip();
    world.load(Fleet(vec![simple("web")]));
    assert!(world.view("old").orphaned);
    assert_eq!(world.state("old"), "up");
    world.expect_quiet(&["web", "old"]);
    let id = world.id("old");
    world.stop("old");
    world.run_ms(100);
    assert_eq!(world.supervisor.find("old"), None);
    assert_eq!(world.supervisor.outcome(id, Ask::Stop), Some(Outcome::Done));
}

#[test]
fn f5_09_an_orphan_that_ends_is_not_restarted() {
    let mut world = World::boot([simple("old")]);
    world.run_ms(5_000);
    world.load(Fleet(vec![]));
    world.kill("old");
    world.run_ms(60_000);
    assert_eq!(world.spawned("old"), 1);
    assert_eq!(world.supervisor.find("old"), None);
}

#[test]
fn f5_09_what_is_one_less_of_what_was_asked_for_is_stopped() {
    let mut world = World::boot([simple("w0"), simple("w1"), simple("w2"), simple("old")]);
    world.run_ms(5_000);
    world.skip();
    // The last one is meant to go, and so is what is not there; another that is gone runs on.
    world.load_ending(Fleet(vec![simple("w0"), simple("w1")]), &["w2", "nobody", "w1"]);
    assert_eq!(world.view("w2").reason, Reason::Reloaded);
    world.run_ms(100);
    assert_eq!(world.supervisor.find("w2"), None);
    assert!(world.view("old").orphaned);
    world.expect_quiet(&["w0", "w1", "old"]);
}

#[test]
fn f5_11_a_load_that_changes_nothing_restarts_nothing() {
    let specs = vec![
        simple("db"),
        forking("tell").requires("db"),
        oneshot("once"),
        target("all").wants("db"),
    ];
    let mut world = World::boot(specs.clone());
    world.run_ms(5_000);
    world.skip();
    for _ in 0..5 {
        world.load(Fleet(specs.clone()));
        world.run_ms(1_000);
    }
    world.expect_quiet(&["db", "tell", "once", "all"]);
}

#[test]
fn f5_12_a_load_during_a_start_with_a_pending_pid_file_waits_on() {
    let script = Script { main: Main::After(5_000), ..Script::GOOD };
    let mut world = World::boot_with([forking("tell")], &[("tell", script)]);
    world.run_ms(1_000);
    assert_eq!(world.state("tell"), "seeking");
    world.load(Fleet(vec![forking("tell"), simple("new")]));
    world.expect(["tell starting", "tell seeking", "tell up"]);
    assert_eq!(world.spawned("tell"), 1);
    assert_eq!(world.state("new"), "up");
}

#[test]
fn a_changed_unit_is_restarted_and_its_policy_updated_in_place_otherwise() {
    let mut world = World::boot([simple("web"), simple("db")]);
    world.run_ms(5_000);
    world.skip();
    world.load(Fleet(vec![
        simple("web").changed(),
        simple("db").with(|unit| unit.stop_timeout_ms = 7),
    ]));
    world.expect(["web stopping", "web sweeping", "web starting", "web up"]);
    assert_eq!(world.view("web").reason, Reason::Reloaded);
    world.expect_quiet(&["db"]);
    assert_eq!(world.supervisor.unit(world.id("db")).map(|unit| unit.stop_timeout_ms), Some(7));
}

#[test]
fn a_missing_requirement_that_appears_heals_the_unit() {
    let mut world = World::boot([simple("web").requires("db")]);
    assert_eq!(world.state("web"), "failed");
    world.skip();
    world.load(Fleet(vec![simple("web").requires("db"), simple("db")]));
    world.expect(["db starting", "web down", "db up", "web starting", "web up"]);
}

#[test]
fn an_operators_stop_survives_a_load() {
    let mut world = World::boot([simple("web")]);
    world.stop("web");
    world.run_ms(1_000);
    world.load(Fleet(vec![simple("web"), simple("new").after("web")]));
    world.run_ms(1_000);
    assert_eq!((world.state("web"), world.state("new")), ("down", "up"));
}

#[test]
fn what_is_not_for_this_machine_starts_nothing_and_holds_up_nobody() {
    let fleet = [
        simple("camera").skipped(),
        simple("view").requires("camera").after("camera"),
        target("all").wants("camera").after("camera").skipped(),
    ];
    let mut world = World::boot(fleet);
    world.run_ms(1_000);
    assert_eq!((world.state("camera"), world.spawned("camera")), ("down", 0));
    assert_eq!((world.state("all"), world.state("view")), ("down", "up"));
    assert_eq!(world.view("camera").reason, Reason::Skipped);
    let outcome = |world: &World| world.supervisor.outcome(world.id("camera"), Ask::Start);
    world.start("camera");
    assert_eq!((outcome(&world), world.spawned("camera")), (Some(Outcome::Done), 0));
    // A condition that holds when units are read again.
    world.skip();
    world.load(Fleet(vec![simple("camera"), simple("view").requires("camera")]));
    world.expect(["camera starting", "camera up"]);
    world.expect_quiet(&["view"]);
    // One that holds no more: what runs goes on until it ends.
    world.load(Fleet(vec![simple("camera").skipped(), simple("view").requires("camera")]));
    world.run_ms(2_000);
    assert_eq!(world.state("camera"), "up");
    world.kill("camera");
    world.run_ms(1_000);
    assert_eq!((world.state("camera"), world.spawned("camera")), ("down", 1));
    assert_eq!(world.state("view"), "up");
}

#[test]
fn an_operators_stop_survives_the_end_of_a_skip() {
    let mut world = World::boot([simple("camera").skipped()]);
    world.stop("camera");
    world.load(Fleet(vec![simple("camera")]));
    world.run_ms(1_000);
    assert_eq!(world.state("camera"), "down");
}

#[test]
fn a_unit_that_waits_to_be_ready_is_up_once_nothing_is_awaited_any_more() {
    let deaf = Script { ready_ms: None, ..Script::GOOD };
    let mut world = World::boot_with([simple("web").awaited()], &[("web", deaf)]);
    world.run_ms(1_000);
    assert_eq!(world.state("web"), "awaiting");
    world.skip();
    world.load(Fleet(vec![simple("web")]));
    world.expect(["web up"]);
    world.run_ms(60_000);
    assert_eq!((world.state("web"), world.spawned("web")), ("up", 1));
}

/// More units than there is room for actions.
fn crowd(make: impl Fn(&str) -> Spec) -> Fleet {
    Fleet((0..60).map(|nth| make(&format!("w{nth:02}"))).collect())
}

fn all_are(world: &World, state: &str, starts: u64) {
    for spec in &world.fleet.0 {
        let name = spec.unit.name.as_str();
        assert_eq!((world.state(name), world.spawned(name)), (state, starts), "{name}");
    }
}

#[test]
fn however_many_units_the_prober_does_not_answer_for_all_start_without_it() {
    let mut world = World::new(1);
    world.load(crowd(|name| simple(name).awaited()));
    all_are(&world, "starting", 0);
    world.load(crowd(simple));
    world.run_ms(1_000);
    all_are(&world, "up", 1);
    for nth in 0..60 {
        world.restart(&format!("w{nth:02}"));
    }
    world.run_ms(1_000);
    all_are(&world, "up", 2);
}

#[test]
fn however_many_units_wait_to_be_ready_all_are_up_once_nothing_is_awaited() {
    let deaf = Script { ready_ms: None, ..Script::GOOD };
    let unit = |name: &str| simple(name).hooks(Stage::Post, 1);
    let mut world = World::new(1);
    world.load(Fleet(vec![]));
    for nth in 0..60 {
        world.always(&format!("w{nth:02}"), deaf);
    }
    world.load(crowd(|name| unit(name).awaited()));
    world.run_ms(1_000);
    all_are(&world, "awaiting", 1);
    world.load(crowd(unit));
    world.run_ms(1_000);
    all_are(&world, "up", 1);
}

#[test]
fn however_many_failed_units_give_way_each_is_told_of() {
    let one = |nth: usize| simple(&format!("v{nth:02}"));
    let other = |nth: usize| simple(&format!("w{nth:02}")).restart(Restart::No);
    let ends = Script::runs(10, ERROR);
    let down = |world: &World| world.news().filter(|news| news.ends_with(" down")).count();
    // At a load that says so of units that were to be up together.
    let mut world = World::new(1);
    for nth in 0..60 {
        world.always(&format!("w{nth:02}"), ends);
    }
    world.load(Fleet((0..60).flat_map(|nth| [one(nth), other(nth)]).collect()));
    world.run_ms(1_000);
    assert_eq!((world.state("v59"), world.state("w59")), ("up", "failed"));
    world.skip();
    let rivals = (0..60).flat_map(|nth| [one(nth).conflicts(&format!("w{nth:02}")), other(nth)]);
    world.load(Fleet(rivals.collect()));
    assert_eq!(down(&world), 60);
    // At the start of a unit that wants them all.
    let mut world = World::new(1);
    for nth in 0..60 {
        world.always(&format!("w{nth:02}"), ends);
    }
    let all = (0..60).fold(target("all").on_demand(), |all, nth| all.wants(&format!("v{nth:02}")));
    let rivals =
        (0..60).flat_map(|nth| [one(nth).on_demand().conflicts(&format!("w{nth:02}")), other(nth)]);
    world.load(Fleet(rivals.chain([all]).collect()));
    world.run_ms(1_000);
    assert_eq!((world.state("v59"), world.state("w59")), ("down", "failed"));
    world.skip();
    world.start("all");
    assert_eq!(down(&world), 60);
    world.run_ms(1_000);
    assert!((0..60).all(|nth| world.state(&format!("v{nth:02}")) == "up"));
}
