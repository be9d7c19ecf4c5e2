//! F3: process 1 at its own limits.

use crate::logs::helper;
use ettan_tests::inject::{Injector, Plan};
use ettan_tests::units::{QUICK, idle, shell, with};
use ettan_tests::{Builder, Cgroups, Client, Machine, Namespace, Operate};
use nix::libc;

fn booted() -> Namespace {
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    machine
}

#[test]
fn f3_1_no_descriptor_left_for_a_client() {
    let mut machine = booted();
    let limited = format!("prlimit --pid {} --nofile=12:", machine.init());
    let status = std::process::Command::new("sh").args(["-c", &limited]).status();
    assert!(status.is_ok_and(|status| status.success()));
    let clients: Vec<Client> =
        (0..60).filter_map(|_| Client::connect(&machine.socket()).ok()).collect();
    let before = ticks(&machine);
    let machine_ref: &mut dyn Machine = &mut machine;
    let pid = machine_ref.running("sleep 100000")[0].pid;
    machine_ref.kill9(pid);
    for _ in 0..100 {
        assert!(machine_ref.turn());
    }
    assert!(ticks(&machine) - before < 40, "process 1 spins");
    drop(clients);
    let status = std::process::Command::new("prlimit")
        .args(["--pid", &machine.init().to_string(), "--nofile=4096:"])
        .status();
    assert!(status.is_ok_and(|status| status.success()));
    machine.until("all is well again", |machine| machine.ettan("is-active web").code == 0);
    let told = machine.stats()["degraded"].to_string();
    assert!(told.contains("control: too many open files"), "{told}");
    machine.until("it has healed", |machine| machine.stats()["degraded"] == "");
}

