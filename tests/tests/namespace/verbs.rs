//! The verbs people type, asked of a real PID 1: what they say, and what they exit with.

use ettan_tests::units::{idle, with};
use ettan_tests::{Builder, Machine, Namespace, Operate};

/// `app` requires `web`, which waits for a condition; `free` is up.
fn waiting() -> Namespace {
    let mut machine = Namespace::usual();
    machine.unit("free", &idle());
    machine.unit("web", &with("after = [\"network:eth7:address\"]", &idle()));
    machine.unit("app", &with("requires = [\"web\"]", &idle()));
    // Up once the watcher knows what is asked of it. Before, it takes back what it does not find.
    machine.unit("told", &with("after = [\"path:/etc\"]", &idle()));
    machine.boot();
    machine.until("both are up", |machine| {
        ["free", "told"].iter().all(|unit| machine.ettan(&format!("is-active {unit}")).code == 0)
    });
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

/// A folder with the shipped unit `ship`, removed at the end.
struct Layer(std::path::PathBuf);

impl Layer {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ettan-{test}-{}", std::process::id()));
        let units = folder.join("usr/lib/units");
        std::fs::create_dir_all(&units).expect("a folder");
        std::fs::write(units.join("ship.toml"), idle()).expect("a file");
        Self(folder)
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_shipped_unit_is_enabled_masked_and_back() {
    let layer = Layer::new("enable");
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["free up"]);
    assert_eq!(machine.ettan("is-enabled ship").code, 3);
    assert_eq!(machine.ettan("is-enabled nosuch").code, 4);
    // A link alone starts nothing; --now does.
    assert_eq!(machine.ettan("enable ship").code, 0);
    assert_eq!(machine.ettan("is-enabled ship").ok(), "enabled");
    assert_eq!(machine.ettan("is-active ship").code, 3);
    assert_eq!(machine.ettan("enable --now ship").code, 0);
    assert_eq!(machine.ettan("is-active ship").code, 0);
    assert_eq!(machine.ettan("disable --now ship").code, 0);
    assert_eq!(machine.ettan("is-active ship").code, 3);
    assert_eq!(machine.ettan("mask --now ship").code, 0);
    assert_ne!(machine.ettan("start ship").code, 0);
    assert_eq!(machine.ettan("unmask --now ship").code, 0);
    assert_eq!(machine.ettan("start ship").code, 0);
    assert_eq!(machine.ettan("enable nosuch").code, 5);
}

#[test]
fn on_a_read_only_root_a_link_lasts_until_the_next_boot() {
    let layer = Layer::new("runtime");
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.boot();
    machine.answers();
    assert_eq!(machine.sh("mount --bind /etc /etc && mount -o remount,bind,ro /etc").code, 0);
    let told = machine.ettan("enable ship");
    assert_eq!(told.code, 1);
    assert!(told.err.contains("read-only file system"), "{}", told.err);
    assert!(told.err.contains("ettan enable --runtime ship"), "{}", told.err);
    assert_eq!(machine.ettan("enable --runtime --now ship").code, 0);
    assert_eq!(machine.ettan("is-enabled ship").ok(), "enabled-runtime");
    assert_eq!(machine.ettan("is-active ship").code, 0);
}
