//! Stories of one or a few units, each told in the news they make.

use crate::world;

use crate::world::script::{CLEAN, ERROR, KILLED};
use crate::world::{Main, Script, World, forking, oneshot, simple, target};
use ettan_core::{Ask, Blocker, Goal, Outcome, Power, Reason, Restart, State, Step};

#[test]
fn f1_01_a_killed_service_is_back_at_once_after_a_long_run() {
    let mut world = World::boot([simple("web")]);
    world.expect(["web starting", "web up"]);
    world.run_ms(2_000);
    let before = world.now;
    world.kill("web");
    world.expect(["web sweeping", "web starting", "web up"]);
    assert_eq!(world.now, before);
    assert_eq!(world.view("web").last_exit, Some(KILLED));
    assert_eq!(world.view("web").restarts, 1);
    assert_eq!(world.spawned("web"), 2);
}

#[test]
fn f1_01_a_crash_loop_backs_off_and_never_gives_up() {
    let mut world = World::boot_with([simple("web")], &[("web", Script::runs(10, ERROR))]);
    world.expect(["web starting", "web up", "web sweeping", "web backoff"]);
    assert!(!world.view("web").crash_looping);
    world.expect(["web starting", "web up", "web sweeping", "web backoff"]);
    world.expect(["web starting", "web up", "web sweeping", "web backoff", "web crash-looping"]);
    assert!(world.view("web").crash_looping);
    world.run_ms(3_600_000);
    let spawned = world.spawned("web");
    // 30 s ± 10 % each, once the delay has doubled up to there.
    assert!((105..=140).contains(&spawned), "{spawned}");
    world.always("web", Script::GOOD);
    world.run_ms(40_000);
    assert_eq!(world.state("web"), "up");
    world.run_ms(61_000);
    assert!(!world.view("web").crash_looping, "forgiven after a minute up");
}

#[test]
fn the_delay_doubles_with_jitter() {
    let mut world = World::boot_with([simple("web")], &[("web", Script::runs(10, ERROR))]);
    let mut expected = 250;
    for _ in 0..10 {
        while world.state("web") != "backoff" {
            world.turn(u64::MAX);
        }
        let State::Backoff { until } = world.view("web").state else { unreachable!() };
        let delay = until.0 - (world.now - 1);
        assert!((expected * 89 / 100..=expected * 111 / 100 + 2).contains(&delay), "{delay}");
        expected = (expected * 2).min(30_000);
        while world.state("web") == "backoff" {
            world.turn(u64::MAX);
        }
    }
}

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
fn f1_10_a_fork_that_fails_stays_pending_for_ever_whatever_the_policy() {
    let unit = simple("web").restart(Restart::No);
    let mut world = World::boot_with([unit], &[("web", Script::fault(Step::Fork, 11))]);
    world.expect(["web starting", "web backoff"]);
    world.run_ms(600_000);
    assert!(matches!(world.view("web").reason, Reason::Spawn(fault) if fault.errno == 11));
    assert!(!world.view("web").crash_looping, "the machine's fault, not the service's");
    assert_eq!(world.supervisor.outcome(world.id("web"), Ask::Start), None);
    world.always("web", Script::GOOD);
    world.run_ms(33_000);
    assert_eq!(world.state("web"), "up");
}

#[test]
fn f1_15_a_missing_program_is_tried_again_and_its_reason_kept() {
    let mut world = World::boot_with([simple("web")], &[("web", Script::fault(Step::Exec, 2))]);
    world.expect(["web starting", "web backoff", "web starting", "web backoff"]);
    let outcome = world.supervisor.outcome(world.id("web"), Ask::Start);
    assert!(matches!(outcome, Some(Outcome::Failed(Reason::Spawn(f))) if f.step == Step::Exec));
    world.always("web", Script::GOOD);
    world.run_ms(33_000);
    assert_eq!(world.state("web"), "up");
}

#[test]
fn f1_15_a_missing_program_with_restart_no_has_failed() {
    let unit = simple("web").restart(Restart::No);
    let mut world = World::boot_with([unit], &[("web", Script::fault(Step::Interpreter, 2))]);
    world.expect(["web starting", "web failed"]);
    world.always("web", Script::GOOD);
    world.start("web");
    world.expect(["web starting", "web up"]);
}

