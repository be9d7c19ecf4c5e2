//! Stories of whom the end of a unit is for: kill-mode.

use crate::world::script::Main;
use crate::world::{Fleet, Script, World, forking, simple};
use ettan_core::{KillMode, Power, Restart, Stage};

/// A program with two children that ignore TERM.
const PARENT: Script = Script { leftovers: 2, ..Script::GOOD };

#[test]
fn mixed_leaves_nothing_behind() {
    let unit = simple("web").kill_mode(KillMode::Mixed);
    let mut world = World::boot_with([unit], &[("web", PARENT)]);
    world.expect(["web starting", "web up"]);
    world.stop("web");
    world.expect(["web stopping", "web sweeping", "web down"]);
    assert_eq!(world.living("web"), 0);
    assert_eq!(world.signals, ["web 15 Main"]);
}

#[test]
fn process_ends_the_main_process_and_spares_the_others() {
    let unit = simple("web").kill_mode(KillMode::Process);
    let mut world = World::boot_with([unit], &[("web", PARENT)]);
    world.run_ms(2_000);
    world.skip();
    world.stop("web");
    world.expect(["web stopping", "web sweeping", "web down"]);
    assert_eq!((world.living("web"), world.spawned("web")), (2, 1));
    assert_eq!(world.signals, ["web 15 Main"]);
    world.start("web");
    world.expect(["web starting", "web up"]);
    assert_eq!(world.living("web"), 5);
    world.run_ms(2_000);
    world.kill("web");
    world.expect(["web sweeping", "web starting", "web up"]);
    assert_eq!(world.living("web"), 7);
    world.shutdown(Power::PowerOff, false);
    assert_eq!(world.run_to_power().0, Power::PowerOff);
}

#[test]
fn a_main_process_that_ignores_its_signal_is_killed_and_no_other() {
    let deaf = Script { term_ms: None, ..PARENT };
    let unit = simple("web").kill_mode(KillMode::Process);
    let mut world = World::boot_with([unit], &[("web", deaf)]);
    world.expect(["web starting", "web up"]);
    world.stop("web");
    world.expect(["web stopping", "web sweeping", "web down"]);
    assert_eq!(world.living("web"), 2);
}

#[test]
fn no_command_is_spared() {
    let endless = Script { runs_ms: None, term_ms: None, ..Script::GOOD };
    for stage in [Stage::Post, Stage::Stop, Stage::StopPost, Stage::Reload] {
        let unit = simple("web").kill_mode(KillMode::Process).hooks(stage, 1);
        let hook = format!("web/{stage:?}");
        let mut world = World::boot_with([unit], &[("web", PARENT), (hook.as_str(), endless)]);
        world.run_ms(2_000);
        world.reload("web");
        world.run_ms(10);
        world.stop("web");
        world.run_ms(60_000);
        assert_eq!((world.state("web"), world.living("web")), ("down", 2), "{stage:?}");
    }
}

#[test]
fn what_a_command_before_the_start_finds_is_spared() {
    let unit = simple("web").kill_mode(KillMode::Process).hooks(Stage::Pre, 2);
    let mut world = World::boot_with([unit], &[("web", PARENT)]);
    world.run_ms(2_000);
    world.kill("web");
    world.run_ms(2_000);
    assert_eq!((world.state("web"), world.living("web")), ("up", 5));
}

#[test]
fn where_nobody_knows_the_main_process_nothing_is_spared() {
    let silent = Script { main: Main::Silent, ..PARENT };
    let unit = forking("tell").restart(Restart::No).kill_mode(KillMode::Process);
    let mut world = World::boot_with([unit], &[("tell", silent)]);
    world.run_ms(40_000);
    assert_eq!((world.state("tell"), world.living("tell")), ("failed", 0));
}

#[test]
fn a_main_process_that_was_not_found_is_not_spared_by_the_kind_of_a_new_file() {
    let silent = Script { main: Main::Silent, ..PARENT };
    let unit = forking("tell").kill_mode(KillMode::Process).with(|unit| unit.start_timeout_ms = 0);
    let mut world = World::boot_with([unit], &[("tell", silent), ("tell", Script::GOOD)]);
    world.run_ms(40_000);
    assert_eq!(world.state("tell"), "seeking");
    world.load(Fleet(vec![simple("tell").kill_mode(KillMode::Process).changed()]));
    world.run_ms(10_000);
    assert_eq!((world.state("tell"), world.living("tell")), ("up", 1));
}

#[test]
fn a_main_process_that_is_found_during_the_stop_gets_the_stop_signal() {
    let late = Script { main: Main::After(500), ..PARENT };
    let unit = forking("tell").kill_mode(KillMode::Mixed);
    let mut world = World::boot_with([unit], &[("tell", late)]);
    world.expect(["tell starting", "tell seeking"]);
    world.stop("tell");
    world.expect(["tell stopping"]);
    world.run_ms(900);
    assert_eq!(world.signals, ["tell 15 Main", "tell 15 Main"]);
    assert_eq!((world.state("tell"), world.living("tell")), ("down", 0));
}

#[test]
fn a_forking_units_main_process_is_ended_alone() {
    let unit = forking("tell").kill_mode(KillMode::Process);
    let mut world = World::boot_with([unit], &[("tell", PARENT)]);
    world.run_ms(2_000);
    world.skip();
    world.kill("tell");
    world.expect(["tell seeking", "tell sweeping", "tell starting", "tell seeking", "tell up"]);
    world.stop("tell");
    world.expect(["tell stopping", "tell sweeping", "tell down"]);
    assert_eq!(world.living("tell"), 4);
}
