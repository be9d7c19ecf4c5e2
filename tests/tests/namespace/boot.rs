//! F7: what process 1 finds when it starts, and what comes at it while it boots.

use ettan_tests::units::{idle, shell, with};
use ettan_tests::{Builder, End, Machine, Namespace, Operate, Start};

/// One service comes up, and the basic file systems are where they belong.
fn comes_up(machine: &mut Namespace) {
    machine.unit("web", &idle());
    machine.boot();
    // Not by its notice: of those there may be more than anybody can read in time.
    machine.until("web is up", |machine| machine.ettan("is-active web").code == 0);
    for place in ["/proc", "/dev/pts", "/dev/shm", "/run", "/sys"] {
        let mounts =
            machine.sh(&format!("awk '$5 == \"{place}\"' /proc/self/mountinfo | wc -l")).out;
        assert_eq!(mounts.trim(), "1", "{place} is mounted {mounts} times");
    }
    assert_eq!(
        machine.sh("echo x >/dev/null && ip -o link show lo | grep -c 'LOOPBACK,UP'").ok(),
        "1"
    );
    assert_eq!(machine.sh("hostname").ok(), "machine");
    assert_eq!(machine.ettan("is-active web").code, 0);
}

#[test]
fn a_usual_start() {
    comes_up(&mut Namespace::usual());
}

/// Whatever else runs before the first unit delays it (docs/adr/0040); nothing is lost by that.
#[test]
fn units_are_executed_before_logger_and_watcher() {
    let mut machine = Namespace::usual();
    machine.unit("web", &shell("echo early; exec sleep 100000"));
    machine.boot();
    machine.expect(&["web up"]);
    machine.until("its words are in its log", |machine| {
        machine.ettan("logs web").out.contains("early")
    });
    machine.until("the watcher runs", |machine| machine.ettan("is-active ettan-watch").code == 0);
    // Numbers go up in a namespace of its own.
    let web = machine.main_pid("web");
    for helper in ["ettan-log", "ettan-watch"] {
        assert!(machine.main_pid(helper) > web, "{helper} came first");
    }
}

#[test]
fn f7_1_nothing_is_mounted() {
    comes_up(&mut Builder::default().start(Start::Bare).build());
}

#[test]
fn f7_2_everything_is_mounted_already() {
    let mut machine = Namespace::usual();
    let mounts = "mount -t sysfs sys /sys && mount -t tmpfs run /run && mkdir /dev/pts /dev/shm \
                  && mount -t devpts pts /dev/pts && mount -t tmpfs shm /dev/shm \
                  && mount -t cgroup2 cgroup2 /sys/fs/cgroup && touch /run/kept && ip link set lo up";
    assert_eq!(machine.sh(mounts).code, 0);
    comes_up(&mut machine);
    assert_eq!(machine.sh("cat /run/kept").code, 0, "/run was mounted over");
}

#[test]
fn f7_3_console_is_missing() {
    comes_up(&mut Builder::default().start(Start::NoConsole).build());
}

#[test]
fn f7_3_console_and_kernel_log_block() {
    let mut machine = Namespace::usual();
    // A FIFO that nobody reads is a console behind ^S: full after 64 KiB, and then it blocks.
    let blocked = "rm /dev/console /dev/kmsg && mkfifo /dev/console /dev/kmsg && \
                   (setsid sh -c 'exec 8<>/dev/console 9<>/dev/kmsg; head -c 65536 /dev/zero >&8; \
                   head -c 65536 /dev/zero >&9; touch /tmp/blocked; exec sleep 99999' >/dev/null 2>&1 </dev/null &)";
    assert_eq!(machine.sh(blocked).code, 0);
    machine.until("both are full", |machine| machine.sh("test -e /tmp/blocked").code == 0);
    for number in 0..30 {
        machine.unit(
            &format!("bad{number}"),
            &format!(
                "{}restart-sec = \"20ms\"\nrestart-max-delay-sec = \"100ms\"\n",
                shell("exit 1")
            ),
        );
    }
    comes_up(&mut machine);
    machine.expect(&["bad0 backoff", "bad0 backoff"]);
    let _ = machine.sh("ettan reboot");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn f7_7_hung_start_script() {
    let mut machine = Namespace::usual();
    let hung = format!(
        "{}type = \"oneshot\"\ntimeout-start-sec = \"300ms\"\n",
        shell("trap \"\" TERM; sleep 100000")
    );
    machine.unit("hung", &hung);
    machine.unit("later", &with("after = [\"hung\"]", &idle()));
    machine.unit("needy", &with("requires = [\"hung\"]\nafter = [\"hung\"]", &idle()));
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["hung starting", "hung failed"]);
    machine.until("those that can are up", |machine| {
        machine.ettan("is-active later").code == 0 && machine.ettan("is-active free").code == 0
    });
    assert_eq!(machine.told("needy up"), 0);
    assert!(machine.running("trap").is_empty(), "the script lives on");
}

