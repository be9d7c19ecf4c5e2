//! What a new execution of PID 1 must leave as it was, for the tests of crashes and of upgrades.

use ettan_tests::units::{forking, idle, shell};
use ettan_tests::{Client, Machine, Namespace, Operate, Received};

/// What must be as before: who runs, and what PID 1 holds open.
pub(crate) fn pids(machine: &mut Namespace, units: &[String]) -> Vec<i32> {
    units.iter().map(|unit| machine.main_pid(unit)).collect()
}

/// What PID 1 says about itself; Null while nobody answers.
pub(crate) fn told(machine: &Namespace, key: &str) -> serde_json::Value {
    let Ok(client) = Client::connect(&machine.socket()) else { return serde_json::Value::Null };
    let answer = client.send(br#"{"verb":"stats"}"#).map(|_| client.receive(machine.limit()));
    match answer {
        Ok(Received::Packet(packet)) => serde_json::from_str::<serde_json::Value>(&packet)
            .map(|mut stats| stats[key].take())
            .unwrap_or_default(),
        Ok(_) | Err(_) => serde_json::Value::Null,
    }
}

pub(crate) fn descriptors(machine: &Namespace) -> usize {
    let fds = std::fs::read_dir(format!("/proc/{}/fd", machine.init()));
    fds.expect("PID 1 has descriptors").count()
}

/// A service whose lines are numbered, so that a lost one shows.
pub(crate) const COUNTS: &str = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done";

pub(crate) fn three_units(machine: &mut Namespace) -> Vec<String> {
    machine.unit("web", &format!("{}min-uptime-sec = \"1ms\"\n", idle()));
    machine.unit("telldus", &format!("{}min-uptime-sec = \"1ms\"\n", forking("telldus", "")));
    machine.unit("counts", &shell(COUNTS));
    machine.boot();
    ["web", "telldus", "counts", "ettan-log", "ettan-watch"].map(str::to_owned).to_vec()
}

pub(crate) fn no_line_is_lost(machine: &mut Namespace) {
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

pub(crate) fn kill_init(machine: &Namespace, signal: &str) {
    let pid = machine.init().to_string();
    let done = std::process::Command::new("kill").args(["-s", signal, &pid]).status();
    assert!(done.expect("kill(1) is there").success());
}
