//! Critical units that exist in the test's imagination, under a clock that the test sets.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{self, Units};
use ettan_core::{Action, Ask, Event, ExitStatus, Pid, Probes, Restart, Unit};

/// It starts at boot, and again whenever it ends.
fn unit(name: &str, critical: bool) -> Unit {
    Unit { restart: Restart::Always, autostart: true, critical, ..testing::unit(name) }
}

/// Units that start at once, on a clock.
struct World {
    supervisor: Box<Supervisor>,
    vitals: Vitals,
    now: Millis,
    next_pid: i32,
}

const START: Millis = Millis(10_000);
const PROOF_MS: u64 = 60_000;

impl World {
    fn new(units: Vec<Unit>) -> Self {
        let mut supervisor = Box::new(Supervisor::new());
        supervisor.load(START, &Units(units));
        let vitals = Vitals::new(&supervisor, PROOF_MS, START);
        let mut world = Self { supervisor, vitals, now: START, next_pid: 100 };
        world.settle();
        world
    }

    fn settle(&mut self) {
        while let Some(action) = self.supervisor.next_action() {
            match action {
                Action::Spawn { unit, .. } => {
                    self.next_pid = self.next_pid.saturating_add(1);
                    let pid = Pid::new(self.next_pid).unwrap();
                    self.supervisor.handle(self.now, Event::Spawned { unit, pid });
                }
                Action::Sweep { unit } => {
                    self.supervisor.handle(self.now, Event::Emptied { unit });
                }
                Action::Announce { unit, .. } => {
                    self.supervisor.handle(self.now, Event::Announced { unit });
                }
                Action::Signal { .. }
                | Action::SeekMain { .. }
                | Action::Forget { .. }
                | Action::Publish(_)
                | Action::KillStrays { .. }
                | Action::KillRest
                | Action::CloseFilesystems
                | Action::Power(_) => {}
            }
        }
    }

    /// It ends at once, again and again, until it is no longer started at once.
    fn crash(&mut self, name: &str) {
        for _ in 0..5 {
            self.exit(name);
        }
    }

    fn exit(&mut self, name: &str) {
        let id = self.supervisor.find(name).unwrap();
        if let Some(pid) = self.supervisor.view(id).unwrap().state.pid() {
            let status = ExitStatus::Code(1);
            self.supervisor.handle(self.now, Event::Exited { pid, status });
            self.settle();
        }
    }

