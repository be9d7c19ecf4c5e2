//! Faults F5 and 2.20: what is wrong with files, and that everything else still loads.

mod common;

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;

use common::{PLAIN, Root, World, service, unit};
use ettan_core::Catalog;

/// `content` as unit `a` beside a good one: refused, with `text` said, and alone in that.
#[track_caller]
fn refused(content: impl AsRef<[u8]>, text: &str) -> World {
    let root = Root::new();
    root.unit("a", content);
    root.unit("good", PLAIN);
    let world = root.load();
    assert_eq!(world.names(), ["good"], "{world}");
    world.assert_says(text);
    assert!(world.table().messages().any(|m| m.unit == Some("a")), "status can tell");
    world
}

#[test]
fn f5_1_what_is_not_toml_is_refused_with_its_place() {
    let cases: [(&[u8], &str); 18] = [
        (b"[service\n", "a.toml:1:9: error:"),
        (b"[service]\nexec-start = \"/bin/a\n", "a.toml:2:"),
        (b"[service]\nexec-start\n", "a.toml:2:"),
        (b"[service]\nexec-start = \n", "a.toml:2:"),
        (b"= 1\n", "a.toml:1:"),
        (b"[service]\nexec-start = \"/bin/a\" user = 1\n", "a.toml:2:"),
        (b"[service]\nuser = \"a\"\nuser = \"b\"\n", "a.toml:3:1: error: duplicate key"),
        (b"[service]\n[unit]\n[service]\n", "a.toml:3:"),
        (b"[service]\nexec-start = \"\\q\"\n", "a.toml:2:"),
        (b"[service]\nkill-signal = 0_9_\n", "a.toml:2:"),
        (b"[service]\nx = 1 # \x07\n", "a.toml:2:"),
        (b"\xff[service]\n", "a.toml:1:1: error: the file is not UTF-8"),
        (b"[service]\nuser = \"\xc3\x28\"\n", "a.toml:2:9: error: the file is not UTF-8"),
        (b"\xff\xfe[\0s\0", "is it UTF-16?"),
        (b"[service]\nuser = \"a\0\"\n", "a.toml:2:10: error: the file holds a NUL"),
        (b"[service]\rexec-start = \"/bin/a\"\r", "a.toml:1:"),
        (b"[service]\n\xef\xbb\xbfexec-start = \"/bin/a\"\n", "a.toml:2:"),
        (b"[[service]]\nexec-start = \"/bin/a\"\n", "`service` is a table, not a list"),
    ];
    for (content, text) in cases {
        refused(content, text);
    }
}

#[test]
fn f5_1_carriage_returns_and_a_leading_mark_are_toml() {
    let root = Root::new();
    root.unit("a", b"\xef\xbb\xbf[service]\r\nexec-start = \"/bin/a\"\r\n");
    root.unit("b", b"\xef\xbb\xbf[service]\r\nexec-start = \"/bin/a\"\r\nusr = 1\r\n");
    let world = root.load();
    assert_eq!(world.names(), ["a"]);
    world.assert_says("b.toml:3:1: error: unknown key `usr` in [service] (did you mean `user`?)");
}

#[test]
fn f5_1_unknown_keys_get_a_hint() {
    let line = "/etc/units/a.toml:7:1: error: unknown key `exec-strat` in [service] \
        (did you mean `exec-start`?)";
    let world = refused(
        "[service]\nuser = \"root\"\n\n# comment\n\n\nexec-strat = \"/usr/bin/web\"\n",
        line,
    );
    assert!(world.table().diagnostics().any(|text| text == line), "{world}");
    assert_eq!(world.errors().len(), 1, "a typo is one mistake: {world}");
    refused(service("ExecStop = \"x\""), "did you mean `exec-stop`?");
    refused(service("after = [\"x\"]"), "`after` belongs in [unit]");
    refused("exec-start = \"/bin/a\"\n", "`exec-start` belongs in [service]");
    refused(format!("{PLAIN}[Unit]\n"), "did you mean [unit]?");
    refused(format!("{PLAIN}[services]\n"), "unknown table [services]");
    refused(format!("{PLAIN}[banana]\n"), "a unit has [unit] and [service]");
    refused("service = 5\n", "`service` is a table, not an integer");
    refused("colour = 5\n", "unknown key `colour` outside of a table");
    refused(service("exec-start.x = 1"), "a.toml:3:");
}

