//! Updates on trial: the units `commit-…`, which keep what works, and `trial…`, which give up what does not.
//! Whoever knows of a trial, boot loader or updater, is made up.

use crate::cards::Card;
use crate::layer::Layer;
use ettan_tests::units::{idle, shipped};
use ettan_tests::{Builder, End, Machine, Namespace, Operate};

/// Names of programs, and their scripts.
type Tools = &'static [(&'static str, &'static str)];

/// U-Boot's own tools: a name and a value on a line of a script, all words after a name are its value, and
/// what is not set is an error.
const UBOOT_TOOLS: [(&str, &str); 2] = [
    (
        "fw_printenv",
        r#"[ $# = 0 ] && exec cat /tmp/environment
[ "$1" = -n ] && shift
sed -n "s/^$1=//p" /tmp/environment | grep . || { echo "Error: \"$1\" not defined" >&2; exit 1; }"#,
    ),
    (
        "fw_setenv",
        r#"set_env() { { grep -v "^$1=" /tmp/environment; echo "$1=$2"; } >/tmp/new; mv /tmp/new /tmp/environment; }
if [ "$1" = -s ]; then
    while read -r name value; do set_env "$name" "$value"; done
else
    name=$1
    shift
    set_env "$name" "$*"
fi
cat /tmp/environment >>/tmp/stored"#,
    ),
];

/// Those of libubootenv, which SWUpdate and Buildroot have: lines of a script without `=` are passed over, words
/// are pairs of a name and a value, and what is not set is empty.
const LIBUBOOTENV: [(&str, &str); 2] = [
    (
        "fw_printenv",
        r#"[ $# = 0 ] && exec cat /tmp/environment
[ "$1" = -n ] && shift
value=$(sed -n "s/^$1=//p" /tmp/environment)
echo "$value""#,
    ),
    (
        "fw_setenv",
        r#"set_env() { { grep -v "^$1=" /tmp/environment; echo "$1=$2"; } >/tmp/new; mv /tmp/new /tmp/environment; }
if [ "$1" = -s ]; then
    while read -r line; do case $line in *=*) set_env "${line%%=*}" "${line#*=}" ;; esac; done
else
    while [ $# -ge 2 ]; do
        set_env "$1" "$2"
        shift 2
    done
fi
cat /tmp/environment >>/tmp/stored"#,
    ),
];

/// RAUC, which cannot say how it stands while its service is not there.
const RAUC: [(&str, &str); 1] = [(
    "rauc",
    r#"case "$*" in
"status mark-good") echo good >>/tmp/told ;;
"status --detailed --output-format=shell") exec cat /tmp/slots ;;
*) exit 1 ;;
esac"#,
)];

/// What RAUC says of a slot that was installed, or never was; the other one is not asked about.
fn slots(installed: Option<&str>) -> String {
    let mut text = String::from(
        "RAUC_SYSTEM_BOOTED_BOOTNAME='B'\nRAUC_SLOTS='1 2'\nRAUC_SLOT_STATE_1='inactive'\n\
         RAUC_SLOT_DEVICE_1='/dev/mmcblk0p2'\n\
         RAUC_SLOT_STATUS_INSTALLED_TIMESTAMP_1='2026-01-01T00:00:00Z'\n\
         RAUC_SLOT_STATUS_INSTALLED_COUNT_1='1'\nRAUC_SLOT_STATE_2='booted'\n\
         RAUC_SLOT_DEVICE_2='/dev/mmcblk0p3'\nRAUC_SLOT_BOOT_STATUS_2='good'\n",
    );
    let (at, count) = installed.map_or(("", "0"), |at| (at, "7"));
    text += &format!("RAUC_SLOT_STATUS_INSTALLED_TIMESTAMP_2='{at}'\n");
    text + &format!("RAUC_SLOT_STATUS_INSTALLED_COUNT_2='{count}'\n")
}

/// A card whose usual boot partition is the first of these.
fn card(usual: u8, next: u8) -> String {
    format!("[all]\ntryboot_a_b=1\nboot_partition={usual}\n[tryboot]\nboot_partition={next}\n")
}

/// A machine that was updated, with these tools.
struct Updated {
    machine: Namespace,
    _layer: Layer,
}

impl Updated {
    fn new(test: &str, tools: &[(&str, &str)]) -> Self {
        let layer = Layer::new(test);
        tools.iter().for_each(|(tool, script)| layer.program(&format!("bin/{tool}"), script));
        layer.script("trial");
        let mut machine = Builder::default().layer(&layer.0).build();
        machine.unit("web", &format!("[unit]\ncritical = true\n{}", idle()));
        Self { machine, _layer: layer }
    }

