//! What a service finds around it: its directories, its descriptors, mounts and a network of its own,
//! and what happens to PID 1 while that is prepared: nothing (docs/adr/0027).

use crate::environment::{fact, facts, probe};
use crate::lives::{kill_init, told};
use ettan_tests::units::{QUICK, idle, shell};
use ettan_tests::{Builder, Cgroups, Machine, Namespace, Operate};

/// A service that waits in `open` until somebody reads from the pipe: as on a file system that hangs.
const HANGS: &str = "standard-output = \"file:/tmp/hangs\"\n";

fn hanging(machine: &mut Namespace, keys: &str) {
    assert_eq!(machine.sh("mkfifo /tmp/hangs").code, 0);
    machine.unit("slow", &format!("{}{HANGS}{keys}", idle()));
    machine.unit("quick", &format!("{}{QUICK}", idle()));
    machine.boot();
    machine.expect(&["quick up", "slow starting"]);
    machine.until("its place is prepared", |m| !m.running("ettan-init enter").is_empty());
}

fn user(keys: &str) -> String {
    format!("user = \"telldus\"\ngroup = \"plugdev\"\n{keys}")
}

#[test]
fn directories_are_made_for_the_user_and_those_in_run_go_with_the_run() {
    let mut machine = Namespace::usual();
    let keys = "runtime-directory = [\"probe\", \"deep/er\"]\nstate-directory = \"%n\"\n\
        logs-directory = \"probe\"\n";
    let report = probe(&mut machine, &user(keys));
    let environment = facts(&report, "env ");
    for variable in [
        "RUNTIME_DIRECTORY=/run/probe:/run/deep/er",
        "STATE_DIRECTORY=/var/lib/probe",
        "LOGS_DIRECTORY=/var/log/probe",
    ] {
        assert!(environment.iter().any(|found| found == variable), "{variable}: {environment:?}");
    }
    let all = "/run/probe /run/deep/er /var/lib/probe /var/log/probe /run/deep";
    let owners = machine.sh(&format!("stat -c '%u:%g %a' {all}")).ok();
    assert_eq!(owners, "990:46 755\n990:46 755\n990:46 755\n990:46 755\n0:0 755");
    assert_eq!(
        machine.sh("mkdir -p /run/probe/a/b && touch /run/probe/a/b/c /var/lib/probe/x").code,
        0
    );
    assert_eq!(machine.ettan("restart probe").code, 0);
    assert_eq!(machine.sh("ls -A /run/probe; ls /var/lib/probe").ok(), "x", "the next run is new");
    assert_eq!(machine.sh("touch /run/probe/socket").code, 0);
    assert_eq!(machine.ettan("stop probe").code, 0);
    machine.until("they are gone", |m| m.sh("ls -d /run/probe /run/deep/er").out.is_empty());
    assert_eq!(machine.sh("ls /var/lib/probe; ls -d /var/log/probe").ok(), "x\n/var/log/probe");
}

/// What a user may have put in the way leads nowhere.
#[test]
fn r9_a_planted_link_fails_the_start_by_name_and_nothing_else() {
    let mut machine = Namespace::usual();
    let plant = "ln -s /etc /var/lib/probe && mkdir /tmp/mine && \
        ln -s /etc/passwd /tmp/mine/out && chown -h 990 /tmp/mine /tmp/mine/out && cp /etc/passwd /tmp/";
    assert_eq!(machine.sh(plant).code, 0);
    let keys = "state-directory = \"probe\"\nrestart = \"no\"\n";
    machine.unit("probe", &format!("{}{}", idle(), user(keys)));
    let keys = "standard-output = \"append:/tmp/mine/out\"\nrestart = \"no\"\n";
    machine.unit("writer", &format!("{}{}", shell("echo root::0:0"), user(keys)));
    machine.boot();
    machine.expect(&["probe failed"]);
    machine.until("both have failed", |m| m.ettan("is-failed writer").code == 0);
    assert_eq!(machine.sh("stat -c %u:%g /etc; cmp /etc/passwd /tmp/passwd").ok(), "0:0");
    let told = machine.ettan("status probe").out;
    assert!(
        told.contains("make its runtime-, state- or logs-directory: not a directory"),
        "{told}"
    );
    let told = machine.ettan("status writer").out;
    assert!(told.contains("standard-output or standard-error: operation not permitted"), "{told}");
    machine.until("the paths are named", |m| {
        let logs = m.ettan("logs").out;
        logs.contains("probe: /var/lib/probe: ") && logs.contains("writer: /tmp/mine/out: ")
    });
}

