//! When is it up, and is it still well? Each way to say so, and what becomes of it when the prober,
//! or PID 1, ends in between.

use crate::logs::helper;
use ettan_tests::units::{idle, shell, with};
use ettan_tests::{Builder, Cgroups, Machine, Namespace, Operate};

/// A start that fails soon, and once.
const BRIEF: &str =
    "timeout-start-sec = \"1500ms\"\ntimeout-stop-sec = \"300ms\"\nrestart = \"no\"\n";

/// A unit of type notify that runs a script.
fn notify(script: &str) -> String {
    format!("{}type = \"notify\"\n", shell(script))
}

/// Says something to PID 1's socket, as sd_notify(3) does: `say READY=1`.
const SAY: &str = "say() { systemd-notify \"$@\"; }; ";

fn booted(unit: &str) -> Namespace {
    let mut machine = Namespace::usual();
    machine.unit("web", unit);
    machine.boot();
    machine
}

fn text(machine: &mut dyn Machine, field: &str) -> String {
    machine.status("web")[field].as_str().unwrap_or_default().to_owned()
}

fn main_pid_after_kill(machine: &mut Namespace) -> i32 {
    let pid = helper(machine, "probe").expect("the prober runs");
    machine.kill9(pid);
    pid
}

#[test]
fn f2_21_telldusd_is_up_once_its_socket_answers() {
    let mut machine = Namespace::usual();
    let unit = "[service]\ntype = \"forking\"\nexec-start = \"/usr/sbin/telldusd\"\n\
                pid-file = \"/run/telldusd.pid\"\n[ready]\nunix-socket = \"/tmp/TelldusClient\"\n";
    machine.unit("telldusd", unit);
    machine.unit("web", &with("after = [\"telldusd\"]\nwants = [\"telldusd\"]", &idle()));
    machine.boot();
    machine.expect(&["telldusd starting", "telldusd awaiting", "telldusd up", "web starting"]);
    assert_eq!(machine.sh("test -S /tmp/TelldusClient").code, 0);
    // After a kill the stale socket file is still there, and is no proof.
    let pid = machine.main_pid("telldusd");
    machine.kill9(pid);
    machine.expect(&["telldusd awaiting", "telldusd up"]);
}

#[test]
fn a_notifying_unit_is_up_when_it_says_so() {
    let script = format!(
        "{SAY} while [ ! -e /run/go ]; do sleep 0.05; done; \
                          say --ready --status='Serving 3 requests'; exec sleep 100000"
    );
    let mut machine = booted(&notify(&script));
    machine.expect(&["web starting", "web awaiting"]);
    machine.until("it is told what is awaited", |m| text(m, "waiting_for") == "READY=1");
    assert!(machine.status("web")["deadline_ms"].as_u64().is_some());
    assert_eq!(machine.told("web up"), 0);
    assert_eq!(machine.sh("touch /run/go").code, 0);
    machine.expect(&["web up"]);
    machine.until("it says what it does", |m| text(m, "says") == "Serving 3 requests");
}

/// On HUP it says that it reloads, and once somebody wants it, that it is done.
const RELOADS: &str = "trap 'systemd-notify RELOADING=1; while [ ! -e /run/go ]; do sleep 0.05; done; \
                       systemd-notify --ready' HUP; systemd-notify --ready; \
                       while :; do sleep 0.05; done";

#[test]
fn a_reload_is_over_when_the_unit_says_so() {
    let unit = |kind: &str| format!("{}type = \"{kind}\"\n", shell(RELOADS));
    let mute = "trap '' HUP; systemd-notify --ready; exec sleep 100000";
    let mut machine = Namespace::usual();
    machine.unit("web", &unit("notify-reload"));
    machine.unit("plain", &format!("{}reload-signal = \"HUP\"\n", unit("notify")));
    let keys = "type = \"notify-reload\"\ntimeout-start-sec = \"2s\"\n";
    machine.unit("mute", &format!("{}{keys}", shell(mute)));
    machine.boot();
    for unit in ["web", "plain", "mute"] {
        machine.until("it is up", |m| m.ettan(&format!("is-active {unit}")).code == 0);
    }
    let main = machine.main_pid("web");
    machine.sh("(ettan reload web >/run/out 2>&1; echo $? >/run/code) >/dev/null 2>&1 &");
    machine.until("it says that it reloads", |m| text(m, "says") == "reloading");
    // Meanwhile, one of a unit that does not answer is over at once.
    assert_eq!(machine.ettan("reload plain").ok(), "plain: reloaded");
    let told = machine.ettan("reload mute");
    assert_eq!(told.code, 1);
    assert!(told.err.contains("mute: reload failed: it did not say within 2 s"), "{}", told.err);
    assert_eq!(machine.ettan("is-active mute").code, 0);
    assert_eq!(machine.sh("test -e /run/code").code, 1);
    // Neither another prober nor another PID 1 forgets it.
    let before = main_pid_after_kill(&mut machine);
    machine.until("another prober runs", |m| helper(m, "probe").is_some_and(|p| p != before));
    assert_eq!(machine.sh("touch /run/go").code, 0);
    machine.until("it is over", |m| m.sh("cat /run/code").out.trim() == "0");
    assert_eq!(machine.sh("cat /run/out").ok(), "web: reloaded");
    machine.until("it does not say so any more", |m| text(m, "says").is_empty());
    assert_eq!(machine.sh("rm /run/go").code, 0);
    assert_eq!(machine.ettan("reload --no-block web").code, 0);
    machine.until("it says that it reloads", |m| text(m, "says") == "reloading");
    assert_eq!(machine.ettan("reexec").code, 0);
    machine.until("it answers again", |m| m.ettan("list").code == 0);
    assert_eq!(machine.sh("touch /run/go").code, 0);
    machine
        .until("it is over", |m| m.ettan("logs ettan").out.matches("web: reloaded").count() == 2);
    assert_eq!((text(&mut machine, "state"), machine.main_pid("web")), ("up".to_owned(), main));
}

