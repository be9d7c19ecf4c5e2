//! F3: process 1 at its own limits.

use ettan_tests::units::{QUICK, idle, shell, with};
use ettan_tests::{Builder, Cgroups, Client, Machine, Namespace, Operate};

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

#[test]
fn f3_2_no_descriptor_left_to_look_for_leftovers() {
    for cgroups in [Cgroups::Own, Cgroups::Missing] {
        let mut machine = Builder::default().cgroups(cgroups).build();
        let leaver = shell("setsid sleep 77777 & exec sleep 100000");
        machine.unit("web", &format!("{leaver}min-uptime-sec = \"1ms\"\n"));
        machine.boot();
        machine.expect(&["web up"]);
        machine.until("it has a child", |machine| machine.running("sleep 77777").len() == 1);
        let main = machine.main_pid("web");
        limit_descriptors(&machine, 12);
        machine.kill9(main);
        for _ in 0..40 {
            assert!(machine.turn());
        }
        limit_descriptors(&machine, 4096);
        machine.until("it is up again", |machine| machine.ettan("is-active web").code == 0);
        machine.until("it has a child", |machine| !machine.running("sleep 77777").is_empty());
        assert_eq!(machine.running("sleep 77777").len(), 1, "{cgroups:?}: of two starts");
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
