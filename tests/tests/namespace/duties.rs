//! Duties of boot, as the vendor units of `units/system` do them: what of it one machine among
//! others can show.

use crate::layer::Layer;
use ettan_tests::units::{idle, shipped};
use ettan_tests::{Builder, Machine, Namespace, Operate};
use std::fs;

#[test]
fn a_machine_gets_an_id_and_keeps_it() {
    let mut machine = Namespace::usual();
    machine.unit("machine-id", &shipped("machine-id"));
    machine.boot();
    machine.expect(&["machine-id up"]);
    let id = machine.sh("cat /etc/machine-id").ok();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let _ = machine.ettan("restart machine-id").ok();
    assert_eq!(machine.sh("cat /etc/machine-id").ok(), id);
}

#[test]
fn a_machine_with_a_read_only_root_gets_an_id_all_the_same() {
    let mut machine = Namespace::usual();
    machine.unit("free", &idle());
    let _ = machine
        .sh(": >/etc/machine-id && mount --bind /etc /etc && mount -o remount,bind,ro /etc")
        .ok();
    machine.boot();
    machine.expect(&["free up"]);
    let _ = machine.sh("mkdir -p /run/units").ok();
    machine.write("/run/units/machine-id.toml", shipped("machine-id").as_bytes());
    let _ = machine.ettan("reload-units").ok();
    machine.until("it is up", |machine| machine.ettan("is-active machine-id").code == 0);
    assert_eq!(machine.sh("cat /etc/machine-id").ok().len(), 32);
    let _ = machine.sh("umount /etc/machine-id").ok();
}

#[test]
fn each_console_of_the_kernel_gets_a_login() {
    let layer = Layer::new("consoles");
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["free up"]);
    let _ = machine
        .sh("echo 'ttyS7 tty0 ttyS8' >/tmp/active && ln -s /dev/null /etc/units/getty@ttyS8.toml && \
             mount --bind /tmp/active /sys/class/tty/console/active")
        .ok();
    // Which is that unit's trouble.
    machine.unit("refused", "[service]\nusr = 1\n");
    assert_eq!(machine.ettan("start consoles").code, 0);
    for unit in ["getty@ttyS7", "getty@tty1"] {
        machine.until(unit, |machine| machine.ettan(&format!("is-active {unit}")).code == 0);
    }
    assert_eq!(machine.ettan("is-active getty@ttyS8").code, 4, "it is masked");
    // Again changes nothing.
    let pid = machine.main_pid("getty@ttyS7");
    assert_eq!(machine.ettan("restart consoles").code, 0);
    assert_eq!(machine.main_pid("getty@ttyS7"), pid);
}

#[test]
fn the_clock_is_to_go_on_where_it_was_and_is_saved_at_the_end() {
    let mut machine = Namespace::usual();
    // The clock in here is the host's, so it may not be set: the refusal shows what was wanted.
    let unit = shipped("clock") + "capability-bounding-set = \"~CAP_SYS_TIME\"\n";
    machine.unit("clock", &unit);
    let _ = machine
        .sh("mkdir -p /var/lib/ettan && touch -d '2037-01-01 12:00:00' /var/lib/ettan/clock")
        .ok();
    machine.boot();
    machine.expect(&["clock up"]);
    machine.until("it says that it wants to", |machine| {
        machine.ettan("logs clock").out.contains("clock: cannot be set: Operation not permitted")
    });
    let saved = |machine: &mut Namespace| machine.sh("stat -c %y /var/lib/ettan/clock").ok();
    assert!(saved(&mut machine).starts_with("2037-01-01"));
    assert_eq!(machine.ettan("stop clock").code, 0);
    let now = saved(&mut machine);
    assert!(!now.starts_with("2037"), "{now}");
}

