//! What a unit's own file says of its life: reload, what its ends mean, whom a stop is for, and
//! when it is given up.

use ettan_tests::binaries::{Program, look};
use ettan_tests::units::{INNER, shell};
use ettan_tests::{Builder, Cgroups, End, Machine, Namespace, Operate};

/// A daemon that reads /tmp/settings at its start and on HUP, and shows what it has read.
fn daemon() -> String {
    shell(
        "trap 'cat /tmp/settings > /tmp/taken' HUP; cat /tmp/settings > /tmp/taken; \
         while :; do sleep 0.05; done",
    )
}

fn taken(machine: &mut Namespace) -> String {
    machine.sh("cat /tmp/taken").out.trim().to_owned()
}

/// Checks the settings, as `nginx -t` does, then tells the daemon of them.
const RELOADS: &str = "exec-reload = [[\"/bin/sh\", \"-c\", \"echo checked for $MAINPID; grep -q good \
                       /tmp/settings\"]]\nreload-signal = \"HUP\"\n";

fn settings_are_taken_in(builder: Builder) {
    let mut machine = builder.build();
    machine.write("/tmp/settings", b"good 1\n");
    machine.unit("web", &format!("{}{RELOADS}", daemon()));
    machine.boot();
    machine.expect(&["web up"]);
    machine.until("it has its first settings", |m| taken(m) == "good 1");
    let main = machine.main_pid("web");
    assert_eq!(machine.sh("echo good 2 > /tmp/settings").code, 0);
    assert_eq!(machine.ettan("reload web").ok(), "web: reloaded");
    machine.until("it has its second settings", |m| taken(m) == "good 2");
    assert_eq!(machine.sh("echo bad > /tmp/settings").code, 0);
    let told = machine.ettan("reload web");
    assert_eq!(told.code, 1);
    let failed = "ettan: web: reload failed: exec-reload exited with status 1; it runs on with what it had \
                  (ettan logs web)";
    assert_eq!(told.err.trim(), failed);
    assert_eq!(machine.status("web")["last_hook"], "exec-reload exited with status 1");
    assert_eq!((taken(&mut machine).as_str(), machine.main_pid("web")), ("good 2", main));
    let checked = format!("checked for {main}");
    machine.until("both looks are in its log", |m| {
        m.ettan("logs web").out.matches(&checked).count() == 2
    });
    assert_eq!(machine.status("web")["restarts"], 0);
}

#[test]
fn a_reload_checks_then_signals_and_restarts_nothing() {
    settings_are_taken_in(Builder::default());
}

#[test]
fn a_reload_needs_no_cgroups() {
    settings_are_taken_in(Builder::default().cgroups(Cgroups::Missing));
}

#[test]
fn who_cannot_reload_is_told_what_else_to_do() {
    let mut machine = Namespace::usual();
    machine.unit("plain", &daemon());
    machine.unit("web", &format!("{}{RELOADS}", daemon()));
    machine.write("/tmp/settings", b"good\n");
    machine.boot();
    machine.expect(&["plain up"]);
    let told = machine.ettan("reload plain");
    assert_eq!(told.code, 3);
    assert!(told.err.contains("plain is not reloadable"), "{}", told.err);
    assert!(told.err.contains("`ettan restart plain`"), "{}", told.err);
    assert_eq!(machine.ettan("stop web").code, 0);
    let told = machine.ettan("reload web");
    assert_eq!(told.code, 7);
    assert!(told.err.contains("web is down, and only what is up is reloaded"), "{}", told.err);
    assert_eq!(machine.ettan("reload nosuch").code, 5);
    assert_eq!(machine.ettan("reload").code, 2);
}

/// A unit whose reload takes until /tmp/go is there.
fn slow() -> Namespace {
    let wait = "until test -e /tmp/go; do sleep 0.05; done";
    let unit = format!("{}exec-reload = ['/bin/sh', '-c', '{wait}']\n", daemon());
    let mut machine = Builder::default().command(&["/sbin/init-failing"]).build();
    machine.write("/tmp/settings", b"good\n");
    machine.unit("web", &unit);
    machine.boot();
    machine.expect(&["web up"]);
    assert_eq!(machine.ettan("reload --no-block web").code, 0);
    machine.until("the command runs", |m| m.status("web")["hook"].is_string());
    machine
}