#[test]
fn f5_1_all_errors_of_all_files_come_at_once() {
    let root = Root::new();
    root.unit("a", service("user = 1.5\nusr = 1\nkill-signal = \"X\""));
    root.unit("b", unit("after = 5\nbanana = 1"));
    root.unit("c", "[service]\nexec-start = \"/bin/a\nrestrat = 1\n");
    let world = root.load();
    let places: Vec<String> = world
        .errors()
        .iter()
        .map(|d| d.to_string().split(" error").next().unwrap().into())
        .collect();
    assert_eq!(
        places,
        [
            "/etc/units/a.toml:3:8:",
            "/etc/units/a.toml:4:1:",
            "/etc/units/a.toml:5:15:",
            "/etc/units/b.toml:2:9:",
            "/etc/units/b.toml:3:1:",
            "/etc/units/c.toml:2:21:",
            "/etc/units/c.toml:3:1:",
        ],
        "{world}"
    );
}

#[test]
fn f5_1_tables_of_other_tools_are_ignored() {
    let root = Root::new();
    root.unit(
        "a",
        format!("[x-vendor]\nanything = [1, {{ a = 2 }}]\n{PLAIN}[service.x-mine]\nb = 1\n"),
    );
    root.load().assert_clean();
}

#[test]
fn f5_1_a_file_full_of_errors_says_so_and_stops() {
    let many: String = (0..3000).map(|n| format!("banana{n} = 1\n")).collect();
    let world = refused(service(&many), "more errors are not shown");
    assert!(world.0.diagnostics.len() < 30);
}

#[test]
fn f5_2_large_files_and_many_files_are_bounded() {
    refused(format!("{PLAIN}# {}", "x".repeat(64 * 1024)), "longer than 64 KiB: refused");
    let root = Root::new();
    root.unit("a", format!("{PLAIN}description = \"{}\"\n", "x".repeat(60_000)));
    root.unit("b", format!("{PLAIN}# {}\n", "x".repeat(60_000)));
    let world = root.load();
    assert_eq!(world.names(), ["b"]);
    let longest = world.0.diagnostics.iter().map(|d| d.to_string().len()).max();
    assert!(longest < Some(1_000), "{longest:?}");
    let root = Root::new();
    for n in 0..1_100 {
        root.unit(&format!("u{n:04}"), PLAIN);
    }
    let world = root.load();
    assert_eq!(world.table().len(), 1_016);
    world.assert_says("/etc/units/u1016.toml: error: 84 files from here on are not used");
    assert_eq!(world.0.diagnostics.len(), 1, "{world}");
}

#[test]
fn f5_2_names_are_bounded() {
    let root = Root::new();
    root.unit(&"n".repeat(64), PLAIN);
    for name in [&"n".repeat(65), "a b", "ä", "@", "@a"] {
        root.unit(name, PLAIN);
    }
    root.unit("ettan-log", PLAIN);
    root.unit("network-online.target", PLAIN);
    root.write("/etc/units/.hidden.toml", "nonsense");
    root.write("/etc/units/README", "nonsense");
    root.write("/etc/units/a.toml.bak", "nonsense");
    let world = root.load();
    assert_eq!(world.names(), ["n".repeat(64)]);
    assert_eq!(world.errors().len(), 7, "{world}");
    world.assert_says("the file's name cannot be a unit's");
    world.assert_says("a template has a name in front of the `@`");
    world.assert_says("a unit or a log of Ettan's own");
    world.assert_says("is a name of the condition `network`");
}

