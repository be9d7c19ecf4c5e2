//! The network condition, with a cable made of a veth pair inside the machine.

use ettan_tests::units::{idle, with};
use ettan_tests::{Machine, Namespace, Operate};

/// Plugs in the cable; the far end stands for the switch.
const CABLE: &str =
    "ip link add eth0 type veth peer name switch0 && ip link set switch0 up && ip link set eth0 up";
const ADDRESS: &str = "ip address add 192.0.2.2/24 dev eth0 && ip route add default via 192.0.2.1";

fn booted() -> Namespace {
    let mut machine = Namespace::usual();
    machine.unit("web", &with("after = [\"network\"]", &idle()));
    machine.unit("old", &with("after = [\"network-online.target\"]", &idle()));
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["free up"]);
    machine
}

#[test]
fn f7_8_network_never_comes() {
    let mut machine = booted();
    let status = machine.status("web");
    assert_eq!((&status["state"], &status["goal"]), (&"down".into(), &"up".into()), "{status}");
    assert_eq!(status["waiting_for"], "network", "{status}");
    assert!(machine.ettan("status web").out.contains("network"));
    assert_eq!(machine.ettan("is-active free").code, 0);
}

#[test]
fn network_comes_later() {
    let mut machine = booted();
    let _ = machine.sh(CABLE).ok();
    // A link is no network yet, and an address without a route neither.
    let _ = machine.sh("ip address add 192.0.2.2/24 dev eth0").ok();
    assert_eq!(machine.status("web")["state"], "down");
    let _ = machine.sh("ip route add default via 192.0.2.1").ok();
    machine.expect(&["web up"]);
    machine.until("the old name works too", |machine| machine.ettan("is-active old").code == 0);
}

#[test]
fn network_is_there_already() {
    let mut machine = Namespace::usual();
    let _ = machine.sh(&format!("ip link set lo up && {CABLE} && {ADDRESS}")).ok();
    machine.unit(
        "web",
        &with("after = [\"network\", \"network:eth0:address\", \"network:link\"]", &idle()),
    );
    machine.boot();
    machine.expect(&["web up"]);
}

#[test]
fn cable_out_and_in_again() {
    let mut machine = booted();
    let _ = machine.sh(&format!("{CABLE} && {ADDRESS}")).ok();
    machine.expect(&["web up"]);
    let pid = machine.main_pid("web");
    // Out: what runs goes on running; what starts now waits.
    machine.unit("late", &with("after = [\"network:link\"]", &idle()));
    let _ = machine.ettan("reload-units").ok();
    let _ = machine.sh("ip link set switch0 down").ok();
    machine.until("the link is known to be gone", |machine| {
        let _ = machine.ettan("stop late");
        let _ = machine.ettan("start --no-block late");
        machine.status("late")["waiting_for"] == "network:link"
    });
    assert!(machine.alive(pid));
    let _ = machine.sh("ip link set switch0 up").ok();
    machine.until("what waited starts", |machine| machine.status("late")["state"] == "up");
    assert!(machine.alive(pid));
}

#[test]
fn killed_watcher_comes_back() {
    let mut machine = booted();
    let watcher = |machine: &mut dyn Machine| {
        let mut all = machine.processes().into_iter();
        all.find(|process| process.parent == 1 && process.command.ends_with(" watch"))
            .map(|process| process.pid)
    };
    machine.until("the watcher runs", |machine| watcher(machine).is_some());
    let old = watcher(&mut machine).unwrap_or_default();
    machine.kill9(old);
    machine.until("another runs", |machine| watcher(machine).is_some_and(|pid| pid != old));
    let _ = machine.sh(&format!("{CABLE} && {ADDRESS}")).ok();
    machine.expect(&["web up"]);
}
