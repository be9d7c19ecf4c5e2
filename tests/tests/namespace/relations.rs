//! Units that give way to each other, go along with each other, and stand in for each other.

use ettan_tests::units::{idle, shell};
use ettan_tests::{Machine, Namespace, Operate};

/// A unit that idles, with these keys in [unit].
fn related(keys: &str) -> String {
    format!("[unit]\n{keys}\n{}", idle())
}

fn state(machine: &mut Namespace, name: &str) -> String {
    machine.status(name)["state"].as_str().unwrap_or_default().to_owned()
}

fn until(machine: &mut Namespace, name: &str, wanted: &str) {
    machine.until(&format!("{name} is {wanted}"), |machine| {
        // Right after the boot the units are still being read.
        machine.ettan(&format!("is-loaded {name}")).code == 0 && state(machine, name) == wanted
    });
}

#[test]
fn a_start_stops_what_it_conflicts_with() {
    let mut machine = Namespace::usual();
    machine.unit("web", &idle());
    machine.unit("worker", &related("part-of = [\"web\"]\nafter = [\"web\"]"));
    // Of two that start at boot the first by name comes up.
    machine.unit("xrescue", &related("conflicts = [\"web\"]"));
    machine.boot();
    until(&mut machine, "worker", "up");
    assert_eq!(machine.ettan("start xrescue").code, 0);
    assert_eq!(
        (state(&mut machine, "web"), state(&mut machine, "xrescue")),
        ("down".into(), "up".into())
    );
    // What is part of it went along.
    until(&mut machine, "worker", "down");
    let why = machine.ettan("why web").out;
    assert!(why.contains("conflicts with xrescue, which is up"), "{why}");
    let why = machine.ettan("why worker").out;
    assert!(why.contains("part of web, which was stopped or restarted"), "{why}");
    let tree = machine.ettan("tree xrescue").out;
    assert!(tree.contains("conflicts"), "{tree}");
    assert_eq!(machine.ettan("start web").code, 0);
    assert_eq!(
        (state(&mut machine, "web"), state(&mut machine, "xrescue")),
        ("up".into(), "down".into())
    );
}

#[test]
fn a_part_restarts_with_the_whole() {
    let mut machine = Namespace::usual();
    machine.unit("web", &idle());
    machine.unit("worker", &related("part-of = [\"web\"]\nafter = [\"web\"]"));
    machine.boot();
    until(&mut machine, "worker", "up");
    let before = machine.main_pid("worker");
    assert_eq!(machine.ettan("restart web").code, 0);
    machine.until("the part runs anew", |machine| {
        machine.status("worker")["main_pid"].as_i64().is_some_and(|pid| pid != i64::from(before))
            && state(machine, "worker") == "up"
    });
}

#[test]
fn a_failure_is_answered_once_by_its_stand_in() {
    let mut machine = Namespace::usual();
    let failing = shell("exit 3");
    machine.unit(
        "web",
        &format!("[unit]\non-failure = [\"xstandin\"]\nconflicts = [\"xstandin\"]\n{failing}"),
    );
    machine.unit("xstandin", &idle());
    machine.boot();
    until(&mut machine, "xstandin", "up");
    until(&mut machine, "web", "down");
    assert_eq!(machine.status("web")["goal"], "down");
}

#[test]
fn a_unit_comes_and_goes_with_what_it_is_bound_to() {
    let mut machine = Namespace::usual();
    machine.unit("tell", &related("binds-to = [\"device:usb:1781:0c31\"]"));
    machine.unit("web", &related("binds-to = [\"tell\"]"));
    // Up once the watcher knows what is asked of it. Before, it takes back what it does not find.
    machine.unit("told", &related("after = [\"path:/etc\"]"));
    machine.boot();
    until(&mut machine, "told", "up");
    for _ in 0..2 {
        until(&mut machine, "tell", "down");
        assert_eq!(machine.ettan("condition device:usb:1781:0c31 set").code, 0);
        until(&mut machine, "web", "up");
        assert_eq!(machine.ettan("condition device:usb:1781:0c31 clear").code, 0);
    }
    until(&mut machine, "tell", "down");
    until(&mut machine, "web", "down");
    let why = machine.ettan("status tell").out;
    assert!(why.contains("bound to device:usb:1781:0c31, which is gone"), "{why}");
    // It is the other's end that counts, also when that starts again at once.
    assert_eq!(machine.ettan("condition device:usb:1781:0c31 set").code, 0);
    until(&mut machine, "web", "up");
    let (tell, web) = (machine.main_pid("tell"), machine.main_pid("web"));
    machine.kill9(tell);
    machine.until("both run anew", |machine| {
        [("tell", tell), ("web", web)].into_iter().all(|(name, old)| {
            let pid = machine.status(name)["main_pid"].as_i64();
            pid.is_some_and(|pid| pid != i64::from(old)) && state(machine, name) == "up"
        })
    });
}