#[test]
fn f5_3_deep_nesting_is_an_error() {
    let dotted = vec!["a"; 300].join(".");
    refused(service(&format!("x = {}1{}", "[".repeat(300), "]".repeat(300))), "a.toml:3:");
    refused(service(&format!("x = {}1{}", "{a=".repeat(300), "}".repeat(300))), "a.toml:3:");
    refused(format!("{PLAIN}[{dotted}]\n"), "error:");
    refused(service(&format!("{dotted} = 1")), "error:");
    refused("[".repeat(60_000), "error:");
    refused(format!("x = {}", "[".repeat(60_000)), "error:");
    refused(format!("x = {}", "{a=".repeat(20_000)), "error:");
}

#[test]
fn f5_4_a_cycle_is_named_whole_and_breaks_nothing_else() {
    let root = Root::new();
    root.unit("a", unit("after = [\"b\"]"));
    root.unit("b", unit("requires = [\"c\"]"));
    root.unit("c", unit("requires = [\"d\"]"));
    root.unit("d", unit("before = [\"x\"]\nrequires = [\"a\"]"));
    root.unit("x", PLAIN);
    let world = root.load();
    assert_eq!(world.names().len(), 5);
    world.assert_says("dependency cycle: a → b → c → d → a");
    world.assert_says("broken here: `a` does not wait for `b`");
    world.assert_says("/etc/units/a.toml:2:10: warning");
    assert_eq!(world.0.diagnostics.len(), 1);
    assert_eq!(world.0.diagnostics, root.load().0.diagnostics, "the same every time");
}

#[test]
fn f5_4_self_dependency_and_a_cycle_by_before_are_told() {
    let root = Root::new();
    root.unit("a", unit("after = [\"a\"]\nrequires = [\"a\"]"));
    root.unit("b", unit("before = [\"c\"]"));
    root.unit("c", unit("before = [\"b\"]"));
    let world = root.load();
    world.assert_says("a.toml:2:10: warning: `a` depends on itself: ignored");
    world.assert_says("a.toml:3:13: warning: `a` depends on itself: ignored");
    assert_eq!(world.needs("a"), [""; 0]);
    world.assert_says("c.toml:2:11: warning: dependency cycle: b → c → b");
    assert_eq!(world.needs("b"), ["After c"], "PID 1 breaks it the same way");
}

#[test]
fn f5_4_a_cycle_through_everything_is_found() {
    let root = Root::new();
    for n in 0..200 {
        let next = (n + 1) % 200;
        root.unit(&format!("u{n:03}"), unit(&format!("after = [\"u{next:03}\"]")));
    }
    let world = root.load();
    assert_eq!(world.table().len(), 200);
    let cycle = world.0.diagnostics.iter().find(|d| d.message.starts_with("dependency cycle"));
    assert!(cycle.is_some_and(|d| (0..200).all(|n| d.message.contains(&format!("u{n:03}")))));
}

#[test]
fn f5_5_a_missing_dependency_matters_only_when_required() {
    let root = Root::new();
    root.unit("a", unit("after = [\"web.service\"]\nwants = [\"wbe\"]\nbefore = [\"ghost\"]"));
    root.unit("b", unit("requires = [\"ghost\"]"));
    root.unit("web", PLAIN);
    root.unit("bad", "nonsense");
    root.unit("c", unit("requires = [\"bad\", \"masked\"]"));
    root.link("/etc/units/masked.toml", "/dev/null");
    let world = root.load();
    assert_eq!(world.names(), ["a", "b", "c", "web"]);
    assert_eq!(world.needs("b"), ["Requires !ghost"]);
    assert_eq!(world.needs("c"), ["Requires !bad", "Requires !masked"]);
    world
        .assert_says("a.toml:2:10: warning: unit `web.service` is not there: the order is ignored");
    world.assert_says("did you mean `web`?");
    world.assert_says("warning: unit `wbe` is not there: the wish is ignored");
    world.assert_says("warning: unit `ghost` is not there: the order is ignored");
    world.assert_says("error: unit `ghost` is not there: `b` will fail to start");
    world.assert_says("error: unit `bad` is refused, see its own message: `c` will fail");
    world.assert_says("error: unit `masked` is masked");
}

