//! Many units of one file: its name means all of them to whoever types it, and each lives by itself.

use ettan_tests::units::with;
use ettan_tests::{Machine, Namespace, Operate};

/// A file with so many instances, each of which sleeps a time of its own.
fn workers(count: u8) -> String {
    format!("[service]\nexec-start = \"/bin/sleep 1000%i\"\ninstances = {count}\n")
}

fn is_up(machine: &mut Namespace, unit: &str) -> bool {
    machine.ettan(&format!("is-active {unit}")).code == 0
}

/// Three workers, one unit that wants them, and one that is called alike and is none of them.
fn booted() -> Namespace {
    let mut machine = Namespace::usual();
    machine.unit("worker", &workers(3));
    machine.unit("worker_9", "[service]\nexec-start = \"/bin/sleep 2000\"\n");
    machine.unit(
        "app",
        &with("after = [\"worker\"]", "[service]\nexec-start = \"/bin/sleep 3000\"\n"),
    );
    machine.boot();
    for unit in ["worker_00", "worker_01", "worker_02", "worker_9", "app"] {
        machine.until("it is up", |machine| is_up(machine, unit));
    }
    machine
}

const WORKERS: [&str; 3] = ["worker_00", "worker_01", "worker_02"];

#[test]
fn the_name_of_the_file_means_all_of_its_instances_and_nobody_else() {
    let mut machine = booted();
    let pids = WORKERS.map(|unit| machine.main_pid(unit));
    let others = ["worker_9", "app"].map(|unit| machine.main_pid(unit));
    for (number, pid) in pids.iter().enumerate() {
        let running = machine.running(&format!("/bin/sleep 1000{number}"));
        assert_eq!(running.iter().map(|process| process.pid).collect::<Vec<_>>(), [*pid]);
    }
    assert_eq!(machine.status("worker_01")["group"], "worker");
    assert_eq!(machine.ettan("is-active worker").ok().lines().count(), 3);
    assert_eq!(machine.ettan("status worker").ok().matches("     state: ").count(), 3);
    assert_eq!(machine.ettan("is-loaded worke").code, 4);
    let names = machine.ettan("list --names").ok();
    assert_eq!(names.lines().filter(|name| name.starts_with("worker")).count(), 5, "{names}");

    assert_eq!(machine.ettan("restart worker").ok().lines().count(), 3);
    for (unit, pid) in WORKERS.iter().zip(pids) {
        assert_ne!(machine.main_pid(unit), pid, "{unit} was not restarted");
    }
    assert_eq!(["worker_9", "app"].map(|unit| machine.main_pid(unit)), others);

    // One of them by its own name.
    let before = WORKERS.map(|unit| machine.main_pid(unit));
    assert_eq!(machine.ettan("restart worker_01").code, 0);
    let after = WORKERS.map(|unit| machine.main_pid(unit));
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert_ne!(after[1], before[1]);

    assert_eq!(machine.ettan("stop worker").code, 0);
    for (unit, pid) in WORKERS.iter().zip(after) {
        assert!(!machine.alive(pid), "{unit} was not stopped");
    }
    assert_eq!(machine.ettan("is-active worker").code, 3);
    assert_eq!(["worker_9", "app"].map(|unit| machine.main_pid(unit)), others);
    assert_eq!(machine.ettan("start worker_02").code, 0);
    assert_eq!(machine.ettan("is-active worker").code, 3, "two of them are down");
    assert_eq!(machine.ettan("start worker").code, 0);
    assert_eq!(machine.ettan("is-active worker").code, 0);
}

#[test]
fn who_is_killed_comes_back_alone() {
    let mut machine = booted();
    let before = WORKERS.map(|unit| machine.main_pid(unit));
    machine.kill9(before[1]);
    machine.until("it is back", |machine| machine.is_up_anew("worker_01", before[1]));
    assert_eq!(machine.main_pid("worker_00"), before[0]);
    assert_eq!(machine.main_pid("worker_02"), before[2]);
}

#[test]
fn another_number_ends_some_or_starts_some_and_leaves_the_rest() {
    let mut machine = booted();
    let before = WORKERS.map(|unit| machine.main_pid(unit));
    machine.unit("worker", &workers(2));
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.until("the third is gone", |machine| {
        !machine.alive(before[2]) && machine.ettan("is-loaded worker_02").code == 4
    });
    assert_eq!(machine.ettan("is-active worker").ok().lines().count(), 2);
    machine.unit("worker", &workers(4));
    assert_eq!(machine.ettan("reload-units").code, 0);
    for unit in ["worker_02", "worker_03"] {
        machine.until("it is up", |machine| is_up(machine, unit));
    }
    assert_eq!(machine.main_pid("worker_00"), before[0]);
    assert_eq!(machine.main_pid("worker_01"), before[1]);
    // A file that is refused changes nothing, and its name means them still.
    machine.unit("worker", "[service]\ninstances = 0\n");
    assert_eq!(machine.ettan("reload-units").code, 6);
    assert_eq!(machine.ettan("is-active worker").ok().lines().count(), 4);
    assert_eq!(machine.main_pid("worker_00"), before[0]);
}
