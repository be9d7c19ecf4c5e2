//! PID 1 outlives its own faults, and its own replacement (tests/FAULTS.md 3.5, 3.6, 8.7 to 8.10).

use crate::lives::{kill_init, no_line_is_lost, pids, three_units, told};
use ettan_tests::binaries::{Program, look};
use ettan_tests::units::{forking, idle, shell};
use ettan_tests::{Builder, Cgroups, Machine, Namespace, Operate};

/// Everything a new execution promises, after `fault` led to one.
fn survives(machine: &mut Namespace, fault: impl Fn(&mut Namespace), crashes: u64) {
    let units = three_units(machine);
    machine.until("all are up", |m| {
        ["web", "telldus", "counts"]
            .iter()
            .all(|unit| m.ettan(&format!("is-active {unit}")).code == 0)
    });
    let before = pids(machine, &units);
    fault(machine);
    machine.until("PID 1 answers again", |m| told(m, "crashes") == crashes);
    assert_eq!(pids(machine, &units), before, "a process was replaced");
    for (unit, pid) in units.iter().zip(&before) {
        assert!(machine.alive(*pid), "{unit}");
        assert_eq!(machine.status(unit)["restarts"], 0, "{unit}");
    }
    // Both kinds are still looked after.
    for unit in ["web", "telldus"] {
        let old = machine.main_pid(unit);
        machine.kill9(old);
        machine.until("it is back", |m| {
            let status = m.status(unit);
            status["state"] == "up" && status["main_pid"] != old
        });
        assert_eq!(machine.status(unit)["restarts"], 1);
    }
    assert_eq!(machine.ettan("stop web").code, 0);
    assert_eq!(machine.ettan("start web").code, 0);
    no_line_is_lost(machine);
}

#[test]
fn f3_5_a_segmentation_fault_costs_nothing() {
    survives(&mut Namespace::usual(), |machine| kill_init(machine, "SEGV"), 1);
}

#[test]
fn f3_5_an_abort_costs_nothing_without_cgroups() {
    let mut machine = Builder::default().cgroups(Cgroups::Missing).build();
    survives(&mut machine, |machine| kill_init(machine, "ABRT"), 1);
}

#[test]
fn f3_5_a_fault_costs_nothing_where_the_kernel_mounted_nothing() {
    let mut machine = Builder::default().start(ettan_tests::Start::Bare).build();
    survives(&mut machine, |machine| kill_init(machine, "SEGV"), 1);
}

/// A machine whose PID 1 fails when asked to.
fn failing() -> Namespace {
    failing_in(Builder::default())
}

fn failing_in(builder: Builder) -> Namespace {
    let built = look(Program::FailingInit).is_some();
    assert!(built, "no init with fault-injection; tests/run namespace builds one");
    builder.command(&["/sbin/init-failing"]).build()
}

