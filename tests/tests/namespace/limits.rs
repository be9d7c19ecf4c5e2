//! F3: process 1 at its own limits.

use ettan_tests::units::{QUICK, idle, shell};
use ettan_tests::{Client, Machine, Namespace, Operate};

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
        let memory =
            machine.sh("sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/1/status").ok();
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