/// Of an installed `program`, that it was started with these words.
fn an_address_is_asked_for(program: &str, words: &str) {
    let layer = Layer::new(&program.replace('/', "-"));
    layer.program(program, "echo \"asked with $*\"\nexec sleep 100000");
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["free up"]);
    assert_eq!(machine.ettan("enable --now dhcp@eth7").code, 0);
    machine.until("it is asked", |machine| {
        machine.ettan("logs dhcp@eth7").out.contains(&format!("asked with {words}"))
    });
    assert_eq!(machine.ettan("is-active dhcp@eth7").code, 0);
}

#[test]
fn an_address_is_asked_for_by_what_is_installed() {
    an_address_is_asked_for("bin/dhcpcd", "--nobackground eth7");
    an_address_is_asked_for("sbin/udhcpc", "-f -R -i eth7 -x hostname:machine");
}

#[test]
fn interfaces_modules_and_settings_are_as_the_root_says() {
    let layer = Layer::new("root-says");
    for program in ["sbin/modprobe", "sbin/sysctl", "sbin/ifup"] {
        layer.program(program, "echo \"${0##*/} $*\" >>/tmp/asked");
    }
    layer.program("bin/udevadm", "echo \"udevadm $1\" >>/tmp/asked");
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.unit("free", &idle());
    machine.write("/etc/modules", b"# none of these\ni2c-dev\n\nbrcmfmac roamoff=1 debug=0\n");
    machine.write("/etc/modules-load.d/last.conf", b"; nor this\nlast");
    machine.write("/etc/sysctl.d/10-net.conf", b"net.ipv4.ip_forward = 1\n");
    machine.boot();
    machine.expect(&["free up"]);
    for unit in ["modules", "sysctl", "devices", "ifup"] {
        assert_eq!(machine.ettan(&format!("start {unit}")).code, 0, "{unit}");
    }
    let asked = machine.sh("cat /tmp/asked").ok();
    let expected = [
        "modprobe i2c-dev",
        "modprobe brcmfmac roamoff=1 debug=0",
        "modprobe last",
        "sysctl -q -p /etc/sysctl.d/10-net.conf",
        "udevadm control",
        "udevadm trigger",
        "udevadm settle",
        "ifup -a",
    ];
    // What else this machine's own /etc asks for is nobody's business here.
    let asked: Vec<&str> = asked.lines().filter(|line| expected.contains(line)).collect();
    assert_eq!(asked, expected);
}

#[test]
fn the_loopback_interface_is_not_brought_up_again() {
    let layer = Layer::new("ifup");
    // As BusyBox's: what it does not know as configured it configures, and here that fails.
    layer.program("sbin/ifup", "grep -qx lo=lo /run/ifstate || exit 1");
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["free up"]);
    assert_eq!(machine.ettan("enable --now ifup").code, 0);
    machine.until("it is up", |machine| machine.ettan("is-active ifup").code == 0);
    assert_eq!(machine.ettan("restart ifup").code, 0);
    assert_eq!(machine.sh("cat /run/ifstate").ok(), "lo=lo");
}

#[test]
fn the_pulse_of_a_machine_that_is_well_is_felt() {
    let mut machine = Namespace::usual();
    machine.unit("pulse", &shipped("pulse"));
    machine.boot();
    machine.expect(&["pulse up"]);
    let _ = machine.sh("mount --bind /dev/null /proc/meminfo").ok();
    assert_eq!(machine.ettan("restart pulse").code, 0, "it does not say, so nothing is short");
    let low = "echo 'MemAvailable: 5 kB' >/tmp/low && mount --bind /tmp/low /proc/meminfo";
    let _ = machine.sh(low).ok();
    assert_eq!(machine.ettan("restart pulse").code, 1);
    machine.until("it says why", |machine| {
        machine.ettan("logs pulse").out.contains("5 KiB of memory are left, less than 8192")
    });
}

