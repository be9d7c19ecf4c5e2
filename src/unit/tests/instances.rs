//! `instances` makes many units of one file: their names, their numbers, what their file's name
//! means to others, and what is told of them.

mod common;

use common::{PLAIN, Root, World, service, unit};
use std::fs;

const THREE: &str = "[service]\nexec-start = \"/bin/w %i %02i %p %n\"\ninstances = 3\n";

/// What a load says of one file `w` by itself.
#[track_caller]
fn said_of(content: &str) -> Vec<String> {
    let root = Root::new();
    root.unit("w", content);
    texts(&root.load())
}

fn texts(world: &World) -> Vec<String> {
    world.0.diagnostics.iter().map(ToString::to_string).collect()
}

/// One complaint, which contains these.
#[track_caller]
fn told_once(content: &str, parts: &[&str]) {
    let said = said_of(content);
    assert!(said.len() == 1 && parts.iter().all(|part| said[0].contains(part)), "{said:#?}");
}

/// Units that a load writes down to be stopped.
fn ended(world: &World) -> Vec<String> {
    world.table().ended().map(ToString::to_string).collect()
}

#[test]
fn a_file_becomes_as_many_units_as_it_says() {
    let root = Root::new();
    root.unit("w", THREE);
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.names(), ["w_00", "w_01", "w_02"]);
    assert_eq!(world.argv("w_01"), ["/bin/w", "1", "01", "w", "w_01"]);
    let table = world.table();
    let groups: Vec<_> = (0..3).map(|at| table.group(at)).collect();
    assert_eq!(groups, ["w", "w", "w"]);
    assert!(world.unit("w_02").autostart);
}

#[test]
fn one_instance_is_the_unit_itself() {
    let root = Root::new();
    root.unit("w", THREE.replace('3', "1"));
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.names(), ["w"]);
    assert_eq!(world.argv("w"), ["/bin/w", "0", "00", "w", "w"]);
    assert_eq!(world.table().group(0), "");
}

#[test]
fn every_number_has_its_digits() {
    let root = Root::new();
    root.unit("w", "[service]\nexec-start = \"/bin/w\"\ninstances = 128\n");
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.names().len(), 128);
    assert!(["w_00", "w_99", "w_100", "w_127"].map(|name| world.unit(name).autostart)[0]);
}

#[test]
fn the_file_says_what_they_are_called() {
    let root = Root::new();
    root.write("/etc/hostname", "pi\n");
    root.unit("w", format!("{THREE}instance-name = \"%H-%p.%i\"\n"));
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.names(), ["pi-w.0", "pi-w.1", "pi-w.2"]);
    assert_eq!(world.argv("pi-w.2"), ["/bin/w", "2", "02", "w", "pi-w.2"]);
}

#[test]
fn names_that_cannot_be_are_told_once() {
    let named = |name: &str| format!("{THREE}instance-name = \"{name}\"\n");
    told_once(&named("%p"), &["w.toml:4:17", "would be called `w`", "`%i`, or `%02i`"]);
    told_once(&named("a%%i"), &["would be called `a%i`"]);
    told_once(&named("%x%i"), &["unknown specifier `%x`"]);
    told_once(&named("a/%i"), &["`a/0` cannot be a unit's name"]);
    told_once(&named(&format!("{}%i", "x".repeat(64))), &["cannot be a unit's name"]);
    told_once(&named("w@%i"), &["`w@0` would be an instance of a template"]);
    told_once(&named("network:%i"), &["is a name of Ettan's own, or of a condition"]);
    told_once(&service("instance-name = \"%i\""), &["has no effect: there is only one"]);
    told_once(&service("instances = 0"), &["must be between 1 and 128"]);
    told_once(&service("instances = 129"), &["must be between 1 and 128"]);
    told_once(&service("instances = \"3\""), &["is not a whole number"]);
    told_once("[service]\ntype = \"target\"\ninstances = 3\n", &["`instances` in a target"]);
}

