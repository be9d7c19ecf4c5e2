//! What files on the boot partition ask of units, written by whoever has the card in a laptop.

mod common;

use common::{PLAIN, Root, World, unit};
use ettan_unit::{Asked, Severity, load_as_asked, survey};

const CARD: &str = "/boot/firmware/ettan";

fn loaded(root: &Root, line: &str) -> World {
    World(load_as_asked(root.path(), None, &Asked::of(line.as_bytes()).with_files(root.path())))
}

/// A root with four units: `web` and `app` start at boot, `ssh` and `getty@` are shipped.
fn root(card: &str) -> Root {
    let root = Root::new();
    root.unit("web", PLAIN);
    root.unit("app", unit("wants = [\"web\"]"));
    root.write("/usr/lib/units/ssh.toml", PLAIN);
    root.write("/usr/lib/units/getty@.toml", PLAIN);
    root.write(&format!("{CARD}/rescue.toml"), card);
    root
}

/// The units that start by themselves.
fn starting(world: &World) -> Vec<String> {
    world.names().into_iter().filter(|name| world.unit(name).autostart).collect()
}

#[test]
fn units_are_off_or_on_whatever_their_files_say() {
    let root =
        root("[units]\nweb = \"off\"\nssh = \"on\"\n\"getty@ttyS0\" = true\nnobody = \"off\"\n");
    let now = loaded(&root, "");
    assert_eq!(now.names(), ["app", "getty@ttyS0", "ssh"]);
    assert_eq!(starting(&now), ["app", "getty@ttyS0", "ssh"]);
    now.assert_says(
        "/boot/firmware/ettan/rescue.toml:2:1: warning: `web = \"off\"`: it is masked for this boot",
    );
    now.assert_says("rescue.toml:3:1: warning: `ssh = \"on\"`: it starts in this boot");
    now.assert_says("rescue.toml:5:1: warning: `nobody = \"off\"`: there is no such unit");
    assert!(now.errors().is_empty(), "{now}");
    // Nobody asks that where nothing is booted.
    assert_eq!(root.load().names(), ["app", "ssh", "web"]);
}

#[test]
fn what_is_on_is_masked_by_nobody_but_the_kernels_command_line() {
    let root = root("units.ssh = \"on\"\nunits.web = \"on\"\n");
    root.link("/etc/units/ssh.toml", "/dev/null");
    let now = loaded(&root, "ettan.unit.web=off");
    assert_eq!(starting(&now), ["app", "ssh"]);
    now.assert_says("/proc/cmdline: warning: `ettan.unit.web=off`: it is masked for this boot");
    // Refused, or not there: it is said.
    root.mode("/usr/lib/units/ssh.toml", 0o666);
    loaded(&root, "").assert_says("`ssh = \"on\"`: it cannot start, its file is refused");
    std::fs::remove_file(root.at("/usr/lib/units/ssh.toml")).unwrap();
    loaded(&root, "").assert_says("`ssh = \"on\"`: there is no such unit");
}

#[test]
fn in_rescue_nothing_starts_but_what_is_on() {
    let root = root("rescue = true\n[units]\nssh = \"on\"\n");
    let now = loaded(&root, "");
    assert_eq!(now.names(), ["app", "ssh", "web"]);
    assert_eq!(starting(&now), ["ssh"]);
    now.assert_says(
        "rescue.toml:1:1: warning: `rescue = true`: no unit starts by itself in this boot but those",
    );
    root.write(&format!("{CARD}/rescue.toml"), "rescue = true\n");
    assert!(starting(&loaded(&root, "")).is_empty());
    root.write(&format!("{CARD}/rescue.toml"), "rescue = false\n");
    assert_eq!(starting(&loaded(&root, "")), ["app", "web"]);
    assert!(starting(&loaded(&root, "single")).is_empty());
}

