//! F5: unit files as people and accidents write them. A bad one harms itself only.

use ettan_tests::units::{idle, shell, with};
use ettan_tests::{Machine, Namespace, Operate};

/// Boots with the files and one good unit, waits for that one, and returns what `ettan status`
/// says about everything.
fn status_beside_a_good_unit(machine: &mut Namespace) -> String {
    machine.unit("good", &idle());
    machine.boot();
    machine.expect(&["good up"]);
    machine.ettan("status").out
}

#[test]
fn f5_1_broken_files_harm_themselves_only() {
    let good = idle();
    let files: [(&str, Vec<u8>); 8] = [
        ("syntax", b"[service\nexec-start = 1\n".to_vec()),
        ("utf8", [b"[service]\nexec-start = \"".as_slice(), &[0xff, 0xfe], b"\"\n"].concat()),
        ("nul", b"[service]\nexec-start = \"/bin/true\0\"\n".to_vec()),
        ("twice", b"[service]\nexec-start = \"/bin/true\"\nexec-start = \"/bin/false\"\n".to_vec()),
        ("type", b"[service]\nexec-start = 7\n".to_vec()),
        ("unknown", b"[service]\nexec-start = \"/bin/true\"\nrestart-sek = 1\n".to_vec()),
        ("moment", b"[service]\nexec-start = \"/bin/true\"\n[timer]\nat = \"monthly\"\n".to_vec()),
        ("none", Vec::new()),
    ];
    let mut machine = Namespace::usual();
    for (name, text) in &files {
        machine.write(&format!("/etc/units/{name}.toml"), text);
    }
    machine.write("/etc/units/crlf.toml", good.replace('\n', "\r\n").as_bytes());
    machine.write("/etc/units/bom.toml", &[b"\xef\xbb\xbf".as_slice(), good.as_bytes()].concat());
    let told = status_beside_a_good_unit(&mut machine);
    for (name, _) in &files {
        assert!(told.contains(&format!("{name}.toml")), "{name} is not named: {told}");
    }
    // Line and column, and the nearest key.
    assert!(told.contains("unknown.toml:3:1") && told.contains("restart-sec"), "{told}");
    assert!(told.contains("days of the month"), "{told}");
    assert_eq!(machine.ettan("is-active crlf").code, 0);
    assert_eq!(machine.ettan("is-active syntax").code, 4);
}

#[test]
fn f5_2_sizes_are_bounded() {
    let mut machine = Namespace::usual();
    let big = "for n in big; do (cat; head -c 70000 /dev/zero | tr '\\0' '#') </etc/units/good.toml >/etc/units/$n.toml; done; \
               truncate -s 100M /etc/units/huge.toml; \
               (printf '[service]\\nexec-start = \"/bin/true '; head -c 1000000 /dev/zero | tr '\\0' 'x'; printf '\"\\n') >/etc/units/line.toml";
    machine.unit("good", &idle());
    assert_eq!(machine.sh(big).code, 0);
    let long = "n".repeat(65);
    machine.unit(&long, &idle());
    let told = status_beside_a_good_unit(&mut machine);
    for name in ["big", "huge", "line", "nnn"] {
        assert!(told.contains(name), "{name} is not named: {told}");
    }
    assert_eq!(machine.running("sleep 100000").len(), 1);
}

#[test]
fn f5_2_more_units_than_there_is_room_for() {
    let mut machine = ettan_tests::Builder::default().seconds(180).build();
    let many = "cd /etc/units && for n in $(seq 1100); do echo \"[service]\nexec-start = '/bin/sleep 100000'\" >many$n.toml; done";
    assert_eq!(machine.sh(many).code, 0);
    machine.boot();
    machine.answers();
    let up = |machine: &Namespace| machine.stats()["up"].as_u64().unwrap_or(0);
    while up(&machine) < 1000 {
        assert!(!machine.limit().over() && machine.turn(), "{}", machine.stats());
    }
    let told = machine.ettan("status").out;
    assert!(told.contains("files from here on are not used"), "{told}");
}

#[test]
fn f5_3_deep_nesting() {
    let mut machine = Namespace::usual();
    machine.unit(
        "arrays",
        &format!("[service]\nexec-start = {}{}\n", "[".repeat(300), "]".repeat(300)),
    );
    machine.unit("tables", &format!("a = {}1{}\n", "{ a = ".repeat(300), "}".repeat(300)));
    machine.unit("dots", &format!("{}z = 1\n", "a.".repeat(300)));
    machine.unit("deep", &format!("a = {}\n", "[".repeat(30_000)));
    let told = status_beside_a_good_unit(&mut machine);
    for name in ["arrays", "tables", "dots", "deep"] {
        assert!(told.contains(&format!("{name}.toml")), "{name} is not named: {told}");
    }
}

#[test]
fn f5_4_cycles_are_named_and_broken() {
    let mut machine = Namespace::usual();
    machine.unit("self", &with("after = [\"self\"]", &idle()));
    machine.unit("a", &with("after = [\"b\"]", &idle()));
    machine.unit("b", &with("after = [\"c\"]\nrequires = [\"c\"]", &idle()));
    machine.unit("c", &with("after = [\"a\"]\nwants = [\"a\"]", &idle()));
    let told = status_beside_a_good_unit(&mut machine);
    machine.until("all are up", |machine| {
        ["self", "a", "b", "c"]
            .iter()
            .all(|unit| machine.ettan(&format!("is-active {unit}")).code == 0)
    });
    let told = format!("{told}{}", machine.story().all().join("\n"));
    assert!(told.contains("cycle"), "{told}");
}