#[test]
fn a_name_of_another_is_told_with_both() {
    let root = Root::new();
    root.unit("w", THREE);
    root.unit("w_01", PLAIN);
    let world = root.load();
    assert_eq!(world.names(), ["w_01"], "{world}");
    world.assert_says(
        "w.toml:3:13: error: an instance of `w` has the name of the unit in \
         /etc/units/w_01.toml: `w_01` (`instance-name` says what they are called)",
    );
    assert_eq!(world.0.diagnostics.len(), 1, "{world}");

    let root = Root::new();
    root.unit("a", format!("{THREE}instance-name = \"x%i\"\n"));
    root.unit("b", format!("{THREE}instance-name = \"x%i\"\n"));
    root.unit("x7", "[service]\nexec-start = \"/bin/w\"\ninstances = 9\ninstance-name = \"x%i\"\n");
    let world = root.load();
    assert_eq!(world.names(), ["x0", "x1", "x2"], "{world}");
    world.assert_says("b.toml:4:17: error: an instance of `b` has the name of an instance of `a`");
    world
        .assert_says("x7.toml:4:17: error: an instance of `x7` has the name of an instance of `a`");
}

#[test]
fn a_template_has_links_instead() {
    let root = Root::new();
    root.write("/usr/lib/units/w@.toml", THREE);
    root.link("/etc/units/w@a.toml", "/usr/lib/units/w@.toml");
    let world = root.load();
    assert!(world.names().is_empty());
    world.assert_says("`instances` in `w@a`, which is of a template");
}

#[test]
fn there_are_never_more_units_than_there_is_room_for() {
    let root = Root::new();
    for number in 0..8 {
        root.unit(&format!("w{number}"), "[service]\nexec-start = \"/bin/w\"\ninstances = 125\n");
    }
    for number in 0..17 {
        root.unit(&format!("x{number}"), PLAIN);
    }
    let world = root.load();
    assert_eq!(world.names().len(), 7 * 125 + 17, "{world}");
    world.assert_says("w7.toml:3:13: error: there is room for 124 more units (at most 1016 units");
}

#[test]
fn drop_ins_and_directories_hold_for_all() {
    let root = Root::new();
    root.write("/usr/lib/units/w.toml", THREE);
    root.write("/etc/units/w.toml.d/10.toml", "[service]\numask = \"0077\"\ninstances = 2\n");
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.names(), ["w_00", "w_01"]);
    for name in ["w_00", "w_01"] {
        assert!(!world.unit(name).autostart);
        assert_eq!(world.launch(name).umask, 0o077);
    }
    root.link("/etc/units/w.toml", "/usr/lib/units/w.toml");
    assert!(root.load().unit("w_01").autostart, "enabled");
    root.link("/etc/units/w.toml", "/dev/null");
    assert!(root.load().names().is_empty(), "masked");
}

#[test]
fn one_of_them_can_be_masked() {
    let root = Root::new();
    root.unit("w", THREE);
    root.link("/etc/units/w_01.toml", "/dev/null");
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.names(), ["w_00", "w_02"]);
}

#[test]
fn the_name_of_the_file_means_all_of_them() {
    let root = Root::new();
    root.unit("w", unit("after = [\"z\"]").replace("[service]\n", "[service]\ninstances = 2\n"));
    root.unit("a", unit("after = [\"w\", \"network\"]\nwants = [\"w\"]"));
    root.unit("b", unit("requires = [\"w\"]\npart-of = [\"w\"]"));
    root.unit("c", unit("binds-to = [\"w\"]\non-failure = [\"w\"]"));
    root.unit("d", unit("conflicts = [\"w\"]\nbefore = [\"w\"]"));
    root.unit("z", PLAIN);
    let world = root.load();
    assert_eq!(
        world.needs("a"),
        ["After ?network", "After w_00", "After w_01", "Wants w_00", "Wants w_01"]
    );
    let both = |kinds: [&str; 2]| -> Vec<String> {
        kinds.iter().flat_map(|kind| [format!("{kind} w_00"), format!("{kind} w_01")]).collect()
    };
    assert_eq!(world.needs("b"), both(["Requires", "PartOf"]));
    assert_eq!(world.needs("c"), both(["BindsTo", "OnFailure"]));
    assert_eq!(world.needs("d"), ["Conflicts w_00", "Conflicts w_01"]);
    assert_eq!(world.needs("w_01"), ["After d", "After z"]);
    // Only the conflict is worth a word, and only one.
    let said = texts(&world);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("`d` and `w` conflict, and both start at boot"), "{said:#?}");
}

