//! Drop-ins change a unit, templates make many of one, and each mistake has its place.

mod common;

use common::{PLAIN, Root, World, service};
use ettan_table::Extra;
use ettan_unit::{Asked, load_as_asked};
use std::fs;

#[test]
fn drop_ins_are_merged_in_the_order_of_their_names() {
    let root = Root::new();
    root.unit("a", service("user = \"telldus\"\nenvironment = { A = \"1\", B = \"1\" }"));
    root.write("/etc/units/a.toml.d/20-b.toml", "[service]\nenvironment = { B = \"3\" }\n");
    root.write("/usr/lib/units/a.toml.d/10-a.toml", "[service]\nuser = 0\numask = \"0077\"\n");
    root.write("/run/units/a.toml.d/15-c.toml", "[service.environment]\nB = \"2\"\nC = \"2\"\n");
    let world = root.load();
    world.assert_clean();
    let launch = world.launch("a");
    assert_eq!((launch.uid, launch.umask), (0, 0o077));
    let own: Vec<String> = world.environment("a").into_iter().skip(4).collect();
    assert_eq!(own, ["A=1", "C=2", "B=3"]);
    assert_eq!(world.argv("a"), ["/bin/true"]);
}

#[test]
fn a_drop_in_of_the_same_name_comes_from_one_directory_only() {
    let root = Root::new();
    root.write("/usr/lib/units/a.toml", PLAIN);
    root.write("/usr/lib/units/a.toml.d/10.toml", "[service]\numask = \"0001\"\n");
    root.write("/etc/units/a.toml.d/10.toml", "[service]\numask = \"0002\"\n");
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.launch("a").umask, 0o002);
    assert!(!world.unit("a").autostart, "a drop-in enables nothing");
    fs::remove_file(root.at("/etc/units/a.toml.d/10.toml")).unwrap();
    root.link("/etc/units/a.toml.d/10.toml", "/dev/null");
    assert_eq!(root.load().launch("a").umask, 0o022, "masked");
}

#[test]
fn a_mistake_in_a_drop_in_is_told_at_its_place() {
    let root = Root::new();
    root.unit("a", "\u{feff}[service]\nexec-start = \"/bin/true\"\n");
    root.write("/etc/units/a.toml.d/10.toml", "# fine\n[service]\nnice = 1\n");
    root.write("/etc/units/a.toml.d/20.toml", "[service]\n\nuser = \"nosuch\"\nexec-strat = 1\n");
    root.write("/etc/units/a.toml.d/30.toml", "[service\n");
    root.unit("good", PLAIN);
    let world = root.load();
    assert_eq!(world.names(), ["good"]);
    world.assert_says("/etc/units/a.toml.d/20.toml:3:8: error: unknown user `nosuch`");
    world.assert_says("/etc/units/a.toml.d/20.toml:4:1: error: unknown key `exec-strat`");
    let unknown = world.errors().into_iter().find(|d| d.message.contains("nosuch")).unwrap();
    let excerpt = unknown.place.as_ref().unwrap().excerpt();
    assert_eq!(excerpt, ("user = \"nosuch\"", 7..15));
    world.assert_says("/etc/units/a.toml.d/30.toml:1:");
    assert_eq!(world.errors().len(), 3, "{world}");
}

#[test]
fn a_unit_is_refused_rather_than_run_without_a_drop_in() {
    let root = Root::new();
    root.unit("a", PLAIN);
    root.unit("b", PLAIN);
    let before = root.load();
    root.write("/etc/units/a.toml.d/10.toml", "[service]\nnice = 1\n");
    root.mode("/etc/units/a.toml.d/10.toml", 0o666);
    let world = root.load();
    assert_eq!(world.names(), ["b"]);
    world.assert_says("a.toml.d/10.toml: error: the file can be written by everybody");
    let after = root.load_after(&before);
    assert_eq!(after.names(), ["a", "b"], "the former definition stays: {after}");
    root.mode("/etc/units/a.toml.d/10.toml", 0o644);
    root.mode("/etc/units/a.toml.d", 0o777);
    assert_eq!(root.load().names(), ["b"]);
}

#[test]
fn a_drop_in_for_nothing_is_warned_of() {
    let root = Root::new();
    root.write("/etc/units/ghost.toml.d/10.toml", "[service]\nnice = 1\n");
    let world = root.load();
    assert!(world.names().is_empty());
    world.assert_says("warning: there is no unit `ghost` that this could change");
}

