//! What a service is given beside the usual: limits, scheduling, rights, variables. A probe tells
//! what it found, and each fact is compared.

use ettan_tests::units::{idle, shell, with};
use ettan_tests::{Machine, Namespace, Operate};

/// Boots `machine` with a probe that has `keys`; what it found, one fact a line.
pub(crate) fn probe(machine: &mut Namespace, keys: &str) -> Vec<String> {
    assert_eq!(machine.sh("chmod 1777 /tmp").code, 0);
    let start =
        "[service]\nexec-start = \"/usr/bin/fake-daemon --foreground --report /tmp/report\"";
    machine.unit("probe", &format!("{start}\n{keys}"));
    machine.boot();
    machine.expect(&["probe up"]);
    machine.until("the report is there", |machine| machine.sh("cat /tmp/report").code == 0);
    machine.sh("cat /tmp/report").ok().lines().map(str::to_owned).collect()
}

/// The facts that begin with `kind`, without it.
pub(crate) fn facts(report: &[String], kind: &str) -> Vec<String> {
    report.iter().filter_map(|line| line.strip_prefix(kind)).map(|t| t.trim().to_owned()).collect()
}

/// Exactly one fact of that kind.
pub(crate) fn fact(report: &[String], kind: &str) -> String {
    let found = facts(report, kind);
    assert_eq!(found.len(), 1, "{kind}: {report:#?}");
    found[0].clone()
}

/// Every limit as the kernel tells it, in its order.
const LIMITED: [&str; 16] = [
    "Max cpu time 100 200 seconds",
    "Max file size 1048576 2097152 bytes",
    "Max data size 1073741824 1073741824 bytes",
    "Max stack size 4194304 unlimited bytes",
    "Max core file size 0 0 bytes",
    "Max resident set 1048576 1048576 bytes",
    "Max processes 100 200 processes",
    "Max open files 33 44 files",
    "Max locked memory 65536 65536 bytes",
    "Max address space 2147483648 2147483648 bytes",
    "Max file locks 5 6 locks",
    "Max pending signals 77 88 signals",
    "Max msgqueue size 4096 4096 bytes",
    // A container may not raise these two above the nothing that they are.
    "Max nice priority 0 0",
    "Max realtime priority 0 0",
    "Max realtime timeout 1000 2000 us",
];

#[test]
fn every_limit_reaches_the_service() {
    let mut machine = Namespace::usual();
    let keys = r#"limit-cpu = "100:200"
limit-fsize = "1M:2M"
limit-data = "1G"
limit-stack = "4M:infinity"
limit-core = 0
limit-rss = "1M"
limit-nproc = "100:200"
limit-nofile = "33:44"
limit-memlock = "64K"
limit-as = "2G"
limit-locks = "5:6"
limit-sigpending = "77:88"
limit-msgqueue = 4096
limit-nice = 0
limit-rtprio = 0
limit-rttime = "1ms:2ms"
"#;
    let report = probe(&mut machine, keys);
    assert_eq!(facts(&report, "limit "), LIMITED);
    assert_eq!(fact(&report, "nice "), "0");
}

#[test]
fn scheduling_reaches_the_service() {
    let mut machine = Namespace::usual();
    let keys =
        "nice = 7\ncpu-affinity = 0\noom-score-adjust = 321\nio-scheduling-class = \"idle\"\n";
    let report = probe(&mut machine, keys);
    assert_eq!(fact(&report, "nice "), "7");
    // PID 1 itself comes before its services.
    assert_eq!(machine.sh("ps -o ni= -p 1").ok().trim(), "-10");
    assert_eq!(fact(&report, "oom-score-adj "), "321");
    assert_eq!(fact(&report, "status Cpus_allowed_list:"), "0");
    let pid = fact(&report, "pid ");
    let pid = pid.split(' ').next().unwrap_or_default();
    assert_eq!(machine.sh(&format!("ionice -p {pid}")).ok().trim(), "idle");
}

/// All of the sets that a process has, in the kernel's order.
fn capabilities(report: &[String]) -> [u64; 5] {
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| {
        let value = fact(report, &format!("status {set}:"));
        u64::from_str_radix(&value, 16).expect("a hexadecimal number")
    })
}

