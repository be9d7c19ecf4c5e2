//! The commands around a program: executed by PID 1, seen from inside and outside.

use ettan_tests::binaries::{Program, look};
use ettan_tests::units::{QUICK, fake, forking, shell};
use ettan_tests::{Builder, Cgroups, Machine, Namespace, Operate};

/// Appends its stage and its environment to /tmp/told.
const TELL: &str = r#"#!/bin/sh
stage=$1
# Up is who has been executed, and that is before its first word.
[ $stage != post ] || until [ "$(tail -n 1 /tmp/told)" = start ]; do sleep 0.05; done
{
  echo "$stage main=${MAINPID-} result=${SERVICE_RESULT-} code=${EXIT_CODE-} status=${EXIT_STATUS-} restarts=${RESTART_COUNT-} uid=$(id -u) own=${OWN-}"
} >> /tmp/told
echo "words of $stage"
"#;

/// A unit with a command in every stage.
const UNIT: &str = r#"
[service]
exec-start-pre = [["/bin/sh", "/etc/tell", "pre"], ["-/bin/nosuch"]]
exec-start = ["/bin/sh", "-c", "echo start >> /tmp/told; exec sleep 100000"]
exec-start-post = "/bin/sh /etc/tell post"
exec-stop = "/bin/sh /etc/tell stop"
exec-stop-post = ["/bin/sh", "/etc/tell", "stop-post"]
user = "nobody"
[service.environment]
OWN = "%n"
"#;

fn told(machine: &mut impl Machine) -> Vec<String> {
    machine.sh("cat /tmp/told").out.lines().map(ToString::to_string).collect()
}

fn with_hooks(mut machine: Namespace, unit: &str) -> Namespace {
    machine.write("/etc/tell", TELL.as_bytes());
    machine.unit("web", unit);
    machine.boot();
    machine
}

fn hooks_are_executed(builder: Builder) {
    let mut machine = builder.build();
    machine.write("/etc/tell", TELL.as_bytes());
    machine.boot();
    machine.answers();
    assert_eq!(machine.sh("touch /tmp/told; chmod 666 /tmp/told").code, 0);
    machine.unit("web", UNIT);
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.expect(&["web preparing", "web starting", "web finishing", "web up"]);
    let main = machine.main_pid("web");
    machine.kill9(main);
    machine.expect(&["web sweeping", "web cleaning", "web sweeping"]);
    machine.expect(&["web preparing", "web finishing", "web up"]);
    let second = machine.main_pid("web");
    assert_eq!(machine.ettan("stop web").code, 0);
    let rest = "uid=65534 own=web";
    let expected = [
        format!("pre main= result= code= status= restarts=0 {rest}"),
        "start".into(),
        format!("post main={main} result= code= status= restarts=0 {rest}"),
        format!("stop-post main= result=signal code=killed status=KILL restarts=0 {rest}"),
        format!("pre main= result= code= status= restarts=1 {rest}"),
        "start".into(),
        format!("post main={second} result= code= status= restarts=1 {rest}"),
        format!("stop main={second} result=success code= status= restarts=1 {rest}"),
        format!("stop-post main= result=success code=killed status=TERM restarts=1 {rest}"),
    ];
    assert_eq!(told(&mut machine), expected);
    for stage in ["pre", "post", "stop", "stop-post"] {
        let words = format!("words of {stage}\n");
        machine.until(stage, |machine| machine.ettan("logs web").out.contains(&words));
    }
}

#[test]
fn hooks_are_executed_like_the_program_and_are_told_what_happened() {
    hooks_are_executed(Builder::default());
}

#[test]
fn hooks_are_executed_without_cgroups() {
    hooks_are_executed(Builder::default().cgroups(Cgroups::Missing));
}

/// Ignores its stop signal, and has KILL at once.
fn deaf(program: &str) -> String {
    let after = "exec-stop-post = [\"/bin/sh\", \"/etc/tell\", \"stop-post\"]\n";
    format!("{program}timeout-stop-sec = \"10ms\"\n{after}")
}

