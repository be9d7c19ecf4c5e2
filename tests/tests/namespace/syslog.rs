//! What programs say by syslog(3), and whose log it lands in.

use crate::logs::helper;
use ettan_tests::units::{fake, forking, shell};
use ettan_tests::{Builder, Cgroups, Machine, Namespace, Operate, scenarios};

#[test]
fn f6_12_daemon_that_closes_its_streams_and_speaks_syslog() {
    scenarios::words_by_syslog(&mut Namespace::usual());
}

#[test]
fn f6_12_without_cgroups_the_name_says_who_it_is() {
    let mut machine = Builder::default().cgroups(Cgroups::Missing).build();
    machine.unit("telldusd", &forking("telldusd", "--close-fds --syslog hello"));
    machine.boot();
    machine.expect(&["telldusd up"]);
    machine.until("they are there", |m| m.ettan("logs telldusd").out.contains("hello"));
}

#[test]
fn words_of_nobody_have_a_log_of_their_own() {
    let mut machine = Namespace::usual();
    machine.unit("d", &fake("--name d --syslog mine"));
    machine.boot();
    machine.expect(&["d up"]);
    assert_eq!(machine.sh("fake-daemon --foreground --exit-after 1 --syslog stray").code, 0);
    machine.until("both are there", |machine| {
        machine.ettan("logs d").out.contains("mine")
            && machine.ettan("logs ettan-syslog").out.contains("stray")
    });
    assert!(!machine.ettan("logs d").out.contains("stray"));
}

#[test]
fn last_words_by_syslog_of_a_process_that_is_gone() {
    let mut machine = Namespace::usual();
    let words = "--foreground --exit-after 1 --name backup --syslog";
    let script = format!(
        "fake-daemon {words} first; n=0; while [ $n -lt 100 ]; do n=$((n + 1)); \
         fake-daemon {words} \"again $n end\"; done; exec sleep 100000"
    );
    machine.unit("backup", &shell(&script));
    machine.boot();
    machine.until("the last is there", |m| m.ettan("logs backup").out.contains("again 100 end"));
    let log = machine.ettan("logs backup").ok();
    let lost: Vec<u32> = (1..=100).filter(|n| !log.contains(&format!("again {n} end"))).collect();
    assert!(lost.is_empty(), "{lost:?} are elsewhere");
}

#[test]
fn f6_1_killed_logger_loses_no_message() {
    let mut machine = Namespace::usual();
    machine.unit("d", &fake("--name d --close-fds --syslog-lines 3000"));
    machine.boot();
    machine.expect(&["d up"]);
    for _ in 0..5 {
        machine.until("the logger runs", |machine| helper(machine, "log").is_some());
        if let Some(pid) = helper(&mut machine, "log") {
            let _ = machine.sh(&format!("kill -9 {pid}"));
        }
    }
    machine.until("the last message is there", |machine| {
        machine.sh("cat /run/log/ettan/d/*").out.contains("message 3000\n")
    });
    let log = machine.sh("cat /run/log/ettan/d/*").ok();
    let lost: Vec<u32> = (1..=3000)
        .filter(|n| !log.lines().any(|l| l.ends_with(&format!(": message {n}"))))
        .collect();
    assert!(lost.is_empty(), "{} are lost, the first is {:?}", lost.len(), lost.first());
}

#[test]
fn f6_10_a_flood_by_syslog_is_bounded_and_slows_nobody() {
    let mut machine = Namespace::usual();
    machine.unit("flood", &fake("--name flood --syslog-lines 4000000000"));
    machine.unit("d", &fake("--name d --lines 3"));
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("it floods", |m| m.sh("ls /run/log/ettan/flood").out.lines().count() > 3);
    machine.until("the other is heard", |m| m.ettan("logs d").out.contains("line 3"));
    let size: u64 = machine.sh("du -sb /run/log/ettan | cut -f1").ok().parse().expect("a size");
    assert!(size < 3_000_000, "{size} bytes are kept");
    assert_eq!(machine.ettan("stop flood").code, 0);
}

#[test]
fn dev_log_is_the_same_after_a_new_execution() {
    let mut machine = Namespace::usual();
    machine.unit("d", &fake("--name d"));
    machine.boot();
    machine.expect(&["d up"]);
    let before = machine.sh("stat -c %i /dev/log").ok();
    assert_eq!(machine.ettan("reexec").code, 0);
    machine.answers();
    assert_eq!(machine.sh("stat -c %i /dev/log").ok(), before);
    assert_eq!(machine.sh("fake-daemon --foreground --exit-after 1 --syslog after").code, 0);
    machine.until("it is heard", |m| m.ettan("logs ettan-syslog").out.contains("after"));
}

#[test]
fn a_run_begins_and_ends_with_a_note() {
    let mut machine = Namespace::usual();
    // A short run, however slow the machine is.
    machine.unit("d", &format!("{}min-uptime-sec = \"30s\"\n", fake("--name d --lines 1")));
    let spoken = |machine: &mut Namespace, times| {
        machine.until("it has spoken", |machine| {
            machine.ettan("logs d").out.matches(" line 1").count() == times
        });
    };
    machine.boot();
    machine.expect(&["d up"]);
    spoken(&mut machine, 1);
    let pid = machine.main_pid("d");
    machine.kill9(pid);
    machine.expect(&["d up"]);
    spoken(&mut machine, 2);
    assert_eq!(machine.ettan("stop d").code, 0);
    machine.until("the end is noted", |m| m.ettan("logs d").out.contains("*down"));
    let log = machine.ettan("logs d").ok();
    let notes: Vec<_> =
        log.lines().filter_map(|line| line.split_once('*')).map(|(_, n)| n).collect();
    let begins = |(note, begin): (&&str, &&str)| note.starts_with(begin);
    let expected = [
        "starting",
        "up (pid ",
        "ended: killed by signal 9 (KILL)",
        "backoff, next start in ",
        "starting",
        "up (pid ",
        "stopping (pid ",
        "down",
    ];
    assert!(notes.iter().zip(&expected).all(begins) && notes.len() == expected.len(), "{log}");
    let place = |text: &str| log.rfind(text).unwrap_or_else(|| panic!("no {text} in {log}"));
    assert!(place("*starting") < place(" line 1"), "{log}");
    assert!(place("*ended") < place("*starting"), "{log}");
}