#[test]
fn f5_5_missing_dependencies() {
    let mut machine = Namespace::usual();
    machine.unit("ordered", &with("after = [\"nosuch\"]\nwants = [\"nosuch\"]", &idle()));
    machine.unit("needy", &with("requires = [\"nosuch\"]", &idle()));
    let told = status_beside_a_good_unit(&mut machine);
    assert!(told.contains("nosuch"), "{told}");
    machine.until("the one is up", |machine| machine.ettan("is-active ordered").code == 0);
    assert_ne!(machine.ettan("is-active needy").code, 0);
    assert!(machine.ettan("status needy").out.contains("nosuch"));
}

#[test]
fn f5_6_same_name_in_two_places() {
    let mut machine = Namespace::usual();
    let unit = |word: &str| shell(&format!("echo {word} >/tmp/word; exec sleep 100000"));
    // /usr is read-only here; the shipped place is a mount of the test's own.
    assert_eq!(machine.sh("mkdir -p /run/units").code, 0);
    machine.write("/run/units/web.toml", unit("run").as_bytes());
    machine.write("/run/units/only.toml", idle().as_bytes());
    machine.write("/etc/units/web.toml", unit("etc").as_bytes());
    // /run must be a mount already, or it would be hidden by one.
    let moved = "mkdir /tmp/kept && cp -a /run/. /tmp/kept && mount -t tmpfs run /run && cp -a /tmp/kept/. /run";
    assert_eq!(machine.sh(moved).code, 0);
    machine.boot();
    machine.expect(&["web up"]);
    machine.until("it has told", |machine| machine.sh("cat /tmp/word").code == 0);
    assert_eq!(machine.sh("cat /tmp/word").ok(), "etc");
    machine.until("the other is up too", |machine| machine.ettan("is-active only").code == 0);
}

#[test]
fn f5_7_things_that_are_no_files() {
    let mut machine = Namespace::usual();
    let made = "cd /etc/units && mkfifo fifo.toml && mkdir folder.toml && ln -s loop.toml loop.toml \
                && mknod device.toml c 1 5 && ln -s /nowhere dangling.toml && ln -s /dev/null masked.toml";
    assert_eq!(machine.sh(made).code, 0);
    let told = status_beside_a_good_unit(&mut machine);
    for name in ["fifo", "folder", "loop", "device", "dangling"] {
        assert!(told.contains(name), "{name} is not named: {told}");
    }
}

#[test]
fn f5_13_no_units_at_all() {
    for command in [
        "rmdir /etc/units",
        "rmdir /etc/units && : >/etc/units",
        "rm -r /etc/units && ln -s units /etc/units",
    ] {
        let mut machine = Namespace::usual();
        assert_eq!(machine.sh(command).code, 0);
        machine.boot();
        machine.answers();
        // Mended and read again.
        assert_eq!(machine.sh("rm -f /etc/units; mkdir -p /etc/units").code, 0);
        machine.unit("web", &idle());
        assert_eq!(machine.ettan("reload-units").code, 0);
        machine.expect(&["web up"]);
    }
}

/// A person at a terminal that is the console: waits for a prompt, types one command.
const PERSON: &str = "use Fcntl; sysopen M, q(/dev/ptmx), O_RDWR | O_NOCTTY or die; \
    my $off = pack q(i), 0; ioctl M, 0x40045431, $off; my $n = pack q(i), 0; ioctl M, 0x80045430, $n; \
    system(q(mount --bind /dev/pts/) . unpack(q(i), $n) . q( /dev/console)) == 0 or die; \
    open F, q(>), q(/tmp/sits); close F; my $seen; \
    while (sysread M, my $text, 100) { $seen .= $text; \
        if ($seen =~ /# $/) { $seen = q(); syswrite M, qq(tty >/tmp/typed\n) } } sleep 99999";

#[test]
fn f5_13_rescue_shell_on_the_console() {
    let mut machine = Namespace::usual();
    let prepare =
        "rmdir /etc/units && mkdir /dev/pts && mount -t devpts -o ptmxmode=0666 pts /dev/pts";
    assert_eq!(machine.sh(prepare).code, 0);
    let _ = machine.sh(&format!("setsid perl -e '{PERSON}' >/dev/null 2>&1 </dev/null &")).ok();
    machine
        .until("somebody sits at the console", |machine| machine.sh("test -e /tmp/sits").code == 0);
    machine.boot();
    machine.until("the shell has done what was typed", |machine| {
        machine.sh("cat /tmp/typed").out.starts_with("/dev/")
    });
}

#[test]
fn f5_13_all_units_are_broken() {
    let mut machine = Namespace::usual();
    for number in 0..20 {
        machine.unit(&format!("bad{number}"), "[service]\nexec-start = \n");
    }
    machine.boot();
    machine.has_units();
    let told = machine.ettan("status").out;
    assert!((0..20).all(|number| told.contains(&format!("bad{number}.toml"))), "{told}");
}

#[test]
fn f5_14_files_that_others_may_write() {
    let mut machine = Namespace::usual();
    for name in ["world", "group", "owner"] {
        machine.unit(name, &shell("touch /tmp/ran; exec sleep 100000"));
    }
    let modes = "cd /etc/units && chmod 666 world.toml && chmod 664 group.toml && chgrp 990 group.toml && chown 990 owner.toml";
    assert_eq!(machine.sh(modes).code, 0);
    let told = status_beside_a_good_unit(&mut machine);
    for name in ["world", "group", "owner"] {
        assert!(told.contains(&format!("{name}.toml")), "{name} is not named: {told}");
    }
    assert_ne!(machine.sh("test -e /tmp/ran").code, 0);
}
