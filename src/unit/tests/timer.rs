//! [timer]: what units with one become, and what is said of those that make no sense.

mod common;

use common::{PLAIN, Root, World};
use ettan_core::{Calendar, Catalog, Kind, Restart, Timer, Zone};

fn timed(keys: &str) -> String {
    format!("{PLAIN}[timer]\n{keys}\n")
}

fn job(keys: &str) -> String {
    format!("{PLAIN}type = \"oneshot\"\n[timer]\n{keys}\n")
}

fn load(content: &str) -> World {
    let root = Root::new();
    root.unit("a", content);
    root.load()
}

fn timer(world: &World) -> Option<Timer> {
    world.table().timer(world.table().index_of("a").expect("a unit"))
}

#[test]
fn a_timer_is_what_its_keys_say() {
    let world = load(&job(
        "on-boot-sec = \"5min\"\nevery = \"1h\"\nat = \"Mon..Fri 03:30\"\npersistent = true",
    ));
    world.assert_clean();
    let at = Calendar { days: 0x1f, hours: 1 << 3, minutes: 1 << 30, zone: Zone::UTC };
    let expected =
        Timer { on_boot_ms: Some(300_000), every_ms: 3_600_000, at: Some(at), persistent: true };
    assert_eq!(timer(&world), Some(expected));
    assert!(world.unit("a").autostart, "it is enabled; the timer starts it");
    assert_eq!(timer(&load(PLAIN)), None);
}

#[test]
fn what_a_timer_starts_ends_by_itself_and_takes_as_long_as_it_takes() {
    let unit = load(&timed("every = 60")).unit("a");
    assert_eq!(
        (unit.kind, unit.restart, unit.start_timeout_ms),
        (Kind::Simple, Restart::No, 30_000)
    );
    let unit = load(&job("every = 60")).unit("a");
    assert_eq!((unit.restart, unit.start_timeout_ms), (Restart::No, 0));
    let asked = "restart = \"on-failure\"\ntimeout-start-sec = 5\ntype = \"oneshot\"";
    let unit = load(&format!("{PLAIN}{asked}\n[timer]\nevery = 60\n")).unit("a");
    assert_eq!((unit.restart, unit.start_timeout_ms), (Restart::OnFailure, 5_000));
}

#[test]
fn moments_are_in_the_machines_zone_unless_they_say_utc() {
    let root = Root::new();
    root.unit("a", job("at = \"03:30\""));
    root.unit("b", job("at = \"03:30 UTC\""));
    let zone = |world: &World, name| {
        let index = world.table().index_of(name).expect("a unit");
        world.table().timer(index).and_then(|timer| timer.at).expect("a moment").zone
    };
    assert_eq!(zone(&root.load(), "a"), Zone::UTC, "without a zone");
    root.write("/usr/share/zoneinfo/X", b"TZif2\0\0\n<+0545>-5:45\n");
    root.link("/etc/localtime", "/usr/share/zoneinfo/X");
    let world = root.load();
    world.assert_clean();
    assert_eq!(zone(&world, "a"), Zone { ahead_s: 20_700, summer: None });
    assert_eq!(zone(&world, "b"), Zone::UTC);
    // As before 2005, or without a rule for the years to come.
    root.write("/usr/share/zoneinfo/X", b"TZif\0\0");
    let world = root.load();
    world.assert_says("warning: by UTC: /etc/localtime has no rule");
    assert_eq!((zone(&world, "a"), world.0.diagnostics.len()), (Zone::UTC, 1));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    for (content, says) in [
        (timed("every = \"10ms\""), "shorter than a second"),
        (timed("every = \"60d\""), "longer than 49 days"),
        (timed("at = \"monthly\""), "days of the month"),
        (timed("at = [\"03:30\", \"04:30\"]"), "not a text"),
        (timed("at = 330"), "not a text"),
        (timed("at = \"3 o'clock\""), "is no moment"),
        (timed(""), "a [timer] that never goes off"),
        (timed("persistent = false"), "a [timer] that never goes off"),
        (timed("persistent = true"), "`persistent` goes with `at`"),
        (timed("every = 60\npersistent = true"), "`persistent` goes with `at`"),
        (timed("every = 60\npersistent = \"yes\""), "not true or false"),
        (timed("evry = 60"), "did you mean `every`?"),
        (timed("OnCalendar = \"daily\""), "unknown key"),
        ("[service]\ntype = \"target\"\n[timer]\nevery = 60\n".into(), "a timer of a target"),
        (
            format!("{PLAIN}type = \"oneshot\"\nremain-after-exit = true\n[timer]\nevery = 60\n"),
            "`remain-after-exit` with a timer",
        ),
    ] {
        let world = load(&content);
        assert!(world.names().is_empty(), "{content}");
        world.assert_says(says);
        world.assert_says("/etc/units/a.toml:");
    }
}

#[test]
fn a_start_is_written_down_where_a_missed_one_is_caught_up() {
    let place = |content: &str| load(content).launch("a").place.to_str().unwrap().to_owned();
    assert_eq!(place(&job("at = \"03:30\"")), "");
    let words = place(&job("at = \"03:30\"\npersistent = true"));
    assert!(words.split(' ').any(|word| word == "stamp") && words.contains("unit=a "), "{words}");
}
