//! Lints: what each of them finds, and what it leaves alone.

mod common;

use std::fs;

use common::{ARM, Root, assert_said, elf, lints, program, said, wish};
use ettan_check::{LINTS, Wish, check};

fn with(programs: &[&str]) -> Root {
    let root = Root::new();
    program(&root, "/sbin/init", elf(ARM).bytes());
    programs.iter().for_each(|path| program(&root, path, elf(ARM).bytes()));
    root
}

fn unit(root: &Root, command: &str, keys: &str) {
    root.unit("a", format!("[service]\nexec-start = \"{command}\"\n{keys}\n"));
}

#[test]
fn root_is_named_or_asked_about() {
    let root = with(&["/usr/bin/web", "/usr/local/sbin/web", "/usr/sbin/tool", "/usr/bin/telldus"]);
    root.write("/dev/ttyAMA0", "");
    let cases: [(&str, &str, &[&str]); 8] = [
        ("/usr/bin/web", "", &["runs-as-root"]),
        ("/usr/local/sbin/web", "", &["runs-as-root"]),
        ("/usr/bin/web", "user = \"root\"", &[]),
        ("/usr/bin/web", "user = 0", &[]),
        ("/usr/bin/web", "user = \"telldus\"", &[]),
        ("/usr/bin/web", "type = \"oneshot\"", &[]),
        ("/usr/bin/web", "tty-path = \"/dev/ttyAMA0\"", &[]),
        ("/usr/sbin/tool", "", &[]),
    ];
    for (command, keys, expected) in cases {
        unit(&root, command, keys);
        assert_eq!(lints(&wish(&root)), expected, "{command} {keys}: {:?}", said(&wish(&root)));
    }
    unit(&root, "/usr/bin/telldus", "");
    assert_said(&wish(&root), &["(user = \"telldus\", who is in /etc/passwd)"]);
}

#[test]
fn what_holds_for_all_instances_of_a_file_is_said_once() {
    let root = with(&["/usr/bin/web"]);
    root.unit("telldus", "[service]\nexec-start = \"/usr/bin/web\"\ninstances = 3\n");
    let once = "`telldus` runs as root, and nothing says that it has to (user = \"telldus\", who";
    assert_said(&wish(&root), &[once]);
    root.unit("telldus", "[service]\nexec-start = \"/usr/bin/gone\"\nuser = 0\ninstances = 3\n");
    assert_eq!(said(&wish(&root)).len(), 1, "{:?}", said(&wish(&root)));
    let keys = "instances = 3\n[x-check]\nallow = [\"runs-as-root\"]";
    root.unit("telldus", format!("[service]\nexec-start = \"/usr/bin/web\"\n{keys}\n"));
    assert_eq!(lints(&wish(&root)), [""; 0]);
}

#[test]
fn a_daemon_that_forks_is_no_simple_service() {
    let root = with(&["/usr/sbin/nginx", "/usr/sbin/mosquitto", "/usr/sbin/telldusd"]);
    let forking = "type = \"forking\"\npid-file = \"/run/a.pid\"";
    let cases: [(&str, &str, &[&str]); 7] = [
        ("/usr/sbin/nginx", "", &["forks"]),
        ("/usr/sbin/nginx -g 'daemon off;'", "", &[]),
        ("/usr/sbin/nginx", forking, &[]),
        ("/usr/sbin/nginx -g 'daemon off;'", forking, &["stays-in-foreground"]),
        ("/usr/sbin/mosquitto", "", &[]),
        ("/usr/sbin/mosquitto -d", "", &["forks"]),
        ("/usr/sbin/telldusd", "type = \"forking\"", &["no-pid-file"]),
    ];
    for (command, keys, expected) in cases {
        unit(&root, command, keys);
        assert_eq!(lints(&wish(&root)), expected, "{command} {keys}: {:?}", said(&wish(&root)));
    }
    unit(&root, "/usr/sbin/nginx", "");
    root.write("/etc/nginx/nginx.conf", "user www-data;\ndaemon   off;\n");
    assert_eq!(lints(&wish(&root)), [""; 0]);
}

#[test]
fn what_comes_and_goes_is_not_critical() {
    let root = with(&["/usr/sbin/tool"]);
    let cases: [(&str, &[&str]); 5] = [
        (
            "critical = true\nbinds-to = [\"network\", \"device:usb:1781:0c31\"]",
            &["critical-device"],
        ),
        ("critical = true\nbinds-to = [\"path:/dev/serial/by-id/x\"]", &["critical-device"]),
        ("binds-to = [\"device:usb:1781:0c31\"]", &[]),
        ("critical = true\nafter = [\"device:tty:ttyUSB0\"]", &[]),
        ("critical = true\nbinds-to = [\"network\"]", &[]),
    ];
    for (keys, expected) in cases {
        root.unit("a", format!("[unit]\n{keys}\n[service]\nexec-start = \"/usr/sbin/tool\"\n"));
        assert_eq!(lints(&wish(&root)), expected, "{keys}: {:?}", said(&wish(&root)));
    }
}

