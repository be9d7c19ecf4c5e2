//! PID 1 outlives its own faults, and its own replacement (faults.md 3.5, 3.6, 8.7 to 8.10).

use ettan_tests::binaries::{Program, look};
use ettan_tests::units::{forking, idle, shell};
use ettan_tests::{Builder, Client, Machine, Namespace, Operate, Received};

/// What must be as before: who runs, and what PID 1 holds open.
fn pids(machine: &mut Namespace, units: &[String]) -> Vec<i32> {
    units.iter().map(|unit| machine.main_pid(unit)).collect()
}

/// What PID 1 says about itself; Null while nobody answers.
fn told(machine: &Namespace, key: &str) -> serde_json::Value {
    let Ok(client) = Client::connect(&machine.socket()) else { return serde_json::Value::Null };
    let answer = client.send(br#"{"verb":"stats"}"#).map(|_| client.receive(machine.limit()));
    match answer {
        Ok(Received::Packet(packet)) => serde_json::from_str::<serde_json::Value>(&packet)
            .map(|mut stats| stats[key].take())
            .unwrap_or_default(),
        Ok(_) | Err(_) => serde_json::Value::Null,
    }
}

fn descriptors(machine: &Namespace) -> usize {
    let fds = std::fs::read_dir(format!("/proc/{}/fd", machine.init()));
    fds.expect("PID 1 has descriptors").count()
}

/// A service whose lines are numbered, so that a lost one shows.
const COUNTS: &str = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done";

fn three_units(machine: &mut Namespace) -> Vec<String> {
    machine.unit("web", &format!("{}min-uptime-sec = \"1ms\"\n", idle()));
    machine.unit("telldus", &format!("{}min-uptime-sec = \"1ms\"\n", forking("telldus", "")));
    machine.unit("counts", &shell(COUNTS));
    machine.boot();
    ["web", "telldus", "counts", "ettan-log", "ettan-watch"].map(str::to_owned).to_vec()
}

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

fn no_line_is_lost(machine: &mut Namespace) {
    let last = machine.sh("tail -n 1 /run/log/ettan/counts/current").out;
    machine
        .until("the log goes on", |m| m.sh("tail -n 1 /run/log/ettan/counts/current").out != last);
    let log = machine.sh("cat /run/log/ettan/counts/current").ok();
    let numbers = log.lines().filter_map(|line| {
        let (_, number) = line.rsplit_once("line ")?;
        number.trim().parse::<usize>().ok()
    });
    for (place, number) in numbers.enumerate() {
        assert_eq!(number, place + 1, "a line is missing or came twice");
    }
}

fn kill_init(machine: &Namespace, signal: &str) {
    let pid = machine.init().to_string();
    let done = std::process::Command::new("kill").args(["-s", signal, &pid]).status();
    assert!(done.expect("kill(1) is there").success());
}

#[test]
fn f3_5_a_segmentation_fault_costs_nothing() {
    survives(&mut Namespace::usual(), |machine| kill_init(machine, "SEGV"), 1);
}

#[test]
fn f3_5_an_abort_costs_nothing_without_cgroups() {
    let mut machine = Builder::default().cgroups(ettan_tests::Cgroups::Missing).build();
    survives(&mut machine, |machine| kill_init(machine, "ABRT"), 1);
}

/// A machine whose PID 1 fails when asked to.
fn failing() -> Namespace {
    let built = look(Program::FailingInit).is_some();
    assert!(built, "no init with fault-injection; tests/run namespace builds one");
    Builder::default().command(&["/sbin/init-failing"]).build()
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
    machine.boot();
    machine.expect(&["web up"]);
    machine.until("telldus is up", |m| m.ettan("is-active telldus").code == 0);
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
    machine.until("web is back", |m| {
        let status = m.status("web");
        status["state"] == "up" && status["main_pid"] != web
    });
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
    machine
        .until("web is back", |m| m.ettan("is-active web").code == 0 && m.main_pid("web") != web);
    assert_eq!(machine.running("sleep 100000").len(), 1);
}

#[test]
fn f8_7_fifty_services_outlive_fifty_new_executions() {
    let mut machine = Namespace::usual();
    let units: Vec<String> = (0..50).map(|nth| format!("u{nth:02}")).collect();
    for unit in &units {
        machine.unit(unit, &idle());
    }
    machine.boot();
    machine.until("all are up", |m| told(m, "up") == 50);
    let before: Vec<i32> = sorted(machine.running("sleep 100000"));
    assert_eq!(before.len(), 50);
    machine.ask(r#"{"verb":"reexec"}"#, &["accepted"]);
    machine.until("all are up", |m| told(m, "up") == 50);
    let open = descriptors(&machine);
    for _ in 1..50 {
        machine.ask(r#"{"verb":"reexec"}"#, &["accepted"]);
        machine.until("all are up", |m| told(m, "up") == 50);
    }
    assert_eq!(sorted(machine.running("sleep 100000")), before);
    assert_eq!(machine.stats()["crashes"], 0);
    // f8_10: none is left open, none is missing. A client that just left may still be there.
    machine.until("descriptors are as many as before", |m| descriptors(m) <= open);
    assert_eq!(machine.ettan("reexec").code, 0);
    machine.until("it answers", |m| m.ettan("is-active u49").code == 0);
}

#[test]
fn f8_10_a_signal_executes_anew_and_descriptors_stay_the_same() {
    let mut machine = Namespace::usual();
    let units = three_units(&mut machine);
    machine.until("all are up", |m| told(m, "up") == 3);
    let before = pids(&mut machine, &units);
    let open = descriptors(&machine);
    kill_init(&machine, "QUIT");
    machine.until("it answers", |m| told(m, "up") == 3);
    machine.until("descriptors are as many as before", |m| descriptors(m) <= open);
    assert_eq!(pids(&mut machine, &units), before);
    no_line_is_lost(&mut machine);
}

fn sorted(processes: Vec<ettan_tests::Process>) -> Vec<i32> {
    let mut pids: Vec<i32> = processes.iter().map(|process| process.pid).collect();
    pids.sort_unstable();
    pids
}