#[test]
fn the_end_of_the_main_process_breaks_a_reload_and_its_command_goes_with_it() {
    let mut machine = slow();
    // A shell's child has the shell's words until it has executed a program of its own.
    let mut hook = Vec::new();
    machine.until("one command runs", |machine| {
        hook = machine.running("until test -e /tmp/go");
        hook.len() == 1
    });
    let main = machine.main_pid("web");
    machine.kill9(main);
    machine.expect(&["web sweeping", "web up"]);
    machine.until("nothing is left of it", |m| !m.alive(hook[0].pid));
    assert_eq!(machine.status("web")["hook"], serde_json::Value::Null);
    assert_eq!(machine.sh("touch /tmp/go").code, 0);
    assert_eq!(machine.ettan("reload web").ok(), "web: reloaded");
}

#[test]
fn f3_5_a_fault_in_the_middle_of_a_reload_loses_nothing() {
    assert!(look(Program::FailingInit).is_some(), "tests/run namespace builds init-failing");
    let mut machine = slow();
    let hook = machine.status("web")["hook"].clone();
    let main = machine.main_pid("web");
    machine.ask(r#"{"verb":"fail","kind":"segv"}"#, &["accepted"]);
    machine
        .until("PID 1 answers again", |m| m.ettan("status --json").out.contains("executions\":1"));
    assert_eq!(machine.status("web")["hook"], hook);
    assert_eq!(machine.sh("touch /tmp/go").code, 0);
    machine.until("the reload is over", |m| m.status("web")["hook"].is_null());
    assert_eq!(machine.status("web")["last_hook"], "exec-reload exited with status 0");
    assert_eq!((machine.main_pid("web"), machine.status("web")["restarts"] == 0), (main, true));
}

#[test]
fn what_a_file_makes_of_an_exit_decides_and_is_told() {
    let mut machine = Namespace::usual();
    let ends = |code: u8| shell(&format!("sleep 0.2; exit {code}"));
    let keys = "restart = \"on-failure\"\nsuccess-exit-status = [143, \"USR1\"]\n";
    machine.unit("java", &format!("{}{keys}", ends(143)));
    let job = "type = \"oneshot\"\nsuccess-exit-status = 3\n";
    machine.unit("job", &format!("{}{job}", ends(3)));
    machine.unit("odd", &format!("{}restart-prevent-exit-status = [78, \"KILL\"]\n", ends(78)));
    machine.boot();
    machine.expect(&["java up", "java down"]);
    assert_eq!(machine.status("java")["reason"], "exited with status 143 (success-exit-status)");
    machine.until("the job is done", |m| m.status("job")["state"] == "down");
    assert_eq!(machine.ettan("start job").code, 0);
    machine.until("it is not tried again", |m| m.status("odd")["state"] == "failed");
    let odd = machine.status("odd");
    assert_eq!(odd["reason"], "exited with status 78 (restart-prevent-exit-status)");
    assert_eq!(odd["restarts"], 0);
    assert!(odd["restart"].as_str().is_some_and(|text| text.ends_with("; never after 78, KILL")));
    let why = machine.ettan("why odd").out;
    assert!(why.contains("restart-prevent-exit-status"), "{why}");
}

/// A main process that ends at TERM, with a child that notes TERM in /tmp/child and goes on.
fn parent(mode: &str) -> String {
    let child = "trap 'echo TERM >> /tmp/child' TERM; echo $$ > /tmp/pid; \
                 while :; do sleep 0.05; done";
    let script = format!("/bin/sh -c \"{}\" & exec sleep 100000", child.replace('$', "\\$"));
    format!("{}kill-mode = \"{mode}\"\n", shell(&script))
}

fn child_of(machine: &mut Namespace) -> i32 {
    machine.until("the child is there", |m| m.sh("test -s /tmp/pid").code == 0);
    machine.sh("cat /tmp/pid").out.trim().parse().expect("a number")
}

fn stopped_with(mode: &str, builder: Builder) -> (Namespace, i32, bool) {
    let mut machine = builder.build();
    machine.unit("web", &parent(mode));
    machine.boot();
    machine.expect(&["web up"]);
    let child = child_of(&mut machine);
    assert_eq!(machine.ettan("stop web").code, 0);
    assert_eq!(machine.status("web")["state"], "down");
    let told = machine.sh("cat /tmp/child").out.contains("TERM");
    (machine, child, told)
}

fn whom_a_stop_is_for(builder: impl Fn() -> Builder) {
    let (mut machine, child, told) = stopped_with("mixed", builder());
    assert!(!machine.alive(child) && !told, "mixed: TERM is for the main process alone");
    let (mut machine, first, told) = stopped_with("process", builder());
    assert!(machine.alive(first) && !told, "process: the child stays");
    // It stays beside the next run, and over the end of that.
    assert_eq!(machine.sh("rm /tmp/pid").code, 0);
    assert_eq!(machine.ettan("start web").code, 0);
    machine.expect(&["web down", "web starting", "web up"]);
    let second = child_of(&mut machine);
    let main = machine.main_pid("web");
    machine.kill9(main);
    machine.expect(&["web sweeping", "web starting", "web up"]);
    assert!(machine.alive(first) && machine.alive(second));
    assert_ne!(machine.main_pid("web"), main);
    // It ends with all that is left.
    machine.ettan("poweroff");
    assert_eq!(machine.end(), End::Off);
}

#[test]
fn kill_mode_says_whom_a_stop_is_for() {
    whom_a_stop_is_for(Builder::default);
}

#[test]
fn a_stop_is_for_what_runs_in_groups_of_the_units_own_too() {
    let child = format!(
        "{INNER}; trap 'echo TERM >> /tmp/child' TERM; echo $$ > /tmp/pid; \
                         while :; do sleep 0.05; done"
    );
    let main = "trap \"until test -s /tmp/child; do sleep 0.05; done; exit 0\" TERM; \
                while :; do sleep 0.05; done";
    let script = format!("/bin/sh -c \"{}\" & {main}", child.replace('$', "\\$"));
    let mut machine = Namespace::usual();
    machine.unit("lxc", &shell(&script));
    machine.boot();
    machine.expect(&["lxc up"]);
    let child = child_of(&mut machine);
    assert_eq!(machine.ettan("stop lxc").code, 0);
    assert!(machine.sh("cat /tmp/child").out.contains("TERM"), "KILL came without TERM");
    assert!(!machine.alive(child));
}

#[test]
fn kill_mode_needs_no_cgroups() {
    whom_a_stop_is_for(|| Builder::default().cgroups(Cgroups::Missing));
}

const CRASHES: &str = "min-uptime-sec = \"10s\"\nrestart-sec = \"50ms\"\nstart-limit-burst = 3\n\
                       start-limit-interval-sec = \"1h\"\n";

#[test]
fn a_unit_is_given_up_after_so_many_starts_and_reset_forgets_it() {
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}{CRASHES}", shell("exit 7")));
    machine.boot();
    machine.expect(&["web failed"]);
    let reason = "start-limit: 3 starts within 1 h, the last exited with status 7";
    let status = machine.status("web");
    assert_eq!(
        (status["reason"].as_str(), status["gave_up"].as_bool()),
        (Some(reason), Some(true))
    );
    assert_eq!(machine.told("web starting"), 3);
    assert_eq!(machine.ettan("is-failed web").code, 0);
    assert!(machine.ettan("why web").out.contains("start-limit"));
    let line = "web: given up after 3 starts within 1 h (ettan start web to try again)";
    machine.until("it is in the log", |m| m.ettan("logs").out.contains(line));
    assert_eq!(machine.ettan("reset web").ok(), "web: reset");
    machine.expect(&["web down"]);
    assert_eq!(machine.ettan("is-failed web").code, 3);
    assert_eq!(machine.status("web")["restarts"], 0);
    assert_eq!(machine.ettan("reset nosuch").code, 5);
    assert_eq!(machine.ettan("start --no-block web").code, 0);
    machine.expect(&["web starting", "web starting", "web starting", "web failed"]);
}

#[test]
fn a_unit_that_is_given_up_can_take_the_machine_with_it() {
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}{CRASHES}start-limit-action = 'poweroff'\n", shell("exit 7")));
    machine.boot();
    assert_eq!(machine.end(), End::Off);
}

#[test]
fn what_a_stop_has_spared_is_not_taken_for_the_next_main_process() {
    let leaves = "setsid sh -c '[ -e /run/h ] || { : >/run/h; setsid sleep 100001 & }; \
                  exec sleep 100000' & exit 0";
    let unit = shell(leaves).replace("[service]", "[service]\ntype = \"forking\"");
    let mut machine = Namespace::usual();
    machine.unit("tell", &format!("{unit}kill-mode = \"process\"\n"));
    machine.boot();
    machine.expect(&["tell up"]);
    let first = machine.main_pid("tell");
    machine.one_is("sleep 100001");
    assert_eq!(machine.ettan("restart tell").code, 0);
    assert_ne!(machine.main_pid("tell"), first);
    assert_eq!(machine.running("sleep 100000").len(), 1);
    machine.one_is("sleep 100001");
}
