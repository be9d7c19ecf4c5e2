//! What the kernel's command line asks of units: a boot without some, or without all.

mod common;

use std::fs;

use common::{PLAIN, Root, World, unit};
use ettan_unit::{Asked, load_as_asked};

/// What is loaded by a kernel that was started with these words.
fn loaded(root: &Root, former: Option<&World>, line: &str) -> World {
    let former = former.map(World::table);
    World(load_as_asked(root.path(), former, &Asked::of(line.as_bytes())))
}

#[test]
fn a_unit_is_off_for_this_boot_whatever_its_file_says() {
    let root = Root::new();
    root.unit("web", "no toml at all");
    root.unit("app", unit("wants = [\"db\", \"getty@tty1\"]"));
    root.write("/usr/lib/units/db.toml", PLAIN);
    root.write("/usr/lib/units/getty@.toml", PLAIN);
    let line = "quiet ettan.unit.web=off ettan.unit.db=off ettan.unit.getty@tty1=off";
    let now = loaded(&root, None, line);
    assert_eq!(now.names(), ["app"]);
    now.assert_says("/proc/cmdline: warning: `ettan.unit.web=off`: it is masked for this boot");
    now.assert_says("`ettan.unit.getty@tty1=off`: it is masked for this boot");
    assert!(now.errors().is_empty(), "{now}");
    // Also when units are read again, while it runs all the same.
    root.unit("web", PLAIN);
    let before = root.load();
    assert_eq!(before.names(), ["app", "db", "getty@tty1", "web"]);
    assert_eq!(loaded(&root, Some(&before), line).names(), ["app"]);
    let other = loaded(&root, None, "ettan.unit.wbe=off");
    other.assert_says("`ettan.unit.wbe=off`: there is no such unit");
    assert_eq!(other.names(), before.names());
}

#[test]
fn one_instance_of_a_file_is_off_or_all_of_them_are() {
    let root = Root::new();
    root.unit("w", format!("{PLAIN}instances = 3\n"));
    let one = loaded(&root, None, "ettan.unit.w_01=off");
    assert_eq!(one.names(), ["w_00", "w_02"]);
    one.assert_says("`ettan.unit.w_01=off`: it is masked for this boot");
    assert_eq!(one.0.diagnostics.len(), 1, "{one}");
    assert!(loaded(&root, None, "ettan.unit.w=off").names().is_empty());
}

#[test]
fn nothing_starts_by_itself_in_single_mode() {
    let root = Root::new();
    root.unit("web", PLAIN);
    root.unit("app", unit("wants = [\"web\"]"));
    assert!(loaded(&root, None, "quiet").unit("web").autostart);
    let single = loaded(&root, None, "root=/dev/mmcblk0p2 single");
    for name in ["web", "app"] {
        assert!(!single.unit(name).autostart, "{name}");
    }
    single.assert_says("`single`: no unit starts by itself in this boot");
}

#[test]
fn vendor_units_are_units() {
    let root = Root::new();
    let units = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../units/system");
    let mut names = Vec::new();
    for entry in fs::read_dir(units).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        root.write(&format!("/usr/lib/units/{name}.toml"), fs::read(&path).unwrap());
        names.extend(Some(name).filter(|name| !name.ends_with('@')));
    }
    names.sort();
    let all = root.load();
    all.assert_clean();
    assert_eq!(all.names(), names);
}

/// With or without `skipped`, and the message.
fn judged(root: &Root, condition: &str, line: &str) -> Option<String> {
    root.unit("web", format!("[unit]\n{condition}\n\n[service]\nexec-start = \"/bin/true\"\n"));
    let world = loaded(root, None, line);
    assert!(world.errors().is_empty(), "{world}");
    let said = world.0.diagnostics.iter().map(|d| d.message.clone()).next();
    assert_eq!(world.unit("web").skipped, said.is_some(), "{world}");
    // Nobody knows that here of another machine's root.
    assert!(!root.load().unit("web").skipped);
    said
}