    /// A vendor unit; a trial that takes so long.
    fn unit(&mut self, name: &str, trial_s: u32) {
        let text = shipped(name).replace("/sys/firmware/devicetree/base/chosen", "/tmp");
        let text = text.replace("\"300\"", &format!("\"{trial_s}\""));
        let firmware = "ETTAN_BOOTLOADER = \"/tmp/bootloader\"\nETTAN_AUTOBOOT = \"/tmp\"\n";
        let table = "[service.environment]\n";
        let text = match text.split_once(table) {
            Some((before, after)) => format!("{before}{table}{firmware}{after}"),
            None => format!("{text}\n{table}{firmware}"),
        };
        self.machine.unit(name, &text);
    }

    /// Whoever knows of a trial says that there is one, or none.
    fn on_trial(&mut self, who: &str, is_one: bool) {
        let number = u8::from(is_one);
        self.machine.write("/tmp/bootloader/tryboot", &[0, 0, 0, number]);
        self.machine.write("/tmp/bootloader/partition", &[0, 0, 0, 3]);
        self.machine.write("/tmp/autoboot.txt", card(2, 3).as_bytes());
        let environment = format!("bootcount=2\nother=kept\nupgrade_available={number}\n");
        self.machine.write("/tmp/environment", environment.as_bytes());
        let installed = (who != "rauc" || is_one).then_some("2026-11-29T12:00:00Z");
        self.machine.write("/tmp/slots", slots(installed).as_bytes());
    }

    fn is_a_success(&mut self) {
        let _ = self.machine.ettan("condition boot-ok set").ok();
    }
}

/// Who knows of a trial, the unit that ends one, the unit that gives it up, and what it takes.
const WAYS: [(&str, &str, &str, Tools); 4] = [
    ("tryboot", "commit-tryboot", "trial", &[]),
    ("uboot", "commit-uboot", "trial-uboot", &UBOOT_TOOLS),
    ("libubootenv", "commit-uboot", "trial-uboot", &LIBUBOOTENV),
    ("rauc", "commit-rauc", "trial-rauc", &RAUC),
];

#[test]
fn an_update_that_works_is_committed_once_and_its_trial_ends() {
    for (who, commit, trial, tools) in WAYS {
        let mut updated = Updated::new(&format!("commit-{who}"), tools);
        updated.unit(commit, 0);
        updated.unit(trial, 100_000);
        updated.on_trial(who, true);
        let machine = &mut updated.machine;
        machine.boot();
        machine.until("it waits", |machine| machine.running("sleep 100000").len() == 2);
        let why = machine.ettan(&format!("why {commit}")).out;
        assert!(why.contains("waiting for condition boot-ok"), "{why}");
        updated.is_a_success();
        let machine = &mut updated.machine;
        machine.expect(&[&format!("{commit} starting"), &format!("{commit} down")]);
        machine.until("the trial is over", |machine| machine.status(trial)["state"] == "down");
        assert_eq!(machine.status(commit)["last_exit"], "exited with status 0", "{who}");
    }
}

#[test]
fn a_commit_needs_no_unit_that_waits() {
    for (who, commit, _, tools) in WAYS {
        let mut updated = Updated::new(&format!("alone-{who}"), tools);
        updated.unit(commit, 0);
        updated.on_trial(who, true);
        updated.machine.boot();
        updated.machine.has_units();
        updated.is_a_success();
        updated.machine.expect(&[&format!("{commit} starting"), &format!("{commit} down")]);
        assert_eq!(updated.machine.status(commit)["last_exit"], "exited with status 0", "{who}");
        assert_eq!(updated.machine.status(commit)["restarts"], 0, "{who}");
    }
}

#[test]
fn an_update_that_never_works_is_given_up_by_a_restart() {
    for (who, commit, trial, tools) in WAYS {
        let mut updated = Updated::new(&format!("given-up-{who}"), tools);
        updated.unit(commit, 0);
        updated.unit(trial, 0);
        updated.on_trial(who, true);
        updated.machine.boot();
        assert_eq!(updated.machine.end(), End::Reboot, "{who}");
    }
}

#[test]
fn a_system_that_is_not_on_trial_goes_on_whatever_becomes_of_it() {
    for (who, commit, trial, tools) in WAYS {
        let mut updated = Updated::new(&format!("usual-{who}"), tools);
        updated.unit(commit, 0);
        updated.unit(trial, 100_000);
        updated.on_trial(who, false);
        updated.machine.boot();
        updated.machine.expect(&[&format!("{trial} starting"), &format!("{trial} down")]);
        assert_eq!(updated.machine.status(trial)["last_exit"], "exited with status 0", "{who}");
        updated.is_a_success();
        updated.machine.expect(&[&format!("{commit} starting"), &format!("{commit} down")]);
        assert_eq!(updated.machine.status(commit)["last_exit"], "exited with status 0", "{who}");
        assert_eq!(updated.machine.sh("cat /tmp/autoboot.txt").ok() + "\n", card(2, 3));
        assert_ne!(updated.machine.sh("ls /tmp/stored").code, 0, "{who}");
    }
}

