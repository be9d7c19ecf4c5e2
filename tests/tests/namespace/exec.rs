//! What a service is given when it starts, and what is said when it cannot start.

use ettan_tests::units::{idle, shell, with};
use ettan_tests::{Builder, Cgroups, Machine, Namespace, Operate, Start};

/// A program that cannot be executed, the words that must be said of it.
struct Fault {
    name: &'static str,
    program: &'static str,
    words: &'static [&'static str],
}

const FAULTS: [Fault; 9] = [
    Fault {
        name: "missing",
        program: "/usr/bin/nosuch",
        words: &["/usr/bin/nosuch", "no such file"],
    },
    Fault { name: "plain", program: "/opt/plain", words: &["/opt/plain", "permission denied"] },
    Fault { name: "interpreter", program: "/opt/script", words: &["/opt/script", "interpreter"] },
    Fault { name: "loader", program: "/opt/loader", words: &["/opt/loader", "interpreter"] },
    Fault { name: "format", program: "/opt/empty", words: &["/opt/empty", "exec format"] },
    Fault { name: "foreign", program: "/opt/foreign", words: &["/opt/foreign", "exec format"] },
    Fault {
        name: "notdir",
        program: "/etc/passwd/x",
        words: &["/etc/passwd/x", "not a directory"],
    },
    Fault { name: "loop", program: "/opt/loop", words: &["/opt/loop", "symbolic links"] },
    Fault { name: "folder", program: "/opt", words: &["/opt", "permission denied"] },
];

/// Makes the files above. The foreign one is an ELF header for a processor that no host has; the
/// one without a loader is a good program that names a dynamic linker that is not there.
const MAKE: &str = r"
    mkdir -p /opt && cd /opt && echo 'exit 0' >plain && : >empty && chmod 755 empty
    printf '#!/usr/bin/nosuch\n' >script && chmod 755 script && ln -s loop loop
    perl -e 'print qq(\x7fELF\x02\x01\x01), qq(\0) x 9, pack(q(vvVQQQVvvvvvv), 2, 0xfff0, 1, 0, 64, 0, 0, 64, 56, 0, 64, 0, 0)' >foreign
    perl -pe 's(/lib64/ld-linux-x86-64.so.2)(/lib64/ld-linux-x86-64.so.9)' /usr/bin/true >loader
    chmod 755 foreign loader";

#[test]
fn f1_15_exec_failures_are_named() {
    let mut machine = Namespace::usual();
    assert_eq!(machine.sh(MAKE).code, 0);
    for fault in &FAULTS {
        let unit = format!("[service]\nexec-start = \"{}\"\nrestart = \"no\"\n", fault.program);
        machine.unit(fault.name, &unit);
    }
    machine.unit("good", &idle());
    machine.boot();
    machine.until("good is up", |machine| machine.ettan("is-active good").code == 0);
    for fault in &FAULTS {
        machine.until("it has failed", |machine| machine.status(fault.name)["state"] == "failed");
        let status = machine.ettan(&format!("status {}", fault.name)).out;
        let said = status.to_lowercase();
        assert!(fault.words.iter().all(|word| said.contains(word)), "{:?}: {status}", fault.words);
    }
}

#[test]
fn f1_15_program_that_appears_later() {
    let mut machine = Namespace::usual();
    machine.unit("late", "[service]\nexec-start = \"/opt/late\"\nrestart-sec = \"20ms\"\nrestart-max-delay-sec = \"50ms\"\n");
    machine.boot();
    machine.expect(&["late starting", "late backoff", "late starting", "late backoff"]);
    let made = "mkdir -p /opt && printf '#!/bin/sh\nexec sleep 100000\n' >/opt/new && chmod 755 /opt/new && mv /opt/new /opt/late";
    assert_eq!(machine.sh(made).code, 0);
    machine.expect(&["late up"]);
}

#[test]
fn f1_16_unknown_user_never_becomes_root() {
    let mut machine = Namespace::usual();
    for (name, user) in [
        ("odd", "0day"),
        ("hex", "0x0"),
        ("gone", "nosuch"),
        ("minus", "-1"),
        ("huge", "4294967296"),
    ] {
        machine.unit(
            name,
            &format!("{}user = \"{user}\"\n", shell("id -u >/tmp/ran; exec sleep 100000")),
        );
    }
    machine.unit(
        "group",
        &format!("{}group = \"nosuch\"\n", shell("id -u >/tmp/ran; exec sleep 100000")),
    );
    machine.unit(
        "good",
        &format!(
            "{}user = \"telldus\"\n",
            shell("id -u >/tmp/telldus; id -G >>/tmp/telldus; exec sleep 100000")
        ),
    );
    machine.boot();
    machine.expect(&["good up"]);
    machine.until("it has told", |machine| machine.sh("cat /tmp/telldus").out.lines().count() == 2);
    assert_eq!(machine.sh("cat /tmp/telldus").ok(), "990\n990 46");
    assert_eq!(machine.sh("cat /tmp/ran").code, 1, "a unit of an unknown user ran");
    let told = machine.ettan("status").out;
    for word in ["0day", "0x0", "nosuch", "-1", "4294967296"] {
        assert!(told.contains(word), "{word} is not named: {told}");
    }
}