/// The kernel shows a group to be empty before it lets anybody reap what was in it.
#[test]
fn hooks_are_told_how_a_killed_program_ended_however_soon_nothing_is_left() {
    let mut machine = Namespace::usual();
    machine.unit("tell", &deaf(&forking("tell", "--ignore TERM")));
    let mut machine = with_hooks(machine, &deaf(&fake("--ignore TERM")));
    machine.until("both are up", |m| {
        ["web", "tell"].iter().all(|unit| m.ettan(&format!("is-active {unit}")).code == 0)
    });
    // What PID 1 has killed is gone when it looks for what is left.
    let trace = machine.trace(&["trace=write", "inject=write:delay_exit=20000"]);
    for unit in ["web", "tell"].repeat(3) {
        assert_eq!(machine.ettan(&format!("restart {unit}")).code, 0);
    }
    drop(trace);
    let told = told(&mut machine);
    let well = |line: &&String| line.contains("result=success code=killed status=KILL");
    assert_eq!((told.len(), told.iter().filter(well).count()), (6, 6), "{told:?}");
}

#[test]
fn a_main_process_that_somebody_else_is_to_reap_is_not_waited_for() {
    let mut machine = Namespace::usual();
    let awaits = "until test -e /run/tell.pid; do sleep 0.1; done";
    let unit =
        deaf(&format!("{}type = \"forking\"\npid-file = \"/run/tell.pid\"\n", shell(awaits)));
    machine.write("/etc/tell", TELL.as_bytes());
    machine.unit("tell", &unit);
    machine.boot();
    machine.expect(&["tell starting"]);
    // The daemon's parent is none of the unit's, lives on, and waits for nobody.
    let daemon = "echo $$ >$(find /sys/fs/cgroup -type d -name tell)/cgroup.procs; \
                  echo $$ >/run/tell.pid; trap \"\" TERM; exec sleep 100000";
    machine.write("/etc/daemon", daemon.as_bytes());
    let keeper = "setsid sh -c 'sh /etc/daemon & exec sleep 100000' >/dev/null 2>&1 </dev/null &";
    assert_eq!(machine.sh(keeper).code, 0);
    machine.expect(&["tell up"]);
    let main = machine.main_pid("tell");
    assert_eq!(machine.ettan("stop tell").code, 0);
    machine.expect(&[
        "tell stopping",
        "tell sweeping",
        "tell cleaning",
        "tell sweeping",
        "tell down",
    ]);
    let is_left = |m: &mut Namespace| m.sh(&format!("grep Z /proc/{main}/stat")).code == 0;
    assert!(is_left(&mut machine), "somebody has reaped it");
}

#[test]
fn a_hook_that_fails_is_named_with_its_number_and_how_it_ended() {
    let unit = "[service]\nexec-start = \"/bin/sleep 1\"\nrestart = \"no\"\n\
                exec-start-pre = [[\"/bin/true\"], [\"/bin/sh\", \"-c\", \"exit 7\"]]\n";
    let mut machine = with_hooks(Namespace::usual(), unit);
    machine.expect(&["web preparing", "web sweeping", "web failed"]);
    let status = machine.status("web");
    assert_eq!(status["reason"], "exec-start-pre (2) exited with status 7");
    assert_eq!(status["last_hook"], "exec-start-pre (2) exited with status 7");
    machine.unit(
        "lost",
        "[service]\nexec-start = '/bin/true'\nexec-start-pre = '/bin/nosuch'\nrestart = 'no'\n",
    );
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.expect(&["lost failed"]);
    let reason =
        "exec-start-pre could not be executed: exec /bin/nosuch: no such file or directory";
    assert_eq!(machine.status("lost")["reason"], reason);
}

/// A unit whose hook of this stage waits until /tmp/go is there.
fn waiting(stage: &str) -> String {
    let wait = "until test -e /tmp/go; do sleep 0.1; done; echo over >> /tmp/told";
    format!(
        "[service]\nexec-start = '/bin/sleep 100000'\n{stage} = ['/bin/sh', '-c', '{wait}']\n\
         timeout-stop-sec = 60\n"
    )
}

