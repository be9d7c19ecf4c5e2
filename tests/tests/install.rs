//! `ettan install` on a Debian root made of its packages: what was enabled runs under Ettan, and after
//! `ettan uninstall` the root is as it was, to the last file.

use ettan_tests::binaries::{Program, look, target};
use ettan_tests::{Builder, Machine, Operate, debian};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A root with systemd and cron as their packages have it; gone when dropped.
struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Self {
        let unpacked = debian::unpack("install", &["cron", "dash", "systemd", "systemd-sysv"]);
        let root = target().join("test/roots").join(format!("{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.parent().expect("a folder above")).expect("a folder");
        let copied = Command::new("cp").arg("-a").arg(unpacked).arg(&root).status();
        assert!(copied.is_ok_and(|status| status.success()), "the packages can be copied");
        let root = Self(root);
        // What a bootstrapped root has beside its packages' files.
        for folder in ["bin", "sbin", "lib"] {
            root.link(folder, &format!("usr/{folder}"));
        }
        root.link("usr/bin/sh", "dash");
        let wants = "etc/systemd/system/multi-user.target.wants";
        root.link(&format!("{wants}/cron.service"), "/lib/systemd/system/cron.service");
        root.write(
            "boot/firmware/cmdline.txt",
            "root=/dev/mmcblk0p2 rootwait init=/lib/systemd/systemd\n",
        );
        root.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        root.write("etc/group", "root:x:0:\n");
        root.write("etc/fstab", "/dev/mmcblk0p2 / ext4 defaults 0 1\n");
        fs::create_dir_all(root.0.join("var/lib")).expect("a folder");
        root
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn link(&self, path: &str, to: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let _ = fs::remove_file(&path);
        symlink(to, path).expect("a link");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).expect("a file")
    }

    /// `ettan VERB --root THIS` on this host.
    fn ettan(&self, verb: &str, more: &[&str]) -> Output {
        let ettan = look(Program::Cli).expect("ettan is built");
        let out = Command::new(ettan).arg(verb).arg("--root").arg(&self.0).args(more).output();
        out.expect("it can be run")
    }

    #[track_caller]
    fn done(&self, verb: &str, more: &[&str]) -> String {
        let out = self.ettan(verb, more);
        assert!(out.status.success() && out.stderr.is_empty(), "{verb}: {out:?}");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// What differs from another root.
    fn differs(&self, other: &Path) -> String {
        let out =
            Command::new("diff").args(["-r", "--no-dereference"]).arg(other).arg(&self.0).output();
        let out = out.expect("diff is there");
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_debian_root_gets_ettan_and_is_as_it_was_afterwards() {
    let (root, before) = (Root::new("on"), Root::new("before"));
    let would = root.done("install", &["--dry-run"]);
    assert!(would.ends_with(&format!("uninstall --root {}\n", root.0.display())), "{would}");
    assert_eq!(root.differs(&before.0), "", "nothing was to be changed");
    let said = root.done("install", &[]);
    for line in [
        "/etc/units/cron.toml from /usr/lib/systemd/system/cron.service",
        "/systemd-journald.service: not taken over, it is a part of systemd",
        "/boot/firmware/cmdline.txt: root=/dev/mmcblk0p2 rootwait panic=10",
        "/sbin/init: Ettan; the old one: init.before-ettan",
    ] {
        assert!(said.contains(line), "no {line:?} in\n{said}");
    }
    assert_eq!(fs::read_link(root.0.join("sbin/init")).expect("a link"), Path::new("ettan-init"));
    let old = fs::read_link(root.0.join("sbin/init.before-ettan")).expect("the old init");
    assert!(old.ends_with("systemd"), "{}", old.display());
    let again = root.done("install", &[]);
    assert!(again.contains("/sbin/init: Ettan; the old one: init.before-ettan"), "{again}");
    assert_eq!(root.read("boot/firmware/cmdline.txt"), "root=/dev/mmcblk0p2 rootwait panic=10\n");

    // What is for hardware is left out here: this is no machine of its own.
    for entry in fs::read_dir(root.0.join("etc/units")).expect("units").flatten() {
        if entry.file_type().expect("a kind").is_symlink() {
            fs::rename(entry.path(), root.0.join(entry.file_name())).expect("it can be moved");
        }
    }
    let mut machine = Builder::default().layer(&root.0).build();
    let _ = machine.sh("mkdir -p /var/spool/cron/crontabs").ok();
    machine.boot();
    machine.expect(&["cron up"]);
    let pid = machine.main_pid("cron");
    machine.kill9(pid);
    machine.until("it is back", |machine| machine.is_up_anew("cron", pid));
    drop(machine);
    for entry in fs::read_dir(&root.0).expect("the root").flatten() {
        if entry.file_name().to_string_lossy().ends_with(".toml") {
            let back = root.0.join("etc/units").join(entry.file_name());
            fs::rename(entry.path(), back).expect("it can be moved back");
        }
    }

    let said = root.done("uninstall", &[]);
    assert!(said.contains("/sbin/init: as it was before"), "{said}");
    assert_eq!(root.differs(&before.0), "");
    let out = root.ettan("uninstall", &[]);
    assert_eq!(out.status.code(), Some(1));
    let why = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(why.contains("Ettan was not installed there by ettan install"), "{why}");
}

/// `devices` asks udev for what was there before it.
#[test]
fn devices_are_looked_for_once_there_is_a_udev() {
    let root = Root::new("udev");
    root.write(
        "usr/lib/systemd/system/systemd-udevd.service",
        "[Unit]\nDescription=Devices\n[Service]\nType=notify\nExecStart=/lib/systemd/systemd-udevd\n",
    );
    let wanted = "usr/lib/systemd/system/sysinit.target.wants/systemd-udevd.service";
    root.link(wanted, "../systemd-udevd.service");
    let said = root.done("install", &[]);
    assert!(said.contains("/etc/units/systemd-udevd.toml from "), "{said}");
    let text = root.read("etc/units/devices.toml.d/udev.toml");
    assert_eq!(text, "[unit]\nafter = [\"root\", \"systemd-udevd\"]\n");
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_changed() {
    let (root, before) = (Root::new("no"), Root::new("no-before"));
    root.write("boot/firmware/cmdline.txt", "quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n");
    let refused = |more: &[&str]| {
        let out = root.ettan("install", more);
        assert_eq!(out.status.code(), Some(1), "{out:?}");
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    assert!(refused(&[]).contains("never booted; boot it once, then try again"));
    root.write("boot/firmware/cmdline.txt", &before.read("boot/firmware/cmdline.txt"));
    assert!(
        refused(&["--from", "/nowhere"]).contains("/nowhere/ettan-init: no such file or directory")
    );
    assert_eq!(root.differs(&before.0), "");
}
