//! The verbs people type, asked of a real PID 1: what they say, and what they exit with.

use ettan_tests::units::{idle, with};
use ettan_tests::{Machine, Namespace, Operate};

/// `app` requires `web`, which waits for a condition; `free` is up.
fn waiting() -> Namespace {
    let mut machine = Namespace::usual();
    machine.unit("free", &idle());
    machine.unit("web", &with("after = [\"network:eth7:address\"]", &idle()));
    machine.unit("app", &with("requires = [\"web\"]", &idle()));
    machine.boot();
    machine.expect(&["free up"]);
    machine
}

#[test]
fn why_follows_the_blockers_to_the_last_one() {
    let mut machine = waiting();
    let told = machine.ettan("why app");
    assert_eq!(told.code, 3);
    for line in [
        "app is waiting for unit web",
        "web is waiting for condition network:eth7:address",
        "network:eth7:address does not hold",
    ] {
        assert!(told.out.contains(line), "no {line:?} in\n{}", told.out);
    }
    assert!(told.out.lines().all(|line| line.chars().count() <= 80), "{}", told.out);
    assert_eq!(machine.ettan("why --json app").out.lines().count(), 2);
    assert!(machine.ettan("why free").ok().starts_with("free is up for "));
    assert_eq!(machine.ettan("why nosuch").code, 4);
}

#[test]
fn a_condition_is_asked_for_and_stated() {
    let mut machine = waiting();
    assert_eq!(machine.ettan("condition network:eth7:address").code, 3);
    assert_eq!(machine.ettan("condition nobody:knows").code, 4);
    assert_eq!(machine.ettan("condition network:eth7:address set").code, 0);
    machine.expect(&["app up"]);
    assert_eq!(machine.ettan("condition network:eth7:address").ok(), "network:eth7:address: holds");
    assert!(machine.ettan("condition").ok().contains("network:eth7:address: holds"));
    assert_eq!(machine.ettan("condition network:eth7:address clear").code, 0);
    assert_eq!(machine.ettan("condition network:eth7:address").code, 3);
}

#[test]
fn questions_of_scripts() {
    let mut machine = waiting();
    assert_eq!(machine.ettan("is-loaded web free").code, 0);
    assert_eq!(machine.ettan("is-loaded -q nosuch").code, 4);
    assert_eq!(machine.ettan("is-failed free").code, 3);
    assert_eq!(machine.ettan("is-failed nosuch").code, 4);
    machine.unit("broken", "[service]\nexec-start = '/bin/nosuch'\nrestart = 'no'\n");
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.until("it has failed", |machine| machine.ettan("is-failed broken").code == 0);
    assert_eq!(machine.ettan("is-failed broken").ok(), "failed");
}

#[test]
fn only_what_runs_is_restarted() {
    let mut machine = waiting();
    let pid = machine.main_pid("free");
    assert_eq!(machine.ettan("try-restart free").code, 0);
    assert_ne!(machine.main_pid("free"), pid);
    assert_eq!(machine.ettan("stop free").code, 0);
    assert!(machine.ettan("try-restart free").ok().contains("not running"));
    assert_eq!(machine.ettan("is-active free").code, 3);
    assert_eq!(machine.ettan("try-restart nosuch").code, 5);
}