#[test]
fn f5_6_one_name_in_many_places_has_a_fixed_winner() {
    let root = Root::new();
    let from = |place: &str| format!("[service]\nexec-start = \"/bin/{place}\"\n");
    for (place, directory) in
        [("etc", "/etc/units"), ("run", "/run/units"), ("lib", "/usr/lib/units")]
    {
        root.write(&format!("{directory}/a.toml"), from(place));
    }
    root.write("/run/units/b.toml", from("run"));
    root.write("/usr/lib/units/b.toml", from("lib"));
    root.write("/usr/lib/units/c.toml", from("lib"));
    root.write("/usr/lib/units/d.toml", from("lib"));
    root.link("/etc/units/d.toml", "/usr/lib/units/d.toml");
    root.link("/etc/units/e.toml", "../../usr/lib/units/d.toml");
    root.unit("C", PLAIN);
    let world = root.load();
    assert_eq!(world.names(), ["C", "a", "b", "c", "d", "e"]);
    let programs = ["a", "b", "c", "d", "e"].map(|name| world.argv(name).concat());
    assert_eq!(programs, ["/bin/etc", "/bin/run", "/bin/lib", "/bin/lib", "/bin/lib"]);
    let starts = ["a", "b", "c", "d", "e"].map(|name| world.unit(name).autostart);
    assert_eq!(starts, [true, true, false, true, true]);
    assert_eq!(world.0.diagnostics.len(), 4, "{world}");
    world.assert_says("/run/units/a.toml: warning: not used: /etc/units/a.toml comes first");
    world.assert_says("/usr/lib/units/b.toml: warning: not used: /run/units/b.toml comes first");
    world.assert_says("`c` and `C` differ in upper and lower case only");
}

#[test]
fn f5_6_a_bad_file_does_not_let_the_next_one_through() {
    let root = Root::new();
    root.unit("a", "nonsense");
    root.write("/usr/lib/units/a.toml", PLAIN);
    root.link("/etc/units/m.toml", "/dev/null");
    root.write("/usr/lib/units/m.toml", PLAIN);
    let world = root.load();
    assert_eq!(world.names(), [""; 0], "{world}");
}

#[test]
fn f5_7_what_is_no_regular_file_is_skipped_at_once() {
    let root = Root::new();
    root.unit("good", PLAIN);
    root.link("/etc/units/loop.toml", "loop.toml");
    root.link("/etc/units/gone.toml", "/nowhere.toml");
    root.link("/etc/units/outside.toml", "../../../../../../etc/hostname.toml");
    root.link("/etc/units/masked.toml", "/dev/null");
    fs::create_dir(root.at("/etc/units/dir.toml")).unwrap();
    let _socket = UnixListener::bind(root.at("/etc/units/socket.toml")).unwrap();
    let fifo = Command::new("mkfifo").arg(root.at("/etc/units/fifo.toml")).status().unwrap();
    assert!(fifo.success());
    root.link("/etc/units/to-fifo.toml", "fifo.toml");
    // Needs root; where that is missing the rest still proves the rest.
    let device = root.at("/etc/units/device.toml");
    let made = Command::new("mknod").arg(device).args(["c", "1", "5"]).output().unwrap();
    let world = root.load();
    assert_eq!(world.names(), ["good"], "{world}");
    world.assert_says("loop.toml: error: cannot be read: too many levels of symbolic links");
    world.assert_says("gone.toml: error: cannot be read: no such file or directory");
    world.assert_says("outside.toml: error: cannot be read");
    world.assert_says("/etc/units/dir.toml: error: a directory, not a regular file: skipped");
    world.assert_says("/etc/units/socket.toml: error: a socket, not a regular file: skipped");
    world.assert_says("/etc/units/fifo.toml: error: a FIFO, not a regular file: skipped");
    world.assert_says("/etc/units/to-fifo.toml: error: a FIFO");
    if made.status.success() {
        world.assert_says("/etc/units/device.toml: error: a device, not a regular file: skipped");
    }
    assert!(!world.to_string().contains("masked"), "a mask is no mistake: {world}");
}

