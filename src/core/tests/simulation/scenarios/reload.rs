//! Stories of units that take in their settings while they stay up.

use crate::world::script::{CLEAN, ERROR};
use crate::world::{Script, World, forking, oneshot, simple};
use ettan_core::{Ask, Event, ExitStatus, HookEnd, Millis, Outcome, Power, Reason, Stage};

const HUP: u8 = 1;

/// A command that ends when it is killed.
const ENDLESS: Script = Script { runs_ms: None, term_ms: None, ..Script::GOOD };

fn outcome(world: &World, name: &str) -> Option<Outcome> {
    world.supervisor.outcome(world.id(name), Ask::Reload)
}

#[test]
fn commands_run_one_after_the_other_and_the_signal_comes_last() {
    let unit = simple("web").hooks(Stage::Reload, 2).reload_signal(HUP);
    let mut world = World::boot([unit]);
    world.expect(["web starting", "web up"]);
    let main = world.pid("web");
    world.reload("web");
    assert_eq!(outcome(&world, "web"), None);
    assert_eq!(world.spawned("web/HUP"), 0);
    world.expect(["web reloaded"]);
    assert_eq!((world.spawned("web/Reload0"), world.spawned("web/Reload1")), (1, 1));
    assert_eq!((world.spawned("web/HUP"), world.pid("web")), (1, main));
    assert_eq!(outcome(&world, "web"), Some(Outcome::Done));
}

#[test]
fn a_signal_alone_is_sent_at_once() {
    let mut world = World::boot([simple("web").reload_signal(HUP)]);
    world.expect(["web starting", "web up"]);
    world.reload("web");
    world.expect(["web reloaded"]);
    assert_eq!(world.spawned("web/HUP"), 1);
}

#[test]
fn a_unit_that_answers_has_reloaded_when_it_says_so() {
    let unit = simple("web").hooks(Stage::Reload, 1).reload_signal(HUP).reload_answers();
    let mut world = World::boot([unit]);
    world.expect(["web starting", "web up"]);
    let unit = world.id("web");
    let says = |world: &mut World, at| {
        world.handle(Event::Reloaded { unit, since: Millis(at) });
    };
    world.reload("web");
    world.run_ms(1_000);
    let sent = world.now - 990;
    assert_eq!((world.spawned("web/HUP"), outcome(&world, "web")), (1, None));
    assert!(world.view("web").hook.is_none());
    // One that began by itself before the signal came; one more that is asked for meanwhile.
    says(&mut world, sent - 1);
    world.reload("web");
    assert_eq!(outcome(&world, "web"), None);
    says(&mut world, sent);
    world.expect(["web reloaded"]);
    assert_eq!(outcome(&world, "web"), None);
    world.run_ms(1_000);
    let now = world.now;
    says(&mut world, now);
    world.expect(["web reloaded"]);
    assert_eq!(outcome(&world, "web"), Some(Outcome::Done));
    // Nobody asked.
    says(&mut world, now);
    world.run_ms(60_000);
    world.expect_quiet(&["web"]);
    assert_eq!((world.spawned("web/HUP"), world.state("web")), (2, "up"));
}

#[test]
fn a_unit_that_does_not_answer_has_not_reloaded_and_stays_up() {
    let unit = simple("web").reload_signal(HUP).reload_answers().hooks(Stage::Stop, 1);
    let mut world = World::boot([unit]);
    world.expect(["web starting", "web up"]);
    let before = world.now;
    world.reload("web");
    world.expect(["web not-reloaded"]);
    assert_eq!(world.now - before, 30_000);
    assert_eq!(outcome(&world, "web"), Some(Outcome::Failed(Reason::StartTimeout)));
    assert_eq!((world.state("web"), world.living("web")), ("up", 1));
    // A stop waits for no answer.
    world.reload("web");
    let before = world.now;
    world.stop("web");
    world.expect(["web not-reloaded", "web stopping"]);
    world.run_ms(1_000);
    assert_eq!((world.state("web"), world.spawned("web/Stop0")), ("down", 1));
    assert!(world.now - before < 5_000);
}