#[test]
fn output_goes_to_files_and_input_comes_from_one() {
    let mut machine = Namespace::usual();
    machine.write("/etc/words", b"one\ntwo\n");
    let once = "type = \"oneshot\"\n";
    let cat = format!("{}{once}", shell("cat; echo wrong >&2"));
    let keys =
        "standard-input = \"file:/etc/words\"\nstandard-output = \"append:/var/log/%n.out\"\n";
    machine.unit("into", &format!("{cat}{keys}standard-error = \"inherit\"\n"));
    machine.unit("silent", &format!("{cat}standard-output = \"null\"\nstandard-error = \"log\"\n"));
    machine.write("/var/log/over.out", b"0123456789\n");
    let keys = "standard-output = \"file:/var/log/over.out\"\n";
    machine.unit("over", &format!("{}{once}{keys}", shell("echo 98765")));
    machine.boot();
    machine.expect(&["into down"]);
    machine.until("the last is over", |m| m.status("over")["state"] == "down");
    assert_eq!(machine.ettan("start into").code, 0);
    machine.until("it ran twice", |m| {
        m.sh("cat /var/log/into.out").ok().matches("wrong").count() == 2
    });
    assert_eq!(machine.sh("cat /var/log/into.out").ok(), "one\ntwo\nwrong\none\ntwo\nwrong");
    assert_eq!(machine.sh("cat /var/log/over.out").ok(), "98765\n6789");
    machine.until("what is wrong is logged", |m| m.ettan("logs silent").out.contains("wrong"));
    assert!(machine.running("ettan-init enter").is_empty());
}

#[test]
fn f4_3_a_place_that_hangs_delays_its_own_unit_only_and_not_for_ever() {
    let mut machine = Namespace::usual();
    hanging(&mut machine, "timeout-start-sec = \"2s\"\ntimeout-stop-sec = \"1s\"\n");
    assert_eq!(machine.status("slow")["state"], "starting");
    assert!(machine.status("slow")["main_pid"].is_number());
    // PID 1 has time for everybody else.
    for _ in 0..3 {
        let main = machine.main_pid("quick");
        machine.kill9(main);
        machine.expect(&["quick up"]);
    }
    machine.expect(&["slow stopping", "slow backoff"]);
    assert!(machine.ettan("status slow").out.contains("not ready within 2 s"));
    assert_eq!(machine.ettan("stop slow").code, 0);
    assert!(machine.running("ettan-init enter").is_empty());
}

#[test]
fn who_prepares_can_be_stopped_and_killed() {
    let mut machine = Namespace::usual();
    hanging(&mut machine, QUICK);
    assert_eq!(machine.ettan("stop slow").code, 0);
    assert!(machine.running("ettan-init enter").is_empty());
    let _ = machine.sh("ettan start slow --no-block");
    machine.until("it prepares", |m| !m.running("ettan-init enter").is_empty());
    let pid = machine.running("ettan-init enter")[0].pid;
    machine.kill9(pid);
    machine.expect(&["slow backoff", "slow starting"]);
    machine
        .until("another prepares", |m| m.running("ettan-init enter").iter().any(|p| p.pid != pid));
    let opened = machine.sh("timeout 20 cat /tmp/hangs >/dev/null & echo");
    assert_eq!(opened.code, 0);
    machine.expect(&["slow up"]);
    assert_eq!(machine.running("sleep 100000").len(), 2);
}

/// The main process is the same before and after execve, and PID 1's own end changes nothing.
fn outlives_pid_1(machine: &mut Namespace) {
    hanging(machine, "");
    let pid = machine.main_pid("slow");
    kill_init(machine, "SEGV");
    machine.until("PID 1 answers again", |m| told(m, "crashes") == 1);
    assert_eq!(machine.status("slow")["state"], "starting");
    assert_eq!(machine.main_pid("slow"), pid);
    assert_eq!(machine.sh("timeout 20 cat /tmp/hangs >/dev/null & echo").code, 0);
    machine.until("it is up", |m| m.status("slow")["state"] == "up");
    assert_eq!(machine.main_pid("slow"), pid);
    assert_eq!(machine.status("slow")["restarts"], 0);
}

#[test]
fn f3_5_a_fault_of_pid_1_while_a_place_is_prepared_costs_nothing() {
    outlives_pid_1(&mut Namespace::usual());
}

#[test]
fn f3_5_a_fault_of_pid_1_while_a_place_is_prepared_costs_nothing_without_cgroups() {
    outlives_pid_1(&mut Builder::default().cgroups(Cgroups::Missing).build());
}

