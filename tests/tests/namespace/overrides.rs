//! What files on the boot partition ask: a box without a screen, rescued with its card in a laptop.

use ettan_tests::units::{idle, shell};
use ettan_tests::{Machine, Namespace, Operate};

/// A machine with a boot partition and these words on it.
fn machine(words: &str) -> Namespace {
    let mut machine = Namespace::usual();
    let _ = machine
        .sh("mkdir -p /boot/firmware && mount -t tmpfs -o mode=755 card /boot/firmware")
        .ok();
    // As an editor of Windows saves it.
    let text = format!("\u{feff}{}", words.replace('\n', "\r\n"));
    machine.write("/boot/firmware/ettan/RESCUE.TOM", text.as_bytes());
    for name in ["web", "app", "ssh"] {
        machine.unit(name, &idle());
    }
    machine
}

#[test]
fn a_unit_is_off_and_another_has_a_variable() {
    let mut machine =
        machine("[units]\nweb = \"off\"\nssh = \"of\"\n[environment.tell]\nWORD = \"100 %\"\n");
    machine.unit("tell", &shell("echo \"word: $WORD\"; exec sleep 100000"));
    machine.boot();
    machine.expect(&["ssh up", "tell up"]);
    assert_eq!(machine.ettan("is-active web").code, 4);
    let told = machine.ettan("status web").err;
    let place = "/boot/firmware/ettan/RESCUE.TOM:2:1: warning: `web = \"off\"`: it is masked";
    assert!(told.contains(place), "{told}");
    let status = machine.ettan("status").out;
    assert!(status.contains(place), "{status}");
    // What is wrong costs itself and nothing else.
    assert!(status.contains("RESCUE.TOM:3:7: error: `of` is not"), "{status}");
    machine.until("it has its variable", |machine| {
        machine.ettan("logs tell").out.contains("word: 100 %")
    });
}

#[test]
fn in_rescue_only_what_is_on_starts() {
    let mut machine = machine("rescue = true\nunits.ssh = true\n");
    machine.boot();
    machine.expect(&["ssh up"]);
    for unit in ["web", "app"] {
        assert_eq!(machine.ettan(&format!("is-active {unit}")).code, 3, "{unit}");
    }
    assert_eq!(machine.ettan("start web").code, 0, "by hand it does");
}