#[test]
fn root_has_what_the_bounding_set_leaves() {
    let mut machine = Namespace::usual();
    let report = probe(&mut machine, "capability-bounding-set = \"CAP_KILL CAP_CHOWN\"\n");
    assert_eq!(capabilities(&report), [0, 0x21, 0x21, 0x21, 0]);
    assert_eq!(fact(&report, "status NoNewPrivs:"), "0");
}

#[test]
fn a_user_has_ambient_capabilities_and_no_more() {
    let mut machine = Namespace::usual();
    let keys = "user = \"telldus\"\nambient-capabilities = \"CAP_NET_BIND_SERVICE\"\n";
    let report = probe(&mut machine, keys);
    let [inheritable, permitted, effective, _, ambient] = capabilities(&report);
    assert_eq!([inheritable, permitted, effective, ambient], [0x400; 4]);
    assert_eq!(fact(&report, "status NoNewPrivs:"), "1");
    assert_eq!(fact(&report, "status Uid:"), "990 990 990 990");
}

#[test]
fn a_user_gains_no_privileges_unless_it_may() {
    let mut machine = Namespace::usual();
    let keys = "user = \"telldus\"\nsupplementary-groups = [\"root\", 7]\n";
    let report = probe(&mut machine, &format!("{keys}no-new-privileges = false\n"));
    assert_eq!(fact(&report, "status NoNewPrivs:"), "0");
    assert_eq!(fact(&report, "status Groups:"), "0 7 46 990");
    let [inheritable, permitted, effective, _, ambient] = capabilities(&report);
    assert_eq!([inheritable, permitted, effective, ambient], [0; 4]);
}

#[test]
fn variables_of_files_reach_the_service() {
    let mut machine = Namespace::usual();
    let make = "mkdir -p /etc/probe.env && printf 'blue \\nmore' >/etc/probe.env/COLOUR && \
        : >/etc/probe.env/HOME && printf 'SIZE=\"1 2\"\\n# end\\n' >/etc/default.probe && \
        chmod -R go-w /etc/probe.env /etc/default.probe";
    assert_eq!(machine.sh(make).code, 0);
    let keys = "environment-dir = \"/etc/probe.env\"\nenvironment-file = \"/etc/default.%n\"\n";
    let report = probe(&mut machine, keys);
    let environment = facts(&report, "env ");
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let expected = ["COLOUR=blue", "LOGNAME=root", path, "SIZE=1 2", "USER=root"];
    let own: Vec<_> = environment.iter().filter(|v| !v.starts_with("ETTAN_COOKIE=")).collect();
    assert_eq!(own, expected.iter().collect::<Vec<_>>());
}

/// The hosts of these tests give no controllers to cgroup v2: that is what a Raspberry Pi does.
#[test]
fn without_controllers_memory_max_limits_addresses_and_one_warning_says_so() {
    let mut machine = Namespace::usual();
    if machine.sh("grep -q memory /sys/fs/cgroup/cgroup.controllers").code == 0 {
        return eprintln!("this host has the controllers: nothing tested");
    }
    machine.unit("other", &format!("{}tasks-max = 5\ncpu-weight = 7\n", idle()));
    let report = probe(&mut machine, "memory-max = \"1G\"\n");
    let line = fact(&report, "limit Max address space ");
    assert_eq!(line, "1073741824 1073741824 bytes");
    machine.until("the log is there", |m| m.ettan("logs").out.contains("cannot be had"));
    assert_eq!(machine.ettan("logs").out.matches("cannot be had from this kernel").count(), 1);
}

/// What cannot be done for a service fails its start, by name.
#[test]
fn what_a_service_cannot_be_given_fails_its_start() {
    let mut machine = Namespace::usual();
    let keys = "cpu-affinity = 63\nrestart = \"no\"\n";
    machine.unit("far", &with("", &format!("{}{keys}", shell("touch /tmp/ran"))));
    machine.boot();
    machine.expect(&["far failed"]);
    let status = machine.ettan("status far").out;
    assert!(status.contains("cpu-affinity"), "{status}");
    assert_ne!(machine.sh("cat /tmp/ran").code, 0);
}