fn fail(machine: &Namespace, kind: &str) {
    let request = format!(r#"{{"verb":"fail","kind":"{kind}"}}"#);
    machine.ask(&request, &["accepted"]);
}

#[test]
fn f3_5_a_panic_costs_nothing_and_is_told() {
    let mut machine = failing();
    survives(&mut machine, |machine| fail(machine, "panic"), 1);
    machine.until("it is told", |m| m.ettan("logs").out.contains("a test asked for it"));
}

#[test]
fn f3_5_a_bad_read_costs_nothing() {
    let mut machine = failing();
    survives(&mut machine, |machine| fail(machine, "segv"), 1);
}

#[test]
fn f3_5_a_stack_overflow_costs_nothing() {
    let mut machine = failing();
    survives(&mut machine, |machine| fail(machine, "overflow"), 1);
}

#[test]
fn f3_6_a_lost_state_never_makes_a_second_instance() {
    let mut machine = failing();
    machine.unit("web", &idle());
    machine.unit("telldus", &forking("telldus", ""));
    let leaves = "[ -e /run/h ] || { : >/run/h; setsid sleep 100001 & }; exec sleep 100002";
    machine.unit("leaves", &format!("{}kill-mode = \"process\"\n", shell(leaves)));
    machine.boot();
    machine.expect(&["web up"]);
    machine.until("telldus is up", |m| m.ettan("is-active telldus").code == 0);
    machine.until("it left one", |m| m.running("sleep 100001").len() == 1);
    let web = machine.main_pid("web");
    fail(&machine, "corrupt");
    machine.until("PID 1 answers again", |m| told(m, "crashes") == 1);
    machine.until("both are up again", |m| {
        ["web", "telldus"].iter().all(|unit| m.ettan(&format!("is-active {unit}")).code == 0)
    });
    assert_eq!(machine.main_pid("web"), web, "what ran was not kept");
    assert_eq!(machine.running("sleep 100000").len(), 1);
    assert_eq!(machine.running("--name telldus").len(), 1);
    machine.until("one watcher is left", |m| m.running("ettan-init watch").len() == 1);
    // What the state was lost for once is not looked for at every start from then on.
    machine.until("it is taken over", |m| m.ettan("is-active leaves").code == 0);
    let leaves = machine.main_pid("leaves");
    machine.kill9(leaves);
    machine.until("it runs again", |m| {
        let status = m.status("leaves");
        let running = m.running("sleep 100002");
        // And not the shell, which has all of these words.
        running.len() == 1
            && running[0].command == "sleep 100002"
            && status["main_pid"] == running[0].pid
            && running[0].pid != leaves
    });
    assert_eq!(machine.running("sleep 100001").len(), 1, "what is spared was ended");
}

#[test]
fn f3_6_a_lost_state_loses_neither_of_two_log_pipes() {
    let mut machine = failing();
    let script = "n=0; while :; do n=$((n+1)); echo out $n; echo err $n >&2; sleep 0.05; done";
    machine.unit("d", &format!("{}standard-error = \"log:err\"\n", shell(script)));
    let keys = "standard-output = \"append:/run/out\"\nstandard-error = \"log:err\"\n";
    machine.unit("e", &format!("{}{keys}", shell(script)));
    machine.boot();
    machine.until("all is logged", |m| {
        let [d, e] = ["d", "e"].map(|unit| m.ettan(&format!("logs {unit}")).out);
        d.contains(" out 9\n") && d.contains("!err 9\n") && e.contains("!err 9\n")
    });
    let before = ["d", "e"].map(|unit| machine.main_pid(unit));
    fail(&machine, "corrupt");
    machine.until("PID 1 answers again", |m| told(m, "crashes") == 1);
    machine.until("both are up again", |m| {
        ["d", "e"].iter().all(|unit| m.ettan(&format!("is-active {unit}")).code == 0)
    });
    assert_eq!(["d", "e"].map(|unit| machine.main_pid(unit)), before, "what ran was not kept");
    for (unit, kind) in [("d", " out "), ("d", "!err "), ("e", "!err ")] {
        let last = |m: &mut Namespace| {
            let log = m.ettan(&format!("logs -n 1000 {unit}")).out;
            let number =
                |line: &str| line.split_once(kind).and_then(|(_, n)| n.parse::<u32>().ok());
            log.lines().filter_map(number).max().unwrap_or(0)
        };
        let now = last(&mut machine);
        machine.until("the log goes on", |m| last(m) > now + 20);
    }
}

#[test]
fn f3_6_a_lost_state_without_cgroups_ends_all_and_starts_each_once() {
    let mut machine = failing_in(Builder::default().cgroups(Cgroups::Missing));
    machine.unit("web", &idle());
    machine.unit("telldus", &forking("telldus", ""));
    machine.boot();
    machine.expect(&["web up"]);
    machine.until("telldus is up", |m| m.ettan("is-active telldus").code == 0);
    let web = machine.main_pid("web");
    fail(&machine, "corrupt");
    machine.until("PID 1 answers again", |m| told(m, "crashes") == 1);
    machine.until("both are up again", |m| {
        ["web", "telldus"].iter().all(|unit| m.ettan(&format!("is-active {unit}")).code == 0)
    });
    assert_ne!(machine.main_pid("web"), web, "nobody could know whose it was");
    machine.until("the old ones are gone", |m| {
        m.running("sleep 100000").len() == 1 && m.running("--name telldus").len() == 1
    });
    for helper in ["log", "watch"] {
        let helper = format!("ettan-init {helper}");
        machine.until("one helper of a kind is left", |m| m.running(&helper).len() == 1);
    }
}

/// /proc may be gone for a while; what an execution has inherited is enough for the one after it.
#[test]
fn f3_6_a_fault_without_proc_keeps_the_state_for_the_next_one() {
    let mut machine = Namespace::usual();
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["web up"]);
    machine.until("the watcher runs", |m| m.running("ettan-init watch").len() == 1);
    let units = ["web", "ettan-log", "ettan-watch"].map(str::to_owned);
    let before = pids(&mut machine, &units);
    let _ = machine.sh("umount -l /proc").ok();
    kill_init(&machine, "SEGV");
    machine.until("PID 1 answers again", |m| told(m, "crashes") == 1);
    let _ = machine.sh("mount -t proc proc /proc").ok();
    kill_init(&machine, "SEGV");
    machine.until("PID 1 answers once more", |m| told(m, "crashes") == 2);
    assert_eq!(pids(&mut machine, &units), before, "a process was replaced");
    assert_eq!(machine.running("sleep 100000").len(), 1);
    assert_eq!(machine.running("ettan-init watch").len(), 1);
}

