//! What `root`, `mounts`, `late-mounts`, `network-mounts` and `swap` of `units/system` make of fstab.

use crate::cards::Card;
use crate::layer::Layer;
use ettan_tests::binaries::workspace;
use ettan_tests::units::{idle, shipped};
use ettan_tests::{Builder, Machine, Namespace, Operate};
use std::fs;

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
    layer.script("mounts");
    let common = fs::read_to_string(workspace().join("units/lib/common")).expect("a script");
    layer.program("lib/ettan/common", &common.replace("/sbin/fsck", "/sbin/lacking"));
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
    layer.script("mounts");
    let script = fs::read_to_string(workspace().join("units/lib/mounts")).expect("a script");
    // Whatever is waited for here is waited for in vain.
    layer.program("lib/ettan/mounts", &script.replace("sleep 1", "exit 9"));
    fs::create_dir_all(layer.0.join("etc")).expect("a folder");
    let fstab = "/srv/disk /mnt/disk none bind 0 0\n/mnt/disk/lib /mnt/lib none bind 0 0\n\
        one /mnt/link tmpfs defaults 0 0\ntwo /mnt/slash/ tmpfs nofail 0 0\n\
        /srv/my\\040disk /mnt/disk\\0401 none bind,nofail 0 0\n";
    fs::write(layer.0.join("etc/fstab"), fstab).expect("a file");
    let mut machine = Builder::default().layer(&layer.0).build();
    let _ = machine
        .sh("mkdir -p /srv/disk/lib '/srv/my disk' && cd /mnt && mkdir disk lib real slash 'disk 1' && \
             ln -s real link")
        .ok();
    machine.unit("mounts", &shipped("mounts").replace("requires = [\"root\"]", ""));
    machine.unit("late-mounts", &shipped("late-mounts"));
    machine.boot();
    machine.expect(&["mounts up", "late-mounts down"]);
    let mounted = "cut -d ' ' -f 2 /proc/mounts | grep ^/mnt/ | sort | paste -s -d ' '";
    assert_eq!(machine.sh(mounted).ok(), "/mnt/disk /mnt/disk\\0401 /mnt/lib /mnt/real /mnt/slash");
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

/// What becomes of a root that the kernel mounted read-only: whether it was checked, and whether it
/// can be written to.
fn root_is_checked(test: &str, pass: u8, checkers: &[&str], code: u8) -> (bool, bool) {
    let layer = Layer::new(test);
    layer.program("sbin/fsck", &format!("echo \"$@\" >/run/checked; exit {code}"));
    checkers.iter().for_each(|name| layer.program(&format!("sbin/{name}"), "exit 16"));
    layer.script("root");
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

/// What a card of Raspberry Pi OS says: a box that nobody opens has all of it mended.
#[test]
fn how_much_is_mended_stands_on_the_command_line() {
    let layer = Layer::new("repair");
    layer.program("sbin/fsck", "echo \"$@\" >>/tmp/checked");
    layer.program("sbin/fsck.tmpfs", "exit 16");
    layer.script("mounts");
    fs::create_dir_all(layer.0.join("etc")).expect("a folder");
    fs::write(layer.0.join("etc/fstab"), "one /mnt tmpfs defaults 0 2").expect("a file");
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.unit("mounts", &shipped("mounts").replace("requires = [\"root\"]", ""));
    machine.unit("free", &idle());
    let _ = machine.sh("echo quiet >/tmp/words && mount --bind /tmp/words /proc/cmdline").ok();
    machine.boot();
    machine.expect(&["mounts up"]);
    for words in ["fsck.repair=yes quiet", "fsck.repair=no", "fsck.mode=skip", "fsck.mode=force"] {
        let again = format!("umount /mnt; echo '{words}' >/tmp/words");
        let _ = machine.sh(&again).ok();
        assert_eq!(machine.ettan("restart mounts").code, 0);
    }
    let checked = ["-T -p /mnt", "-T -y /mnt", "-T -n /mnt", "-T -p /mnt"];
    assert_eq!(machine.sh("cat /tmp/checked").ok(), checked.join("\n"), "force is for ext alone");
}

#[test]
fn a_disk_that_is_full_or_has_errors_is_told() {
    let layer = Layer::new("disks");
    layer.script("disks");
    let mut machine = Builder::default().layer(&layer.0).build();
    let _card = Card::new(&mut machine, "disks");
    machine.write("/etc/fstab", b"/dev/card /data ext4 noatime 0 2");
    // The disks of this host are not what this is about.
    let text = shipped("disks").replace("\"5\"", "\"5\"\nETTAN_EXT4 = \"/tmp/ext4\"");
    machine.unit("disks", &text);
    machine.unit("free", &idle());
    machine.boot();
    machine.expect(&["free up"]);
    let looks = |machine: &mut Namespace, before: &str, why: &str| {
        let _ = machine.sh(before).ok();
        assert_eq!(machine.ettan("start disks").code, i32::from(!why.is_empty()), "{before}");
        machine.until(why, |machine| machine.ettan("logs disks").out.contains(why));
    };
    looks(&mut machine, "true", "");
    let fill = "dd if=/dev/zero of=/data/all bs=64k 2>/dev/null; true";
    looks(&mut machine, fill, "/data is full to 100 %");
    looks(&mut machine, "rm /data/all", "");
    looks(&mut machine, "mount -o remount,ro /data", "/data is read-only, and /etc/fstab has it");
    looks(&mut machine, "sed -i s/noatime/ro/ /etc/fstab", "");
    let number = "sed -n 's,^[^ ]* [^ ]* 7:\\([0-9]*\\) [^ ]* /data .*,\\1,p' /proc/self/mountinfo";
    let fail = format!(
        "sed -i 's/ ro / noatime /' /etc/fstab; mkdir /tmp/ext4 && ln -s /sys/fs/ext4/loop$({number}) /tmp/ext4/card && \
         mount -o remount,rw,errors=remount-ro /data && echo 1 >/tmp/ext4/card/trigger_fs_error"
    );
    looks(&mut machine, &fail, "card has met errors (1) since it was checked");
    // As the kernel says it, before Linux 6.15 or since.
    machine.until("and is read-only", |machine| {
        let said = machine.ettan("logs -n 4 disks").out;
        said.contains("/data is read-only after an error")
            || said.contains("/data is read-only, and")
    });
}