#[test]
fn what_is_wrong_is_told_once_and_of_the_file() {
    told_once(&format!("{THREE}exec-strat = 1\n"), &["w.toml:4:1: error: unknown key"]);
    told_once(&format!("{THREE}user = \"nosuch\"\n"), &["w.toml:4:8: error: unknown user"]);
    told_once(&format!("[unit]\nafter = [\"x\"]\n{THREE}"), &["unit `x` is not there"]);
    told_once(
        &format!("[unit]\nrequires = [\"x\"]\n{THREE}"),
        &["unit `x` is not there: `w` will fail to start"],
    );
    told_once(&format!("[unit]\nafter = [\"w\"]\n{THREE}"), &["`w` depends on itself: ignored"]);
    told_once(
        &format!("{THREE}type = \"forking\"\npid-file = \"/run/w.pid\"\n"),
        &["w.toml:5:12", "the same PID file for all instances of `w`", "with `%i` in it"],
    );
    assert_eq!(
        said_of(&format!("{THREE}type = \"forking\"\npid-file = \"/run/%n.pid\"\n")),
        [""; 0]
    );
    // What differs is told of each.
    let said = said_of(&format!("{THREE}environment-file = \"/etc/%n.env\"\n"));
    assert_eq!(said.len(), 3, "{said:#?}");
}

#[test]
fn an_instance_that_is_refused_leaves_the_others() {
    let root = Root::new();
    root.unit("w", format!("{THREE}environment-file = \"/etc/w%i\"\n"));
    root.unit("a", unit("requires = [\"w\"]"));
    for number in [0, 2] {
        root.write(&format!("/etc/w{number}"), "A=1\n");
    }
    let world = root.load();
    assert_eq!(world.names(), ["a", "w_00", "w_02"]);
    world.assert_says("unit `w_01` is refused, see its own message: `a` will fail to start");
    assert_eq!(world.needs("a"), ["Requires w_00", "Requires !w_01", "Requires w_02"]);
}

#[test]
fn a_refused_file_leaves_all_as_they_were() {
    let root = Root::new();
    root.unit("w", THREE);
    root.unit("a", unit("wants = [\"w\"]"));
    let before = root.load();
    root.unit("w", format!("{THREE}exec-strat = 1\n"));
    let world = root.load_after(&before);
    assert_eq!(world.names(), before.names());
    assert_eq!(world.needs("a"), ["Wants w_00", "Wants w_01", "Wants w_02"]);
    let said = texts(&world);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].ends_with("stays in force until this is mended (did you mean `exec-start`?)"));
    assert_eq!(ended(&world), [""; 0]);
    // And once more, from what was kept.
    assert_eq!(root.load_after(&world).names(), before.names());
}

#[test]
fn a_directory_that_cannot_be_read_leaves_all_as_they_were() {
    let root = Root::new();
    root.unit("w", THREE);
    let before = root.load();
    // What a later directory has is not asked.
    root.write("/usr/lib/units/w.toml", PLAIN);
    root.mode("/etc/units", 0o777);
    let world = root.load_after(&before);
    assert_eq!((world.names(), ended(&world)), (before.names(), Vec::new()));
    root.mode("/etc/units", 0o755);
    // What an earlier directory has is in force.
    root.mode("/usr/lib/units", 0o777);
    root.unit("w", THREE.replace('3', "2"));
    assert_eq!(root.load_after(&before).names(), ["w_00", "w_01"]);
}

#[test]
fn another_number_starts_some_or_ends_some_and_changes_none() {
    let root = Root::new();
    root.unit("w", THREE);
    let three = root.load();
    assert_eq!(ended(&three), [""; 0]);
    root.unit("w", THREE.replace('3', "2"));
    let two = root.load_after(&three);
    assert_eq!(
        (two.names(), ended(&two)),
        (vec!["w_00".into(), "w_01".into()], vec!["w_02".into()])
    );
    assert_eq!(two.unit("w_01").fingerprint, three.unit("w_01").fingerprint);
    assert_eq!(ended(&root.load_after(&two)), [""; 0], "that was said");
    root.unit("w", THREE.replace('3', "1"));
    let one = root.load_after(&two);
    assert_eq!((one.names(), ended(&one)), (vec!["w".into()], vec!["w_00".into(), "w_01".into()]));
    root.unit("w", THREE);
    assert_eq!(ended(&root.load_after(&one)), ["w"]);
    // A file that is gone may be a slip: what it made runs on.
    fs::remove_file(root.at("/etc/units/w.toml")).unwrap();
    assert_eq!(ended(&root.load_after(&three)), [""; 0]);
}

#[test]
fn an_alert_starts_one_unit() {
    let root = Root::new();
    root.unit("w", THREE);
    root.unit("a", format!("{PLAIN}[[log.route]]\nmatch = \"x\"\nalert = \"w\"\n"));
    root.load().assert_says("`w` has instances, and a line starts one unit (for example `w_00`)");
}