#[test]
fn f1_17_a_service_that_ends_at_once_is_not_lost() {
    let script = Script::runs(1, ERROR);
    let mut world = World::boot_with([simple("web")], &[("web", script), ("web", Script::GOOD)]);
    world.expect([
        "web starting",
        "web up",
        "web sweeping",
        "web backoff",
        "web starting",
        "web up",
    ]);
    assert_eq!(world.spawned("web"), 2);
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

#[test]
fn a_start_by_hand_ends_the_back_off_and_clears_the_counters() {
    let mut world = World::boot_with([simple("web")], &[("web", Script::runs(10, ERROR))]);
    world.run_ms(100_000);
    assert!(world.view("web").crash_looping);
    world.always("web", Script::GOOD);
    world.skip();
    world.start("web");
    world.expect(["web starting", "web up"]);
    assert_eq!(world.view("web").in_a_row, 0);
}

#[test]
fn restart_policies_decide() {
    let term = ettan_core::ExitStatus::Signal { signal: 15, core: false };
    let cases = [
        (Restart::No, CLEAN, "down"),
        (Restart::No, ERROR, "failed"),
        (Restart::Always, CLEAN, "backoff"),
        (Restart::OnSuccess, CLEAN, "backoff"),
        (Restart::OnSuccess, ERROR, "failed"),
        (Restart::OnFailure, CLEAN, "down"),
        (Restart::OnFailure, term, "down"),
        (Restart::OnFailure, ERROR, "backoff"),
        (Restart::OnFailure, KILLED, "backoff"),
        (Restart::OnAbnormal, ERROR, "failed"),
        (Restart::OnAbnormal, KILLED, "backoff"),
    ];
    for (restart, ends, then) in cases {
        let unit = simple("web").restart(restart);
        let mut world = World::boot_with([unit], &[("web", Script::runs(10, ends))]);
        world.run_ms(50);
        assert_eq!(world.state("web"), then, "{restart:?} {ends:?}");
    }
}

#[test]
fn a_forking_unit_is_up_once_its_main_process_is_known() {
    let mut world = World::boot([forking("tell")]);
    world.expect(["tell starting", "tell seeking", "tell up"]);
    let first = world.pid("tell");
    world.run_ms(2_000);
    world.kill("tell");
    world.expect(["tell seeking", "tell sweeping", "tell starting", "tell seeking", "tell up"]);
    assert_ne!(world.pid("tell"), first);
    assert_eq!(world.view("tell").restarts, 1);
}

#[test]
fn f2_01_a_pid_file_missing_for_ever_ends_in_a_time_out() {
    let script = Script { main: Main::Silent, ..Script::GOOD };
    let mut world = World::boot_with([forking("tell")], &[("tell", script)]);
    world.expect([
        "tell starting",
        "tell seeking",
        "tell stopping",
        "tell sweeping",
        "tell backoff",
    ]);
    assert_eq!(world.view("tell").reason, Reason::StartTimeout);
    assert_eq!(world.living("tell"), 0);
    assert!(world.now >= 31_000);
}

#[test]
fn f2_03_a_pid_file_written_late_is_waited_for() {
    let script = Script { main: Main::After(20_000), ..Script::GOOD };
    let mut world = World::boot_with([forking("tell")], &[("tell", script)]);
    world.expect(["tell starting", "tell seeking", "tell up"]);
    assert_eq!(world.spawned("tell"), 1);
}

#[test]
fn f2_11_a_daemon_that_died_during_the_start_is_a_failed_start() {
    let script = Script { main: Main::Dies(10, ERROR), ..Script::GOOD };
    let mut world = World::boot_with([forking("tell")], &[("tell", script)]);
    world.expect(["tell starting", "tell seeking", "tell sweeping", "tell backoff"]);
    assert_eq!(world.view("tell").reason, Reason::MainLost(Some(ERROR)));
    assert_eq!(world.view("tell").last_exit, Some(ERROR));
}

#[test]
fn f2_18_a_daemon_that_replaces_itself_is_not_restarted() {
    let mut world = World::boot([forking("nginx")]);
    world.expect(["nginx starting", "nginx seeking", "nginx up"]);
    let first = world.pid("nginx");
    world.run_ms(2_000);
    world.daemon_moves("nginx");
    world.expect(["nginx seeking", "nginx up"]);
    assert_ne!(world.pid("nginx"), first);
    assert_eq!((world.spawned("nginx"), world.view("nginx").restarts), (1, 0));
}

#[test]
fn a_launcher_that_fails_is_a_failed_start() {
    let script = Script { launcher: (10, ERROR), main: Main::Silent, ..Script::GOOD };
    let mut world = World::boot_with([forking("tell")], &[("tell", script)]);
    world.expect(["tell starting", "tell sweeping", "tell backoff"]);
    assert_eq!(world.view("tell").reason, Reason::Exited(ERROR));
}

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
fn a_start_that_takes_too_long_has_failed() {
    let mut world = World::boot_with([oneshot("slow")], &[("slow", Script::runs(90_000, CLEAN))]);
    world.expect(["slow starting", "slow stopping", "slow sweeping", "slow failed"]);
    assert_eq!(world.view("slow").reason, Reason::StartTimeout);
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
    world.load(world::Fleet(vec![simple("web").after("?clock")]));
    world.expect(["web starting", "web up"]);
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
fn f5_04_units_that_require_each_other_start_nevertheless() {
    let mut world = World::boot([
        simple("a").requires("b"),
        simple("b").requires("a"),
        simple("me").requires("me"),
    ]);
    world.expect(["a cycle-broken b", "a starting", "a up", "b starting", "b up"]);
    assert_eq!(world.state("me"), "up");
}

#[test]
fn f5_09_a_unit_that_is_gone_runs_on_as_an_orphan() {
    let mut world = World::boot([simple("web"), simple("old")]);
    world.run_ms(5_000);
    world.skip();
    world.load(world::Fleet(vec![simple("web")]));
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
    world.load(world::Fleet(vec![]));
    world.kill("old");
    world.run_ms(60_000);
    assert_eq!(world.spawned("old"), 1);
    assert_eq!(world.supervisor.find("old"), None);
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
        world.load(world::Fleet(specs.clone()));
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
    world.load(world::Fleet(vec![forking("tell"), simple("new")]));
    world.expect(["tell starting", "tell seeking", "tell up"]);
    assert_eq!(world.spawned("tell"), 1);
    assert_eq!(world.state("new"), "up");
}

#[test]
fn a_changed_unit_is_restarted_and_its_policy_updated_in_place_otherwise() {
    let mut world = World::boot([simple("web"), simple("db")]);
    world.run_ms(5_000);
    world.skip();
    world.load(world::Fleet(vec![
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
    world.load(world::Fleet(vec![simple("web").requires("db"), simple("db")]));
    world.expect(["db starting", "web down", "db up", "web starting", "web up"]);
}

#[test]
fn an_operators_stop_survives_a_load() {
    let mut world = World::boot([simple("web")]);
    world.stop("web");
    world.run_ms(1_000);
    world.load(world::Fleet(vec![simple("web"), simple("new").after("web")]));
    world.run_ms(1_000);
    assert_eq!((world.state("web"), world.state("new")), ("down", "up"));
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
    world.load(world::Fleet(vec![simple("web")]));
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
    world.load(world::Fleet(vec![simple("web")]));
    world.expect(["ettan-log starting", "ettan-log up", "ettan-log sweeping", "ettan-log backoff"]);
    world.shutdown(Power::Reboot, false);
    world.expect(["ettan-log down"]);
    world.run_to_power();
    assert_eq!(world.spawned("ettan-log"), 1);
}

#[test]
fn a_signal_by_hand_goes_to_the_main_process_and_changes_no_goal() {
    let mut world = World::boot([simple("web")]);
    world.run_ms(2_000);
    world.ask("web", Ask::Signal(9));
    world.run_ms(10);
    assert_eq!((world.spawned("web"), world.state("web")), (2, "up"));
}

#[test]
fn an_idle_machine_has_no_deadline() {
    let mut world = World::boot([simple("web"), forking("tell"), oneshot("once")]);
    world.run_ms(1_000);
    assert_eq!(world.supervisor.next_deadline(), None);
}