#[test]
fn a_clock_with_a_battery_needs_no_network() {
    let layer = Layer::new("clock-rtc");
    layer.script("clock-rtc");
    layer.program("bin/date", "[ \"$1\" != -r ] || exec stat -c %Y \"$2\"; echo 2000000000");
    let mut machine = Builder::default().layer(&layer.0).build();
    let text = shipped("clock-rtc") + "environment = { ETTAN_RTC = \"/tmp/rtc\" }\n";
    machine.unit("clock-rtc", &text);
    machine.unit("free", &idle());
    let _ = machine.sh("mkdir -p /tmp/rtc/rtc0 /var/lib/ettan; touch /var/lib/ettan/clock").ok();
    machine.boot();
    machine.expect(&["free up", "clock-rtc down"]);
    // As kept by it; empty, so that the clock was set ahead; behind what was saved.
    for (kept, saved, holds) in [
        ("2000000001", 1_900_000_000, true),
        ("946684800", 1_900_000_000, false),
        ("2000000000", 2_000_000_009, false),
    ] {
        let _ = machine.ettan("condition clock clear");
        let set = format!(
            "echo {kept} >/tmp/rtc/rtc0/since_epoch; touch -d @{saved} /var/lib/ettan/clock"
        );
        let _ = machine.sh(&set).ok();
        assert_eq!(machine.ettan("start clock-rtc").code, 0);
        assert_eq!(machine.ettan("condition clock").code == 0, holds, "{kept}");
    }
}

/// Without rules `mdev -s` gives every node to root alone: /dev/null is then closed to all others.
#[test]
fn an_mdev_that_has_no_rules_is_left_alone() {
    let layer = Layer::new("mdev");
    layer.program("sbin/mdev", "echo \"$@\" >>/tmp/asked");
    let mut machine = Builder::default().layer(&layer.0).build();
    let unit = shipped("devices").replace("udevadm", "no-udevadm");
    machine.unit("devices", &unit);
    machine.boot();
    machine.expect(&["devices up"]);
    assert_ne!(machine.sh("cat /tmp/asked").code, 0);
    let _ = machine.sh(": >/etc/mdev.conf").ok();
    assert_eq!(machine.ettan("restart devices").code, 0);
    assert_ne!(machine.sh("cat /tmp/asked").code, 0);
    let _ = machine.sh("echo 'null root:root 666' >/etc/mdev.conf").ok();
    assert_eq!(machine.ettan("restart devices").code, 0);
    assert_eq!(machine.sh("cat /tmp/asked").ok(), "-s");
}

#[test]
fn devices_get_the_modules_that_they_ask_for() {
    let layer = Layer::new("hotplug");
    layer.modprobe();
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.unit("hotplug", &shipped("hotplug"));
    machine.boot();
    machine.expect(&["hotplug up"]);
    let device = machine.sh("ls -d /sys/bus/platform/devices/*/modalias | head -n 1").ok();
    let device = device.strip_suffix("/modalias").expect("this machine has some device");
    let asked = |machine: &mut Namespace| {
        let count = machine.sh(&format!("grep -cxFf {device}/modalias /tmp/asked")).out;
        count.trim().parse::<u32>().unwrap_or(0)
    };
    // By the time that it is up what was there has been asked for.
    let cold = asked(&mut machine);
    assert!(cold > 0, "{}", machine.sh("cat /tmp/asked").out);
    let _ = machine.sh(&format!("echo add >{device}/uevent")).ok();
    machine.until("it is asked for again", |machine| asked(machine) > cold);
}

#[test]
fn modules_for_devices_are_left_to_a_udev() {
    let layer = Layer::new("udev");
    layer.modprobe();
    layer.program("sbin/udevd", "sleep 100000");
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.unit("udev", "[service]\nexec-start = \"/usr/sbin/udevd\"\n");
    machine.unit("hotplug", &shipped("hotplug").replace("\"devices\"", "\"udev\""));
    machine.boot();
    machine.expect(&["udev up", "hotplug up"]);
    machine.until("it says so", |machine| {
        machine.ettan("logs hotplug").out.contains("udevd runs, and does it")
    });
    assert_eq!(machine.sh("cat /tmp/asked").out, "");
}