/// Fails at each of the first actions of a start: whether the process was born already or not,
/// there is one start and not two.
fn starts_once(builder: Builder) {
    // "starting" is told, the process is born, "up" is told.
    const ROUNDS: u32 = 3;
    let mut machine = failing_in(builder);
    machine.unit("web", &shell("echo start >>/tmp/starts; exec sleep 100000"));
    machine.boot();
    machine.expect(&["web up"]);
    // Then it has written its line.
    machine.one_is("sleep 100000");
    for after in 1..=ROUNDS {
        let _ = machine.ettan("stop web").ok();
        fail(&machine, "forget");
        let request = format!(r#"{{"verb":"fail","kind":"segv","after":{after}}}"#);
        machine.ask(&request, &["accepted"]);
        let _ = machine.ettan("start web");
        machine.until("PID 1 answers again", |m| told(m, "crashes") == after);
        machine.until("web is up", |m| {
            // Where the fault came before the wish was written down, there is none.
            let _ = m.ettan("--no-block start web");
            m.ettan("is-active web").code == 0
        });
        machine.one_is("sleep 100000");
        let starts = machine.sh("wc -l </tmp/starts").ok();
        assert_eq!(starts.trim(), (after + 1).to_string(), "fault at action {after}");
    }
}

#[test]
fn f3_5_a_fault_during_a_start_makes_no_second_one() {
    starts_once(Builder::default());
}

#[test]
fn f3_5_a_fault_during_a_start_without_cgroups_makes_no_second_one() {
    starts_once(Builder::default().cgroups(Cgroups::Missing));
}

#[test]
fn f3_5_how_a_process_ended_is_known_after_a_fault() {
    let mut machine = failing();
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    machine.unit("web", &format!("{}restart = \"no\"\n", shell(script)));
    machine.boot();
    for after in 1..=3 {
        machine.until("it can be told to end", |m| {
            m.sh("grep -c ready /run/log/ettan/web/current").out.trim() == after.to_string()
        });
        let request = format!(r#"{{"verb":"fail","kind":"segv","after":{after}}}"#);
        fail(&machine, "forget");
        machine.ask(&request, &["accepted"]);
        let web = machine.main_pid("web");
        let _ = machine.sh(&format!("kill {web}"));
        machine.until("PID 1 answers again", |m| told(m, "crashes") == after);
        machine.until("it has failed", |m| m.status("web")["state"] == "failed");
        assert_eq!(machine.status("web")["last_exit"], "exited with status 7", "action {after}");
        let _ = machine.ettan("start web").ok();
    }
}

#[test]
fn f3_5_an_end_that_nobody_saw_is_found() {
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}min-uptime-sec = \"1ms\"\n", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    let web = machine.main_pid("web");
    // Stopped, it sees neither the end nor the fault until it continues: then both at once.
    kill_init(&machine, "STOP");
    machine.kill9(web);
    kill_init(&machine, "SEGV");
    kill_init(&machine, "CONT");
    // Who asks while it fails gets no answer.
    machine.until("PID 1 answers again", |m| told(m, "crashes") == 1);
    machine.until("web is back", |m| m.is_up_anew("web", web));
    assert_eq!(machine.running("sleep 100000").len(), 1);
}

#[test]
fn f3_5_three_faults_in_a_minute_lead_to_the_reduced_mode() {
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}min-uptime-sec = \"1ms\"\n", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    let web = machine.main_pid("web");
    for crashes in 1..=7 {
        kill_init(&machine, "SEGV");
        machine.until("PID 1 answers again", |m| told(m, "crashes") == crashes);
        assert_eq!(machine.stats()["reduced"], crashes >= 3);
        machine.until("web is up", |m| m.ettan("is-active web").code == 0);
        assert_eq!(machine.main_pid("web"), web);
    }
    assert!(machine.ettan("status").out.contains("reduced mode"));
    machine.kill9(web);
    machine.until("web is back", |m| m.is_up_anew("web", web));
    assert_eq!(machine.running("sleep 100000").len(), 1);
}
