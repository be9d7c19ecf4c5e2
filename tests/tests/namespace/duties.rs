//! Duties of boot, as the vendor units of `units/system` do them: what of it one machine among
//! others can show.

use crate::cards::Card;
use ettan_tests::binaries::workspace;
use ettan_tests::units::{idle, shipped};
use ettan_tests::{Builder, End, Machine, Namespace, Operate};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A folder with all vendor units and another `getty@`, removed at the end.
pub(crate) struct Layer(pub(crate) PathBuf);

impl Layer {
    pub(crate) fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ettan-{test}-{}", std::process::id()));
        let units = folder.join("usr/lib/units");
        fs::create_dir_all(&units).expect("a folder");
        for entry in fs::read_dir(workspace().join("units/system")).expect("vendor units") {
            let entry = entry.expect("a vendor unit");
            fs::copy(entry.path(), units.join(entry.file_name())).expect("a copy");
        }
        fs::write(units.join("getty@.toml"), idle()).expect("a file");
        Self(folder)
    }

    /// A script of `units/lib`, and what they have in common.
    pub(crate) fn script(&self, name: &str) {
        for name in [name, "common"] {
            let script = workspace().join("units/lib").join(name);
            let text = fs::read_to_string(script).expect("a script");
            self.program(&format!("lib/ettan/{name}"), &text);
        }
    }

    /// A program below `usr`.
    pub(crate) fn program(&self, path: &str, script: &str) {
        let program = self.0.join("usr").join(path);
        let folder = program.parent().expect("a path of a file");
        fs::create_dir_all(folder).expect("a folder");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    }

    /// A modprobe that writes down what it is asked for, and modules of this kernel.
    fn modprobe(&self) {
        self.program("sbin/modprobe", "shift 2; printf '%s\\n' \"$@\" >>/tmp/asked");
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
        let modules = self.0.join("usr/lib/modules").join(release.trim_end());
        fs::create_dir_all(modules).expect("a folder");
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

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

/// What is in /var/lib/ettan is on a card from now on that takes no byte more.
pub(crate) fn full_card(machine: &mut Namespace, name: &str) -> Card {
    let card = Card::new(machine, name);
    let words = "cp -a /var/lib/ettan /data/ && mount --bind /data/ettan /var/lib/ettan && sync && \
                 for size in 64k 1k; do \
                 dd if=/dev/zero bs=$size oflag=append conv=notrunc of=/data/all 2>/dev/null; done; \
                 sync; ! echo more >/data/more";
    let _ = machine.sh(words).ok();
    card
}

/// A machine with the brake, which has seen so many boots that were not well.
fn with_brake(boots: &str) -> Namespace {
    let mut machine = Namespace::usual();
    for name in ["brake", "common"] {
        let script = fs::read(workspace().join("units/lib").join(name)).expect("the script");
        machine.write(&format!("/tmp/{name}"), &script);
    }
    machine.write("/var/lib/ettan/boots", boots.as_bytes());
    let _ = machine.sh("chmod +x /tmp/brake").ok();
    for unit in ["brake", "brake-release"] {
        let text = shipped(unit).replace("/usr/lib/ettan", "/tmp");
        machine.unit(unit, &text.replace("\"3600\"", "\"0\""));
    }
    for unit in ["web", "ssh", "last-end"] {
        machine.unit(unit, &idle());
    }
    machine
}

fn boots(machine: &mut Namespace) -> String {
    machine.sh("cat /var/lib/ettan/boots").ok()
}

#[test]
fn boots_that_are_not_well_are_counted_until_one_is() {
    for (before, after) in [("4", "5"), ("no number", "1"), ("", "1")] {
        let mut machine = with_brake(before);
        machine.boot();
        machine.expect(&["brake starting", "brake down"]);
        assert_eq!(boots(&mut machine), after, "after {before:?}");
        assert_eq!(machine.status("ettan-rescue")["goal"], "down");
        // Another start is no other boot.
        let _ = machine.ettan("start brake").ok();
        machine.expect(&["brake down"]);
        assert_eq!(boots(&mut machine), after, "after {before:?}");
        // It was well, and then it ends in order.
        let _ = machine.ettan("condition boot-ok set").ok();
        machine.until("it waits", |machine| machine.running("sleep 600").len() == 1);
        assert_eq!(boots(&mut machine), after, "after {before:?}");
        assert_eq!(machine.ettan("stop brake-release").code, 0);
        assert_eq!(boots(&mut machine), "0");
    }
}

#[test]
fn a_boot_that_stays_well_is_noted_though_it_goes_on() {
    let mut machine = with_brake("3");
    let text = shipped("brake-release").replace("/usr/lib/ettan", "/tmp");
    machine.unit("brake-release", &text.replace("\"600\"", "\"0\""));
    machine.boot();
    machine.expect(&["brake down"]);
    assert_eq!(boots(&mut machine), "4");
    let _ = machine.ettan("condition boot-ok set").ok();
    machine.expect(&["brake-release starting", "brake-release down"]);
    assert_eq!(boots(&mut machine), "0");
}

#[test]
fn a_count_that_cannot_be_lowered_is_no_rescue_for_ever() {
    let mut machine = with_brake("5");
    let closed = "cd /var/lib/ettan && mount --bind . . && mount -o remount,bind,ro /var/lib/ettan";
    let _ = machine.sh(closed).ok();
    machine.boot();
    machine.expect(&["brake starting", "brake down"]);
    assert_eq!(machine.status("ettan-rescue")["goal"], "down");
    assert_eq!(machine.ettan("is-active web").code, 0);
    machine.until("it says so", |machine| {
        machine.ettan("logs brake").out.contains("there is no rescue")
    });
}

#[test]
fn a_disk_that_is_full_counts_all_the_same() {
    for (before, after) in [("2", "3"), ("11", "4")] {
        let mut machine = with_brake(before);
        let _card = full_card(&mut machine, "brake");
        machine.unit("brake", &shipped("brake").replace("/usr/lib/ettan", "/tmp"));
        machine.boot();
        machine.until("it is counted", |machine| boots(machine) == after);
        if after == "4" {
            machine.until("there is a rescue", |machine| machine.running("sleep 3600").len() == 1);
        }
        assert!(!machine.ettan("logs brake").out.contains("cannot be written"));
    }
}

#[test]
fn after_five_boots_that_were_not_well_there_is_a_rescue_and_one_more_try() {
    let mut machine = with_brake("5");
    // An hour is over when somebody says so.
    machine
        .write("/tmp/bin/sleep", b"#!/bin/sh\nuntil test -e /tmp/over; do /bin/sleep 0.02; done\n");
    let _ = machine.sh("chmod +x /tmp/bin/sleep").ok();
    let path = "[service.environment]\nPATH = \"/tmp/bin:/usr/bin:/bin:/usr/sbin:/sbin\"\n";
    let text = shipped("brake").replace("/usr/lib/ettan", "/tmp");
    machine.unit("brake", &text.replace("[service.environment]\n", path));
    machine.boot();
    machine.expect(&["web down"]);
    let is_active =
        |machine: &mut Namespace, unit: &str| machine.ettan(&format!("is-active {unit}")).code == 0;
    machine.until("there is a shell", |machine| machine.status("ettan-rescue")["goal"] == "up");
    for unit in ["ssh", "brake", "last-end"] {
        assert!(is_active(&mut machine, unit), "{unit}");
    }
    assert_eq!(boots(&mut machine), "4", "the next boot is a try");
    // Units that are read again, as the logins of a console are, end no rescue.
    assert_eq!(machine.ettan("reload-units").code, 0);
    assert_eq!(machine.status("ettan-rescue")["goal"], "up");
    machine.until("it says so", |machine| {
        let said = "5 boots in a row were not well: rescue for 3600 s";
        machine.ettan("logs brake").out.contains(said)
    });
    // Back to work by hand: then nothing restarts the machine.
    let _ = machine.ettan("rescue --leave").ok();
    machine.until("it works again", |machine| is_active(machine, "web"));
    let _ = machine.sh("touch /tmp/over").ok();
    machine.expect(&["brake down"]);
    assert!(is_active(&mut machine, "web"));
}

#[test]
fn a_rescue_of_the_brake_ends_with_a_restart() {
    let mut machine = with_brake("7");
    machine.boot();
    assert_eq!(machine.end(), End::Reboot);
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
fn file_systems_are_checked_before_they_are_mounted() {
    let layer = Layer::new("mounts");
    layer.program(
        "sbin/fsck",
        "echo \"$@\" >>/tmp/checked; case $3 in */bad) exit 4 ;; esac; exit 1",
    );
    layer.program("sbin/fsck.tmpfs", "exit 16");
    layer.script("mounts");
    fs::create_dir_all(layer.0.join("etc")).expect("a folder");
    let fstab = "# what where\n/dev/root / ext4 rw 0 1\nproc /proc proc defaults 0 0\n\
        one /mnt/good tmpfs defaults 0 2\ntwo /mnt/bad tmpfs nofail 0 2\n\
        three /mnt/plain tmpfs defaults 0 0\nfour /mnt/late tmpfs noauto 0 2";
    fs::write(layer.0.join("etc/fstab"), fstab).expect("a file");
    let mut machine = Builder::default().layer(&layer.0).build();
    let _ = machine.sh("cd /mnt && mkdir good bad plain late").ok();
    machine.unit("mounts", &shipped("mounts").replace("requires = [\"root\"]", ""));
    machine.boot();
    machine.expect(&["mounts up"]);
    let checked = ["-T -p /mnt/good", "-T -p /mnt/bad", "-T -p /mnt/late"];
    assert_eq!(machine.sh("cat /tmp/checked").ok(), checked.join("\n"));
    let mounted = "grep -o '/mnt/[a-z]*' /proc/mounts | sort | xargs";
    assert_eq!(machine.sh(mounted).ok(), "/mnt/bad /mnt/good /mnt/plain");
    // What is mounted is not checked again; what is bad and not marked is mounted, and told.
    let _ =
        machine.sh(": >/tmp/checked; umount /mnt/bad; sed -i s/nofail/defaults/ /etc/fstab").ok();
    assert_eq!(machine.ettan("restart mounts").code, 1);
    assert_eq!(machine.sh("cat /tmp/checked").ok(), checked[1..].join("\n"));
    assert_eq!(machine.sh(mounted).ok(), "/mnt/bad /mnt/good /mnt/plain");
}

#[test]
fn without_fsck_the_checker_of_a_file_system_is_asked_itself() {
    let layer = Layer::new("checker");
    layer.program("sbin/fsck.tmpfs", "echo \"$@\" >>/tmp/checked; exit 1");
    let script = fs::read_to_string(workspace().join("units/lib/mounts")).expect("a script");
    layer.program("lib/ettan/mounts", &script.replace("/sbin/fsck", "/sbin/lacking"));
    // What is to be mounted is not waited for here.
    layer.program("bin/findfs", "exit 0");
    fs::create_dir_all(layer.0.join("etc")).expect("a folder");
    fs::write(
        layer.0.join("etc/fstab"),
        "/dev/one /mnt tmpfs defaults 0 2\nLABEL=two /home tmpfs nofail 0 2\n",
    )
    .expect("a file");
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.unit("mounts", &shipped("mounts").replace("requires = [\"root\"]", ""));
    machine.boot();
    machine.expect(&["mounts up"]);
    // It would not know a label, and say so with a status that means damage.
    assert_eq!(machine.sh("cat /tmp/checked").ok(), "-p /dev/one");
}

/// What is bound is there once the line before it is mounted; /proc/mounts has another name for what a link leads to.
#[test]
fn lines_of_fstab_may_build_on_each_other_and_none_is_mounted_twice() {
    let layer = Layer::new("chained-mounts");
    let script = fs::read_to_string(workspace().join("units/lib/mounts")).expect("a script");
    // Whatever is waited for here is waited for in vain.
    layer.program("lib/ettan/mounts", &script.replace("sleep 1", "exit 9"));
    fs::create_dir_all(layer.0.join("etc")).expect("a folder");
    let fstab = "/srv/disk /mnt/disk none bind 0 0\n/mnt/disk/lib /mnt/lib none bind 0 0\n\
        one /mnt/link tmpfs defaults 0 0\ntwo /mnt/slash/ tmpfs nofail 0 0\n";
    fs::write(layer.0.join("etc/fstab"), fstab).expect("a file");
    let mut machine = Builder::default().layer(&layer.0).build();
    let _ = machine
        .sh("mkdir -p /srv/disk/lib && cd /mnt && mkdir disk lib real slash && ln -s real link")
        .ok();
    machine.unit("mounts", &shipped("mounts").replace("requires = [\"root\"]", ""));
    machine.unit("late-mounts", &shipped("late-mounts"));
    machine.boot();
    machine.expect(&["mounts up", "late-mounts down"]);
    let mounted = "cut -d ' ' -f 2 /proc/mounts | grep ^/mnt/ | sort | xargs";
    assert_eq!(machine.sh(mounted).ok(), "/mnt/disk /mnt/lib /mnt/real /mnt/slash");
}

/// A file system of this machine is one of a folder here, which is its device, too.
#[test]
fn what_comes_later_is_mounted_when_it_does() {
    let layer = Layer::new("late-mounts");
    layer.script("mounts");
    fs::create_dir_all(layer.0.join("etc")).expect("a folder");
    let fstab = "/srv/needed /mnt/needed none bind 0 0\n\
        /srv/there /mnt/there none bind,nofail 0 0\n/srv/late /mnt/a\\040b none bind,nofail 0 0\n\
        /srv/never /mnt/never none bind,noauto 0 0\nswap none swap sw 0 0\n\
        far /mnt/far tmpfs _netdev 0 0\nserver:/data /mnt/nfs nfs ro 0 0\n";
    fs::write(layer.0.join("etc/fstab"), fstab).expect("a file");
    // No server answers at first.
    layer.program("sbin/mount.nfs", "test -e /tmp/answers && mount --bind /srv/there /mnt/nfs");
    let mut machine = Builder::default().layer(&layer.0).build();
    let _ =
        machine.sh("mkdir -p /srv/there && cd /mnt && mkdir needed there 'a b' never far nfs").ok();
    machine.unit("mounts", &shipped("mounts").replace("requires = [\"root\"]", ""));
    for unit in ["late-mounts", "network-mounts"] {
        machine.unit(unit, &shipped(unit));
    }
    machine.unit("web", &format!("[unit]\nafter = [\"mounts\"]\n{}", idle()));
    let mounted = |machine: &mut Namespace| {
        machine.sh("cut -d ' ' -f 2 /proc/mounts | grep ^/mnt/ | sort | tr '\\n' ,").ok()
    };
    machine.boot();
    machine.until("it is waited for", |machine| machine.running("sleep 1").len() == 1);
    assert_ne!(machine.ettan("is-active web").code, 0);
    let _ = machine.sh("mkdir /srv/needed").ok();
    machine.expect(&["mounts up", "web up"]);
    assert_eq!(mounted(&mut machine), "/mnt/needed,/mnt/there,");
    let _ = machine.sh("mkdir /srv/late /srv/never").ok();
    machine.expect(&["late-mounts down"]);
    assert_eq!(mounted(&mut machine), "/mnt/a\\040b,/mnt/needed,/mnt/there,");
    let _ = machine.ettan("condition network set").ok();
    machine.until("a server is asked", |machine| {
        machine.status("network-mounts")["state"] == "backoff" && mounted(machine).contains("/far")
    });
    let _ = machine.sh("touch /tmp/answers").ok();
    machine.until("it answers", |machine| machine.ettan("is-active network-mounts").code == 0);
    assert!(mounted(&mut machine).contains("/mnt/nfs"));
    assert!(!mounted(&mut machine).contains("/mnt/never"));
}

#[test]
fn swap_is_on_until_the_end() {
    let layer = Layer::new("swap");
    for name in ["swapon", "swapoff"] {
        layer.program(&format!("sbin/{name}"), &format!("echo {name} \"$@\" >>/tmp/swap"));
    }
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.unit("swap", &shipped("swap"));
    machine.boot();
    machine.expect(&["swap up"]);
    assert_eq!(machine.sh("cat /tmp/swap").ok(), "swapon -a");
    assert_eq!(machine.ettan("stop swap").code, 0);
    assert_eq!(machine.sh("cat /tmp/swap").ok(), "swapon -a\nswapoff -a");
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

/// What becomes of a root that the kernel mounted read-only: whether it was checked, and whether it
/// can be written to.
fn root_is_checked(test: &str, pass: u8, checkers: &[&str], code: u8) -> (bool, bool) {
    let layer = Layer::new(test);
    layer.program("sbin/fsck", &format!("echo \"$@\" >/run/checked; exit {code}"));
    checkers.iter().for_each(|name| layer.program(&format!("sbin/{name}"), "exit 16"));
    // As BusyBox's, which looks into fstab for no remount.
    layer.program("local/sbin/mount", "[ \"$2\" = remount ] || exec /bin/mount \"$@\"");
    fs::create_dir_all(layer.0.join("etc")).expect("a folder");
    // A last line without an end is one all the same.
    fs::write(layer.0.join("etc/fstab"), format!("root / tmpfs rw 0 {pass}")).expect("a file");
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["free up"]);
    let _ = machine.sh("mount -o remount,ro /").ok();
    let started = machine.ettan("start root").code == 0;
    let written = machine.sh("touch /here").code == 0;
    assert_eq!(started, written);
    (machine.sh("cat /run/checked").out == "-T -p /\n", written)
}

#[test]
fn a_root_is_checked_where_it_can_be() {
    assert_eq!(root_is_checked("root", 1, &["fsck.tmpfs"], 1), (true, true), "mended");
    assert_eq!(root_is_checked("root-bad", 1, &["fsck.tmpfs"], 4), (true, false));
    assert_eq!(root_is_checked("root-unknown", 1, &[], 8), (false, true));
    assert_eq!(root_is_checked("root-not", 0, &["fsck.tmpfs"], 4), (false, true));
}
