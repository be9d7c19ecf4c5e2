//! Reading the files again while a table is in force (`tests/FAULTS.md` 5.8): what is refused stays as it
//! was, what is gone goes.

mod common;

use std::fs;

use common::{PLAIN, Root, World, service, unit};
use ettan_core::{Catalog, Restart};

const STAYS: &str = "; the former definition stays in force until this is mended";

fn forking(path: &str) -> String {
    service(&format!("type = \"forking\"\npid-file = \"{path}\""))
}

/// Everything that is told of a unit but its place in the table.
fn shape(world: &World, name: &str) -> String {
    let (launch, needs) = (world.table().index_of(name), world.needs(name));
    let launch = launch.and_then(|index| world.table().launch(index));
    let launch = launch.map(|launch| {
        let ids = (launch.uid, launch.gid, launch.groups.collect::<Vec<_>>());
        let paths = (launch.pid_file, launch.tty_path, launch.working_directory);
        format!("{ids:?} {paths:?} {} {:?}", launch.umask, launch.description)
    });
    format!("{:?} {needs:?} {launch:?}", world.unit(name))
}

#[test]
fn f5_8_whatever_refuses_a_file_its_unit_stays_as_it_was() {
    let full = "[unit]\ndescription = \"Web\"\nrequires = [\"good\"]\nwants = [\"ghost\"]\n\
        after = [\"network\"]\n[service]\nexec-start = [\"/bin/true\", \"a b\"]\ntype = \"forking\"\n\
        pid-file = \"/run/a.pid\"\nuser = \"telldus\"\nrestart = \"on-failure\"\nrestart-sec = 7\n\
        umask = \"0077\"\n[service.environment]\nA = \"1\"\n";
    let root = Root::new();
    root.unit("a", full);
    root.unit("good", PLAIN);
    let before = root.load();
    let mut now = root.load_after(&before);
    let rubbish = ["[service\n", "", "[service]\nexec-strat = \"/bin/a\"\n"].map(str::to_string);
    let keys = ["user = \"nobody-at-all\"", "restart = 7", "type = \"dbus\""].map(service);
    for content in rubbish.iter().chain(&keys) {
        root.unit("a", content);
        // The second time, and every other, as the first.
        for _ in 0..2 {
            now = root.load_after(&now);
            assert_eq!(shape(&now, "a"), shape(&before, "a"));
            assert_eq!(now.argv("a"), ["/bin/true", "a b"]);
            assert_eq!(now.environment("a"), before.environment("a"));
            now.assert_says(STAYS);
            let told =
                now.table().messages().any(|m| m.unit == Some("a") && m.text.contains(STAYS));
            assert!(told, "{now}");
        }
    }
    let odd: [fn(&Root); 4] = [
        |root| root.mode("/etc/units/a.toml", 0o666),
        |root| root.unit("a", vec![b'#'; 65 * 1024]),
        |root| root.link("/etc/units/a.toml", "a.toml"),
        |root| {
            fs::remove_file(root.at("/etc/units/a.toml")).unwrap();
            fs::create_dir(root.at("/etc/units/a.toml")).unwrap();
        },
    ];
    for make in odd {
        make(&root);
        now = root.load_after(&now);
        assert_eq!(shape(&now, "a"), shape(&before, "a"));
        now.assert_says(STAYS);
    }
    // At boot there is nothing to keep.
    let boot = root.load();
    assert_eq!(boot.names(), ["good"]);
    assert!(!boot.to_string().contains(STAYS));
    fs::remove_dir(root.at("/etc/units/a.toml")).unwrap();
    root.unit("a", service("restart = \"no\""));
    let now = root.load_after(&now);
    now.assert_clean();
    assert_eq!(now.unit("a").restart, Restart::No);
}

#[test]
fn f5_9_what_is_gone_or_masked_goes_and_what_is_new_is_no_former_unit() {
    let root = Root::new();
    for name in ["gone", "masked", "stays"] {
        root.unit(name, PLAIN);
    }
    let before = root.load();
    fs::remove_file(root.at("/etc/units/gone.toml")).unwrap();
    root.link("/etc/units/masked.toml", "/dev/null");
    root.unit("new", "[");
    let now = root.load_after(&before);
    assert_eq!(now.names(), ["stays"]);
    assert!(!now.to_string().contains(STAYS), "{now}");
    // Broken only once it was gone: there is nothing to keep any more.
    root.unit("gone", "[");
    assert_eq!(root.load_after(&now).names(), ["stays"]);
}