#[test]
fn a_command_that_fails_ends_the_reload_and_not_the_unit() {
    let unit = simple("web").hooks(Stage::Reload, 2).reload_signal(HUP);
    let mut world = World::boot_with([unit], &[("web/Reload", Script::runs(5, ERROR))]);
    world.expect(["web starting", "web up"]);
    world.reload("web");
    world.expect(["web not-reloaded"]);
    let end = HookEnd::Exited(ExitStatus::Code(1));
    let failed = Outcome::Failed(Reason::Hook(Stage::Reload, 0, end));
    assert_eq!(outcome(&world, "web"), Some(failed));
    assert_eq!((world.spawned("web/Reload1"), world.spawned("web/HUP")), (0, 0));
    world.run_ms(5_000);
    assert_eq!((world.state("web"), world.living("web")), ("up", 1));
}

#[test]
fn a_command_that_hangs_is_ended_after_the_time_of_a_start() {
    let unit = simple("web").hooks(Stage::Reload, 2);
    let mut world = World::boot_with([unit], &[("web/Reload", ENDLESS)]);
    world.expect(["web starting", "web up"]);
    let before = world.now;
    world.reload("web");
    world.expect(["web not-reloaded"]);
    assert_eq!(world.now - before, 30_000);
    let failed = Outcome::Failed(Reason::Hook(Stage::Reload, 0, HookEnd::TimedOut));
    assert_eq!(outcome(&world, "web"), Some(failed));
    world.run_ms(5_000);
    assert_eq!((world.state("web"), world.living("web")), ("up", 1));
}

#[test]
fn a_command_whose_place_takes_too_long_to_prepare_is_ended_too() {
    let slow = Script { prepares_ms: Some(60_000), ..ENDLESS };
    let mut world =
        World::boot_with([simple("web").hooks(Stage::Reload, 1)], &[("web/Reload", slow)]);
    world.expect(["web starting", "web up"]);
    world.reload("web");
    world.expect(["web not-reloaded"]);
    world.run_ms(60_000);
    assert_eq!((world.state("web"), world.living("web")), ("up", 1));
}

#[test]
fn asked_again_meanwhile_it_reloads_once_more() {
    let mut world = World::boot([simple("web").hooks(Stage::Reload, 1)]);
    world.expect(["web starting", "web up"]);
    for _ in 0..5 {
        world.reload("web");
    }
    world.expect(["web reloaded"]);
    assert_eq!(outcome(&world, "web"), None);
    world.expect(["web reloaded"]);
    world.run_ms(1_000);
    world.expect_quiet(&["web"]);
    assert_eq!(world.spawned("web/Reload0"), 2);
}

#[test]
fn the_end_of_the_main_process_breaks_a_reload() {
    let mut world =
        World::boot_with([simple("web").hooks(Stage::Reload, 2)], &[("web/Reload", ENDLESS)]);
    world.run_ms(2_000);
    world.skip();
    world.reload("web");
    world.run_ms(10);
    world.kill("web");
    // Nothing of the command is left when the next run begins: the checks look.
    world.expect(["web not-reloaded", "web sweeping", "web starting", "web up"]);
    let killed = ExitStatus::Signal { signal: 9, core: false };
    assert_eq!(outcome(&world, "web"), Some(Outcome::Failed(Reason::Exited(killed))));
    assert_eq!(world.view("web").last_exit, Some(killed));
    world.run_ms(60_000);
    world.expect_quiet(&["web"]);
    assert_eq!((world.living("web"), world.spawned("web/Reload1")), (1, 0));
}

