//! What files on the boot partition ask: a box without a screen, rescued with its card in a laptop.

use crate::layer::Layer;
use ettan_tests::binaries::workspace;
use ettan_tests::units::{idle, shell};
use ettan_tests::{Builder, Machine, Namespace, Operate};
use std::fs;

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
    assert_eq!(machine.status("ettan-rescue")["goal"], "up", "and there is a shell");
}

/// The example with its comment signs taken away, on a box whose units are as Buildroot makes them.
#[test]
fn the_example_gives_a_box_with_an_address_and_an_ssh_daemon() {
    let layer = Layer::new("rescue");
    layer.script("mounts");
    layer.script("root");
    layer.program("sbin/ifup", "ettan condition network set");
    fs::create_dir_all(layer.0.join("etc")).expect("a folder");
    fs::write(layer.0.join("etc/fstab"), "").expect("a file");
    let mut machine = Builder::default().layer(&layer.0).build();
    let example = fs::read_to_string(workspace().join("units/boot/rescue.toml")).expect("a file");
    let bare = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        Some(_) | None => line.to_owned(),
    };
    let all: Vec<String> = example.lines().map(bare).collect();
    machine.write("/boot/ettan/rescue.toml", all.join("\n").as_bytes());
    let links = "mkdir -p /etc/units && cd /etc/units && for unit in root mounts devices hotplug ifup; do \
                 ln -s /usr/lib/units/$unit.toml .; done";
    let _ = machine.sh(links).ok();
    let after = "[unit]\nafter = [\"mounts\", \"hotplug\", \"ifup\", \"network\"]\n";
    for unit in ["dropbear", "gateway", "web"] {
        machine.unit(unit, &format!("{after}{}", idle()));
    }
    machine.boot();
    machine.until("somebody can log in", |machine| {
        machine.ettan("is-active dropbear").code == 0
            && machine.ettan("is-active getty@tty1").code == 0
    });
    for unit in ["root", "mounts", "devices", "hotplug", "ifup"] {
        assert_eq!(machine.ettan(&format!("is-active {unit}")).code, 0, "{unit}");
    }
    assert_eq!(machine.ettan("is-active gateway").code, 4);
    assert_eq!(machine.ettan("is-active web").code, 3);
    let status = machine.ettan("status").out;
    assert!(status.contains("these start along: "), "{status}");
}