#[test]
fn a_policy_that_leaves_a_service_down_is_put_into_words() {
    let root = with(&["/usr/sbin/tool"]);
    for (word, severity) in [("no", "warning"), ("on-success", "warning"), ("on-failure", "note")] {
        unit(&root, "/usr/sbin/tool", &format!("restart = \"{word}\""));
        let found = check(&wish(&root));
        assert_eq!(found.len(), 1, "{word}: {found:?}");
        let text = found[0].diagnostic.to_string();
        assert!(text.starts_with(&format!("/etc/units/a.toml:3:1: {severity}: ")), "{text}");
        assert_eq!(found[0].notes.len(), 2);
    }
    for keys in ["", "restart = \"always\"", "type = \"oneshot\"\nrestart = \"on-failure\""] {
        unit(&root, "/usr/sbin/tool", keys);
        assert_said(&wish(&root), &[]);
    }
}

#[test]
fn a_shipped_unit_that_nothing_starts_is_told() {
    let root = with(&["/usr/sbin/tool"]);
    let tool = "[service]\nexec-start = \"/usr/sbin/tool\"\n";
    for name in ["idle", "far", "near", "enabled", "lonely", "bound", "standin"] {
        root.write(&format!("/usr/lib/units/{name}.toml"), tool);
    }
    root.write("/usr/lib/units/near.toml", format!("[unit]\nrequires = [\"far\"]\n{tool}"));
    root.write("/usr/lib/units/idle.toml", format!("[unit]\nwants = [\"lonely\"]\n{tool}"));
    let needs = "wants = [\"near\"]\nbinds-to = [\"bound\"]\non-failure = [\"standin\"]";
    root.unit("a", format!("[unit]\n{needs}\n{tool}"));
    root.link("/etc/units/enabled.toml", "/usr/lib/units/enabled.toml");
    assert_said(&wish(&root), &["/usr/lib/units: note: nothing starts 2 units: idle, lonely"]);
    let quiet = format!("{tool}[x-check]\nallow = [\"unused-unit\"]\n");
    root.write("/usr/lib/units/lonely.toml", quiet);
    assert_said(&wish(&root), &["note: nothing starts `idle`: it is not enabled"]);
}

#[test]
fn what_only_a_unit_lacks_that_nothing_starts_is_a_note() {
    let root = with(&["/usr/sbin/tool"]);
    unit(&root, "/usr/sbin/tool", "");
    root.write("/usr/lib/units/gone.toml", "[service]\nexec-start = \"/usr/sbin/gone\"\n");
    let said =
        ["gone.toml:2:14: note: the program `/usr/sbin/gone`", "note: nothing starts `gone`"];
    assert_said(&wish(&root), &said);
    root.link("/etc/units/gone.toml", "/usr/lib/units/gone.toml");
    assert_said(&wish(&root), &["gone.toml:2:14: error: the program `/usr/sbin/gone`"]);
}

#[test]
fn vendor_units_leave_the_word_to_others() {
    let root = with(&["/usr/bin/ettan", "/bin/sh", "/sbin/modprobe"]);
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../units/lib");
    for entry in fs::read_dir(scripts).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        program(&root, &format!("/usr/lib/ettan/{name}"), elf(ARM).bytes());
    }
    let units = concat!(env!("CARGO_MANIFEST_DIR"), "/../../units/system");
    for entry in fs::read_dir(units).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = format!("/usr/lib/units/{name}");
        root.write(&file, fs::read(&path).unwrap());
        // Those of an interface are for whoever has its program.
        if name != "ifup.toml" {
            let instance = name.replace('@', "@tty1");
            root.link(&format!("/etc/units/{instance}"), &file);
        }
    }
    assert_said(&wish(&root), &["note: the program `/sbin/ifup`", "nothing starts `ifup`"]);
    unit(&root, "/usr/sbin/gone", "");
    let errors = check(&wish(&root)).into_iter();
    let errors = errors.filter(|f| f.diagnostic.severity == ettan_unit::Severity::Error).count();
    assert_eq!(errors, 1);
}