#[test]
fn f5_8_others_see_a_kept_unit_as_they_did_before() {
    let root = Root::new();
    root.unit("a", unit("before = [\"b\"]\nafter = [\"c\"]"));
    root.unit("b", PLAIN);
    root.unit("c", PLAIN);
    root.unit("d", unit("requires = [\"a\"]"));
    let before = root.load();
    root.unit("a", "[");
    root.unit("e", unit("before = [\"a\"]"));
    let now = root.load_after(&before);
    assert_eq!(now.needs("a"), ["After c", "After e"]);
    assert_eq!(now.needs("b"), ["After a"]);
    assert_eq!(now.needs("d"), ["Requires a"]);
    assert_eq!(now.0.diagnostics.len(), 1, "{now}");
    // A cycle through a kept unit is told as well.
    root.unit("c", unit("after = [\"b\"]"));
    root.load_after(&now).assert_says("dependency cycle: ");
}

#[test]
fn f2_20_a_kept_unit_shares_its_pid_file_with_nobody() {
    let root = Root::new();
    root.unit("a", forking("/run/a.pid"));
    root.unit("b", forking("/run/b.pid"));
    let before = root.load();
    // Copied, and not all of it changed.
    root.unit("c", forking("/run/a.pid"));
    let now = root.load_after(&before);
    assert_eq!(now.names(), ["a", "b"]);
    now.assert_says("the same PID file as that of `c`: all of them are refused; the former");
    // The file of a broken unit is still its own: b must not take it, and stays where it was; so
    // c cannot have that of b.
    root.unit("a", "[");
    root.unit("b", forking("/run/a.pid"));
    root.unit("c", forking("/run/b.pid"));
    let now = root.load_after(&now);
    assert_eq!(now.names(), ["a", "b"]);
    assert_eq!(now.launch("a").pid_file, Some(c"/run/a.pid"));
    assert_eq!(now.launch("b").pid_file, Some(c"/run/b.pid"));
}

#[test]
fn f5_13_a_directory_that_cannot_be_read_decides_nothing() {
    let root = Root::new();
    root.unit("admin", PLAIN);
    root.unit("both", service("restart = \"on-failure\""));
    root.write("/run/units/passing.toml", PLAIN);
    root.write("/usr/lib/units/both.toml", PLAIN);
    root.write("/usr/lib/units/shipped.toml", PLAIN);
    let before = root.load();
    root.mode("/etc/units", 0o777);
    root.write("/run/units/new.toml", PLAIN);
    root.write("/run/units/passing.toml", service("restart = \"no\""));
    let now = root.load_after(&before);
    assert_eq!(now.names(), ["admin", "both", "new", "passing", "shipped"]);
    now.assert_says("/etc/units: error: the directory can be written by everybody");
    now.assert_says("; the units that it may have had stay as they were");
    for name in ["admin", "both", "passing", "shipped"] {
        assert_eq!(shape(&now, name), shape(&before, name));
    }
    // What an earlier directory says still counts.
    root.mode("/etc/units", 0o755);
    root.mode("/usr/lib/units", 0o777);
    root.unit("admin", service("restart = \"no\""));
    fs::remove_file(root.at("/run/units/new.toml")).unwrap();
    let now = root.load_after(&before);
    assert_eq!(now.names(), ["admin", "both", "passing", "shipped"]);
    assert_eq!(now.unit("admin").restart, Restart::No);
    assert_eq!(now.unit("passing").restart, Restart::No);
    // Without a former table there is nothing to say of it.
    assert!(!root.load().to_string().contains("stay as they were"));
}

#[test]
fn f5_2_what_is_kept_never_makes_the_table_too_large() {
    let root = Root::new();
    for n in 0..1_016 {
        root.unit(&format!("u{n:04}"), PLAIN);
    }
    let before = root.load();
    assert_eq!(before.table().len(), 1_016);
    for n in 0..1_016 {
        fs::remove_file(root.at(&format!("/etc/units/u{n:04}.toml"))).unwrap();
        root.write(&format!("/usr/lib/units/v{n:04}.toml"), PLAIN);
    }
    root.mode("/etc/units", 0o777);
    let now = root.load_after(&before);
    assert_eq!(now.table().len(), 1_016, "{now}");
}
