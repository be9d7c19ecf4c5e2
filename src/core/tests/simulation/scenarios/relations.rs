//! Stories of units that give way to each other, go along with each other, or stand in for each
//! other.

use crate::world::script::ERROR;
use crate::world::{Fleet, Script, World, forking, oneshot, simple, target};
use ettan_core::{Ask, Blocker, Goal, Outcome, Reason, Restart};

#[test]
fn a_start_stops_what_it_conflicts_with_and_waits_for_its_end() {
    for says in ["web", "rescue"] {
        let (mut web, mut rescue) = (simple("web"), simple("rescue").on_demand());
        match says {
            "web" => web = web.conflicts("rescue"),
            _ => rescue = rescue.conflicts("web"),
        }
        let mut world = World::boot_with(
            [web, rescue],
            &[("web", Script { term_ms: Some(2_000), ..Script::GOOD })],
        );
        world.expect(["web starting", "web up"]);
        world.start("rescue");
        assert_eq!(world.view("rescue").blocked_by, Some(Blocker::Rival(world.id("web"))));
        world.expect(["web stopping", "web sweeping", "web down", "rescue starting", "rescue up"]);
        let view = world.view("web");
        assert_eq!((view.goal, view.reason), (Goal::Down, Reason::Conflict));
        let rescue = Blocker::Unit(world.id("rescue"));
        let culprit = world.supervisor.culprit(world.id("web"), Reason::Conflict);
        assert_eq!(culprit, Some(rescue));
        world.start("web");
        world.expect(["rescue stopping", "rescue sweeping", "rescue down"]);
        world.expect(["web starting", "web up"]);
        assert_eq!(world.view("rescue").goal, Goal::Down);
    }
}

#[test]
fn what_waits_in_back_off_gives_way_too() {
    let mut world = World::boot_with(
        [simple("web").conflicts("rescue"), simple("rescue").on_demand()],
        &[("web", Script::runs(10, ERROR))],
    );
    world.expect(["web starting", "web up", "web sweeping", "web backoff"]);
    world.start("rescue");
    world.expect(["web down", "rescue starting", "rescue up"]);
    world.run_ms(60_000);
    world.expect_quiet(&["web", "rescue"]);
}

#[test]
fn at_boot_the_first_by_name_comes_up_and_the_other_says_why_not() {
    let mut world = World::boot([simple("b").conflicts("a"), simple("a"), simple("c")]);
    world.expect(["a starting", "a up"]);
    world.run_ms(1_000);
    assert_eq!((world.state("b"), world.state("c")), ("down", "up"));
    assert_eq!((world.view("b").goal, world.view("b").reason), (Goal::Down, Reason::Conflict));
    let outcome = world.supervisor.outcome(world.id("b"), Ask::Start);
    assert_eq!(outcome, Some(Outcome::Failed(Reason::Conflict)));
}

#[test]
fn a_load_that_brings_a_conflict_keeps_one_of_the_two() {
    let mut world = World::boot([simple("a"), simple("b")]);
    world.expect(["b starting", "b up"]);
    world.skip();
    world.load(Fleet(vec![simple("a"), simple("b").conflicts("a")]));
    world.expect(["b stopping", "b sweeping", "b down"]);
    world.expect_quiet(&["a"]);
    // A new unit that starts at boot does not displace anybody either.
    world.load(Fleet(vec![simple("0").conflicts("a"), simple("a"), simple("b").conflicts("a")]));
    world.run_ms(1_000);
    assert_eq!((world.state("0"), world.state("a"), world.state("b")), ("down", "up", "down"));
}

#[test]
fn a_unit_that_requires_its_own_rival_stays_down() {
    let mut world = World::boot([
        simple("a").requires("b").on_demand(),
        simple("b").requires("c").on_demand(),
        simple("c").conflicts("a").on_demand(),
    ]);
    world.start("a");
    let outcome = world.supervisor.outcome(world.id("a"), Ask::Start);
    assert_eq!(outcome, Some(Outcome::Failed(Reason::Requirement)));
    assert_eq!((world.state("a"), world.state("b"), world.state("c")), ("down", "down", "down"));
}

#[test]
fn an_answer_to_a_failure_starts_once_for_each_failure() {
    let mut world = World::boot_with(
        [oneshot("job").on_failure("alarm"), oneshot("alarm").on_demand()],
        &[("job", Script::runs(10, ERROR))],
    );
    world.expect(["job starting", "job sweeping", "job failed"]);
    world.expect(["alarm starting", "alarm sweeping", "alarm down"]);
    world.start("job");
    world.expect(["job starting", "job sweeping", "job failed"]);
    world.expect(["alarm starting", "alarm sweeping", "alarm down"]);
    assert_eq!(world.spawned("alarm"), 2);
}

#[test]
fn a_crash_loop_is_answered_when_it_begins_and_again_after_a_good_run() {
    let mut world = World::boot_with(
        [simple("web").on_failure("alarm"), oneshot("alarm").on_demand()],
        &[("web", Script::runs(10, ERROR))],
    );
    world.run_ms(120_000);
    assert!(world.spawned("web") > 5 && world.view("web").crash_looping);
    assert_eq!(world.spawned("alarm"), 1);
    world.always("web", Script::runs(90_000, ERROR));
    world.run_ms(200_000);
    world.always("web", Script::runs(10, ERROR));
    world.run_ms(240_000);
    assert_eq!(world.spawned("alarm"), 2);
}

