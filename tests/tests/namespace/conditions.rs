//! What units wait for apart from the network: paths and devices.

use ettan_tests::units::{idle, with};
use ettan_tests::{Machine, Namespace, Operate};

fn waits_for(condition: &str) -> String {
    with(&format!("after = [\"{condition}\"]"), &idle())
}

#[test]
fn a_directory_appears() {
    let mut machine = Namespace::usual();
    machine.unit("db", &waits_for("path:/tmp/data/db"));
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["free up"]);
    assert_eq!(machine.status("db")["waiting_for"], "path:/tmp/data/db");
    let _ = machine.sh("mkdir /tmp/data").ok();
    assert_eq!(machine.status("db")["state"], "down");
    let _ = machine.sh("mkdir /tmp/data/db").ok();
    machine.expect(&["db up"]);
    // What is up stays up; what starts now waits.
    let pid = machine.main_pid("db");
    let _ = machine.sh("rmdir /tmp/data/db").ok();
    machine.until("the path is known to be gone", |machine| {
        machine.ettan("condition path:/tmp/data/db").code == 3
    });
    assert!(machine.alive(pid));
}

#[test]
fn a_card_is_mounted() {
    let mut machine = Namespace::usual();
    let _ = machine.sh("mkdir -p /tmp/card /tmp/data").ok();
    machine.unit("made", &waits_for("path:/tmp/card/made"));
    machine.unit("there", &waits_for("path:/tmp/data/made"));
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["free up"]);
    let _ = machine.sh("mount -t tmpfs card /tmp/card && mkdir /tmp/card/made").ok();
    machine.expect(&["made up"]);
    // Nothing is made here any more: only the mount itself can tell.
    let _ = machine.sh("mount --bind /tmp/card /tmp/data").ok();
    machine.expect(&["there up"]);
}

#[test]
fn a_reload_brings_other_wishes() {
    let mut machine = Namespace::usual();
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["free up"]);
    let _ = machine.sh("mkdir /tmp/data").ok();
    machine.unit("late", &waits_for("path:/tmp/data"));
    let _ = machine.ettan("reload-units").ok();
    machine.expect(&["late up"]);
    // Nobody waits for it any more, and nobody says for ever that it holds.
    machine.unit("late", &idle());
    let _ = machine.ettan("reload-units").ok();
    machine.until("it is not said to hold", |machine| {
        machine.ettan("condition path:/tmp/data").code == 3
    });
    // Also not across a new execution of PID 1.
    machine.unit("late", &waits_for("path:/tmp/data"));
    let _ = machine.ettan("reload-units").ok();
    let _ = machine.ettan("reexec").ok();
    machine.until("it holds again", |machine| machine.ettan("condition path:/tmp/data").code == 0);
    let _ = machine.sh("rmdir /tmp/data").ok();
    machine
        .until("it is gone again", |machine| machine.ettan("condition path:/tmp/data").code == 3);
}

#[test]
fn a_stick_that_is_not_plugged_in_is_waited_for() {
    let mut machine = Namespace::usual();
    machine.unit("stick", &waits_for("device:usb:1781:0c31"));
    machine.unit("bad", &waits_for("device:usb:17810c31"));
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["free up"]);
    assert_eq!(machine.status("stick")["waiting_for"], "device:usb:1781:0c31");
    assert!(machine.ettan("check").out.contains("device:usb:VID:PID"));
}

#[test]
fn a_unit_that_is_not_for_this_machine_is_skipped_until_it_is() {
    let mut machine = Namespace::usual();
    let only = "[unit]\ncondition-path-exists = \"/tmp/camera\"\n";
    machine.unit("camera", &format!("{only}{}", idle()));
    machine.unit("view", &with("requires = [\"camera\"]\nafter = [\"camera\"]", &idle()));
    machine.boot();
    machine.expect(&["view up"]);
    let status = machine.ettan("status camera").out;
    assert!(status.contains("down, not for this machine"), "{status}");
    assert!(
        status.contains("skipped, it is not for this machine: /tmp/camera does not exist"),
        "{status}"
    );
    assert_eq!(machine.ettan("is-active camera").code, 3);
    assert_eq!(machine.ettan("start camera").code, 0);
    assert_eq!(machine.status("camera")["main_pid"], serde_json::Value::Null);
    let _ = machine.sh("touch /tmp/camera").ok();
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.expect(&["camera starting", "camera up"]);
    assert_eq!(machine.told("view starting"), 1, "what required it was restarted");
}