#[test]
fn directories_of_tmpfiles_are_made() {
    let layer = Layer::new("tmpfiles");
    // Not executable, so it is not there.
    fs::create_dir_all(layer.0.join("usr/bin")).expect("a folder");
    fs::write(layer.0.join("usr/bin/systemd-tmpfiles"), "").expect("a file");
    layer.script("tmpfiles");
    let mut machine = Builder::default().layer(&layer.0).build();
    let _ = machine.sh("mkdir -p /etc/tmpfiles.d /run/tmpfiles.d").ok();
    let lines = "# a line\nd /run/first 1777 telldus plugdev -\nD! /run/second/deep - - - 10d\n\
        L+ /run/link - - - - ../target\nr /run/first\nd /run/%b 0755\nz /run 0700\n";
    machine.write("/etc/tmpfiles.d/ours.conf", lines.as_bytes());
    machine.write("/run/tmpfiles.d/ours.conf", b"d /run/hidden\n");
    machine.unit("tmpfiles", &shipped("tmpfiles"));
    machine.boot();
    machine.expect(&["tmpfiles up"]);
    let what = |path: &str| format!("stat -c '%A %U:%G' {path}");
    assert_eq!(machine.sh(&what("/run/first")).ok(), "drwxrwxrwt telldus:plugdev");
    assert_eq!(machine.sh(&what("/run/second/deep")).ok(), "drwxr-xr-x root:root");
    assert_eq!(machine.sh("readlink /run/link").ok(), "../target");
    assert_eq!(machine.sh(&what("/run")).ok(), "drwxr-xr-x root:root");
    assert_eq!(machine.sh("ls -d /run/hidden /run/*%*").out, "");
    assert_eq!(machine.ettan("restart tmpfiles").code, 0);
}

/// What a daemon has put into a directory of its own before the machine was started again.
#[test]
fn a_link_that_others_than_root_have_put_is_not_followed() {
    let layer = Layer::new("tmpfiles-links");
    fs::create_dir_all(layer.0.join("usr/bin")).expect("a folder");
    fs::write(layer.0.join("usr/bin/systemd-tmpfiles"), "").expect("a file");
    layer.script("tmpfiles");
    let mut machine = Builder::default().layer(&layer.0).build();
    let planted = "mkdir -p /var/cache/web /var/cache/ours /tmp/real && chown telldus /var/cache/web && \
                   mkdir -m 1777 /var/all && cd /var/cache/web && \
                   ln -s /etc last && ln -s /etc middle && ln -s /etc into && ln -s /etc /var/all/x && \
                   ln -s web/middle /var/cache/over && ln -s ../../tmp /var/cache/ours/run";
    let _ = machine.sh(planted).ok();
    let lines = "d /var/cache/web 0750 telldus\nd /var/cache/web/last 0700 telldus telldus\n\
        d /var/cache/web/middle/units 0700 telldus\nd /var/cache/web/middle/new\n\
        d /var/all/x/units 0700 telldus\nd /var/cache/over/units 0700 telldus\n\
        L /var/cache/web/into/link - - - - /nowhere\n\
        d /var/cache/web/own 0700 telldus\nd /var/cache/ours/run/real/ 0711 telldus\n\
        L /var/run/link - - - - /nowhere\nd /var/run 0700 telldus\n";
    machine.write("/etc/tmpfiles.d/web.conf", lines.as_bytes());
    machine.unit("tmpfiles", &shipped("tmpfiles"));
    machine.boot();
    machine.expect(&["tmpfiles up"]);
    for path in ["/etc", "/etc/units", "/run"] {
        assert_eq!(machine.sh(&format!("stat -c '%a %U' {path}")).ok(), "755 root", "{path}");
    }
    assert_eq!(machine.sh("ls -d /etc/new /etc/link").out, "");
    for (path, what) in
        [("web", "750 telldus"), ("web/own", "700 telldus"), ("ours/run/real", "711 telldus")]
    {
        let now = machine.sh(&format!("stat -c '%a %U' /var/cache/{path}")).ok();
        assert_eq!(now, what, "{path}");
    }
    assert_eq!(machine.sh("readlink /run/link").ok(), "/nowhere");
    machine.until("it says which", |machine| {
        let said = machine.ettan("logs tmpfiles").out;
        ["web/last", "web/middle", "web/into", "/var/all/x", "/var/run"]
            .iter()
            .all(|link| said.contains(&format!("{link} is a link, and not followed")))
    });
}