#[test]
fn f5_13_a_missing_directory_hides_nothing_else() {
    let root = Root::new();
    fs::remove_dir(root.at("/etc/units")).unwrap();
    fs::remove_dir(root.at("/run/units")).unwrap();
    root.write("/usr/lib/units/a.toml", PLAIN);
    let world = root.load();
    assert_eq!(world.names(), ["a"]);
    world.assert_says("/etc/units: warning: no such directory");
    assert_eq!(world.0.diagnostics.len(), 1);
    root.write("/etc/units", "a file");
    let world = root.load();
    assert_eq!(world.names(), ["a"]);
    world.assert_says("/etc/units: error: cannot be read: not a directory");
    let nothing = Root::new();
    fs::remove_dir_all(nothing.path()).unwrap();
    assert!(nothing.load().table().is_empty());
}

#[test]
fn f5_14_what_others_can_write_is_refused() {
    let root = Root::new();
    root.unit("good", PLAIN);
    root.unit("group", PLAIN);
    root.mode("/etc/units/group.toml", 0o664);
    root.unit("world", PLAIN);
    root.mode("/etc/units/world.toml", 0o646);
    root.write("/usr/lib/units/shipped.toml", PLAIN);
    root.mode("/usr/lib/units", 0o777);
    root.write("/tmp/evil.toml", PLAIN);
    root.mode("/tmp", 0o1777);
    root.link("/etc/units/evil.toml", "/tmp/evil.toml");
    let world = root.load();
    assert_eq!(world.names(), ["good"]);
    world.assert_says(
        "group.toml: error: the file can be written by its group (mode 0664): refused",
    );
    world.assert_says(
        "world.toml: error: the file can be written by everybody (mode 0646): refused",
    );
    world.assert_says("/usr/lib/units: error: the directory can be written by everybody");
    world.assert_says("evil.toml: error: /tmp, where this link leads, can be written by everybody");
    let moved = "move the file to a folder of root's";
    assert!(world.errors().iter().any(|error| error.hint.as_deref() == Some(moved)), "{world}");
    let stranger = root.at("/etc/units/good.toml");
    if std::os::unix::fs::chown(stranger, Some(12_345), None).is_ok() {
        let world = root.load();
        assert_eq!(world.names(), [""; 0]);
        world.assert_says("good.toml: error: the file belongs to user 12345, not to root: refused");
    }
}

#[test]
fn f2_20_two_units_never_share_a_pid_file() {
    let root = Root::new();
    let forking = |path: &str| service(&format!("type = \"forking\"\npid-file = \"{path}\""));
    fs::create_dir(root.at("/var")).unwrap();
    root.link("/var/run", "/run");
    root.unit("a", forking("/run/x.pid"));
    root.unit("b", forking("/var/run/./x.pid"));
    root.unit("c", forking("/run/%n.pid"));
    root.unit("d", unit("requires = [\"a\"]"));
    let world = root.load();
    assert_eq!(world.names(), ["c", "d"]);
    world.assert_says(
        "a.toml:4:12: error: the same PID file as that of `b`: all of them are refused",
    );
    world.assert_says(
        "b.toml:4:12: error: the same PID file as that of `a`: all of them are refused",
    );
    world.assert_says("unit `a` is refused");
}

#[test]
fn a_budget_that_no_line_fits_into_is_told_of() {
    let root = Root::new();
    root.unit("a", service("[log]\nstorage = \"disk\"\nflash-budget = \"16K\""));
    let world = root.load();
    assert_eq!(world.names(), ["a"]);
    world.assert_says("lets nothing be written");
}

#[test]
fn two_units_never_share_a_log_directory() {
    let root = Root::new();
    let logging = |more: &str| service(&format!("[log]\nstorage = \"disk\"\n{more}"));
    root.unit("a", logging("directory = \"/var/log/ettan/d\""));
    root.unit("b", logging("directory = \"/var/log/ettan/%n\""));
    root.unit("c", logging(""));
    root.unit("d", logging(""));
    let world = root.load();
    assert_eq!(world.names(), ["b", "c"]);
    world.assert_says("the same log directory as that of `d`: all of them are refused");
    world.assert_says("the same log directory as that of `a`: all of them are refused");
}