#[test]
fn no_unit_at_all_is_told() {
    let root = with(&[]);
    assert_said(&wish(&root), &["/etc/units: warning: there is no unit at all"]);
    fs::remove_dir(root.at("/etc/units")).unwrap();
    assert_eq!(lints(&wish(&root)), ["no-units"]);
    root.unit("a", "nonsense");
    assert_eq!(lints(&wish(&root)), [""; 0]);
}

#[test]
fn a_root_that_is_none_is_an_error() {
    let root = with(&[]);
    root.write("/file", "");
    for path in ["/typo", "/file"] {
        let wish = Wish { root: root.at(path), ..Wish::default() };
        assert_said(&wish, &[": error: no such root"]);
    }
}

#[test]
fn what_is_missing_is_told_at_once() {
    let root = with(&["/usr/sbin/tool"]);
    root.unit(
        "a",
        "[unit]\nafter = [\"gone\"]\n[service]\nuser = \"x\"\ngroup = \"y\"\n\
         environment-file = \"/etc/z\"\nworking-directory = \"/a%z\"\n\
         environment = { A = \"%q\" }\nsupplementary-groups = [\"v\"]\n",
    );
    let expected = [
        "`exec-start` is missing",
        "unknown user `x`",
        "unknown group `y`",
        "unknown group `v`",
        "a.toml:6:20: error",
        "a.toml:7:21: error",
        "a.toml:8:21: error",
    ];
    assert_said(&wish(&root), &expected);
}

#[test]
fn a_read_only_root_is_not_written() {
    let root = with(&["/usr/sbin/tool"]);
    let disk = "[log]\nstorage = \"disk\"";
    unit(&root, "/usr/sbin/tool", disk);
    assert_said(&wish(&root), &[]);
    let text = "a.toml:4:11: warning: `directory` is `/var/log/ettan/a`, and the root is read-only";
    assert_said(&Wish { read_only_root: true, ..wish(&root) }, &[text]);
    root.write("/etc/fstab", "# root\n/dev/mmcblk0p2  /  ext4  defaults,ro  0 1\n");
    assert_said(&wish(&root), &[text]);
    root.write("/etc/fstab", "a / ext4 ro 0 1\nb /data ext4 rw 0 2\nc /srv ext4 ro 0 2\n");
    unit(&root, "/usr/sbin/tool", &format!("{disk}\ndirectory = \"/data/log\""));
    assert_said(&wish(&root), &[]);
    unit(&root, "/usr/sbin/tool", &format!("{disk}\ndirectory = \"/srv/log\""));
    assert_said(&wish(&root), &["a.toml:5:13: warning: `directory` is `/srv/log`"]);
    unit(&root, "/usr/sbin/tool", "type = \"forking\"\npid-file = \"/tmp/a.pid\"");
    assert_eq!(lints(&wish(&root)), ["read-only-root"]);
    let written = "runtime-directory = \"a\"\nstate-directory = \"a\"\nlogs-directory = [\"b\"]\n\
                   standard-output = \"append:/data/out\"\nstandard-error = \"file:/srv/err\"";
    unit(&root, "/usr/sbin/tool", written);
    assert_said(
        &wish(&root),
        &[
            "`state-directory` is `/var/lib/a`, and the root is read-only",
            "`logs-directory` is `/var/log/b`, and the root is read-only",
            "`standard-error` is `/srv/err`, and the root is read-only",
        ],
    );
}

#[test]
fn a_unit_may_allow_itself_a_lint() {
    let root = with(&["/usr/bin/web"]);
    unit(&root, "/usr/bin/web", "restart = \"no\"\n[x-check]\nallow = [\"runs-as-root\"]");
    assert_eq!(lints(&wish(&root)), ["restart-policy"]);
    root.write(
        "/etc/units/a.toml.d/1.toml",
        "[x-check]\nallow = [\"restart-policy\", \"run-as-root\"]\n",
    );
    assert_said(
        &wish(&root),
        &["1.toml:2:28: warning: there is no lint `run-as-root` (did you mean `runs-as-root`?)"],
    );
    // Only lints: what is wrong stays wrong.
    unit(&root, "/usr/bin/gone", "[x-check]\nallow = [\"runs-as-root\"]");
    assert!(said(&wish(&root)).iter().any(|text| text.contains("`/usr/bin/gone`: no such file")));
}

#[test]
fn every_lint_is_in_the_manual() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/check.md");
    let manual = fs::read_to_string(manual).unwrap();
    for (name, finds) in LINTS {
        assert!(manual.contains(&format!("| `{name}` | {finds} |")), "{name}: {finds}");
    }
    assert!(LINTS.is_sorted());
}
