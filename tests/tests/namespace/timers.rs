//! Units that the clock starts, on a real machine. The wall clock in here is the host's and is not set;
//! what happens when it is: `scenarios/timer.rs` of the core.

use ettan_tests::units::{idle, shipped};
use ettan_tests::{Machine, Namespace, Operate};

/// A job that leaves a line, with this timer.
fn job(timer: &str) -> String {
    let command = "exec-start = [\"/bin/sh\", \"-c\", \"echo $0 >>/run/ran\", \"%n\"]";
    format!("[service]\ntype = \"oneshot\"\n{command}\n[timer]\n{timer}\n")
}

fn runs(machine: &mut Namespace, unit: &str) -> usize {
    machine.sh("cat /run/ran").out.lines().filter(|line| *line == unit).count()
}

#[test]
fn spans_start_units_again_and_again_and_the_boot_does_not() {
    let mut machine = Namespace::usual();
    machine.unit("often", &job("on-boot-sec = 0\nevery = \"1s\""));
    machine.unit("rarely", &job("every = \"1h\""));
    machine.unit("slow", &(idle() + "[timer]\non-boot-sec = 0\nevery = \"1s\"\n"));
    machine.boot();
    machine.until("it ran three times", |machine| runs(machine, "often") >= 3);
    assert_eq!(runs(&mut machine, "rarely"), 0);
    let status = machine.status("rarely");
    assert!(status["timed"].as_bool() == Some(true) && status["run_ms"].is_null(), "{status}");
    let left = status["next_ms"].as_u64().zip(status["now_ms"].as_u64()).map(|(at, now)| at - now);
    assert!(left.is_some_and(|left| left <= 3_600_000), "{status}");
    let list = machine.ettan("list --timers").ok();
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines.len() == 4 && lines[3].starts_with("rarely"), "{list}");
    assert!(lines[3].contains("not since boot") && list.contains("exited with status 0"), "{list}");
    // What still runs is started once, and that is told of.
    machine.expect(&["slow says"]);
    let story = machine.story().all();
    assert!(story.iter().any(|line| line.contains("slow: its timer went off")), "{story:?}");
    assert_eq!(machine.status("slow")["restarts"], 0);
    // A new PID 1 goes on with the old times.
    let next = status["next_ms"].clone();
    let _ = machine.ettan("reexec").ok();
    machine.answers();
    assert_eq!(machine.status("rarely")["next_ms"], next);
    let before = runs(&mut machine, "often");
    machine.until("it goes on", |machine| runs(machine, "often") > before);
}

#[test]
fn a_moment_that_was_missed_is_caught_up_once_the_clock_is_right() {
    let mut machine = Namespace::usual();
    let clock = shipped("clock") + "capability-bounding-set = \"~CAP_SYS_TIME\"\n";
    machine.unit("clock", &clock);
    for unit in ["missed", "new", "plain"] {
        let persistent = unit != "plain";
        let timer = format!("at = \"Mon 00:00 UTC\"\npersistent = {persistent}");
        machine.unit(unit, &job(&timer));
    }
    let stamps = "mkdir -p /var/lib/ettan/timers && cd /var/lib/ettan/timers && \
                  touch -d '2026-01-01 12:00:00' missed plain";
    let _ = machine.sh(stamps).ok();
    machine.boot();
    machine.expect(&["clock up"]);
    machine.until("it was told of the one that was missed", |machine| {
        !machine.status("missed")["ran_s"].is_null()
    });
    let _ = machine.ettan("condition clock set").ok();
    machine.until("the one that was missed is caught up", |machine| runs(machine, "missed") == 1);
    let new = "test -e /var/lib/ettan/timers/new";
    assert_ne!(machine.sh(new).code, 0, "nobody knew when that is");
    // The helper looks every ten seconds; a new one at once.
    let _ = machine.ettan("restart clock").ok();
    machine.until("the one that is new counts from now on", |machine| machine.sh(new).code == 0);
    let year = machine.sh("date -r /var/lib/ettan/timers/missed +%Y").ok();
    assert_eq!(year, machine.sh("date +%Y").ok(), "this run is written down");
    for unit in ["missed", "new", "plain"] {
        let status = machine.status(unit);
        let left = status["next_ms"].as_u64().zip(status["now_ms"].as_u64());
        assert!(left.is_some_and(|(at, now)| at - now <= 7 * 86_400_000), "{unit}: {status}");
    }
    // Neither a new PID 1 nor another word of the helper catches it up again.
    let _ = machine.ettan("reexec").ok();
    machine.answers();
    let _ = machine.ettan("restart clock").ok();
    assert_eq!(runs(&mut machine, "missed"), 1);
    assert_eq!((runs(&mut machine, "new"), runs(&mut machine, "plain")), (0, 0));
}