#[test]
fn without_cgroups_the_cookie_says_who_it_is() {
    let mut machine = Builder::default().cgroups(Cgroups::Missing).build();
    machine.unit("web", &notify("systemd-notify --ready; exec sleep 100000"));
    machine.boot();
    machine.expect(&["web awaiting", "web up"]);
}

#[test]
fn what_is_not_met_in_time_is_told() {
    let mut machine = booted(&format!("{}{BRIEF}[ready]\npath = \"/run/never\"\n", idle()));
    machine.expect(&["web awaiting", "web stopping", "web failed"]);
    let reason = text(&mut machine, "reason");
    assert_eq!(reason, "not ready within 1.5 s; still awaited: path /run/never");
    let output = machine.ettan("start web");
    assert!(output.code != 0 && output.err.contains("path /run/never"), "{output:?}");
}

#[test]
fn a_killed_prober_is_asked_again() {
    let ready = "[ready]\npath = \"/run/here\"\nnotify = \"systemd\"\n";
    let script = "systemd-notify --ready; touch /run/said; exec sleep 100000";
    let mut machine = booted(&format!("{}{ready}", shell(script)));
    machine.expect(&["web awaiting"]);
    machine.until("READY=1 was taken", |m| text(m, "waiting_for") == "path /run/here");
    for _ in 0..3 {
        let before = main_pid_after_kill(&mut machine);
        machine.until("another prober runs", |m| helper(m, "probe").is_some_and(|p| p != before));
    }
    // Whoever waits for its word would wait in vain.
    let stopped = machine.ettan("stop ettan-probe");
    assert!(stopped.code == 4 && stopped.err.contains("is not stopped"), "{stopped:?}");
    assert_eq!(machine.told("web up"), 0);
    assert_eq!(machine.sh("touch /run/here").code, 0);
    machine.expect(&["web up"]);
    assert_eq!(machine.status("web")["restarts"].as_u64(), Some(0));
}

#[test]
fn a_new_pid_1_goes_on_waiting() {
    let mut machine = booted(&format!("{}[ready]\npath = \"/run/here\"\n", idle()));
    machine.expect(&["web awaiting"]);
    let pid = machine.main_pid("web");
    assert_eq!(machine.ettan("reexec").code, 0);
    machine.until("it answers again", |m| m.ettan("list").code == 0);
    assert_eq!(text(&mut machine, "state"), "awaiting");
    assert_eq!(machine.sh("touch /run/here").code, 0);
    machine.until("it is up", |m| text(m, "state") == "up");
    assert_eq!(machine.main_pid("web"), pid);
}

#[test]
fn all_or_any_of_what_is_awaited() {
    let both = "path = \"/run/one\"\ntcp = \"127.0.0.1:7070\"\n";
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}[ready]\n{both}", idle()));
    machine.unit("any", &format!("{}[ready]\n{both}mode = \"any\"\n", idle()));
    machine.boot();
    machine.expect(&["web awaiting"]);
    machine
        .until("both are told", |m| text(m, "waiting_for") == "path /run/one, tcp 127.0.0.1:7070");
    assert_eq!(machine.sh("touch /run/one").code, 0);
    machine.expect(&["any up"]);
    machine.until("the other is left", |m| text(m, "waiting_for") == "tcp 127.0.0.1:7070");
    let listen = "import socket,time; s=socket.socket(); \
                  s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); \
                  s.bind((\"127.0.0.1\", 7070)); s.listen(); time.sleep(100000)";
    machine.sh(&format!("/usr/bin/python3 -c '{listen}' >/dev/null 2>&1 &"));
    machine.expect(&["web up"]);
}

