//! Kernels that are older than ours, and seccomp filters that make ours look so (tests/FAULTS.md 7.4,
//! 7.5). The calls fail for PID 1 from its first instruction on, and for all that it starts.

use ettan_tests::binaries::{Program, look};
use ettan_tests::units::{INNER, QUICK, fake, forking, idle, shell, with};
use ettan_tests::{
    Builder, Cgroups, Client, End, Machine, Namespace, Operate, Received, scenarios,
};
use serde_json::Value;

const ERRNOS: [&str; 2] = ["ENOSYS", "EPERM"];

/// What Linux 4.9 lacks of what PID 1 uses, as `ettan status` says it.
const LINUX_4_9: &str = "no clone3, no close_range, no pidfd";

fn without(errno: &str, calls: &str) -> Builder {
    assert!(look(Program::Lacking).is_some(), "lacking is not built: make host-musl does it");
    Builder::default().lacking(errno, calls).seconds(120)
}

/// What PID 1 says about itself; None while nobody answers.
fn stats(machine: &Namespace) -> Option<Value> {
    let client = Client::connect(&machine.socket()).ok()?;
    client.send(br#"{"verb":"stats"}"#).ok()?;
    match client.receive(machine.limit()) {
        Received::Packet(packet) => serde_json::from_str(&packet).ok(),
        _ => None,
    }
}

/// Everything that the newer calls are used for, on one boot: starts, restarts, a daemon that
/// forks, a stop that has to find everybody, logs, a new execution after a fault, the end.
fn everything_works(machine: &mut Namespace, missing: &str) {
    let crowd = fake("--name crowd --escapees 3 --escapees-ignore-term --children 2");
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.unit("telldus", &format!("{}{QUICK}", forking("telldus", "--close-fds")));
    machine.unit("crowd", &format!("{crowd}timeout-stop-sec = \"200ms\"\n"));
    machine.unit("counts", &shell("i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done"));
    machine.boot();
    all_up(machine);
    assert_eq!(machine.stats()["fallbacks"], missing);
    if !missing.is_empty() {
        assert!(machine.ettan("status").out.contains(&format!("kernel: {missing}")));
    }
    for unit in ["web", "telldus"] {
        kill_storm(machine, unit, 5);
    }
    stop_leaves_nothing(machine);
    outlives_a_fault(machine);
    assert_eq!(machine.stats()["fallbacks"], missing, "forgotten by the new execution");
    for unit in ["web", "telldus"] {
        kill_storm(machine, unit, 2);
    }
    no_line_is_lost(machine);
    assert_eq!(machine.stats()["allocations_after_boot"], 0);
    let _ = machine.ettan("poweroff");
    assert_eq!(machine.end(), End::Off);
}

fn all_up(machine: &mut Namespace) {
    machine.until("all are up", |machine| {
        let units = ["web", "telldus", "crowd", "counts"];
        units.iter().all(|unit| machine.ettan(&format!("is-active {unit}")).code == 0)
    });
}

fn kill_storm(machine: &mut Namespace, unit: &str, times: u32) {
    for _ in 0..times {
        let old = machine.main_pid(unit);
        machine.kill9(old);
        machine.until("it is back", |machine| machine.is_up_anew(unit, old));
    }
    let process = if unit == "web" { "sleep 100000" } else { "--name telldus" };
    assert_eq!(machine.running(process).len(), 1, "{unit} runs more than once");
}

fn stop_leaves_nothing(machine: &mut Namespace) {
    machine.until("all six are there", |machine| machine.running("--name crowd").len() == 6);
    assert_eq!(machine.ettan("stop crowd").code, 0);
    assert!(machine.running("--name crowd").is_empty());
    assert_eq!(machine.ettan("start crowd").code, 0);
    machine.until("all six are back", |machine| machine.running("--name crowd").len() == 6);
}

fn outlives_a_fault(machine: &mut Namespace) {
    let units = ["web", "telldus", "crowd", "counts"];
    let before = units.map(|unit| machine.main_pid(unit));
    let init = machine.init().to_string();
    let done = std::process::Command::new("kill").args(["-s", "SEGV", &init]).status();
    assert!(done.expect("kill(1) is there").success());
    machine.until("PID 1 answers again", |machine| {
        stats(machine).is_some_and(|stats| stats["crashes"] == 1)
    });
    assert_eq!(units.map(|unit| machine.main_pid(unit)), before, "a process was replaced");
}

fn no_line_is_lost(machine: &mut Namespace) {
    let log = machine.sh("cat /run/log/ettan/counts/current").ok();
    let numbers = log.lines().filter_map(|line| line.rsplit_once("line ")?.1.trim().parse().ok());
    let mut count = 0;
    for (place, number) in numbers.enumerate() {
        let number: usize = number;
        assert_eq!(number, place + 1, "a line is missing or came twice");
        count = number;
    }
    assert!(count > 10, "{log}");
}

/// With both ways of not having them.
fn works_without(calls: &str, missing: &str) {
    for errno in ERRNOS {
        everything_works(&mut without(errno, calls).build(), missing);
    }
}

#[test]
fn f7_5_without_clone3() {
    works_without("clone3", "no clone3");
}

#[test]
fn f7_5_without_close_range() {
    works_without("close_range", "no close_range");
}

#[test]
fn f7_5_without_pidfd_open() {
    works_without("pidfd_open", "no pidfd");
}

#[test]
fn f7_5_without_pidfd_send_signal() {
    works_without("pidfd_send_signal", "no pidfd");
}

#[test]
fn f7_5_without_memfd() {
    works_without("memfd_create", "no memfd");
}

#[test]
fn f7_5_without_execveat() {
    works_without("execveat", "no execveat");
}

#[test]
fn f7_5_without_what_libraries_like() {
    works_without("openat2,epoll_pwait2,faccessat2,statx", "");
}

#[test]
fn f7_5_without_all_that_came_after_linux_4_9() {
    works_without("since-4.9", LINUX_4_9);
}

#[test]
fn f7_4_without_cgroups_nor_all_that_came_after_linux_4_9() {
    for errno in ERRNOS {
        let mut machine = without(errno, "since-4.9").cgroups(Cgroups::Missing).build();
        everything_works(&mut machine, &format!("{LINUX_4_9}, no cgroup v2"));
    }
}

/// The stories of the other machines, on a kernel that has nothing newer than 4.9.
#[test]
fn f7_5_the_usual_stories_on_linux_4_9() {
    for story in [
        scenarios::boot_and_order,
        scenarios::restart_after_kill,
        scenarios::restart_forking_after_kill,
        scenarios::crash_loop_backs_off,
        scenarios::stop_leaves_nothing,
        scenarios::term_is_ignored,
    ] {
        story(&mut without("ENOSYS", "since-4.9").build());
    }
    let mut machine = without("EPERM", "since-4.9").build();
    scenarios::shutdown(&mut machine, "ettan reboot", &End::Reboot);
}

/// The fake daemons cannot do without it, so they are not in this story.
#[test]
fn f7_5_without_signalfd() {
    for errno in ERRNOS {
        let mut machine = without(errno, "signalfd4").build();
        machine.unit("says", &shell("echo said; exec sleep 100000"));
        scenarios::restart_after_kill(&mut machine);
        assert_eq!(machine.stats()["fallbacks"], "no signalfd");
        machine.until("it is logged", |machine| machine.ettan("logs says").out.contains("said"));
        let mut machine = without(errno, "signalfd4").build();
        scenarios::shutdown(&mut machine, "kill -TERM 1", &End::Reboot);
    }
}

/// The files that came with Linux 5.2 and 5.14 cannot be opened, as if they were not there.
fn without_files(files: &[&str], missing: &str) {
    let mut machine = Namespace::usual();
    let mut expressions = vec!["trace=openat", "inject=openat:error=ENOENT"];
    expressions.extend(files);
    let trace = machine.trace(&expressions);
    let crowd = fake("--name crowd --escapees 3 --escapees-ignore-term --children 2");
    machine.unit("crowd", &format!("{crowd}timeout-stop-sec = \"200ms\"\n"));
    machine.unit("later", &with("after = [\"crowd\"]", &idle()));
    let inner = format!("({INNER}; exec setsid sleep 100001) & exec sleep 100000");
    machine.unit("lxc", &format!("{}kill-mode = \"mixed\"\n", shell(&inner)));
    machine.boot();
    machine.expect(&["crowd up", "later up"]);
    machine.one_is("sleep 100001");
    assert_eq!(machine.ettan("stop lxc").code, 0);
    assert!(machine.running("sleep 100001").is_empty(), "in a group of the unit's own");
    assert_eq!(machine.stats()["fallbacks"], missing);
    for _ in 0..3 {
        stop_leaves_nothing(&mut machine);
        let main = machine.main_pid("crowd");
        let old: Vec<i32> = machine.running("--name crowd").iter().map(|found| found.pid).collect();
        machine.kill9(main);
        machine.until("all six are new", |machine| {
            let new = machine.running("--name crowd");
            new.len() == 6 && new.iter().all(|found| !old.contains(&found.pid))
        });
    }
    drop(trace);
}

#[test]
fn f7_4_without_cgroup_kill() {
    without_files(&["cgroup.kill"], "no cgroup.kill");
}

#[test]
fn f7_4_without_cgroup_kill_and_freeze() {
    without_files(&["cgroup.kill", "cgroup.freeze"], "no cgroup.freeze, no cgroup.kill");
}
