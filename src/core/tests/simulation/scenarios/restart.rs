//! Stories of services that end: back-off, policies, failing starts.

use crate::world::script::{CLEAN, ERROR, KILLED};
use crate::world::{Script, World, forking, oneshot, simple};
use ettan_core::{Ask, Outcome, Reason, Restart, State, Step};

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
fn a_start_that_takes_too_long_has_failed() {
    let mut world = World::boot_with([oneshot("slow")], &[("slow", Script::runs(90_000, CLEAN))]);
    world.expect(["slow starting", "slow stopping", "slow sweeping", "slow failed"]);
    assert_eq!(world.view("slow").reason, Reason::StartTimeout);
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

#[test]
fn asked_to_run_once_it_stays_down_whatever_its_policy() {
    let mut world = World::boot_with([simple("web")], &[("web", Script::runs(2_000, CLEAN))]);
    world.expect(["web starting", "web up"]);
    world.ask("web", Ask::Once);
    assert!(world.view("web").once);
    world.expect(["web sweeping", "web down"]);
    world.run_ms(60_000);
    assert_eq!((world.state("web"), world.spawned("web")), ("down", 1));
    // The next start is an ordinary one.
    world.ask("web", Ask::Start);
    world.expect(["web starting", "web up", "web sweeping", "web starting", "web up"]);
}

#[test]
fn it_is_remembered_when_a_unit_was_first_started_and_up_and_since_when_it_is_down() {
    let mut world = World::boot([simple("web")]);
    world.expect(["web starting", "web up"]);
    let first = world.view("web").first;
    assert!(first.iter().all(Option::is_some), "{first:?}");
    world.run_ms(5_000);
    world.kill("web");
    world.expect(["web sweeping", "web starting", "web up"]);
    assert_eq!(world.view("web").first, first);
    assert_eq!(world.view("web").at_rest_since, None);
    world.run_ms(5_000);
    world.ask("web", Ask::Stop);
    world.expect(["web stopping", "web sweeping", "web down"]);
    let down = world.view("web").at_rest_since.expect("it was up");
    world.run_ms(5_000);
    world.ask("web", Ask::Stop);
    assert_eq!(world.view("web").at_rest_since, Some(down));
}