/// A oneshot that does as `script` says, with `keys`; what it said.
fn tried(machine: &mut Namespace, name: &str, keys: &str, script: &str) -> String {
    let unit = format!("{}type = \"oneshot\"\n{keys}", shell(&format!("{script}; echo over")));
    machine.unit(name, &unit);
    assert_eq!(machine.ettan("reload-units").code, 0);
    let log = format!("cat /run/log/ettan/{name}/current");
    machine.until("it is over", |m| m.sh(&log).out.contains("over"));
    machine.sh(&log).ok()
}

const WRITES: &str = "for d in /usr /etc /home /tmp /var/tmp /run /var/lib/mine /data; do \
    touch $d/probe 2>/dev/null && echo wrote $d; done";

fn wrote(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.split_once("wrote ").map(|(_, path)| path)).collect()
}

#[test]
fn protect_system_makes_read_only_what_it_says_and_for_the_service_alone() {
    let mut machine = Namespace::usual();
    assert_eq!(machine.sh("mkdir /data /home /var/tmp; rm /etc/probe; true").code, 0);
    machine.boot();
    machine.answers();
    let state = "state-directory = \"mine\"\n";
    let usual = ["/etc", "/home", "/tmp", "/var/tmp", "/run", "/var/lib/mine", "/data"];
    let said = tried(&mut machine, "free", state, WRITES);
    assert_eq!(wrote(&said), usual);
    let said = tried(&mut machine, "true", &format!("{state}protect-system = true\n"), WRITES);
    assert_eq!(wrote(&said), usual);
    let said = tried(&mut machine, "full", &format!("{state}protect-system = \"full\"\n"), WRITES);
    assert_eq!(wrote(&said), &usual[1..]);
    let keys = format!(
        "{state}protect-system = \"strict\"\nprivate-tmp = true\nread-write-paths = [\"/data\", \"-/none\"]\n"
    );
    let said = tried(&mut machine, "strict", &keys, WRITES);
    assert_eq!(wrote(&said), ["/tmp", "/var/tmp", "/var/lib/mine", "/data"]);
    assert_eq!(machine.sh("touch /etc/probe /run/probe").code, 0, "nobody else is concerned");
}

#[test]
fn private_tmp_is_empty_and_nobody_elses() {
    let mut machine = Namespace::usual();
    assert_eq!(machine.sh("mkdir /var/tmp; touch /tmp/everybodys /var/tmp/everybodys").code, 0);
    machine.boot();
    machine.answers();
    let script = "ls -A /tmp /var/tmp; stat -c %%a /tmp; touch /tmp/own && echo made";
    let said = tried(&mut machine, "own", "user = \"telldus\"\nprivate-tmp = true\n", script);
    assert!(
        said.contains("1777") && said.contains("made") && !said.contains("everybodys"),
        "{said}"
    );
    assert_eq!(machine.sh("ls /tmp/own").code, 2, "it went with the run");
}

#[test]
fn private_network_has_a_loopback_and_nothing_else() {
    let mut machine = Namespace::usual();
    machine.boot();
    machine.answers();
    let script = "readlink /proc/self/ns/net; cat /proc/net/dev /proc/net/fib_trie";
    let said = tried(&mut machine, "alone", "private-network = true\n", script);
    let outside = machine.sh("readlink /proc/1/ns/net").ok();
    assert!(said.contains("net:[") && !said.contains(&outside), "{said}");
    assert!(said.contains("lo:") && said.contains("127.0.0.1") && !said.contains("eth0"), "{said}");
}

#[test]
fn root_directory_is_all_that_the_service_sees() {
    let mut machine = Namespace::usual();
    let make = "mkdir -p /srv/box/bin /srv/box/run /srv/box/tmp && cp /usr/bin/fake-daemon /srv/box/bin/ \
        && chmod 1777 /srv/box/tmp && mkdir /srv/box/proc && mount -t proc proc /srv/box/proc";
    assert_eq!(machine.sh(make).code, 0);
    let start = "[service]\nexec-start = \"/bin/fake-daemon --foreground --report /tmp/report\"\n";
    let keys = user("root-directory = \"/srv/box\"\nruntime-directory = \"box\"\n");
    machine.unit("box", &format!("{start}{keys}"));
    let none =
        "[service]\nexec-start = \"/bin/none\"\nroot-directory = \"/srv/box\"\nrestart = \"no\"\n";
    machine.unit("none", none);
    machine.boot();
    machine.expect(&["none failed"]);
    machine.until("the report is there", |m| m.sh("cat /srv/box/tmp/report").code == 0);
    let report = machine.sh("cat /srv/box/tmp/report").ok();
    let report: Vec<String> = report.lines().map(str::to_owned).collect();
    assert_eq!(fact(&report, "cwd "), "/");
    assert_eq!(machine.sh("stat -c %u /srv/box/run/box").ok(), "990");
    let main = machine.main_pid("box");
    assert_eq!(machine.sh(&format!("readlink /proc/{main}/root")).ok(), "/srv/box");
    let told = machine.ettan("status none").out;
    assert!(told.contains("exec /bin/none: no such file or directory"), "{told}");
    assert_eq!(machine.sh("umount /srv/box/proc").code, 0);
}