#[test]
fn f3_1_no_memory_to_let_a_client_in() {
    let mut machine = booted();
    let injector = Injector::attach(machine.init(), "");
    injector.plan(every(libc::SYS_accept4, libc::EPERM));
    let waiting = Client::connect(&machine.socket()).expect("the queue has room");
    rests(&mut machine);
    assert!(injector.lift().hits < 10, "{:?}", injector.tally());
    waiting.send(br#"{"verb":"stats"}"#).expect("PID 1 has not closed");
    let answer = waiting.receive(machine.limit());
    assert!(format!("{answer:?}").contains("control: operation not permitted"), "{answer:?}");
}

fn every(call: libc::c_long, errno: i32) -> Plan {
    Plan::Every { call: call.unsigned_abs(), errno }
}

/// The lowest number that no descriptor process 1 opens from now on may have.
fn limit_descriptors(machine: &Namespace, most: u32) {
    let limit = format!("--nofile={most}:");
    let status = std::process::Command::new("prlimit")
        .args(["--pid", &machine.init().to_string(), &limit])
        .status();
    assert!(status.is_ok_and(|status| status.success()));
}

/// Lets a while pass, and looks at what process 1 did with it.
fn rests(machine: &mut Namespace) {
    let before = ticks(machine);
    for _ in 0..400 {
        assert!(machine.turn());
    }
    let spent = ticks(machine) - before;
    assert!(spent < 20, "process 1 spins: {spent} ticks");
}

#[test]
fn f3_2_no_descriptor_left_for_a_log_pipe() {
    let mut machine = booted();
    let wait = "while ! [ -e /tmp/go ]; do sleep 0.05; done";
    machine.unit("gate", &format!("{}type = \"oneshot\"\n", shell(wait)));
    machine.unit("late", &with("after = [\"gate\"]", &idle()));
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.expect(&["gate starting"]);
    limit_descriptors(&machine, 12);
    assert_eq!(machine.sh("touch /tmp/go").code, 0);
    machine.until("the gate is open", |machine| machine.running("/tmp/go").is_empty());
    for _ in 0..40 {
        assert!(machine.turn());
    }
    limit_descriptors(&machine, 4096);
    machine.until("it is up", |machine| machine.ettan("is-active late").code == 0);
    rests(&mut machine);
}

/// Every number is taken; what is killed is back nevertheless.
#[test]
fn f3_2_the_reserve_starts_what_is_killed() {
    let mut machine = booted();
    let numbers = std::fs::read_dir(format!("/proc/{}/fd", machine.init())).expect("descriptors");
    let numbers = numbers.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let highest: u32 = numbers.max().expect("one at least");
    limit_descriptors(&machine, highest + 1);
    // Each client takes the lowest number that is free.
    let clients: Vec<Client> =
        (0..16).filter_map(|_| Client::connect(&machine.socket()).ok()).collect();
    for client in &clients {
        let _ = client.send(br#"{"verb":"events"}"#);
        let _ = client.receive(ettan_tests::Limit::moment());
    }
    for _ in 0..3 {
        machine.until("it shows", |machine| machine.running("sleep 100000").len() == 1);
        let main = machine.running("sleep 100000")[0].pid;
        machine.kill9(main);
        machine.expect(&["web up"]);
    }
    limit_descriptors(&machine, 4096);
}

#[test]
fn f3_2_no_descriptor_left_to_look_for_leftovers() {
    for cgroups in [Cgroups::Own, Cgroups::Missing] {
        let mut machine = Builder::default().cgroups(cgroups).build();
        let leaver = shell("setsid sleep 77777 & exec sleep 100000");
        machine.unit("web", &format!("{leaver}min-uptime-sec = \"1ms\"\n"));
        machine.boot();
        machine.expect(&["web up"]);
        machine.one_is("sleep 77777");
        let main = machine.main_pid("web");
        limit_descriptors(&machine, 12);
        machine.kill9(main);
        for _ in 0..40 {
            assert!(machine.turn());
        }
        limit_descriptors(&machine, 4096);
        machine.until("it is up again", |machine| machine.ettan("is-active web").code == 0);
        // And not those of two starts.
        machine.one_is("sleep 77777");
    }
}

#[test]
fn f6_1_dead_logger_does_not_keep_process_1_awake() {
    let mut machine = booted();
    machine.unit("new", &idle());
    machine.until("the logger is waited for", |machine| {
        let _ = machine.sh("pkill -9 -f 'ettan-init log'");
        let status = machine.status("ettan-log");
        let left = status["deadline_ms"].as_u64().unwrap_or(0);
        left.saturating_sub(status["now_ms"].as_u64().unwrap_or(left)) > 3_000
    });
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.until("it is up", |machine| machine.ettan("is-active new").code == 0);
    assert_eq!(machine.status("ettan-log")["state"], "backoff");
    rests(&mut machine);
}

/// Processor time that process 1 has used, in ticks of 10 ms.
fn ticks(machine: &Namespace) -> u64 {
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", machine.init())).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[test]
fn f3_4_interrupted_calls() {
    let mut machine = booted();
    let calls = "epoll_wait,epoll_pwait,read,recvfrom,recvmsg,sendto,sendmsg,wait4,waitid";
    let inject = format!("inject={calls}:error=EINTR:when=3+7");
    let trace = machine.trace(&[&format!("trace={calls}"), &inject]);
    for _ in 0..3 {
        let pid = machine.main_pid("web");
        machine.kill9(pid);
        machine.expect(&["web up"]);
    }
    drop(trace);
}

/// The logger's socket has room, and still the kernel takes nothing.
#[test]
fn f3_3_no_memory_to_show_a_pipe_to_the_logger() {
    let mut machine = booted();
    let injector = Injector::attach(machine.init(), "");
    injector.plan(every(libc::SYS_sendmsg, libc::ENOBUFS));
    machine.unit("says", &shell("echo said; exec sleep 100000"));
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.until("it is up", |machine| machine.ettan("is-active says").code == 0);
    let told = machine.stats()["degraded"].to_string();
    assert!(told.contains("logging: "), "{told}");
    rests(&mut machine);
    let tally = injector.lift();
    assert!(tally.hits > 0 && tally.hits < 100, "{tally:?}");
    machine.until("it is logged", |machine| machine.ettan("logs says").out.contains("said"));
    machine.until("it has healed", |machine| machine.stats()["degraded"] == "");
}

/// The loader ends well although it was told to stop, and the next one is already waiting.
#[test]
fn f3_3_a_loader_restarted_as_it_ends_loses_no_table() {
    let mut machine = booted();
    let injector = Injector::attach(machine.init(), "");
    machine.unit("new", &idle());
    let socket = machine.socket();
    let clients = [(); 2].map(|()| Client::connect(&socket).expect("somebody listens"));
    injector.plan(every(libc::SYS_kill, libc::ESRCH));
    clients[0].send(br#"{"verb":"reload-units"}"#).expect("a request is taken");
    let _ = clients[0].receive(machine.limit());
    clients[1].send(br#"{"verb":"restart","unit":"ettan-load"}"#).expect("a request is taken");
    let _ = clients[1].receive(machine.limit());
    machine.until("the new unit is up", |machine| machine.ettan("is-active new").code == 0);
    let _ = injector.lift();
    let log = machine.kmsg();
    assert!(!log.contains("cannot be mapped") && !log.contains("no table"), "{log}");
}

#[test]
fn f3_7_a_storm_without_a_meaning_is_told_of_once() {
    let mut machine = booted();
    let web = machine.main_pid("web");
    let storm = "for n in $(seq 20000); do kill -34 1; kill -64 1; done";
    let script = format!("bash -c '{storm}' & kill -9 {web}; wait");
    assert_eq!(machine.sh(&script).code, 0);
    machine.expect(&["web up"]);
    let told = |machine: &mut Namespace| machine.kmsg().matches(" ignored").count();
    machine.until("it is told of", |machine| told(machine) > 0);
    assert!(told(&mut machine) < 4, "{}", machine.kmsg());
}

#[test]
fn f3_7_signal_storm() {
    let mut machine = booted();
    let web = machine.main_pid("web");
    let storm = "for n in $(seq 2000); do kill -HUP 1; kill -WINCH 1; kill -PIPE 1; kill -ALRM 1; kill -34 1; kill -64 1; done";
    assert_eq!(machine.sh(storm).code, 0);
    assert_eq!(machine.main_pid("web"), web);
    machine.kill9(web);
    machine.expect(&["web up"]);
}

/// Each wait ends at once and tells nothing.
#[test]
fn f3_9_a_loop_that_spins_slows_down_and_says_so() {
    let mut machine = booted();
    let injector = Injector::attach(machine.init(), "");
    let _ = machine.stats();
    let waits = [libc::SYS_epoll_pwait, libc::SYS_epoll_wait, libc::SYS_epoll_pwait2];
    let kinds = injector.kinds();
    let call = waits.into_iter().find(|wait| kinds.contains(&wait.unsigned_abs()));
    injector.plan(every(call.expect("it waits"), libc::EINTR));
    let _ = machine.stats();
    machine.until("it is noticed", |machine| machine.kmsg().contains("it spins"));
    let told = machine.stats()["degraded"].to_string();
    assert!(told.contains("loop, for "), "{told}");
    rests(&mut machine);
    comes_back(&mut machine);
    assert!(injector.lift().hits > 0);
    machine.until("it has healed", |machine| machine.stats()["degraded"] == "");
}

fn comes_back(machine: &mut Namespace) {
    let web = machine.main_pid("web");
    machine.kill9(web);
    machine.until("it is back", |machine| {
        let running = machine.running("sleep 100000");
        running.len() == 1 && running[0].pid != web
    });
}

#[test]
fn f3_9_idle_means_idle() {
    let mut machine = booted();
    for number in 0..20 {
        machine.unit(&format!("idle{number}"), &idle());
    }
    {
        assert_eq!(machine.ettan("reload-units").code, 0);
        machine.until("all are up", |machine| machine.running("sleep 100000").len() == 21);
    }
    let switches = |machine: &Namespace| {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", machine.init())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
        line.and_then(|line| line.split_whitespace().last()?.parse::<u64>().ok())
            .unwrap_or_default()
    };
    // Settle first: replies to our own questions are no wake-ups of its own.
    for _ in 0..100 {
        assert!(machine.turn());
    }
    let before = switches(&machine);
    for _ in 0..200 {
        assert!(machine.turn());
    }
    assert!(
        switches(&machine) - before <= 2,
        "{} wake-ups in a second of idleness",
        switches(&machine) - before
    );
}

#[test]
fn f3_12_services_can_be_killed_for_memory() {
    let mut machine = Namespace::usual();
    machine.unit("web", &shell("cat /proc/self/oom_score_adj >/tmp/score; exec sleep 100000"));
    machine.boot();
    machine.expect(&["web up"]);
    machine.until("it has told", |machine| machine.sh("cat /tmp/score").out.ends_with('\n'));
    assert_eq!(machine.sh("cat /tmp/score").ok(), "0");
}

#[test]
fn f3_12_helpers_are_the_last_to_be_killed_for_memory() {
    let mut machine = Namespace::usual();
    let health =
        "[health]\ncommand = [\"/bin/sh\", \"-c\", \"cat /proc/self/oom_score_adj >/tmp/score\"]\n";
    machine.unit("web", &format!("{}{health}interval-sec = \"100ms\"\n", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    // As far as the host lets anybody: on a board it does (tests/virt).
    let tries = "echo -900 >/proc/self/oom_score_adj; cat /proc/self/oom_score_adj";
    let expected = machine.sh(tries).out.trim().to_owned();
    for word in ["log", "watch", "probe"] {
        machine.until("the helper runs", |machine| helper(machine, word).is_some());
        let pid = helper(&mut machine, word).expect("it runs");
        let score = machine.sh(&format!("cat /proc/{pid}/oom_score_adj")).ok();
        assert_eq!(score, expected, "{word}");
    }
    // What the prober executes for a unit is the unit's.
    machine.until("it has told", |machine| machine.sh("cat /tmp/score").out.ends_with('\n'));
    assert_eq!(machine.sh("cat /tmp/score").ok(), "0");
}

#[test]
fn f3_13_memory_and_descriptors_do_not_grow() {
    let mut machine = booted();
    let noisy = format!(
        "{}restart-sec = \"1ms\"\nrestart-max-delay-sec = \"1ms\"\n",
        shell("echo words; exit 1")
    );
    for number in 0..10 {
        machine.unit(&format!("noisy{number}"), &noisy);
    }
    let restarts = |machine: &mut dyn Machine, wanted: u64| {
        machine.until("they have restarted often", |machine| {
            machine.status("noisy0")["restarts"].as_u64().is_some_and(|count| count > wanted)
        });
    };
    let measure = |machine: &mut Namespace| {
        // Its own pages: those of its file come and go with the memory of the machine.
        let memory =
            machine.sh("sed -n 's/^RssAnon:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/1/status").ok();
        let descriptors = machine.sh("ls /proc/1/fd | wc -l").ok();
        (memory.parse::<u64>().unwrap_or(0), descriptors.parse::<u64>().unwrap_or(0))
    };
    assert_eq!(machine.sh("ettan reload-units").code, 0);
    restarts(&mut machine, 10);
    let before = measure(&mut machine);
    restarts(&mut machine, 100);
    let after = measure(&mut machine);
    assert!(
        after.0 <= before.0 + 64,
        "{before:?} kB, descriptors before and {after:?} after 900 restarts"
    );
    assert!(
        after.1 <= before.1 + 4,
        "{before:?} kB, descriptors before and {after:?} after 900 restarts"
    );
}
