//! Stories of order, requirements, conditions and cycles.

use crate::world::script::{CLEAN, ERROR};
use crate::world::{Fleet, Script, World, forking, oneshot, simple, target};
use ettan_core::{Ask, Blocker, Goal, Outcome, Reason, Step};

#[test]
fn a_oneshot_is_done_and_order_goes_on() {
    let mut world = World::boot([oneshot("fsck"), simple("web").requires("fsck").after("fsck")]);
    world.expect(["fsck starting", "fsck sweeping", "fsck down", "web starting", "web up"]);
    assert_eq!(world.supervisor.outcome(world.id("fsck"), Ask::Start), Some(Outcome::Done));
    assert_eq!(world.view("fsck").goal, Goal::Down);
    assert_eq!(world.spawned("fsck"), 1);
}

#[test]
fn a_oneshot_that_remains_is_up_until_stopped() {
    let mut world = World::boot([oneshot("net").remains()]);
    world.expect(["net starting", "net up"]);
    world.stop("net");
    world.expect(["net sweeping", "net down"]);
}

#[test]
fn a_failed_oneshot_satisfies_order_but_no_requirement() {
    let mut world = World::boot_with(
        [oneshot("fsck"), simple("a").after("fsck"), simple("b").requires("fsck")],
        &[("fsck", Script::runs(10, ERROR)), ("fsck", Script::runs(10, CLEAN))],
    );
    world.expect(["fsck starting", "fsck sweeping", "fsck failed", "a starting", "a up"]);
    assert_eq!(world.state("b"), "down");
    let blocked = world.view("b").blocked_by;
    assert_eq!(blocked, Some(Blocker::Unit(world.id("fsck"))));
    let outcome = world.supervisor.outcome(world.id("b"), Ask::Start);
    assert_eq!(outcome, Some(Outcome::Failed(Reason::Requirement)));
    world.start("fsck");
    world.expect(["fsck starting", "fsck sweeping", "fsck down", "b starting", "b up"]);
}

#[test]
fn order_is_kept_and_a_target_stands_for_its_members() {
    let mut world = World::boot([
        target("multi").wants("web").after("web"),
        forking("db").on_demand(),
        simple("web").requires("db").on_demand(),
    ]);
    let order = ["db starting", "db seeking", "db up", "web starting", "web up", "multi up"];
    world.expect(order);
}

#[test]
fn of_those_that_can_start_the_least_nice_comes_first() {
    let mut world = World::boot([
        simple("a").nice(5).after("disk"),
        simple("b").after("disk"),
        simple("c").nice(-5).after("disk"),
        oneshot("disk").nice(19).remains(),
    ]);
    world.expect(["disk starting", "disk up"]);
    world.expect(["c starting", "b starting", "a starting"]);
}

#[test]
fn what_is_needed_is_as_urgent_as_who_needs_it() {
    let mut world = World::boot([
        simple("a").after("seed"),
        simple("b"),
        simple("c").nice(4),
        simple("seed").nice(5),
    ]);
    world.expect(["seed starting", "b starting", "c starting"]);
}

#[test]
fn a_stopped_requirement_takes_its_dependants_along_in_order_and_back() {
    let mut world = World::boot([simple("db"), simple("web").requires("db")]);
    world.expect(["db starting", "db up", "web starting", "web up"]);
    world.stop("db");
    world.expect(["web stopping", "web sweeping", "web down"]);
    world.expect(["db stopping", "db sweeping", "db down"]);
    assert_eq!(world.view("web").reason, Reason::Requirement);
    assert_eq!(world.view("web").goal, Goal::Up);
    world.start("db");
    world.expect(["db starting", "db up", "web starting", "web up"]);
}

#[test]
fn a_restarted_requirement_restarts_its_dependants_in_order() {
    let mut world = World::boot([simple("db"), simple("web").requires("db")]);
    world.expect(["db starting", "db up", "web starting", "web up"]);
    world.restart("db");
    let stops = ["web stopping", "web sweeping", "web down", "db stopping", "db sweeping"];
    world.expect(stops);
    world.expect(["db starting", "db up", "web starting", "web up"]);
}

#[test]
fn a_requirement_that_restarts_at_once_keeps_its_dependants() {
    let mut world = World::boot([simple("db"), simple("web").requires("db")]);
    world.run_ms(2_000);
    world.skip();
    world.kill("db");
    world.run_ms(1_000);
    world.expect_quiet(&["web"]);
    assert_eq!(world.state("db"), "up");
}