/// A kernel that has less is no reason for a service not to start, but for a word.
#[test]
fn f7_4_without_namespaces_services_start_and_one_warning_says_what_is_left_out() {
    let mut machine = Builder::default().lacking("EPERM", "unshare,chroot").seconds(120).build();
    machine.unit("web", &format!("{}private-tmp = true\nprotect-system = true\n", idle()));
    machine.unit("other", &format!("{}private-network = true\nprivate-tmp = true\n", idle()));
    machine.unit("box", &format!("{}root-directory = \"/usr\"\nrestart = \"no\"\n", idle()));
    machine.boot();
    machine.expect(&["box failed"]);
    for unit in ["web", "other"] {
        machine.until("it is up", |m| m.ettan(&format!("is-active {unit}")).code == 0);
    }
    assert!(machine.ettan("status box").out.contains("enter its root-directory"));
    machine.until("it is told", |m| m.ettan("logs").out.contains("no network namespaces here"));
    assert_eq!(machine.ettan("logs").out.matches("no mount namespaces here").count(), 1);
    let status = machine.ettan("status").out;
    assert!(status.contains("no mount namespaces, no network namespaces"), "{status}");
}

/// A stick that was unmounted and pulled must not stay in use by a service that sees its own mounts.
#[test]
fn what_is_unmounted_is_unmounted_for_services_with_mounts_of_their_own_too() {
    let mut machine = Namespace::usual();
    // As `boot` has it where the machine is ours.
    assert_eq!(machine.sh("mount --make-rshared / && mount -t tmpfs stick /mnt").code, 0);
    machine.unit("web", &format!("{}protect-system = \"strict\"\n", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    let table = format!("grep -c ' /mnt ' /proc/{}/mountinfo", machine.main_pid("web"));
    assert_eq!(machine.sh(&table).out.trim(), "1");
    assert_eq!(machine.sh("umount /mnt").code, 0);
    assert_eq!(machine.sh(&table).out.trim(), "0");
    assert_eq!(machine.sh("mount -t tmpfs late /mnt").code, 0);
    assert_eq!(machine.sh(&table).out.trim(), "1");
    assert_eq!(machine.sh("umount /mnt").code, 0);
}

/// Everything but what no two runs have in common.
fn steady(report: &[String]) -> Vec<String> {
    let passing = |line: &&String| {
        // The host's own groups are lines with a number in front.
        !["pid ", "cgroup ", "env ETTAN_COOKIE="].iter().any(|start| line.starts_with(start))
            && !line.starts_with(|c: char| c.is_ascii_digit())
    };
    report.iter().filter(passing).cloned().collect()
}

fn leads_its_session(report: &[String]) {
    let ids = fact(report, "pid ");
    let [pid, session, group] = [0, 2, 4].map(|at| ids.split(' ').nth(at).unwrap_or_default());
    assert!(pid == session && pid == group, "{ids}");
    assert_eq!(facts(report, "env ETTAN_COOKIE=").len(), 1);
}

const STATUS: &str = "status Umask: 0022
status Uid: 990 990 990 990
status Gid: 46 46 46 46
status Groups: 46
status NoNewPrivs: 1
status SigBlk: 0000000000000000
status CapInh: 0000000000000000
status CapPrm: 0000000000000000
status CapEff: 0000000000000000
status CapAmb: 0000000000000000";

/// The same service, executed by PID 1 and by way of a place that changes nothing it can see: not one
/// byte of what it finds differs.
#[test]
fn p3_a_service_finds_the_same_byte_for_byte_whichever_way_it_came() {
    let mut plain = Namespace::usual();
    let keys = user("nice = 3\nlimit-nofile = \"100:200\"\noom-score-adjust = 50\n");
    let direct = probe(&mut plain, &keys);
    let mut prepared = Namespace::usual();
    let staged = probe(&mut prepared, &format!("{keys}logs-directory = \"probe\"\n"));
    for report in [&direct, &staged] {
        leads_its_session(report);
        let fds: Vec<_> = facts(report, "fd ");
        assert_eq!(fds.len(), 3, "{fds:?}");
        assert_eq!(fds[0], "0 /dev/null");
        assert!(fds[1].starts_with("1 pipe:") && fds[2].starts_with("2 pipe:"), "{fds:?}");
        for line in STATUS.lines() {
            assert!(report.iter().any(|found| found == line), "{line}: {report:#?}");
        }
        let environment = facts(report, "env ");
        assert_eq!(environment.iter().filter(|v| !v.contains("_DIRECTORY=")).count(), 5);
    }
    let same = |report: &[String]| -> Vec<String> {
        let own = |line: &String| !line.starts_with("fd ") && !line.contains("LOGS_DIRECTORY=");
        steady(report).into_iter().filter(own).collect()
    };
    assert_eq!(same(&direct), same(&staged));
}

/// Every key at once: each shows, and nothing else does.
#[test]
fn p3_a_service_with_every_key_finds_exactly_what_they_say() {
    let mut machine = Namespace::usual();
    machine.write("/etc/words", b"one\n");
    assert_eq!(machine.sh("mkdir /data /var/tmp; chown 990 /data").code, 0);
    let keys = "runtime-directory = \"r\"\nstate-directory = \"s\"\nlogs-directory = \"l\"\n\
        private-tmp = true\nprivate-network = true\nprotect-system = \"strict\"\n\
        read-write-paths = \"/data\"\nstandard-input = \"file:/etc/words\"\n\
        standard-output = \"append:/data/out\"\nstandard-error = \"inherit\"\numask = \"0027\"\n\
        working-directory = \"/var/lib/s\"\nnice = 5\nlimit-core = \"1K:2K\"\n\
        oom-score-adjust = 77\ncpu-affinity = 0\nsupplementary-groups = 7\n\
        capability-bounding-set = \"CAP_KILL CAP_NET_BIND_SERVICE\"\n\
        ambient-capabilities = \"CAP_NET_BIND_SERVICE\"\n[service.environment]\nCOLOUR = \"blue\"\n";
    let start = "[service]\nexec-start = \"/usr/bin/fake-daemon --foreground --report /data/report --name 'a b %%'\"\n";
    machine.unit("probe", &format!("{start}{}", user(keys)));
    // The probe's own run-time ignores PIPE; this program does not.
    let asks = "[service]\ntype = \"oneshot\"\nexec-start = \"/bin/grep Sig /proc/self/status\"\n";
    machine.unit("signals", &format!("{asks}standard-output = \"append:/data/signals\"\n"));
    machine.boot();
    machine.until("both reports are there", |m| {
        m.sh("cat /data/report").code == 0 && m.sh("cat /data/signals").out.contains("SigCgt")
    });
    let signals = machine.sh("cat /data/signals").ok();
    for set in ["SigBlk", "SigIgn"] {
        assert!(signals.contains(&format!("{set}:\t0000000000000000")), "{signals}");
    }
    let report = machine.sh("cat /data/report").ok();
    let report: Vec<String> = report.lines().map(str::to_owned).collect();
    leads_its_session(&report);
    let found: Vec<String> = steady(&report)
        .into_iter()
        .filter(|line| !line.starts_with("limit ") || line.contains("core file"))
        .collect();
    let expected = "argv /usr/bin/fake-daemon
argv --foreground
argv --report
argv /data/report
argv --name
argv a b %
cwd /var/lib/s
status Umask: 0027
status Uid: 990 990 990 990
status Gid: 46 46 46 46
status Groups: 7 46
status CapInh: 0000000000000400
status CapPrm: 0000000000000400
status CapEff: 0000000000000400
status CapBnd: 0000000000000420
status CapAmb: 0000000000000400
status NoNewPrivs: 1
status SigBlk: 0000000000000000
status SigIgn: 0000000000001000
status SigCgt: 0000000000000440
status Cpus_allowed_list: 0
limit Max core file size 1024 2048 bytes
oom-score-adj 77
nice 5
root /
fd 0 /etc/words
fd 1 /data/out
fd 2 /data/out
env COLOUR=blue
env HOME=/home/telldus
env LOGNAME=telldus
env LOGS_DIRECTORY=/var/log/l
env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
env RUNTIME_DIRECTORY=/run/r
env STATE_DIRECTORY=/var/lib/s
env USER=telldus";
    let mut expected: Vec<&str> = expected.lines().collect();
    let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}