#[test]
fn what_is_on_in_a_rescue_brings_along_what_it_waits_for() {
    let root = root("rescue = true\nunits.ssh = \"on\"\nunits.blocked = \"off\"\n");
    for (name, keys) in [
        ("early", "before = [\"keys\"]"),
        ("keys", ""),
        ("blocked", ""),
        ("other", "after = [\"ssh\"]"),
        ("dhcp@eth0", ""),
        ("brake", ""),
        ("group", "instances = 2"),
    ] {
        let text = if keys == "instances = 2" { format!("{PLAIN}{keys}\n") } else { unit(keys) };
        root.unit(name, text);
    }
    for (name, keys) in [("lazy", ""), ("ifup", ""), ("helper", "after = [\"web\"]")] {
        root.write(&format!("/usr/lib/units/{name}.toml"), unit(keys));
    }
    let keys = "after = [\"keys\", \"lazy\", \"blocked\", \"group\", \"device:tty:x\"]\nwants = [\"helper\"]";
    root.write("/usr/lib/units/ssh.toml", unit(keys));
    let now = loaded(&root, "");
    // `helper` starts with ssh as it always does, and is after web; lazy and ifup are not enabled.
    let up = ["dhcp@eth0", "early", "group_00", "group_01", "keys", "ssh", "web"];
    assert_eq!(starting(&now), up, "{now}");
    now.assert_says("note: `rescue = true`: these start along: dhcp@eth0, early, group_00");
    // With nothing on nothing does.
    root.write(&format!("{CARD}/rescue.toml"), "rescue = true\n");
    assert!(starting(&loaded(&root, "")).is_empty());
    assert!(loaded(&root, "").table().is_rescue() && loaded(&root, "single").table().is_rescue());
}

#[test]
fn variables_of_the_card_come_last() {
    let root = root(
        "[environment]\nTZ = \"Europe/Stockholm\"\n\n[environment.web]\nLEVEL = \"100 % = a\"\n\
         [environment.w]\nCOUNT = \"yes\"\n[environment.\"getty@\"]\nTERM = \"vt100\"\n\
         [environment.nobody]\nX = \"1\"\n",
    );
    root.unit("web", format!("{PLAIN}environment.LEVEL = \"info\"\nenvironment.OWN = \"1\"\n"));
    root.unit("w", format!("{PLAIN}instances = 2\n"));
    root.link("/etc/units/getty@tty1.toml", "/usr/lib/units/getty@.toml");
    let now = loaded(&root, "");
    let has =
        |unit: &str, variable: &str| now.environment(unit).iter().any(|known| known == variable);
    for name in now.names() {
        assert!(has(&name, "TZ=Europe/Stockholm"), "{name}");
    }
    assert!(has("web", "LEVEL=100 % = a") && has("web", "OWN=1") && !has("web", "LEVEL=info"));
    assert!(has("w_00", "COUNT=yes") && has("w_01", "COUNT=yes") && !has("web", "COUNT=yes"));
    assert!(has("getty@tty1", "TERM=vt100"));
    now.assert_says("rescue.toml:5:1: note: `LEVEL`: set for web");
    now.assert_says("warning: `X`: there is no such unit");
    assert!(!now.to_string().contains("Stockholm"), "values are not shown: {now}");
}

#[test]
fn a_line_that_is_wrong_counts_for_nothing_and_the_others_count() {
    for (card, place, message) in [
        (
            "units.web = \"off\"\nunit.app = \"off\"\n",
            "2:1",
            "unknown key `unit` (did you mean `units`?)",
        ),
        ("units.web = \"off\"\nrescue = \"yes\"\n", "2:10", "a text is not true or false"),
        ("units.web = \"off\"\nunits.app = \"of\"\n", "2:13", "`of` is not \"on\" or \"off\""),
        ("units.web = \"off\"\nunits.app.service = \"off\"\n", "2:7", "a name with a dot in it"),
        ("units.web = \"off\"\nunits.\"a/b\" = \"off\"\n", "2:7", "`a/b` cannot be a unit's name"),
        ("units.web = \"off\"\nunits.app = off\n", "2:13", ""),
        ("units.web = \"off\"\nenvironment.app.X = 1\n", "2:17", "put it in quotes"),
        (
            "units.web = \"off\"\nenvironment.\"A=B\" = \"1\"\n",
            "2:13",
            "cannot be a variable's name",
        ),
        (
            "units.web = \"off\"\nenvironment = \"A=1\"\n",
            "2:1",
            "`environment` is a table, not a text",
        ),
    ] {
        let root = root(card);
        let now = loaded(&root, "");
        assert_eq!(now.names(), ["app", "ssh"], "{card}: {now}");
        let errors = now.errors();
        assert_eq!(errors.len(), 1, "{card}: {now}");
        let said = errors.first().unwrap().to_string();
        let begins = format!("{CARD}/rescue.toml:{place}: error: ");
        assert!(said.starts_with(&begins) && said.contains(message), "{card}: {said}");
        // `ettan check` finds it as well, and takes it for nothing else.
        let survey = survey(root.path(), &[]);
        assert_eq!(survey.units.len(), 3);
        let found = survey.diagnostics.iter().filter(|d| d.severity == Severity::Error);
        assert_eq!(found.map(ToString::to_string).collect::<Vec<_>>(), [said]);
    }
}