#[test]
fn a_line_of_its_log_that_is_new() {
    let script = "[ -e /run/again ] || { touch /run/again; echo server is running; exit 1; }; \
                  while [ ! -e /run/go ]; do sleep 0.05; done; echo the server is running; \
                  exec sleep 100000";
    let keys = "restart-sec = \"50ms\"\n[ready]\nlog-pattern = \"^the [a-z]+ is (up|running)$\"\n";
    let mut machine = booted(&format!("{}{keys}", shell(script)));
    machine.expect(&["web awaiting", "web backoff", "web starting", "web awaiting"]);
    machine.until("it is told", |m| text(m, "waiting_for").ends_with("in its log"));
    assert_eq!(machine.told("web up"), 0);
    assert_eq!(machine.sh("touch /run/go").code, 0);
    machine.expect(&["web up"]);
}

#[test]
fn a_line_of_a_file_from_before_the_start_does_not_count() {
    let mut machine = Namespace::usual();
    machine.write("/tmp/web.log", b"running\n");
    let script = "while [ ! -e /run/go ]; do sleep 0.05; done; echo running >>/tmp/web.log; \
                  exec sleep 100000";
    let ready = "[ready]\nlog-pattern = \"^running$\"\nlog-file = \"/tmp/web.log\"\n\
                 log-activity = \"/tmp/web.log\"\n";
    machine.unit("web", &format!("{}{ready}", shell(script)));
    machine.boot();
    machine.expect(&["web awaiting"]);
    machine.until("it is told", |m| {
        text(m, "waiting_for").contains("activity of /tmp/web.log")
            && text(m, "waiting_for").contains("`^running$` in /tmp/web.log")
    });
    assert_eq!(machine.sh("touch /run/go").code, 0);
    machine.expect(&["web up"]);
}

#[test]
fn a_newline_on_its_descriptor() {
    let script = "while [ ! -e /run/go ]; do sleep 0.05; done; echo >&3; exec 3>&-; \
                  exec sleep 100000";
    let mut machine = booted(&format!("{}[ready]\nnotify = \"fd:3\"\n", shell(script)));
    machine.expect(&["web awaiting"]);
    main_pid_after_kill(&mut machine);
    assert_eq!(machine.sh("touch /run/go").code, 0);
    machine.expect(&["web up"]);
}

#[test]
fn a_newline_on_its_descriptor_from_a_place_of_its_own() {
    let script = |number: u8| {
        format!(
            "ls /proc/self/fd >/tmp/mine; cp /tmp/mine /run/found{number}; touch /run/here{number}; \
             while [ ! -e /run/go ]; do sleep 0.05; done; echo >&{number}; exec sleep 100000"
        )
    };
    let unit = |number: u8| {
        let keys = format!("private-tmp = true\n[ready]\nnotify = \"fd:{number}\"\n");
        format!("{}{keys}", shell(&script(number)))
    };
    let mut machine = Namespace::usual();
    machine.unit("web", &unit(3));
    machine.unit("other", &unit(4));
    machine.boot();
    machine.until("both wait", |m| m.sh("ls /run/here3 /run/here4").code == 0);
    machine.until("it is told", |m| text(m, "waiting_for").contains("newline"));
    assert_eq!((machine.told("web up"), machine.told("other up")), (0, 0));
    assert_eq!(machine.sh("test -e /tmp/mine").code, 1, "its place is its own");
    assert_eq!(machine.sh("touch /run/go").code, 0);
    machine.until("both are up", |m| m.told("web up") + m.told("other up") == 2);
    // The usual three, its own, and what `ls` opens: nothing of the stage's.
    for number in [3, 4] {
        let found = machine.sh(&format!("cat /run/found{number}")).ok();
        assert_eq!(found, "0\n1\n2\n3\n4", "{number}");
    }
}

#[test]
fn a_command_as_the_units_user_and_some_rest() {
    let ready = "[ready]\ncommand = [\"/bin/sh\", \"-c\", \"id -un >/tmp/who; test -e /tmp/go\"]\n\
                 settle-sec = \"300ms\"\n";
    let mut machine = booted(&format!("{}user = \"nobody\"\n{ready}", idle()));
    machine.expect(&["web awaiting"]);
    machine.until("it was run", |m| m.sh("cat /tmp/who").out.trim() == "nobody");
    assert_eq!(machine.told("web up"), 0);
    assert_eq!(machine.sh("touch /tmp/go").code, 0);
    machine.expect(&["web up"]);
}