#[test]
fn names_that_are_nearly_right_are_warned_of() {
    let root = Root::new();
    root.unit("good", PLAIN);
    root.write("/etc/units/api.service", "[Service]\n");
    root.write("/etc/units/good.toml.bak", "");
    root.write("/etc/units/good.toml.d/override.conf", "[service]\n");
    root.write("/etc/units/good.toml.d/10.toml~", "");
    root.write("/etc/units/good.service.d/10.toml", "[service]\n");
    let world = root.load();
    assert_eq!(world.names(), ["good"]);
    world.assert_says("/etc/units/api.service: warning: not read: the name of a unit file ends");
    world.assert_says("good.toml.d/override.conf: warning: not read: the name of a drop-in ends");
    world.assert_says("/etc/units/good.service.d: warning: not read: drop-ins are in a directory");
    assert_eq!(world.0.diagnostics.len(), 3, "{world}");
    (0..100).for_each(|number| root.write(&format!("/run/units/junk{number:03}"), ""));
    assert_eq!(root.load().0.diagnostics.len(), 3 + 16, "{world}");
}

const GETTY: &str = "[service]\nexec-start = [\"/sbin/getty\", \"%i\"]\ntty-path = \"/dev/%i\"\n";

#[test]
fn a_template_is_no_unit_and_a_link_makes_an_instance() {
    let root = Root::new();
    root.write("/usr/lib/units/getty@.toml", GETTY);
    root.link("/etc/units/getty@tty1.toml", "/usr/lib/units/getty@.toml");
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.names(), ["getty@tty1"]);
    assert!(world.unit("getty@tty1").autostart);
    assert_eq!(world.argv("getty@tty1"), ["/sbin/getty", "tty1"]);
    assert_eq!(world.launch("getty@tty1").tty_path, Some(c"/dev/tty1"));
}

#[test]
fn whoever_wants_an_instance_gets_it() {
    let root = Root::new();
    root.write("/usr/lib/units/getty@.toml", GETTY);
    root.unit(
        "a",
        "[unit]\nrequires = [\"getty@tty2\"]\nwants = [\"getty@tty3\"]\n".to_owned() + PLAIN,
    );
    root.write("/usr/lib/units/getty@.toml.d/10.toml", "[service]\nnice = 1\numask = \"0001\"\n");
    root.write("/etc/units/getty@tty3.toml.d/20.toml", "[service]\numask = \"0003\"\n");
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.names(), ["a", "getty@tty2", "getty@tty3"]);
    assert_eq!(world.needs("a"), ["Wants getty@tty3", "Requires getty@tty2"]);
    assert!(!world.unit("getty@tty2").autostart);
    assert_eq!(world.launch("getty@tty2").umask, 0o001);
    assert_eq!(world.launch("getty@tty3").umask, 0o003);
}

#[test]
fn a_file_of_its_own_comes_before_the_template() {
    let root = Root::new();
    root.write("/usr/lib/units/getty@.toml", GETTY);
    root.unit("getty@tty1", PLAIN);
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.argv("getty@tty1"), ["/bin/true"]);
}

#[test]
fn instances_of_a_template_that_is_refused_now_stay_as_they_were() {
    let root = Root::new();
    root.write("/usr/lib/units/getty@.toml", GETTY);
    root.unit("a", "[unit]\nwants = [\"getty@tty2\"]\n".to_owned() + PLAIN);
    let before = root.load();
    before.assert_clean();
    root.write("/usr/lib/units/getty@.toml", "[service]\nexec-strat = 1\n");
    let after = root.load_after(&before);
    assert_eq!(after.names(), ["a", "getty@tty2"], "{after}");
}

#[test]
fn a_drop_in_takes_rights_and_conditions_away() {
    let root = Root::new();
    root.write("/etc/group", "dialout:x:20:\nvideo:x:44:\n");
    let file = "[unit]\ncondition-path-exists = \"/nowhere\"\n[service]\n\
                exec-start = \"/bin/true\"\nuser = \"1\"\ngroup = \"1\"\nambient-capabilities = [\"CAP_NET_ADMIN\"]\n\
                supplementary-groups = [\"dialout\", \"video\"]\n";
    root.unit("web", file);
    let here = Asked::of(b"");
    let load = || World(load_as_asked(root.path(), None, &here));
    assert!(load().unit("web").skipped);
    let rights = |world: &World| {
        let launch = world.launch("web");
        let ambient = launch.extras.clone().any(|extra| matches!(extra, Extra::Ambient(_)));
        (launch.groups.count(), ambient)
    };
    assert_eq!(rights(&load()), (3, true));
    root.write(
        "/etc/units/web.toml.d/less.toml",
        "[unit]\ncondition-path-exists = []\n[service]\nambient-capabilities = []\n\
         supplementary-groups = [\"video\"]\n",
    );
    let world = load();
    assert!(!world.unit("web").skipped, "{world}");
    assert_eq!(rights(&world), (2, false));
}