#[test]
fn the_partition_that_was_tried_becomes_the_usual_one() {
    for (name, text) in [("autoboot", card(2, 3)), ("windows", card(2, 3).replace('\n', "\r\n"))] {
        becomes_the_usual_one(name, &text);
    }
}

fn becomes_the_usual_one(name: &str, text: &str) {
    let mut updated = Updated::new(name, &[]);
    updated.unit("commit-tryboot", 0);
    updated.on_trial("tryboot", true);
    updated.machine.write("/tmp/autoboot.txt", text.as_bytes());
    updated.machine.boot();
    updated.machine.has_units();
    updated.is_a_success();
    updated.machine.expect(&["commit-tryboot starting", "commit-tryboot down"]);
    let now = |updated: &mut Updated| updated.machine.sh("cat /tmp/autoboot.txt").ok() + "\n";
    assert_eq!(now(&mut updated), card(3, 2));
    // Once more, after a commit that nobody heard of.
    assert_eq!(updated.machine.ettan("start commit-tryboot").code, 0);
    assert_eq!(now(&mut updated), card(3, 2));
}

/// Under an overlay no disk can be seen, and its first partition may be in use.
#[test]
fn the_first_partition_is_found_under_an_overlay_and_used_where_it_is_mounted() {
    for (name, put, mode) in [
        ("read-only", "mount -o remount,ro /data", "ro"),
        ("writable", "true", "rw"),
        ("unmounted", "mv /data/autoboot.txt /tmp/fat/ && umount /data", ""),
    ] {
        let mut updated = Updated::new(&format!("overlay-{name}"), &[]);
        updated.unit("commit-tryboot", 0);
        let unit =
            shipped("commit-tryboot").replace("/sys/firmware/devicetree/base/chosen", "/tmp");
        let environment = "[service.environment]\nETTAN_BOOTLOADER = \"/tmp/bootloader\"\n\
                           PATH = \"/tmp/bin:/usr/bin:/bin:/usr/sbin:/sbin\"\n";
        updated.machine.unit("commit-tryboot", &format!("{unit}\n{environment}"));
        updated.on_trial("tryboot", true);
        let machine = &mut updated.machine;
        let _card = Card::new(machine, name);
        // FAT is not known to every kernel that tests run on, and a device that nobody has mounted is gone.
        let mount = b"#!/bin/sh\n[ \"$1 $2 $3\" != \"-t vfat /dev/mmcblk0p1\" ] || set -- --bind /tmp/fat \"$4\"\n\
                      exec /bin/mount \"$@\"\n";
        machine.write("/tmp/bin/mount", mount);
        machine.write("/tmp/cmdline", b"quiet root=/dev/mmcblk0p2 rootwait\n");
        for (nth, number) in [("1", "$(stat -c %Hr:%Lr /dev/card)"), ("2", "179:2")] {
            let part = format!("/tmp/disk/mmcblk0p{nth}");
            let words = format!(
                "mkdir -p {part} && echo {nth} >{part}/partition && echo {number} >{part}/dev"
            );
            let _ = machine.sh(&words).ok();
        }
        let words = "chmod +x /tmp/bin/mount; mkdir /tmp/fat; cp /tmp/autoboot.txt /data/";
        let _ = machine.sh(words).ok();
        let _ = machine.sh(put).ok();
        machine.boot();
        machine.has_units();
        let fakes = "mount --bind /tmp/cmdline /proc/cmdline && \
                     mount -t tmpfs block /sys/class/block && \
                     ln -s /tmp/disk/mmcblk0p2 /sys/class/block/mmcblk0p2";
        let _ = machine.sh(fakes).ok();
        updated.is_a_success();
        let machine = &mut updated.machine;
        machine.expect(&["commit-tryboot starting", "commit-tryboot down"]);
        let text = card(3, 2);
        let said = machine.ettan("logs commit-tryboot").out;
        assert_eq!(machine.status("commit-tryboot")["last_exit"], "exited with status 0", "{said}");
        let now = machine.sh("grep -o '^/dev/[a-z0-9]* /data [^ ]* ..' /proc/mounts").out;
        assert!(now.trim_end().ends_with(mode), "{name}: {now}");
        assert_eq!(machine.sh("cat /data/*.txt /tmp/fat/*.txt").out, text, "{name}");
        assert_ne!(machine.sh("grep /run/ettan/autoboot /proc/mounts").code, 0, "{name}");
    }
}