/// PID 1 is executed anew in the middle of the hook; the hook is the same process afterwards, is
/// waited for, and is executed once.
fn outlives(stage: &str, state: &str, end: &str, fault: impl Fn(&mut Namespace)) {
    let mut machine =
        with_hooks(Builder::default().command(&["/sbin/init-failing"]).build(), &waiting(stage));
    if stage == "exec-stop" || stage == "exec-stop-post" {
        machine.expect(&["web up"]);
        assert_eq!(machine.ettan("stop --no-block web").code, 0);
    }
    machine.expect(&[&format!("web {state}")]);
    machine.until("the hook runs", |m| m.status("web")["hook"].is_string());
    let hook = machine.status("web")["hook"].clone();
    assert!(hook.as_str().is_some_and(|text| text.starts_with(stage)), "{hook}");
    fault(&mut machine);
    machine
        .until("PID 1 answers again", |m| m.ettan("status --json").out.contains("executions\":1"));
    assert_eq!(machine.status("web")["hook"], hook);
    assert_eq!(machine.sh("touch /tmp/go").code, 0);
    machine.until("it goes on", |m| m.status("web")["state"] == end);
    assert_eq!(told(&mut machine), ["over"]);
    assert_eq!(machine.status("web")["restarts"], 0);
}

fn segv(machine: &mut Namespace) {
    machine.ask(r#"{"verb":"fail","kind":"segv"}"#, &["accepted"]);
}

fn reexec(machine: &mut Namespace) {
    assert_eq!(machine.ettan("reexec").code, 0);
}

#[test]
fn f3_5_a_fault_in_the_middle_of_a_hook_loses_nothing() {
    assert!(look(Program::FailingInit).is_some(), "tests/run namespace builds init-failing");
    outlives("exec-start-pre", "preparing", "up", segv);
    outlives("exec-start-post", "finishing", "up", segv);
}

#[test]
fn f3_5_a_new_execution_in_the_middle_of_an_ending_loses_nothing() {
    assert!(look(Program::FailingInit).is_some(), "tests/run namespace builds init-failing");
    outlives("exec-stop", "stopping", "down", reexec);
    outlives("exec-stop-post", "cleaning", "down", segv);
}

/// All programs of one run have one place below /run: what a hook made there is there for the
/// program, and what the program made is not taken away by a hook.
#[test]
fn hooks_and_the_program_share_the_runtime_directory_of_a_run() {
    let mut machine = Namespace::usual();
    let touch =
        |stage: &str, name: &str| format!("{stage} = [\"/usr/bin/touch\", \"/run/web/{name}\"]\n");
    let unit = format!(
        "{}{QUICK}runtime-directory = \"web\"\n{}{}{}",
        shell("touch /run/web/main; exec sleep 100000"),
        touch("exec-start-pre", "before"),
        touch("exec-start-post", "after"),
        touch("exec-stop", "end"),
    );
    machine.unit("web", &unit);
    machine.boot();
    machine.expect(&["web up"]);
    let all = |m: &mut Namespace| m.sh("ls /run/web").out.split_whitespace().collect::<String>();
    machine.until("all three have been there", |m| all(m) == "afterbeforemain");
    assert_eq!(machine.sh("touch /run/web/old").code, 0);
    let pid = machine.main_pid("web");
    machine.kill9(pid);
    machine.expect(&["web up"]);
    machine.until("the next run is new", |m| all(m) == "afterbeforemain");
    assert_eq!(machine.ettan("stop web").code, 0);
    machine.until("it went with the run", |m| m.sh("ls -d /run/web").out.is_empty());
}

/// A program that a shell would not have children of.
const ALONE: &str = "[service]\ntype = \"oneshot\"\nexec-start = \"/bin/true\"\n\
                     exec-start-post = [\"/bin/sleep\", \"100000\"]\n\
                     timeout-start-sec = 0\ntimeout-stop-sec = 0\n";

#[test]
fn a_command_that_stands_alone_gets_the_stop_signal() {
    for mode in ["control-group", "mixed", "process"] {
        for cgroups in [Cgroups::Own, Cgroups::Missing] {
            let mut machine = Builder::default().cgroups(cgroups).build();
            machine.unit("once", &format!("{ALONE}kill-mode = \"{mode}\"\n"));
            machine.boot();
            machine.until("it runs", |machine| machine.running("sleep 100000").len() == 1);
            assert_eq!(machine.ettan("stop once").code, 0, "{mode}");
            assert_eq!(machine.running("sleep 100000").len(), 0, "{mode}");
        }
    }
}