#[test]
fn no_log_shares_its_directory_with_one_of_a_route() {
    let root = Root::new();
    let route =
        |path: &str| service(&format!("[[log.route]]\nmatch = \"*x*\"\ndirectory = \"{path}\""));
    root.unit("a", route("/data/log/"));
    root.unit("b", route("/data//log"));
    root.unit("c", service("[log]\nstorage = \"disk\"\ndirectory = \"/data/./log/%n\""));
    root.unit("d", route("/data/log/c"));
    root.unit("e", route("/data/log/%n"));
    let world = root.load();
    assert_eq!(world.names(), ["e"]);
    for (unit, other) in [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")] {
        let says = format!("{unit}.toml:5:13: error: the same log directory as that of `{other}`");
        world.assert_says(&says);
    }
    // A unit that is kept has its routes' directories too.
    root.unit("a", service("[[log.route]]\ndirectory = \"/data/100%%\""));
    let former = root.load();
    assert_eq!(former.names(), ["a", "b", "e"]);
    root.unit("a", service("colour = \"red\""));
    root.unit("f", route("/data/100%%/"));
    let world = root.load_after(&former);
    assert_eq!(world.names(), ["a", "b", "e"]);
    world.assert_says("f.toml:5:13: error: the same log directory as that of `a`");
}

#[test]
fn two_logs_of_one_unit_never_share_a_directory() {
    for second in ["/data/log", "/data/log/", "/data//./log"] {
        let root = Root::new();
        let route = |path: &str| format!("[[log.route]]\ndirectory = \"{path}\"\n");
        root.unit("a", service(&[route("/data/log"), route(second)].concat()));
        let own = "[log]\nstorage = \"disk\"\ndirectory = \"/data/log\"\n";
        root.unit("b", service(&[own, &route(second)].concat()));
        let world = root.load();
        assert_eq!(world.names(), [""; 0]);
        world.assert_says("a.toml:6:13: error: another log of this unit is in `/data");
        world.assert_says("b.toml:7:13: error: another log of this unit is in `/data");
    }
}

#[test]
fn the_log_of_a_route_is_never_that_of_a_unit() {
    let root = Root::new();
    let errors = "[[log.route]]\nname = \"errors\"\nmatch = \"*error*\"";
    root.unit("web", service(errors));
    root.unit("web.errors", PLAIN);
    root.unit("mail", service("[[log.route]]\nmatch = \"*\""));
    root.unit("mail.1", PLAIN);
    root.unit("news", service(errors));
    let world = root.load();
    assert_eq!(world.names(), ["mail.1", "news", "web.errors"]);
    world.assert_says(
        "web.toml:4:8: error: the log of this route would be that of the unit `web.errors`",
    );
    world.assert_says("the log of this route would be that of the unit `mail.1`");
    // One that is kept has its routes still.
    root.unit("news", service("colour = \"red\""));
    root.unit("news.errors", PLAIN);
    let world = root.load_after(&world);
    assert_eq!(world.names(), ["mail.1", "news", "web.errors"]);
    world.assert_says("its log would be that of a route of `news`");
}

#[test]
fn reading_the_same_units_again_changes_nothing() {
    let root = Root::new();
    root.unit("a", service("[service.environment]\nB = \"1\"\nA = \"2\""));
    let first = root.load();
    root.unit(
        "a",
        service("environment = { A = \"2\", B = \"1\" } # the same, written differently"),
    );
    assert_eq!(first.unit("a"), root.load().unit("a"));
    root.unit("a", service("environment = { A = \"2\", B = \"3\" }"));
    assert_ne!(first.unit("a").fingerprint, root.load().unit("a").fingerprint);
}

#[test]
fn too_many_conditions_are_refused_with_a_message() {
    let root = Root::new();
    for n in 0..70 {
        root.unit(&format!("u{n:02}"), unit(&format!("after = [\"path:/data/{n}\"]")));
    }
    let world = root.load();
    assert_eq!(world.table().len(), 64);
    assert_eq!(world.errors().len(), 6);
    world.assert_says("u64.toml:2:10: error: more than 64 conditions");
}