    fn stop(&mut self, name: &str) {
        let unit = self.supervisor.find(name).unwrap();
        self.supervisor.handle(self.now, Event::Ask { unit, ask: Ask::Stop });
        self.settle();
        if let Some(pid) = self.supervisor.view(unit).unwrap().state.pid() {
            let status = ExitStatus::Signal { signal: 15, core: false };
            self.supervisor.handle(self.now, Event::Exited { pid, status });
            self.settle();
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.after(ms);
        self.supervisor.handle(self.now, Event::Tick);
        self.settle();
    }

    fn proves(&mut self) -> bool {
        self.vitals.proves(self.now, Some(START), &self.supervisor)
    }

    fn hopeless(&mut self) -> Option<Name> {
        self.vitals.hopeless(self.now, &self.supervisor)
    }
}

#[test]
fn the_boot_is_a_success_once_all_critical_units_are_up_for_a_minute() {
    let mut world = World::new(vec![unit("web", true), unit("extra", false)]);
    world.crash("extra");
    assert!(!world.vitals.proves(START, None, &world.supervisor), "it is not over yet");
    assert_eq!(world.vitals.next_deadline(), Some(START.after(1_000)));
    world.pass(1_000);
    assert!(!world.proves());
    assert_eq!(world.vitals.next_deadline(), Some(START.after(60_000)));
    world.pass(30_000);
    world.crash("web");
    world.pass(29_000);
    assert!(!world.proves(), "it is not time to look");
    world.pass(1_000);
    assert!(!world.proves(), "it came up again a while ago");
    world.pass(60_000);
    assert!(world.proves());
    assert!(!world.proves(), "said once");
    assert_eq!(world.vitals.next_deadline(), None);
}

#[test]
fn a_boot_that_was_a_success_stays_one_for_the_next_execution() {
    let mut world = World::new(vec![unit("web", true)]);
    world.supervisor.handle(world.now, Event::Condition { name: BOOT_OK, holds: true });
    world.vitals = Vitals::new(&world.supervisor, PROOF_MS, world.now);
    assert_eq!(world.vitals.next_deadline(), None);
}

#[test]
fn a_reset_may_help_where_a_critical_unit_was_well_and_is_not_for_long() {
    let mut world = World::new(vec![unit("web", true), unit("extra", false)]);
    world.pass(60_000);
    world.crash("web");
    world.crash("extra");
    assert_eq!(world.hopeless(), None, "the boot was not called a success yet");
    world.pass(1_000);
    world.pass(60_000);
    assert!(world.proves());
    assert_eq!(world.hopeless(), None);
    for _ in 0..24 {
        world.pass(5_000);
        world.crash("web");
        assert_eq!(world.hopeless().as_deref(), None);
    }
    world.pass(5_000);
    world.crash("web");
    assert_eq!(world.hopeless().as_deref(), Some("web"));
    // Whoever stops it wants it so.
    world.stop("web");
    assert_eq!(world.hopeless(), None);
}

#[test]
fn a_start_has_the_time_that_its_unit_allows_before_a_reset() {
    const SLOW_MS: u32 = 600_000;
    let slow = Unit { probes: Probes::Ready, start_timeout_ms: SLOW_MS, ..unit("db", true) };
    let mut world = World::new(vec![slow]);
    let db = world.supervisor.find("db").unwrap();
    world.supervisor.handle(world.now, Event::Ready { unit: db });
    assert!(world.supervisor.view(db).unwrap().ready_by.is_none(), "it is up");
    world.pass(60_000);
    assert!(world.proves());
    world.exit("db");
    for _ in 0..(SLOW_MS / 5_000 - 1) {
        world.pass(5_000);
        assert_eq!(world.hopeless(), None);
    }
    world.pass(5_000);
    assert_eq!(world.hopeless().as_deref(), Some("db"), "its time was up");
}

#[test]
fn starts_that_fail_one_after_the_other_are_no_start_that_takes_long() {
    let slow = Unit { probes: Probes::Ready, min_uptime_ms: 1, ..unit("web", true) };
    let mut world = World::new(vec![slow]);
    let web = world.supervisor.find("web").unwrap();
    world.supervisor.handle(world.now, Event::Ready { unit: web });
    world.pass(60_000);
    assert!(world.proves());
    // Each lasts long enough to be no crash.
    let mut passed_ms = 0;
    while world.hopeless().is_none() {
        world.exit("web");
        world.pass(5_000);
        passed_ms += 5_000;
        assert!(passed_ms <= 2 * PROOF_MS + 5_000, "{:?}", world.supervisor.view(web));
    }
}

#[test]
fn a_unit_that_runs_for_seconds_only_is_not_well_though_it_is_up() {
    let mut world = World::new(vec![unit("web", true)]);
    world.pass(60_000);
    assert!(world.proves());
    // Once in a while is not for long.
    for _ in 0..20 {
        world.exit("web");
        world.pass(5_000);
        assert_eq!(world.hopeless(), None);
        world.pass(10_000);
        assert_eq!(world.hopeless(), None);
    }
    for _ in 0..24 {
        assert_eq!(world.hopeless(), None);
        world.exit("web");
        world.pass(5_000);
    }
    world.exit("web");
    world.pass(5_000);
    assert_eq!(world.hopeless().as_deref(), Some("web"));
}

#[test]
fn who_works_with_units_has_none_of_them_beyond_help() {
    let mut world = World::new(vec![unit("db", true), unit("web", true)]);
    world.pass(60_000);
    assert!(world.proves());
    // Now this one, now that one: each has come to rest in between.
    for _ in 0..20 {
        for name in ["db", "web"] {
            world.exit(name);
            world.pass(5_000);
            assert_eq!(world.hopeless(), None);
            world.pass(3_000);
            assert_eq!(world.hopeless(), None);
        }
    }
    // Again and again, by hand.
    for _ in 0..40 {
        world.stop("web");
        let unit = world.supervisor.find("web").unwrap();
        world.supervisor.handle(world.now, Event::Ask { unit, ask: Ask::Start });
        world.settle();
        world.pass(5_000);
        assert_eq!(world.hopeless(), None);
    }
}

#[test]
fn a_start_without_a_time_out_has_all_the_time_there_is() {
    let slow = Unit { probes: Probes::Ready, start_timeout_ms: 0, ..unit("db", true) };
    let mut world = World::new(vec![slow]);
    let db = world.supervisor.find("db").unwrap();
    world.supervisor.handle(world.now, Event::Ready { unit: db });
    world.pass(60_000);
    assert!(world.proves());
    world.exit("db");
    for _ in 0..1_000 {
        world.pass(5_000);
        assert_eq!(world.hopeless(), None);
    }
}

#[test]
fn nothing_is_critical_during_shutdown() {
    let mut world = World::new(vec![unit("web", true)]);
    world.pass(60_000);
    assert!(world.proves());
    world.crash("web");
    world.supervisor.handle(
        world.now,
        Event::Shutdown { power: ettan_core::Power::Reboot, haste: ettan_core::Haste::Orderly },
    );
    world.settle();
    for _ in 0..100 {
        world.pass(5_000);
        assert_eq!(world.hopeless(), None);
    }
}