#[test]
fn the_main_process_may_be_another_of_its_own_only() {
    // The child's parent is gone when it is named.
    let script = "systemd-notify MAINPID=1; (sleep 100000 & echo $! >/run/child); \
                  systemd-notify --ready MAINPID=$(cat /run/child); wait; exec sleep 100000";
    let mut machine = booted(&notify(script));
    machine.expect(&["web awaiting", "web up"]);
    machine.until("the child is the main process", |m| {
        let child = m.sh("cat /run/child").out.trim().parse().ok();
        child == Some(m.main_pid("web"))
    });
    let child = machine.main_pid("web");
    machine.kill9(child);
    machine.expect(&["web starting", "web up"]);
}

#[test]
fn a_child_of_the_main_process_becomes_that_when_its_parent_ends() {
    let script = "sleep 100000 & echo $! >/run/child; systemd-notify --ready MAINPID=$!; \
                  while [ ! -e /run/go ]; do sleep 0.1; done";
    let mut machine = booted(&notify(script));
    machine.expect(&["web awaiting", "web up"]);
    let parent = machine.main_pid("web");
    let child: i32 = machine.sh("cat /run/child").ok().parse().expect("a number");
    assert_ne!(parent, child, "nobody would tell of its end");
    // It said so before READY=1 was heard, or in the same breath.
    assert_eq!(machine.sh("touch /run/go").code, 0);
    machine.until("the child is the main process", |m| m.main_pid("web") == child);
    assert_eq!(machine.status("web")["restarts"].as_u64(), Some(0));
    assert_eq!(machine.sh("rm /run/go").code, 0);
    machine.kill9(child);
    machine.expect(&["web starting", "web up"]);
}

#[test]
fn a_deleted_socket_is_made_anew_and_one_that_cannot_be_is_degraded() {
    let mut machine = booted(&notify("systemd-notify --ready; exec sleep 100000"));
    machine.expect(&["web awaiting", "web up"]);
    assert_eq!(machine.sh("rm /run/ettan/notify").code, 0);
    assert_eq!(machine.ettan("restart web").code, 0);
    // A directory that is not empty cannot be replaced.
    assert_eq!(machine.sh("rm /run/ettan/notify && mkdir -p /run/ettan/notify/x").code, 0);
    assert_eq!(machine.sh("kill -HUP 1").code, 0);
    machine.until("it is degraded", |m| m.ettan("status").out.contains("notifying"));
    assert_eq!(machine.sh("rm -r /run/ettan/notify").code, 0);
    machine.until("it is mended", |m| !m.ettan("status").out.contains("notifying"));
    assert_eq!(machine.ettan("restart web").code, 0);
}

#[test]
fn a_unit_that_never_says_that_it_is_ready_leaves_no_descriptor() {
    let ready = "restart = \"no\"\n[ready]\nnotify = \"fd:3\"\n";
    let mut machine = booted(&format!("{}{ready}", shell("exit 1")));
    machine.expect(&["web failed"]);
    machine.until("its pipe is closed", |m| {
        !m.sh("ls -l /proc/1/fd").out.contains("/run/ettan/probe/web/ready")
    });
}

#[test]
fn a_unit_that_hangs_is_aborted_and_started_again() {
    let script = "echo usec $WATCHDOG_USEC, $((WATCHDOG_PID - $$)); n=0; while [ $n -lt 5 ]; do n=$((n + 1)); \
                  systemd-notify WATCHDOG=1; sleep 0.1; done; exec sleep 100000";
    let mut machine = booted(&format!("{}watchdog-sec = \"2s\"\n", shell(script)));
    machine.expect(&["web up", "web says", "web stopping", "web starting", "web up"]);
    let log = machine.ettan("logs web").ok();
    assert!(log.contains("usec 2000000, 0") && log.contains("watchdog: did not say"), "{log}");
    assert!(text(&mut machine, "last_exit").contains("ABRT"), "{}", machine.status("web"));
}

#[test]
fn a_unit_that_does_not_work_is_restarted_or_only_told_of() {
    let health = "[health]\ncommand = [\"/bin/test\", \"-e\", \"/run/fine\"]\n\
                  interval-sec = \"100ms\"\nfailures = 2\n";
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}{health}", idle()));
    machine.unit("told", &format!("{}{health}action = \"none\"\n", idle()));
    machine.boot();
    machine.expect(&["web up", "web says", "web stopping", "web starting", "web up"]);
    machine.until("it is told of", |m| {
        m.status("told")["unwell"].as_str().is_some_and(|why| why.contains("command /bin/test"))
    });
    assert_eq!(machine.sh("touch /run/fine").code, 0);
    machine.expect(&["told says: told: works again"]);
    assert_eq!(machine.status("told")["restarts"].as_u64(), Some(0));
    assert!(machine.status("told")["unwell"].is_null());
}