#[test]
fn a_stop_lets_the_command_end_and_runs_those_of_the_stop_after_it() {
    let slow = Script::runs(3_000, CLEAN);
    let unit = simple("web").hooks(Stage::Reload, 2).hooks(Stage::Stop, 1).reload_signal(HUP);
    let mut world = World::boot_with([unit], &[("web/Reload", slow)]);
    world.run_ms(2_000);
    world.skip();
    world.reload("web");
    let before = world.now;
    world.stop("web");
    world.expect(["web not-reloaded", "web stopping", "web sweeping", "web down"]);
    assert_eq!(outcome(&world, "web"), Some(Outcome::Failed(Reason::Asked)));
    assert!((3_000..4_000).contains(&(world.now - before)));
    let ran =
        ["web/Reload0", "web/Reload1", "web/Stop0", "web/HUP"].map(|what| world.spawned(what));
    assert_eq!(ran, [1, 0, 1, 0]);
}

#[test]
fn a_stop_does_not_wait_for_ever_for_the_command() {
    let unit = simple("web").hooks(Stage::Reload, 1);
    let mut world = World::boot_with([unit], &[("web/Reload", ENDLESS)]);
    world.run_ms(2_000);
    world.skip();
    world.reload("web");
    let before = world.now;
    world.stop("web");
    world.expect(["web not-reloaded", "web stopping", "web hook Reload 0", "web sweeping"]);
    world.expect(["web down"]);
    assert!(world.now - before < 11_000);
    assert_eq!(world.living("web"), 0);
}

#[test]
fn a_unit_that_waits_for_its_stop_reloads_no_more() {
    let slow = Script { term_ms: Some(4_000), ..Script::GOOD };
    let units =
        [simple("web").hooks(Stage::Reload, 3).reload_signal(HUP), simple("app").requires("web")];
    let mut world = World::boot_with(units, &[("app", slow)]);
    world.run_ms(2_000);
    world.skip();
    world.reload("web");
    world.shutdown(Power::PowerOff, false);
    world.expect(["web not-reloaded", "web stopping", "web sweeping", "web down"]);
    let ran = ["web/Reload0", "web/Reload1", "web/HUP"].map(|what| world.spawned(what));
    assert_eq!(ran, [1, 0, 0]);
}

#[test]
fn a_daemon_that_replaces_itself_on_reload_reloads_on() {
    let slow = Script::runs(200, CLEAN);
    let unit = forking("tell").hooks(Stage::Reload, 2);
    let mut world = World::boot_with([unit], &[("tell/Reload", slow)]);
    world.expect(["tell starting", "tell seeking", "tell up"]);
    world.run_ms(2_000);
    world.reload("tell");
    world.run_ms(100);
    world.daemon_moves("tell");
    world.expect(["tell seeking", "tell up", "tell reloaded"]);
    assert_eq!(world.spawned("tell/Reload1"), 1);
    assert_eq!(world.view("tell").restarts, 0);
}

#[test]
fn a_daemon_that_ends_under_its_reload_is_gone_with_the_command() {
    let unit = forking("tell").hooks(Stage::Reload, 1);
    let mut world = World::boot_with([unit], &[("tell/Reload", ENDLESS)]);
    world.expect(["tell starting", "tell seeking", "tell up"]);
    world.run_ms(2_000);
    world.reload("tell");
    world.kill("tell");
    world.expect(["tell seeking", "tell not-reloaded", "tell sweeping", "tell starting"]);
    world.expect(["tell seeking", "tell up"]);
    assert_eq!(world.living("tell"), 1);
}

#[test]
fn a_oneshot_that_remains_reloads_by_its_command() {
    let mut world = World::boot([oneshot("net").remains().hooks(Stage::Reload, 1)]);
    world.expect(["net starting", "net up"]);
    world.reload("net");
    world.expect(["net reloaded"]);
    assert_eq!(outcome(&world, "net"), Some(Outcome::Done));
}

#[test]
fn what_is_not_up_does_not_reload() {
    let mut world = World::boot([simple("web").on_demand().hooks(Stage::Reload, 1)]);
    world.reload("web");
    assert!(matches!(outcome(&world, "web"), Some(Outcome::Failed(_))));
    assert_eq!(world.spawned("web/Reload0"), 0);
    world.start("web");
    world.expect(["web starting", "web up"]);
    world.reload("web");
    world.expect(["web reloaded"]);
}
