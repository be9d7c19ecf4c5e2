//! Stories of forking daemons and their main process.

use crate::world::script::{CLEAN, ERROR, KILLED};
use crate::world::{Main, Script, World, forking};
use ettan_core::Reason;

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
    // And not how the launcher of the run that is has ended.
    assert_eq!(world.view("tell").last_exit, Some(KILLED));
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
    assert_eq!(world.view("tell").reason, Reason::Unfound);
    assert_eq!(world.living("tell"), 0);
    assert!(world.now >= 31_000);
}

#[test]
fn a_forking_unit_that_does_not_fork_ends_in_a_time_out_and_says_so() {
    let script = Script { launcher: (90_000, CLEAN), ..Script::GOOD };
    let mut world = World::boot_with([forking("tell")], &[("tell", script)]);
    world.expect(["tell starting", "tell stopping", "tell sweeping", "tell backoff"]);
    assert_eq!(world.view("tell").reason, Reason::Unforked);
    assert_eq!(world.living("tell"), 0);
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
