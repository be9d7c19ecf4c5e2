//! F8: the end of the machine, whatever stands in its way.

use ettan_tests::units::{fake, idle, shell, with};
use ettan_tests::{Builder, End, Limit, Machine, Namespace, Operate};
use std::os::fd::AsRawFd;
use std::time::Instant;

fn booted(units: &[(&str, String)]) -> Namespace {
    let mut machine = Namespace::usual();
    for (name, text) in units {
        machine.unit(name, text);
    }
    machine.boot();
    for (name, _) in units {
        machine.until("it is up", |machine| machine.ettan(&format!("is-active {name}")).code == 0);
    }
    machine
}

#[test]
fn f8_1_service_that_forks_faster_than_we_kill() {
    let bomb = "trap \"\" TERM; while :; do (sleep 1 &) ; done";
    let unit = format!("{}timeout-stop-sec = \"200ms\"\n", shell(bomb));
    let mut machine = booted(&[("bomb", unit), ("web", idle())]);
    let _ = machine.sh("ettan reboot");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn f8_1_stray_processes_go_too() {
    let mut machine = booted(&[("web", idle())]);
    let stray = "for n in 1 2 3; do setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' >/dev/null 2>&1 </dev/null & done";
    assert_eq!(machine.sh(stray).code, 0);
    let _ = machine.sh("ettan poweroff");
    assert_eq!(machine.end(), End::Off);
}

#[test]
fn f8_1_a_stray_that_forks_and_ends_is_gone_before_file_systems_are_closed() {
    let mut machine = booted(&[("web", idle())]);
    // Each child of it lives as long as it takes to have one. It has no group to be killed by.
    let chain = "$SIG{TERM} = q(IGNORE); open F, q(>>/dev/beat); \
                 while (1) { $n++ % 50 or syswrite F, q(x); exit if fork }";
    let stray = format!("setsid perl -e '{chain}' >/dev/null 2>&1 </dev/null &");
    assert_eq!(machine.sh(&stray).code, 0);
    let beats = machine.root().join("dev/beat");
    let beats = || std::fs::metadata(&beats).map_or(0, |file| file.len());
    let lives = |machine: &mut Namespace| {
        let before = beats();
        (0..40).any(|_| machine.turn() && beats() > before)
    };
    machine.until("it beats", |_| beats() > 0);
    assert!(lives(&mut machine));
    // PID 1 stays after everything is closed, and tries again.
    let trace = machine.trace(&["trace=reboot", "inject=reboot:error=EIO"]);
    let _ = machine.sh("ettan poweroff");
    machine.until("it is time to switch off", |_| trace.log().contains("reboot("));
    assert!(!lives(&mut machine), "the stray lives");
    drop(trace);
    assert_eq!(machine.end(), End::Off);
}

#[test]
fn f8_2_busy_file_system() {
    let mut machine = booted(&[("web", idle())]);
    // A mount below a mount, both in use by a process of nobody.
    let busy = "mkdir /mnt/a && mount -t tmpfs a /mnt/a && mkdir /mnt/a/b && mount -t tmpfs b /mnt/a/b \
                && cd /mnt/a/b && (setsid sh -c 'trap \"\" TERM; exec sleep 99999 >/mnt/a/b/open 2>&1 </dev/null' &)";
    assert_eq!(machine.sh(busy).code, 0);
    let _ = machine.sh("ettan reboot");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn f8_3_first_decision_wins() {
    let unit = format!("{}timeout-stop-sec = \"700ms\"\n", fake("--ignore TERM"));
    let mut machine = booted(&[("deaf", unit)]);
    let _ = machine.sh("kill -TERM 1");
    machine.expect(&["deaf stopping"]);
    let _ = machine.sh("kill -USR2 1; ettan poweroff; kill -USR1 1");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn f8_3_force_does_not_wait() {
    let unit = format!("{}timeout-stop-sec = 0\n", fake("--ignore TERM"));
    let mut machine = booted(&[("deaf", unit)]);
    let _ = machine.sh("ettan --no-block poweroff");
    machine.expect(&["deaf stopping"]);
    let _ = machine.sh("ettan reboot --force");
    assert_ne!(machine.end(), End::Died(String::new()));
}

#[test]
fn f3_8_ctrl_alt_del_flood_does_not_wait() {
    let unit = format!("{}timeout-stop-sec = 0\n", fake("--ignore TERM"));
    let mut machine = booted(&[("deaf", unit)]);
    let _ = machine.sh("kill -INT 1");
    machine.expect(&["deaf stopping"]);
    let _ = machine.sh("for n in 1 2 3 4 5 6 7 8; do kill -INT 1; sleep 0.05; done");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn f8_4_where_the_closing_child_is_killed_another_one_closes() {
    let mut machine = booted(&[("web", idle())]);
    assert_eq!(machine.sh("mkdir /mnt/a && mount -t tmpfs a /mnt/a").code, 0);
    // It stops where it looks for what is mounted, long enough to be found.
    let looks = "inject=open,openat:delay_enter=3000000";
    let trace = machine.trace_all(&[MOUNTS, "/mnt/a", "trace=open,openat,umount2", looks]);
    let _ = machine.sh("ettan reboot");
    let closes = |machine: &mut Namespace| machine.running("ettan-init close ");
    machine.until("it is there", |machine| !closes(machine).is_empty());
    for child in closes(&mut machine) {
        machine.kill9(child.pid);
    }
    assert_eq!(machine.end(), End::Reboot);
    let log = trace.log();
    // Whose calls come at the same time has them in two lines.
    let closed = log.lines().any(|line| {
        let is_it = line.contains("umount2(\"/mnt/a\", ") || line.contains("umount2 resumed");
        is_it && line.trim_end().ends_with(" = 0")
    });
    assert!(closed, "{log}");
    let kmsg = machine.kmsg();
    assert_eq!(kmsg.matches("killed by signal 9 (KILL); another one goes on").count(), 1, "{kmsg}");
}

#[test]
fn f8_4_where_every_closing_child_is_killed_the_machine_ends_all_the_same() {
    let mut machine = booted(&[("web", idle())]);
    let kill = "inject=open,openat:signal=KILL";
    let trace = machine.trace_all(&[MOUNTS, "trace=open,openat", kill]);
    let limit = Limit::seconds(30);
    let _ = machine.sh("ettan reboot");
    assert_eq!(machine.end(), End::Reboot);
    assert!(!limit.over(), "more than {:?}", limit.span());
    assert_eq!(trace.log().matches("killed by SIGKILL").count(), 3, "{}", trace.log());
    assert!(machine.kmsg().contains("syncing only"), "{}", machine.kmsg());
}

/// What the child that closes file systems reads, and nobody else at the end of the machine.
const MOUNTS: &str = "/proc/self/mountinfo";

#[test]
fn f8_5_reboot_call_that_fails() {
    let mut machine = booted(&[("web", idle())]);
    let trace = machine.trace(&["trace=reboot", "inject=reboot:error=EPERM:when=1..2"]);
    let _ = machine.sh("ettan reboot");
    // Process 1 has not exited, and tries again.
    assert_eq!(machine.end(), End::Reboot);
    assert!(trace.log().contains("EPERM"), "{}", trace.log());
}

#[test]
fn a_word_for_the_firmware_goes_with_a_restart_and_does_not_prevent_it() {
    let mut machine = booted(&[("web", idle())]);
    let trace = machine.trace(&["trace=reboot", "inject=reboot:error=EPERM:when=1"]);
    let _ = machine.sh("ettan reboot --arg '0 tryboot'");
    assert_eq!(machine.end(), End::Reboot);
    let asked = trace.log();
    assert!(asked.contains("RESTART2, \"0 tryboot\") = -1 EPERM"), "{asked}");
}

#[test]
fn a_word_for_the_firmware_is_taken_back_where_nobody_restarts() {
    let mut machine = booted(&[("web", idle())]);
    let asked = "unshare -m sh -c 'mount --bind /dev/null /run/ettan/control.sock && \
                 ettan reboot --arg \"0 tryboot\"'";
    let answer = machine.sh(asked);
    assert!(answer.code != 0 && answer.err.contains("control.sock"), "{answer:?}");
    assert_eq!(machine.sh("test -e /run/ettan/reboot-arg").code, 1);
    let trace = machine.trace(&["trace=reboot", "inject=reboot:error=EPERM:when=1"]);
    let _ = machine.sh("ettan reboot");
    assert_eq!(machine.end(), End::Reboot);
    assert!(!trace.log().contains("RESTART2"), "{}", trace.log());
}

#[test]
fn f8_12_slow_stops_are_bounded_and_run_side_by_side() {
    let unit = || format!("{}timeout-stop-sec = \"1s\"\n", fake("--ignore TERM"));
    let units: Vec<(String, String)> =
        (0..20).map(|number| (format!("deaf{number}"), unit())).collect();
    let units: Vec<(&str, String)> =
        units.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    let mut machine = booted(&units);
    let begun = Instant::now();
    let _ = machine.sh("ettan reboot");
    assert_eq!(machine.end(), End::Reboot);
    assert!(begun.elapsed().as_secs() < 12, "one after the other: {:?}", begun.elapsed());
}

/// Longer than anybody has.
const PATIENT: &str = "timeout-stop-sec = \"90s\"\n";

#[test]
fn f8_12_a_shutdown_takes_no_longer_than_there_is_whatever_units_ask_for() {
    let deaf = format!("{}{PATIENT}", fake("--ignore TERM"));
    let mut machine = booted(&[("deaf", deaf)]);
    let limit = Limit::seconds(30);
    let _ = machine.sh("ettan reboot");
    assert_eq!(machine.end(), End::Reboot);
    assert!(!limit.over(), "more than {:?}", limit.span());
}

#[test]
fn f8_3_failing_power_is_the_end_within_five_seconds_and_data_is_written() {
    let deaf = with("requires = [\"db\"]", &format!("{}{PATIENT}", fake("--ignore TERM")));
    let writes = fake("--name db --events /root/events --stop-after 300");
    let db = with("holds-data = true", &format!("{writes}{PATIENT}"));
    let mut machine = booted(&[("db", db), ("deaf", deaf.clone()), ("other", deaf)]);
    // Of what nobody knows nobody is waited for, either.
    let stray =
        "setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' >/dev/null 2>&1 </dev/null &";
    assert_eq!(machine.sh(stray).code, 0);
    // Open, so that it is there when the machine is not.
    let kept = std::fs::File::open(machine.root().join("root")).expect("a folder");
    let limit = Limit::seconds(5);
    let _ = machine.sh("kill -PWR 1");
    assert_eq!(machine.end(), End::Off);
    assert!(!limit.over(), "more than {:?}", limit.span());
    let events = format!("/proc/self/fd/{}/events", kept.as_raw_fd());
    let events = std::fs::read_to_string(events).expect("what db said");
    // How much time it has is the core's story; this is that it is asked before it is killed.
    assert!(events.contains("db daemon got SIGTERM"), "{events}");
}

#[test]
fn what_a_container_is_ended_by_is_no_power_that_fails() {
    let mut machine = Builder::default().variable("container", "lxc").build();
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["web up"]);
    // Whoever executes PID 1 anew does not forget it.
    assert_eq!(machine.ettan("reexec").code, 0);
    machine.answers();
    let _ = machine.sh("kill -PWR 1");
    assert_eq!(machine.end(), End::Off);
    assert!(!machine.kmsg().contains("the power fails"));
}

#[test]
fn f8_3_power_that_fails_shortens_a_restart_under_way() {
    let deaf = format!("{}{PATIENT}", fake("--ignore TERM"));
    let mut machine = booted(&[("deaf", deaf)]);
    let _ = machine.sh("kill -TERM 1");
    machine.expect(&["deaf stopping"]);
    let limit = Limit::seconds(5);
    let _ = machine.sh("kill -PWR 1");
    assert_eq!(machine.end(), End::Reboot);
    assert!(!limit.over(), "more than {:?}", limit.span());
}

#[test]
fn a_shutdown_starts_nothing_any_more() {
    let crash =
        format!("{}restart-sec = \"30ms\"\nrestart-max-delay-sec = \"30ms\"\n", shell("exit 1"));
    let mut machine =
        booted(&[("deaf", format!("{}timeout-stop-sec = \"500ms\"\n", fake("--ignore TERM")))]);
    machine.unit("crash", &crash);
    assert_eq!(machine.sh("ettan reload-units").code, 0);
    machine.expect(&["crash backoff", "crash backoff"]);
    let _ = machine.sh("kill -TERM 1");
    assert_eq!(machine.end(), End::Reboot);
    let story = machine.story().all().to_vec();
    let stopping =
        story.iter().position(|notice| notice.starts_with("deaf stopping")).expect("a stop");
    assert!(
        !story[stopping..].iter().any(|notice| notice.starts_with("crash starting")),
        "{story:?}"
    );
}

#[test]
fn f8_2_sync_that_never_ends() {
    let mut machine = Namespace::usual();
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["web up"]);
    // Only process 1 itself hangs in it; the child that closes file systems is not traced.
    let trace = machine.trace(&["trace=sync", "inject=sync:delay_enter=100000000"]);
    let _ = machine.sh("ettan reboot");
    assert_eq!(machine.end(), End::Reboot);
    drop(trace);
}