#[test]
fn a_requirement_in_back_off_has_failed_and_its_dependants_stop() {
    let mut world = World::boot_with(
        [simple("db"), simple("web").requires("db")],
        &[("db", Script::runs(500, ERROR)), ("db", Script::GOOD)],
    );
    world.expect(["db starting", "db up", "web starting", "web up", "db sweeping", "db backoff"]);
    world.expect(["web stopping", "web sweeping", "web down", "db starting", "db up"]);
    world.expect(["web starting", "web up"]);
}

#[test]
fn p8_a_crash_looping_unit_delays_only_what_requires_it() {
    let mut world = World::boot_with(
        [
            simple("db"),
            simple("web").requires("db").after("db"),
            simple("console").after("db").after("web"),
        ],
        &[("db", Script::fault(Step::Exec, 2))],
    );
    world.expect(["db starting", "db backoff", "console starting", "console up"]);
    assert_eq!(world.state("web"), "down");
}

#[test]
fn f5_05_missing_dependencies() {
    let mut world =
        World::boot([simple("a").after("ghost").wants("ghost"), simple("b").requires("ghost")]);
    world.expect(["a starting", "a up"]);
    assert_eq!(world.state("b"), "failed");
    assert_eq!(world.view("b").reason, Reason::Requirement);
    assert_eq!(world.view("b").blocked_by, Some(Blocker::Missing("ghost")));
}

#[test]
fn a_condition_is_waited_for_and_may_be_lost_later() {
    let mut world = World::boot([simple("web").after("?network"), simple("local")]);
    world.expect(["local starting", "local up"]);
    assert_eq!(world.view("web").blocked_by, Some(Blocker::Condition("network")));
    world.condition("network", true);
    world.expect(["web starting", "web up"]);
    world.condition("network", false);
    world.run_ms(1_000);
    world.expect_quiet(&["web"]);
    world.stop("web");
    world.expect(["web stopping", "web sweeping", "web down"]);
    world.start("web");
    assert_eq!(world.state("web"), "down");
    world.condition("network", true);
    world.expect(["web starting", "web up"]);
}

#[test]
fn a_condition_published_before_anybody_waits_is_remembered() {
    let mut world = World::boot([]);
    world.condition("clock", true);
    world.load(Fleet(vec![simple("web").after("?clock")]));
    world.expect(["web starting", "web up"]);
}

#[test]
fn it_is_known_which_conditions_units_wait_for() {
    let mut world = World::boot([simple("web").after("?network"), simple("local")]);
    world.condition("path:/data", true);
    let waited = |world: &World, name| {
        let all = (0..).map_while(|nth| Some((nth, world.supervisor.condition_at(nth)?.0)));
        all.filter(|(_, known)| *known == name)
            .map(|(nth, _)| world.supervisor.is_waited_for(nth))
            .last()
    };
    assert_eq!(waited(&world, "network"), Some(true));
    assert_eq!(waited(&world, "path:/data"), Some(false));
    assert_eq!(waited(&world, "clock"), None);
    assert!(!world.supervisor.is_waited_for(64));
    let before = world.supervisor.wishes();
    world.condition("network", true);
    assert_eq!(world.supervisor.wishes(), before);
    world.load(Fleet(vec![simple("web").after("?path:/data")]));
    assert_ne!(world.supervisor.wishes(), before);
    assert_eq!(waited(&world, "network"), Some(false));
    assert_eq!(waited(&world, "path:/data"), Some(true));
}

#[test]
fn f5_04_a_cycle_is_broken_at_the_same_place_every_time() {
    let specs = [simple("c").after("a"), simple("a").after("b"), simple("b").requires("c")];
    for turn in 0..3 {
        let mut specs = specs.clone();
        specs.rotate_left(turn);
        let mut world = World::boot(specs);
        world.expect(["a cycle-broken b"]);
        world.expect(["a starting", "a up", "c starting", "c up", "b starting", "b up"]);
    }
}

#[test]
fn f5_04_a_cycle_is_broken_where_it_was_whoever_is_nice() {
    let mut world = World::boot([
        simple("a").nice(19).after("b"),
        simple("b").requires("c"),
        simple("c").nice(-20).after("a"),
    ]);
    world.expect(["a cycle-broken b"]);
    world.expect(["a starting", "a up", "c starting", "c up", "b starting", "b up"]);
}

#[test]
fn f5_04_units_that_require_each_other_start_nevertheless() {
    let mut world = World::boot([
        simple("a").requires("b"),
        simple("b").requires("a"),
        simple("me").requires("me"),
    ]);
    world.expect(["a cycle-broken b", "a starting", "a up", "b starting", "b up"]);
    assert_eq!(world.state("me"), "up");
}
