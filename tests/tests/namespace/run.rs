//! `ettan run`: a unit in the foreground is what it is under supervision.

use crate::environment::probe;
use ettan_tests::units::{idle, shell};
use ettan_tests::{Machine, Namespace, Operate};

/// What differs between two runs of one unit, and between a log and a file.
const OF_THE_RUN: [&str; 6] =
    ["pid ", "env ETTAN_COOKIE=", "env WATCHDOG_PID=", "fd 1 ", "fd 2 ", "0::/ettan/"];

fn lasting(report: &[String]) -> Vec<String> {
    let lasts = |line: &&String| !OF_THE_RUN.iter().any(|kind| line.starts_with(kind));
    report.iter().filter(lasts).cloned().collect()
}

/// `ettan run NAME` beside the test; its output goes to /tmp/out, its exit code to /tmp/code.
fn run_beside(machine: &mut Namespace, name: &str) {
    let line = format!("(ettan run {name}; echo $? >/tmp/code) >/tmp/out 2>&1 </dev/null &");
    assert_eq!(machine.sh(&line).code, 0);
}

fn is_over(machine: &mut Namespace) -> String {
    machine.until("it is over", |machine| machine.sh("test -s /tmp/code").code == 0);
    machine.sh("cat /tmp/code").ok()
}

#[test]
fn a_unit_in_the_foreground_gets_what_it_gets_under_supervision() {
    for keys in [
        // PID 1 executes it directly.
        "user = \"telldus\"\nsupplementary-groups = [7]\nlimit-nofile = \"33:44\"\nnice = 3\n\
         umask = \"0027\"\nworking-directory = \"/usr\"\noom-score-adjust = 321\n\
         environment = { COLOUR = \"blue\" }\nwatchdog-sec = \"60s\"\n",
        // By way of the stage that prepares its place.
        "user = \"telldus\"\nlimit-nofile = \"33:44\"\nruntime-directory = \"probe\"\n\
         working-directory = \"/run/probe\"\n",
    ] {
        let mut machine = Namespace::usual();
        let supervised = lasting(&probe(&mut machine, keys));
        let refused = machine.ettan("run probe");
        assert_eq!(refused.code, 1);
        assert!(refused.err.contains("probe: is up (pid "), "{}", refused.err);
        assert!(refused.err.contains("ettan stop probe first"), "{}", refused.err);
        assert_eq!(machine.ettan("stop probe").code, 0);
        assert_eq!(machine.sh("rm /tmp/report").code, 0);
        run_beside(&mut machine, "probe");
        machine.until("the report is there", |machine| machine.sh("cat /tmp/report").code == 0);
        let report = machine.sh("cat /tmp/report").ok();
        let report: Vec<String> = report.lines().map(str::to_owned).collect();
        assert_eq!(lasting(&report), supervised, "{keys}");
        machine.until("it hears signals", |machine| {
            machine.sh("grep -q 'daemon started' /tmp/out").code == 0
        });
        let runner = machine.running("ettan-init run probe");
        assert_eq!(machine.sh(&format!("kill -TERM {}", runner[0].pid)).code, 0);
        assert_eq!(is_over(&mut machine), "0");
        assert!(machine.running("fake-daemon").is_empty());
        assert_ne!(machine.sh("test -e /run/probe").code, 0, "its directory is left");
        assert_eq!(machine.ettan("start probe").code, 0);
    }
}

#[test]
fn output_and_exit_code_come_through_and_nothing_is_left() {
    let mut machine = Namespace::usual();
    let keys = "exec-start-pre = \"/bin/echo before\"\n";
    let script = "echo out; echo err >&2; sleep 100000 & exit 7";
    // Of which nothing is to be seen here.
    let apart = "standard-error = \"log:err\"\n";
    machine.unit("job", &format!("{}{keys}{apart}restart = \"no\"\n", shell(script)));
    machine.unit("bad", &format!("{}exec-start-pre = \"/bin/false\"\n", idle()));
    machine.unit("gone", "[service]\nexec-start = '/bin/nosuch'\n");
    machine.boot();
    machine.until("all have ended", |machine| machine.ettan("is-failed job").code == 0);
    for unit in ["bad", "gone"] {
        assert_eq!(machine.ettan(&format!("stop {unit}")).code, 0);
    }
    let told = machine.ettan("run job");
    assert_eq!((told.code, told.out.as_str()), (7, "before\nout\n"), "{told:?}");
    assert!(told.err.contains("err\n") && told.err.contains("exited with status 7"), "{told:?}");
    assert!(machine.running("sleep").is_empty());
    let told = machine.ettan("run bad");
    assert_eq!(told.code, 1);
    assert!(told.err.contains("bad: exec-start-pre exited with status 1"), "{told:?}");
    let told = machine.ettan("run gone");
    assert_eq!(told.code, 1);
    assert!(told.err.contains("gone: exec /bin/nosuch: no such file"), "{told:?}");
    assert_eq!(machine.ettan("run nosuch").code, 5);
    // One that PID 1 does not know yet, and one that it refuses.
    machine.unit("fresh", &shell("exit 3"));
    assert_eq!(machine.ettan("run fresh").code, 3);
    machine.unit("odd", "[service]\nexec-strat = '/bin/true'\n");
    let told = machine.ettan("run odd");
    assert_eq!(told.code, 6);
    assert!(told.err.contains("/etc/units/odd.toml:2:1: error"), "{told:?}");
    assert_eq!(machine.stats()["allocations_after_boot"].as_u64(), Some(0));
}

#[test]
fn a_daemon_in_the_background_is_held_until_it_is_stopped() {
    let mut machine = Namespace::usual();
    machine.unit("daemon", &ettan_tests::units::forking("daemon", ""));
    machine.boot();
    machine.expect(&["daemon up"]);
    assert_eq!(machine.ettan("stop daemon").code, 0);
    run_beside(&mut machine, "daemon");
    machine.until("it goes on", |machine| machine.sh("grep -q background /tmp/out").code == 0);
    assert!(!machine.running("fake-daemon").is_empty());
    let runner = machine.running("ettan-init run daemon");
    assert_eq!(machine.sh(&format!("kill -TERM {}", runner[0].pid)).code, 0);
    assert_eq!(is_over(&mut machine), "0");
    assert!(machine.running("fake-daemon").is_empty());
}