/// The program itself, from Debian.
#[test]
fn systemd_tmpfiles_does_all_but_keep_people_out() {
    let layer = Layer::new("systemd-tmpfiles");
    layer.script("tmpfiles");
    let mut machine = Builder::default().layer(&layer.0).build();
    let lines =
        "f! /run/nologin 0644 - - - not yet\nd /run/nobodys 0755 who-is-that\nd /run/first\n";
    machine.write("/etc/tmpfiles.d/ours.conf", lines.as_bytes());
    machine.unit("tmpfiles", &shipped("tmpfiles"));
    machine.boot();
    machine.expect(&["tmpfiles up"]);
    assert_eq!(machine.sh("ls -d /run/first").ok(), "/run/first");
    assert_ne!(machine.sh("ls /run/nologin").code, 0);
    machine.until("it says which line is wrong", |machine| {
        machine.ettan("logs tmpfiles").out.contains("who-is-that")
    });
}

#[test]
fn randomness_is_carried_over_a_boot_and_counted_once() {
    let mut machine = Namespace::usual();
    machine.unit("seed", &shipped("seed"));
    machine.boot();
    machine.expect(&["seed up"]);
    let sum = |machine: &mut Namespace| machine.sh("md5sum /var/lib/ettan/seed").ok();
    let says = |machine: &mut Namespace, words: &str| {
        machine.until(words, |machine| machine.ettan("logs seed").out.contains(words));
    };
    // 32 bytes, and what card they are for.
    let is_whole =
        "test $(stat -c %a /var/lib/ettan/seed) = 600 -a $(stat -c %s /var/lib/ettan/seed) -ge 32";
    assert_eq!(machine.sh(is_whole).code, 0);
    says(&mut machine, "none was saved");
    let at_boot = sum(&mut machine);
    assert_eq!(machine.ettan("stop seed").code, 0);
    let at_end = sum(&mut machine);
    assert_ne!(at_boot, at_end);
    // The next boot: what is counted is gone from the disk before.
    let traced = "strace -o /tmp/calls -e trace=%file,fsync,ioctl /sbin/init seed 2>&1";
    let said = machine.sh(traced).ok();
    assert!(said.contains("counted"), "{said}");
    let calls = machine
        .sh("grep -E '^unlink.*/seed\"|^fsync|^ioctl.*ENTROPY' /tmp/calls | cut -d '(' -f 1")
        .ok();
    assert!(calls.starts_with("unlink\nfsync\nioctl\nfsync"), "{calls}");
    assert_ne!(sum(&mut machine), at_end);
    // What would come again is not counted.
    let kept = sum(&mut machine);
    let closed = "cd /var/lib/ettan && mount --bind . . && mount -o remount,bind,ro /var/lib/ettan";
    let _ = machine.sh(closed).ok();
    assert_eq!(machine.ettan("start seed").code, 0);
    says(&mut machine, "the next boot has the same; mixed in, and not counted");
    assert_eq!(sum(&mut machine), kept);
    let _ = machine.sh("umount /var/lib/ettan").ok();
    // An overlay lets it be removed, and the layer below has it at the next boot.
    let overlay = "cd /tmp && mkdir -p up work && \
                   mount -t overlay -o lowerdir=/var/lib/ettan,upperdir=up,workdir=work o /var/lib/ettan";
    let _ = machine.sh(overlay).ok();
    assert_eq!(machine.ettan("restart seed").code, 0);
    says(&mut machine, "is in an overlay; the next boot may have the same");
}