#[test]
fn a_unit_that_is_not_for_this_machine_is_skipped_and_says_why() {
    let root = Root::new();
    root.write("/etc/camera", "");
    root.write("/sys/firmware/devicetree/base/model", "Raspberry Pi Zero W Rev 1.1\0");
    root.write(
        "/sys/firmware/devicetree/base/compatible",
        "raspberrypi,model-zero-w\0brcm,bcm2835\0",
    );
    std::os::unix::fs::symlink("nowhere", root.path().join("etc/dangling")).unwrap();
    let line = "root=/dev/mmcblk0p2 quiet -- camera";
    for holds in [
        "condition-path-exists = \"/etc/camera\"",
        "condition-path-exists = [\"/etc/camera\", \"!/etc/none\", \"!/etc/camera/below\"]",
        "condition-path-exists = \"!/etc/dangling\"",
        "condition-kernel-command-line = [\"quiet\", \"root\", \"root=/dev/mmcblk0p2\", \"!camera\"]",
        "condition-board = \"brcm,bcm2835\"",
        "condition-board = [\"pi zero\", \"!raspberrypi,4-model-b\"]",
    ] {
        assert_eq!(judged(&root, holds, line), None, "{holds}");
    }
    for (lacks, message) in [
        ("condition-path-exists = \"/etc/none\"", "skipped: /etc/none does not exist"),
        ("condition-path-exists = \"!/etc/camera\"", "skipped: /etc/camera exists"),
        (
            "condition-kernel-command-line = \"oot\"",
            "skipped: the kernel's command line has no word `oot`",
        ),
        (
            "condition-kernel-command-line = [\"quiet\", \"!root\"]",
            "skipped: the kernel's command line has the word `root`",
        ),
        ("condition-board = \"bcm2835\"", "skipped: the board is Raspberry Pi Zero W Rev 1.1"),
        ("condition-board = \"!Zero W\"", "skipped: the board is Raspberry Pi Zero W Rev 1.1"),
    ] {
        assert_eq!(judged(&root, lacks, line).as_deref(), Some(message), "{lacks}");
    }
    let elsewhere = Root::new();
    let said = judged(&elsewhere, "condition-board = \"zero\"", "");
    assert_eq!(said.as_deref(), Some("skipped: the board is unknown, without a device tree"));
}

#[test]
fn each_instance_of_a_template_asks_for_its_own_path() {
    let root = Root::new();
    let keys = "condition-path-exists = \"/etc/app/%i.conf\"\n\
         after = [\"path:/data/%i\", \"device:tty:%%%i\"]\nbinds-to = [\"network:%i:address\"]";
    root.unit("app@", format!("[unit]\n{keys}\n[service]\nexec-start = \"/bin/true\"\n"));
    root.write("/etc/app/eth0.conf", "");
    root.link("/etc/units/app@eth0.toml", "app@.toml");
    root.link("/etc/units/app@eth1.toml", "app@.toml");
    let world = loaded(&root, None, "");
    assert!(world.errors().is_empty(), "{world}");
    assert!(!world.unit("app@eth0").skipped);
    assert!(world.unit("app@eth1").skipped);
    world.assert_says("skipped: /etc/app/eth1.conf does not exist");
    let needs = world.needs("app@eth0").join(" ");
    for need in ["network:eth0:address", "path:/data/eth0", "device:tty:%eth0"] {
        assert!(needs.contains(need), "{needs}");
    }

    let usb =
        "[unit]\nbinds-to = [\"device:usb:1781:%i\"]\n[service]\nexec-start = \"/bin/true\"\n";
    root.unit("stick@", usb);
    root.link("/etc/units/stick@0c31.toml", "stick@.toml");
    assert!(loaded(&root, None, "").needs("stick@0c31").join(" ").contains("device:usb:1781:0c31"));
    root.link("/etc/units/stick@duo.toml", "stick@.toml");
    loaded(&root, None, "").assert_says("unknown condition `device:usb:1781:duo`");

    for key in ["condition-path-exists = \"/etc/%i\"", "after = [\"path:/data/%i\"]"] {
        root.unit("web", format!("[unit]\n{key}\n[service]\nexec-start = \"/bin/true\"\n"));
        loaded(&root, None, "").assert_says("`%i` in `web`, which is no instance");
    }
}

#[test]
fn a_condition_that_says_nothing_is_refused() {
    let root = Root::new();
    for (condition, message) in [
        ("condition-path-exists = \"camera\"", "`camera` is no absolute path"),
        ("condition-path-exists = \"!\"", "says nothing"),
        (
            "condition-kernel-command-line = \"quiet splash\"",
            "a word of the kernel's command line has no blanks",
        ),
        ("condition-board = 4", "an integer is not a list of text"),
        ("critical = \"yes\"", "a text is not true or false"),
    ] {
        root.unit("web", format!("[unit]\n{condition}\n[service]\nexec-start = \"/bin/true\"\n"));
        let world = root.load();
        assert!(world.names().is_empty(), "{condition}: {world}");
        world.assert_says(message);
    }
    root.unit("web", "[unit]\ncritical = true\n[service]\nexec-start = \"/bin/true\"\n");
    assert!(root.load().unit("web").critical);
}