#[test]
fn f7_9_reboot_during_boot() {
    let mut machine = Namespace::usual();
    machine.unit(
        "slow",
        &format!("{}type = \"oneshot\"\ntimeout-start-sec = 0\n", shell("sleep 100000")),
    );
    machine.unit("never", &with("after = [\"slow\"]", &idle()));
    machine.boot();
    machine.expect(&["slow starting"]);
    let _ = machine.sh("ettan reboot");
    assert_eq!(machine.end(), End::Reboot);
    assert_eq!(machine.told("never starting"), 0);
}

#[test]
fn f7_9_signal_in_the_first_moment() {
    let mut machine = Namespace::usual();
    machine.unit("web", &idle());
    machine.boot();
    // Whatever process 1 is doing by now: the setup shell, its first line, or its loop.
    machine.until("it is Ettan", |machine| machine.sh("readlink /proc/1/exe").out.contains("init"));
    machine.until("the signals are taken", |machine| {
        machine.sh("grep SigBlk /proc/1/status").out.trim() != "SigBlk:\t0000000000000000"
    });
    let _ = machine.sh("kill -TERM 1");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn f7_10_odd_arguments() {
    let long = "x".repeat(4000);
    let odd = [
        "/sbin/init",
        "---",
        "single",
        "load",
        "log",
        "close",
        "init=/bin/sh",
        "-b",
        "\u{1b}[31m",
        &long,
    ];
    let mut machine = Builder::default().command(&odd).build();
    comes_up(&mut machine);
}

#[test]
fn f7_11_not_as_process_1() {
    let mut machine = Namespace::usual();
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["web up"]);
    let output = machine.sh("/sbin/init </dev/null");
    assert_ne!(output.code, 0);
    assert!(!output.err.is_empty() || !output.out.is_empty(), "it says why");
    assert_ne!(machine.sh("setpriv --reuid 990 --clear-groups /sbin/init </dev/null").code, 0);
    assert_eq!(machine.ettan("is-active web").code, 0);
}

#[test]
fn f7_13_a_thousand_units() {
    let mut machine = Builder::default().seconds(180).build();
    for number in 0..1000 {
        machine.unit(&format!("unit{number}"), &idle());
    }
    machine.boot();
    machine.answers();
    let all = |machine: &mut Namespace| machine.stats()["up"] == 1000;
    while !all(&mut machine) {
        assert!(!machine.limit().over() && machine.turn(), "{}", machine.stats());
    }
    let memory = machine.sh("sed -n 's/^VmRSS:[^0-9]*//p' /proc/1/status").ok();
    eprintln!("PID 1 with 1,000 units: {memory}");
    let _ = machine.sh("ettan reboot");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn f7_14_closed_descriptors_and_empty_dev() {
    comes_up(&mut Builder::default().start(Start::Closed).build());
}

#[test]
fn f7_1_no_table_of_units_can_be_made() {
    let mut machine = Namespace::usual();
    let trace = machine.trace(&["trace=memfd_create", "inject=memfd_create:error=ENOMEM"]);
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["ettan-rescue starting"]);
    drop(trace);
    machine.expect(&["web up"]);
    machine.until("the shell is gone", |machine| machine.status("ettan-rescue")["goal"] == "down");
}