#[test]
fn a_trial_under_u_boot_is_ended_by_either_of_its_tools() {
    for (name, tools) in [("uboot-tools", UBOOT_TOOLS), ("libubootenv", LIBUBOOTENV)] {
        let mut updated = Updated::new(&format!("ended-{name}"), &tools);
        updated.unit("commit-uboot", 0);
        updated.on_trial("uboot", true);
        updated.machine.boot();
        updated.machine.has_units();
        updated.is_a_success();
        let machine = &mut updated.machine;
        machine.expect(&["commit-uboot starting", "commit-uboot down"]);
        let now = machine.sh("sort /tmp/environment | xargs").ok();
        assert_eq!(now, "bootcount=0 other=kept upgrade_available=0", "{name}");
        // A power cut in between leaves a trial.
        let stored = machine.sh("grep upgrade_available /tmp/stored | xargs").ok();
        assert_eq!(stored, "upgrade_available=1 upgrade_available=0", "{name}");
        // Where there never was one nothing is written.
        machine.write("/tmp/environment", b"bootcount=7\n");
        assert_eq!(machine.ettan("start commit-uboot").code, 0, "{name}");
        assert_eq!(machine.sh("wc -l </tmp/stored").ok(), "6", "{name}");
        // What cannot be written is tried again, and no success.
        machine.write("/tmp/environment", b"upgrade_available=1\n");
        let _ = machine.sh("mount --bind /tmp/environment /tmp/environment").ok();
        assert_eq!(machine.ettan("start commit-uboot").code, 1, "{name}");
    }
}

#[test]
fn what_rauc_has_installed_is_on_trial_until_it_was_committed_there() {
    let mut updated = Updated::new("slots", &RAUC);
    updated.unit("commit-rauc", 0);
    updated.unit("trial-rauc", 100_000);
    // It did not come back from its commit in slot 2, and the first slot has been committed before.
    let first = "/dev/mmcblk0p2 2026-01-01T00:00:00Z 1\n";
    let before = format!("{first}/dev/mmcblk0p3 2026-02-02T00:00:00Z 6\n");
    updated.machine.write("/var/lib/ettan/rauc", before.as_bytes());
    updated.on_trial("rauc", true);
    let machine = &mut updated.machine;
    machine.boot();
    machine.until("it waits", |machine| machine.running("sleep 100000").len() == 2);
    let _ = machine.ettan("condition boot-ok set").ok();
    machine.expect(&["commit-rauc starting", "commit-rauc down"]);
    let committed = format!("{first}/dev/mmcblk0p3 2026-11-29T12:00:00Z 7");
    assert_eq!(machine.sh("cat /var/lib/ettan/rauc").ok(), committed);
    // At the next boot it is no trial, and good all the same: RAUC counts each boot.
    let _ = machine.sh(": >/tmp/told; touch -d 2020-01-01 /var/lib/ettan/rauc").ok();
    assert_eq!(machine.ettan("start trial-rauc").code, 0);
    machine.expect(&["trial-rauc starting", "trial-rauc down"]);
    assert_eq!(machine.ettan("start commit-rauc").code, 0);
    assert_eq!(machine.sh("cat /tmp/told").ok(), "good");
    assert!(machine.sh("stat -c %y /var/lib/ettan/rauc").ok().starts_with("2020"));
    // Another installation is another trial.
    machine.write("/tmp/slots", slots(Some("2026-12-01T12:00:00Z")).as_bytes());
    assert_eq!(machine.ettan("start trial-rauc").code, 0);
    machine.until("it waits", |machine| machine.running("sleep 100000").len() == 2);
}

#[test]
fn a_trial_that_cannot_be_asked_about_at_first_is_asked_about_again() {
    let mut updated = Updated::new("asked", &RAUC);
    updated.unit("trial-rauc", 0);
    updated.machine.boot();
    updated.machine.expect(&["trial-rauc starting", "trial-rauc failed"]);
    updated.machine.until("it says so", |machine| {
        let said = "whether this is a trial cannot be found out: it stays";
        machine.ettan("logs trial-rauc").out.contains(said)
    });
    // Its service is there when the time is over.
    let late = "#!/bin/sh\ncp /tmp/later /tmp/slots\n";
    updated.machine.write("/tmp/later", slots(Some("2026-11-29T12:00:00Z")).as_bytes());
    updated.machine.write("/tmp/bin/sleep", late.as_bytes());
    let _ = updated.machine.sh("chmod +x /tmp/bin/sleep").ok();
    let text = shipped("trial-rauc")
        .replace("TRIAL_S", "PATH = \"/tmp/bin:/usr/bin:/bin:/usr/sbin:/sbin\"\nTRIAL_S");
    updated.machine.unit("trial-rauc", &text);
    assert_eq!(updated.machine.ettan("reload-units").code, 0);
    let _ = updated.machine.ettan("start trial-rauc");
    assert_eq!(updated.machine.end(), End::Reboot);
}