#[test]
fn files_may_be_as_any_system_writes_them() {
    let root = Root::new();
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        root.unit(name, PLAIN);
    }
    root.write("/boot/ettan/RESCUE~1.TOM", "units.a = \"off\"\r\nunits.e = \"on\"\r\n");
    root.write("/boot/ettan/notepad.toml.txt", "\u{feff}[Units]\r\n[units]\r\nb = \"OFF\"\r\n");
    root.write("/boot/ettan/Z.Toml", "units.c = false\nunits.e = \"off\"\n");
    // Left behind by other systems, and no business of ours.
    root.write("/boot/ettan/._Z.Toml", "\0\x05\x16\x07");
    root.write("/boot/ettan/readme.txt", "units.d = \"off\"");
    root.write("/boot/ettan/utf16.toml", b"\xff\xfeu\0n\0i\0t\0s\0");
    root.write("/boot/ettan/huge.toml", " ".repeat(70_000));
    let now = loaded(&root, "");
    // Of two wishes the last counts, by the names of the files.
    assert_eq!(now.names(), ["d", "f", "g"]);
    now.assert_says("/boot/ettan/notepad.toml.txt:1:2: error: unknown key `Units`");
    now.assert_says("utf16.toml:1:1: error: the file is not UTF-8 from here on (is it UTF-16?");
    now.assert_says("huge.toml: error: longer than 64 KiB: refused");
    assert_eq!(now.errors().len(), 3, "{now}");
    // Where a newer system mounts it comes first, and what was copied from it last.
    root.write("/run/ettan/boot/x.toml", "units.f = \"off\"\n");
    assert_eq!(loaded(&root, "").names(), ["d", "f", "g"]);
    root.write(&format!("{CARD}/x.toml"), "units.g = \"off\"\n");
    assert_eq!(loaded(&root, "").names(), ["a", "b", "c", "d", "e", "f"]);
}

#[test]
fn what_everybody_could_have_written_is_not_believed() {
    let root = root("units.web = \"off\"\n");
    root.mode(CARD, 0o777);
    let now = loaded(&root, "");
    assert_eq!(starting(&now), ["app", "web"]);
    now.assert_says("can be written by everybody (mode 0777): no file in it is used");
    root.mode(CARD, 0o755);
    root.mode(&format!("{CARD}/rescue.toml"), 0o666);
    loaded(&root, "").assert_says("(mode 0666): refused");
}

#[test]
fn the_example_is_right() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../units/boot/rescue.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let root = root(&text);
    let as_shipped = loaded(&root, "");
    as_shipped.assert_clean();
    assert_eq!(starting(&as_shipped), ["app", "web"]);
    assert!(!as_shipped.table().is_rescue());
    // With its comment signs taken away, as whoever needs it does, on a box that is as Buildroot makes it.
    let bare = |line: &'_ str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        Some(_) | None => line.to_owned(),
    };
    let all: Vec<_> = text.lines().map(bare).collect();
    root.write(&format!("{CARD}/rescue.toml"), all.join("\r\n"));
    root.unit("gateway", unit("after = [\"network\"]"));
    root.unit("dropbear", unit("after = [\"seed\", \"ifup\", \"network\"]"));
    let duties = ["root", "mounts", "seed", "devices", "hotplug", "ifup"];
    let after = ["", "root", "mounts", "mounts", "devices", "hotplug"];
    for (duty, after) in duties.iter().zip(after) {
        let after = if after.is_empty() { String::new() } else { format!("after = [\"{after}\"]") };
        root.write(&format!("/usr/lib/units/{duty}.toml"), unit(&after));
        root.link(&format!("/etc/units/{duty}.toml"), &format!("/usr/lib/units/{duty}.toml"));
    }
    root.write("/sys/class/tty/console/active", "tty1 ttyAMA0\n");
    let all = loaded(&root, "");
    assert!(all.errors().is_empty(), "{all}");
    all.assert_says("`rescue = true`");
    let up = ["devices", "dropbear", "getty@tty1", "hotplug", "ifup", "mounts", "root", "seed"];
    assert_eq!(starting(&all), up);
    all.assert_says("these start along: devices, hotplug, ifup, mounts, root, seed");
    assert!(all.table().is_rescue());
    // A login has that terminal.
    root.write("/sys/class/tty/console/active", "ttyAMA0 tty0\n");
    assert!(!loaded(&root, "").table().is_rescue());
}