#[test]
fn a_stand_in_takes_the_place_of_what_failed() {
    let mut world = World::boot_with(
        [simple("web").on_failure("standin").conflicts("standin"), simple("standin").on_demand()],
        &[("web", Script::runs(10, ERROR))],
    );
    world.expect(["standin starting", "standin up"]);
    world.run_ms(60_000);
    assert_eq!((world.state("web"), world.state("standin")), ("down", "up"));
    assert_eq!(world.view("standin").reason, Reason::OnFailure);
}

#[test]
fn units_that_stand_in_for_each_other_and_fail_come_to_rest() {
    let no = Restart::No;
    let mut world = World::boot_with(
        [
            simple("a").restart(no).on_failure("b").conflicts("b"),
            simple("b").restart(no).on_failure("a").on_demand(),
        ],
        &[("a", Script::runs(10, ERROR)), ("b", Script::runs(10, ERROR))],
    );
    world.always("b", Script::runs(10, ERROR));
    world.run_ms(3_600_000);
    assert!(world.spawned("a") + world.spawned("b") < 6, "a circle of failures goes on");
}

#[test]
fn a_part_stops_and_restarts_with_the_whole() {
    let mut world = World::boot([
        simple("web"),
        simple("worker").part_of("web").after("web"),
        simple("helper").part_of("worker"),
    ]);
    world.run_ms(2_000);
    world.skip();
    world.restart("web");
    world.expect(["worker stopping", "worker sweeping", "worker down"]);
    world.expect(["web stopping", "web sweeping"]);
    world.expect(["web starting", "web up", "worker starting", "worker up"]);
    assert_eq!((world.spawned("helper"), world.view("helper").goal), (2, Goal::Up));
    world.kill("web");
    world.run_ms(2_000);
    assert_eq!(world.spawned("worker"), 2, "an end of its own takes no part along");
    world.stop("web");
    world.run_ms(1_000);
    for name in ["web", "worker", "helper"] {
        assert_eq!((world.state(name), world.view(name).goal), ("down", Goal::Down), "{name}");
    }
    assert_eq!(world.view("worker").reason, Reason::PartOf);
    world.start("web");
    world.run_ms(1_000);
    assert_eq!((world.state("web"), world.state("worker")), ("up", "down"));
}

#[test]
fn a_bound_unit_never_sees_two_runs_of_what_it_is_bound_to() {
    let mut world = World::boot([simple("db"), simple("web").binds_to("db")]);
    world.run_ms(2_000);
    world.skip();
    world.kill("db");
    world.expect(["db sweeping", "web stopping", "db down", "web sweeping", "web down"]);
    assert_eq!((world.view("web").goal, world.view("web").reason), (Goal::Up, Reason::Bound));
    world.expect(["db starting", "db up", "web starting", "web up"]);
}

#[test]
fn a_restart_waits_for_the_end_of_what_is_bound_to_it() {
    let mut world = World::boot_with(
        [simple("db"), simple("web").binds_to("db")],
        &[("web", Script { term_ms: Some(3_000), ..Script::GOOD })],
    );
    world.run_ms(2_000);
    world.kill("db");
    assert_eq!(world.view("db").blocked_by, Some(Blocker::Bound(world.id("web"))));
    world.run_ms(2_000);
    assert_eq!((world.state("db"), world.state("web")), ("down", "stopping"));
    world.skip();
    world.expect(["web sweeping", "web down", "db starting", "db up", "web starting", "web up"]);
}

#[test]
fn a_main_process_that_moves_is_not_gone() {
    let mut world = World::boot([forking("db"), simple("web").binds_to("db")]);
    world.run_ms(2_000);
    world.skip();
    world.daemon_moves("db");
    world.run_ms(2_000);
    assert_eq!(world.state("db"), "up");
    world.expect_quiet(&["web"]);
}

#[test]
fn a_unit_comes_and_goes_with_the_condition_it_is_bound_to() {
    let mut world = World::boot([simple("tell").binds_to("?network"), target("all").wants("tell")]);
    assert_eq!(world.view("tell").blocked_by, Some(Blocker::Condition("network")));
    for _ in 0..3 {
        world.condition("network", true);
        world.expect(["tell starting", "tell up"]);
        world.condition("network", false);
        world.expect(["tell stopping", "tell sweeping", "tell down"]);
        assert_eq!((world.view("tell").goal, world.view("tell").reason), (Goal::Up, Reason::Bound));
        let culprit = world.supervisor.culprit(world.id("tell"), Reason::Bound);
        assert_eq!(culprit, Some(Blocker::Condition("network")));
    }
    world.stop("tell");
    world.condition("network", true);
    world.run_ms(1_000);
    assert_eq!(world.state("tell"), "down");
}

#[test]
fn many_parts_in_back_off_are_told_of_one_by_one() {
    let names: Vec<String> = (0..60).map(|number| format!("p{number:02}")).collect();
    let mut fleet = vec![target("whole")];
    fleet.extend(names.iter().map(|name| simple(name).part_of("whole")));
    let scripts: Vec<(&str, Script)> =
        names.iter().map(|name| (name.as_str(), Script::runs(10, ERROR))).collect();
    let mut world = World::boot_with(fleet, &scripts);
    world.run_ms(5_000);
    world.skip();
    world.stop("whole");
    world.run_ms(60_000);
    for name in &names {
        assert_eq!(world.state(name), "down", "{name}");
    }
    assert_eq!(world.news().filter(|news| news.ends_with(" down")).count(), 61);
}