#[test]
fn f1_16_missing_working_directory_fails_the_start() {
    let mut machine = Namespace::usual();
    let keys = "working-directory = \"/nowhere\"\nrestart = \"no\"\n";
    machine.unit("lost", &format!("{}{keys}", shell("touch /tmp/ran")));
    machine.boot();
    machine.expect(&["lost failed"]);
    let status = machine.ettan("status lost").out;
    assert!(status.contains("directory"), "{status}");
    assert_ne!(machine.sh("cat /tmp/ran").code, 0);
}

/// No signal is blocked, ignored or caught in a service, told by a program that changes nothing
/// itself. 32 and 33 are no test's business: C libraries keep them for themselves, and whoever
/// runs the tests may ignore them.
#[test]
fn a_service_starts_with_default_signals() {
    let mut machine = Namespace::usual();
    machine.unit(
        "probe",
        "[service]\nexec-start = \"/bin/cat /proc/self/status\"\nrestart = \"no\"\n",
    );
    machine.boot();
    machine
        .until("it has told", |machine| machine.ettan("logs -n 100 probe").out.contains("SigCgt"));
    let log = machine.ettan("logs -n 100 probe").ok();
    for mask in ["SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:"] {
        let value =
            log.lines().find_map(|line| line.split_once(mask)).map(|(_, value)| value.trim());
        let value = u64::from_str_radix(value.unwrap_or("none"), 16);
        assert_eq!(value.map(|value| value & !0x1_8000_0000), Ok(0), "{mask} {log}");
    }
}

/// Boots a probe and returns what it was given, one fact a line.
fn probe(machine: &mut Namespace, keys: &str) -> Vec<String> {
    let unit =
        "exec-start = \"/usr/bin/fake-daemon --foreground --report /tmp/report one 'two words'\"";
    let unit = unit.replace(" one 'two words'", "");
    machine.unit("probe", &format!("[service]\n{unit}\n{keys}"));
    machine.boot();
    machine.expect(&["probe up"]);
    machine.until("the report is there", |machine| machine.sh("cat /tmp/report").code == 0);
    machine.sh("cat /tmp/report").ok().lines().map(str::to_owned).collect()
}

fn facts<'a>(report: &'a [String], kind: &str) -> Vec<&'a str> {
    report.iter().filter_map(|line| line.strip_prefix(kind)).map(str::trim).collect()
}

fn is_clean(machine: &mut Namespace) {
    let report = probe(machine, "[service.environment]\nCOLOUR = \"blue\"\n");
    let descriptors = facts(&report, "fd ");
    assert_eq!(descriptors.len(), 3, "{descriptors:?}");
    assert_eq!(descriptors[0], "0 /dev/null");
    assert!(
        descriptors[1].starts_with("1 pipe:") && descriptors[2].starts_with("2 pipe:"),
        "{descriptors:?}"
    );
    let status = facts(&report, "status ");
    assert!(status.contains(&"Umask: 0022"), "{status:?}");
    assert_eq!(facts(&report, "cwd "), ["/"]);
    let ids = facts(&report, "pid ")[0];
    let pid = ids.split(' ').next().unwrap_or_default();
    assert_eq!(ids, format!("{pid} session {pid} group {pid}"));
    has_only_its_environment(&report);
}

fn has_only_its_environment(report: &[String]) {
    let mut environment = facts(report, "env ");
    let cookie = environment.iter().position(|line| line.starts_with("ETTAN_COOKIE="));
    environment.remove(cookie.expect("a cookie"));
    let wanted = [
        "COLOUR=blue",
        "HOME=/root",
        "LOGNAME=root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "USER=root",
    ];
    assert_eq!(environment, wanted);
}

#[test]
fn a_service_gets_what_it_should_and_nothing_else() {
    is_clean(&mut Namespace::usual());
}

#[test]
fn a_service_gets_what_it_should_and_nothing_else_without_cgroups() {
    is_clean(&mut Builder::default().cgroups(Cgroups::Missing).build());
}

#[test]
fn a_service_gets_what_it_should_after_a_hostile_start() {
    is_clean(&mut Builder::default().start(Start::Closed).build());
}

#[test]
fn f7_12_environment_from_the_kernel_reaches_no_service() {
    let machine =
        Builder::default().variable("LD_PRELOAD", "/tmp/evil.so").variable("BOOT_IMAGE", "x");
    is_clean(&mut machine.variable("PATH", "/evil").build());
}

#[test]
fn limits_of_process_1_reach_no_service() {
    let mut machine = Namespace::usual();
    let before = machine.sh("ulimit -n").ok();
    let report = probe(&mut machine, "");
    let line = facts(&report, "limit Max open files ");
    assert_eq!(line[0].split(' ').next(), Some(before.as_str()), "{line:?}");
}

#[test]
fn keys_of_the_unit_reach_the_service() {
    let mut machine = Namespace::usual();
    let keys = "user = \"telldus\"\numask = \"0077\"\nworking-directory = \"/var\"\n";
    assert_eq!(machine.sh("chmod 1777 /tmp").code, 0);
    let report = probe(&mut machine, keys);
    let status = facts(&report, "status ");
    assert!(
        status.contains(&"Umask: 0077") && status.contains(&"Uid: 990 990 990 990"),
        "{status:?}"
    );
    assert_eq!(facts(&report, "cwd "), ["/var"]);
    assert!(facts(&report, "env ").contains(&"HOME=/home/telldus"));
}

#[test]
fn a_unit_may_wait_for_one_that_is_not_there() {
    let mut machine = Namespace::usual();
    machine.unit("web", &with("after = [\"nosuch\"]", &idle()));
    machine.boot();
    machine.expect(&["web up"]);
}
