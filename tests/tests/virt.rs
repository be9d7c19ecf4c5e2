//! What takes a whole machine: a kernel that resets it, and hardware that none of the emulated
//! Raspberry Pis has. On QEMU's `virt` board, which takes minutes: `make test-qemu`.

use ettan_tests::units::{idle, shell, shipped, with};
use ettan_tests::{End, Machine, Operate, Partition, Qemu, scenarios};

fn booted(test: &str) -> Qemu {
    let mut machine = Qemu::new("virt", test);
    machine.boot();
    machine
}

/// What PID 1 says of the hardware watchdog.
fn watchdog(machine: &mut Qemu) -> serde_json::Value {
    let line = machine.ettan("status --json").out;
    let stats = line.lines().find_map(|line| {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        value.get("watchdog").is_some().then_some(value)
    });
    stats.unwrap_or_else(|| panic!("no word of a watchdog: {line}"))
}

fn is_fed_again(machine: &mut Qemu) {
    let before = watchdog(machine)["watchdog_fed_ms"].as_u64();
    machine
        .until("it is fed again", |machine| watchdog(machine)["watchdog_fed_ms"].as_u64() > before);
}

#[test]
#[ignore = "make test-qemu"]
fn f3_11_the_watchdog_is_fed_and_stopped_before_the_power_goes() {
    let mut machine = booted("watchdog");
    let found = watchdog(&mut machine);
    assert_eq!(found["watchdog"], "Software Watchdog", "{found}");
    assert_eq!(found["watchdog_timeout_ms"], 15_000, "{found}");
    assert_eq!(found["watchdog_trouble"], "", "{found}");
    let status = machine.ettan("status").out;
    assert!(status.contains("watchdog: Software Watchdog, 15 s, fed "), "{status}");
    // Five times, so longer than it would take without.
    for _ in 0..4 {
        is_fed_again(&mut machine);
    }
    assert_eq!(machine.ettan("reexec").code, 0);
    machine.until("PID 1 answers again", |machine| machine.ettan("list").code == 0);
    assert_eq!(watchdog(&mut machine)["watchdog_timeout_ms"], 15_000);
    is_fed_again(&mut machine);
    let _ = machine.sh("dmesg -n 5");
    let _ = machine.sh("ettan poweroff");
    assert_eq!(machine.end(), End::Off);
    let said = machine.report();
    assert!(!said.contains("did not stop"), "{said}");
    machine.card_is_clean();
}

#[test]
#[ignore = "make test-qemu"]
fn f3_10_a_pid_1_that_stands_still_is_reset_by_the_watchdog() {
    let mut machine = booted("still");
    assert_eq!(watchdog(&mut machine)["watchdog_timeout_ms"], 15_000);
    // Nothing that a process can send stops PID 1, but the freezer does.
    let _ = machine
        .sh("dmesg -n 7; cd /sys/fs/cgroup && mkdir still && echo 1 >still/cgroup.procs && \
         echo 1 >still/cgroup.freeze");
    let still = std::time::Instant::now();
    let end = machine.end();
    let said = machine.report();
    assert!(said.contains("softdog: Initiating system reboot"), "{end:?}: {said}");
    assert!(machine.is_off(), "{end:?}");
    let took = still.elapsed().as_secs();
    assert!(took < 60, "{took} s");
}

#[test]
#[ignore = "make test-qemu"]
fn f3_10_a_machine_whose_critical_unit_was_well_and_is_beyond_help_is_reset() {
    let mut machine = Qemu::new("virt", "critical");
    machine.append("ettan.boot-ok=3");
    let until = "until [ -e /run/break ]; do sleep 0.2; done; exit 1";
    machine.unit("web", &format!("[unit]\ncritical = true\n{}", shell(until)));
    let commit = with("after = [\"boot-ok\"]", &shell("echo committed; exec sleep 100000"));
    machine.unit("commit", &commit);
    machine.boot();
    machine.expect(&["web up", "commit up"]);
    is_fed_again(&mut machine);
    assert_eq!(watchdog(&mut machine)["watchdog_trouble"], "");
    let _ = machine.sh("dmesg -n 7; touch /run/break");
    let end = machine.end();
    let said = machine.report();
    assert!(said.contains("not fed: web is not well"), "{end:?}: {said}");
    assert!(said.contains("softdog: Initiating system reboot"), "{end:?}: {said}");
    assert!(machine.is_off(), "{end:?}");
}

/// Three ends of a boot, and what the one after them says: the power goes, somebody restarts it, and the
/// watchdog resets it.
#[test]
#[ignore = "make test-qemu"]
fn how_the_last_boot_ended_is_known_after_the_next() {
    let mut machine = Qemu::new("virt", "ends");
    machine.append("ettan.boot-ok=1");
    machine.write("/usr/lib/ettan/last-end", include_bytes!("../../units/lib/last-end"));
    machine.write("/usr/lib/ettan/common", include_bytes!("../../units/lib/common"));
    for unit in ["last-end", "last-end-watchdog"] {
        let text = shipped(unit).replace("[\"/usr/lib", "[\"/bin/sh\", \"/usr/lib");
        machine.unit(unit, &text);
    }
    let until = "until [ -e /run/break ]; do sleep 0.2; done; exit 1";
    machine.unit("web", &format!("[unit]\ncritical = true\n{}", shell(until)));
    let says = |machine: &mut Qemu, how: &str| {
        // What is written on the card may be of the boot before.
        machine.until("the last boot is known", |machine| are_up(machine, &["last-end"]));
        assert_eq!(machine.sh("cat /var/lib/ettan/last-end").ok(), "running");
        let told = machine.ettan("status").out;
        assert!(told.contains(&format!("last end: {how}")), "{told}");
    };
    machine.boot();
    says(&mut machine, "not known");
    machine.pull_plug();
    machine.boot();
    says(&mut machine, "power cut or reset");
    let _ = machine.sh("dmesg -n 5; ettan reboot");
    assert_eq!(machine.end(), End::Reboot);
    machine.pull_plug();
    machine.boot();
    says(&mut machine, "ended in order (reboot)");
    // A machine that never was well is not reset.
    machine.until("the boot is a success", |machine| machine.ettan("condition boot-ok").code == 0);
    let _ = machine.sh("dmesg -n 7; touch /run/break");
    let end = machine.end();
    let said = machine.report();
    assert!(said.contains("softdog: Initiating system reboot"), "{end:?}: {said}");
    machine.pull_plug();
    machine.boot();
    says(&mut machine, "reset by the watchdog: web is not well");
}

/// What somebody has put onto the card in a laptop. Nothing says where the partition is: it is on the disk of
/// the root.
#[test]
#[ignore = "make test-qemu"]
fn a_boot_partition_that_is_not_mounted_says_which_units_start() {
    let mut machine = Qemu::new("virt", "boot-partition");
    machine.unit("web", &idle());
    machine.unit("app", &idle());
    machine.on_boot_partition("RESCUE.TOM", "units.web = \"off\"\r\nrescue = \"no\"\r\n");
    machine.boot();
    machine.expect(&["app up"]);
    assert_eq!(machine.ettan("is-active web").code, 4);
    let told = machine.ettan("status").out;
    assert!(told.contains("/run/ettan/boot/"), "{told}");
    assert!(told.contains(":1:7: warning: `web = \"off\"`: it is masked"), "{told}");
    // Nothing of the look at it is left.
    assert_ne!(machine.sh("grep vfat /proc/mounts || ls /run/ettan/card").code, 0);
    // Once it is mounted, what it says now counts.
    let mount = "mkdir -p /boot/firmware && mount -t vfat /dev/vda1 /boot/firmware && \
                 rm /boot/firmware/[Ee]*/*";
    let _ = machine.sh(mount).ok();
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.expect(&["web up"]);
    let _ = machine.sh("umount /boot/firmware").ok();
    let _ = machine.sh("dmesg -n 5; ettan poweroff");
    assert_eq!(machine.end(), End::Off);
    machine.card_is_clean();
}

#[test]
#[ignore = "make test-qemu"]
fn f3_10_a_disk_that_does_not_answer_any_more_is_a_reset() {
    let mut machine = Qemu::new("virt", "hung");
    machine.append("ettan.boot-ok=3");
    machine.has("");
    machine.unit("pulse", &shipped("pulse").replace("\"60s\"", "\"15s\""));
    let commit = with("after = [\"boot-ok\"]", &shell("echo committed; exec sleep 100000"));
    machine.unit("commit", &commit);
    machine.boot();
    machine.expect(&["pulse up", "commit up"]);
    is_fed_again(&mut machine);
    let _ = machine.sh("dmesg -n 7").ok();
    // A byte a second: the next block takes an hour.
    machine.tell("block_set_io_throttle card 1 0 0 0 0 0");
    let end = machine.end();
    let said = machine.report();
    assert!(said.contains("not fed: pulse is not well"), "{end:?}: {said}");
    assert!(said.contains("softdog: Initiating system reboot"), "{end:?}: {said}");
    assert!(machine.is_off(), "{end:?}");
}

/// Another disk of the board, which the test takes away when it ends.
struct Disk {
    image: std::path::PathBuf,
    name: &'static str,
}

impl Disk {
    fn new(name: &'static str) -> Self {
        let image = std::env::temp_dir().join(format!("ettan-{name}-{}", std::process::id()));
        let made = format!("truncate -s 16M {0} && mkfs.ext4 -q {0}", image.display());
        let made = std::process::Command::new("sh").args(["-c", &made]).status();
        assert!(made.expect("a shell").success());
        Self { image, name }
    }

    /// What QEMU has to know.
    fn options(&self) -> String {
        let (name, file) = (self.name, self.image.display());
        format!(
            "-drive if=none,id={name},format=raw,file={file} -device virtio-blk-device,drive={name},serial={name}"
        )
    }

    /// Its node in /dev.
    fn node(&self, machine: &mut Qemu) -> String {
        let name = self.name;
        let find = format!(
            "for d in /sys/block/vd*; do grep -qx {name} $d/serial && echo /dev/${{d##*/}}; done; true"
        );
        machine.sh(&find).ok()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.image);
    }
}

#[test]
#[ignore = "make test-qemu"]
fn f8_2_a_disk_that_hangs_does_not_keep_the_root_from_being_read_only() {
    let disk = Disk::new("dead");
    let mut machine = Qemu::new("virt", "dead");
    machine.has(&disk.options());
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["web up"]);
    let node = disk.node(&mut machine);
    let write = "dd if=/dev/zero of=/mnt/dead/file bs=64k count=16 conv=notrunc 2>/dev/null";
    let mount = format!("mkdir -p /mnt/dead && mount -t ext4 {node} /mnt/dead");
    let _ = machine.sh(&format!("{mount} && {write} && sync")).ok();
    // A byte a second: what is written from now on, over what is there, never comes to the disk.
    machine.tell("block_set_io_throttle dead 1 0 0 0 0 0");
    let _ = machine.sh(&format!("{write}; echo word >/root/word; dmesg -n 5")).ok();
    let _ = machine.sh("ettan poweroff");
    assert_eq!(machine.end(), End::Off);
    let said = machine.report();
    assert!(said.contains("/mnt/dead: closing it hangs"), "it did not hang: {said}");
    machine.card_is_clean();
}

/// As where the root is an overlay: what it keeps using is mounted in a folder of PID 1's.
#[test]
#[ignore = "make test-qemu"]
fn a_disk_below_run_that_an_overlay_is_made_of_is_clean_at_the_end() {
    let disk = Disk::new("layers");
    let mut machine = Qemu::new("virt", "layers");
    machine.has(&disk.options());
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["web up"]);
    let node = disk.node(&mut machine);
    let layers = "mkdir /run/layers/up /run/layers/work /merged && modprobe overlay; mount -t overlay over \
        -o lowerdir=/etc,upperdir=/run/layers/up,workdir=/run/layers/work /merged && echo word >/merged/word";
    let mount = format!("mkdir /run/layers && mount -t ext4 {node} /run/layers && {layers}");
    let _ = machine.sh(&mount).ok();
    let _ = machine.sh("ettan poweroff");
    assert_eq!(machine.end(), End::Off);
    machine.card_is_clean();
    assert_eq!(ettan_tests::problem_of(&disk.image), None);
}

#[test]
#[ignore = "make test-qemu"]
fn nice_counts_between_services() {
    let mut machine = booted("nice");
    let path = "/proc/sys/kernel/sched_autogroup_enabled";
    assert_eq!(machine.sh(&format!("[ ! -e {path} ] || cat {path}")).ok(), "0");
}

#[test]
#[ignore = "make test-qemu"]
fn f3_14_a_kernel_panic_is_a_restart_ten_seconds_later() {
    let mut machine = booted("panic");
    assert_eq!(machine.sh("cat /proc/sys/kernel/panic").ok(), "10");
    let _ = machine.sh("dmesg -n 7; echo c >/proc/sysrq-trigger");
    assert_eq!(machine.end(), End::Died("kernel panic".to_owned()));
    assert!(machine.is_off(), "the kernel stands still after its panic");
    let said = machine.report();
    assert!(said.contains("Rebooting in 10 seconds"), "{said}");
}

#[test]
#[ignore = "make test-qemu"]
fn f3_8_ctrl_alt_del_on_a_keyboard_restarts_in_order() {
    let mut machine = Qemu::new("virt", "keyboard");
    machine.has_keyboard();
    scenarios::shutdown_by(&mut machine, |machine| machine.press("ctrl-alt-delete"), &End::Reboot);
    machine.card_is_clean();
}

/// Whether these units are all up.
fn are_up(machine: &mut Qemu, units: &[&str]) -> bool {
    units.iter().all(|unit| machine.ettan(&format!("is-active {unit}")).code == 0)
}

/// No driver of USB is built into this kernel, nor one of the stick: it is all modules, which are
/// loaded for devices that were there at boot (the host controller) and for those that come.
#[test]
#[ignore = "make test-qemu"]
fn a_stick_comes_and_goes_and_so_do_the_units_that_are_bound_to_it() {
    let bound = |condition: &str| with(&format!("binds-to = [\"{condition}\"]"), &idle());
    let mut machine = Qemu::new("virt", "stick");
    machine.has("-device qemu-xhci -chardev null,id=line");
    machine.write("/etc/group", b"root:x:0:\ntty:x:5:\ndialout:x:20:\n");
    machine.unit("hotplug", &shipped("hotplug"));
    machine.unit("stick", &bound("device:usb:0403:6001"));
    machine.unit("line", &bound("device:tty:ttyUSB0"));
    let units = ["stick", "line"];
    machine.boot();
    machine.until("modules are loaded", |machine| are_up(machine, &["hotplug"]));
    assert_eq!(machine.status("line")["waiting_for"], "device:tty:ttyUSB0");
    let mut before = Vec::new();
    for _ in 0..2 {
        machine.tell("device_add usb-serial,chardev=line,id=stick,always-plugged=on");
        machine.until("both are up", |machine| are_up(machine, &units));
        let pids = units.map(|unit| machine.main_pid(unit));
        assert!(!before.contains(&pids), "they run since {before:?}");
        before.push(pids);
        assert!(machine.sh("test -c /dev/ttyUSB0").code == 0);
        machine.until("its group may open it", |machine| {
            machine.sh("stat -c '%a %g' /dev/ttyUSB0").ok() == "660 20"
        });
        machine.tell("device_del stick");
        machine.until("both are gone", |machine| {
            units.iter().all(|unit| machine.status(unit)["state"] == "down")
        });
        assert!(pids.iter().all(|pid| !machine.alive(*pid)));
    }
}

/// A Telldus Duo (1781:0c31) with a daemon that is nobody but itself, as docs/makers-guide.md has it. The
/// stick's numbers are those of QEMU's and cannot be others; so the kernel plays a stick itself, on a host
/// controller that it plays, too, with a terminal on it.
#[test]
#[ignore = "make test-qemu"]
fn telldusd_comes_and_goes_with_a_duo_which_its_user_may_open() {
    let mut machine = Qemu::new("virt", "duo");
    let groups = "root:x:0:\ndialout:x:20:telldus\nplugdev:x:46:telldus\ntelldus:x:500:\n";
    machine.write("/etc/group", groups.as_bytes());
    machine.unit("hotplug", &shipped("hotplug"));
    let daemon = include_str!("../../units/telldusd.toml");
    let duo = "[unit]\nbinds-to = [\"device:usb:1781:0c31\"]\n";
    machine.unit("telldusd", &daemon.replacen("[unit]\n", duo, 1));
    // What telldusd does by libusb, and what another gateway does by a terminal.
    let opens = "exec 3<>/dev/ttyACM0 && id -un && exec sleep 100000";
    let bound = with("binds-to = [\"device:tty:ttyACM0\"]", &shell(opens));
    machine.unit("gateway", &format!("{bound}user = \"telldus\"\n"));
    let units = ["telldusd", "gateway"];
    machine.boot();
    machine.until("modules are loaded", |machine| are_up(machine, &["hotplug"]));
    let made = "modprobe -a dummy_hcd libcomposite usb_f_acm; mkdir -p /run/gadgets && \
                mount -t configfs none /run/gadgets && cd /run/gadgets/usb_gadget && mkdir duo && cd duo && \
                echo 0x1781 >idVendor && echo 0x0c31 >idProduct && mkdir configs/c.1 functions/acm.0 && \
                ln -s functions/acm.0 configs/c.1";
    let _ = machine.sh(made).ok();
    let plug = |machine: &mut Qemu, port: &str| {
        let _ = machine.sh(&format!("echo '{port}' >/run/gadgets/usb_gadget/duo/UDC")).ok();
    };
    let mut before = Vec::new();
    for _ in 0..2 {
        plug(&mut machine, "dummy_udc.0");
        machine.until("both are up", |machine| are_up(machine, &units));
        let pids = units.map(|unit| machine.main_pid(unit));
        assert!(!before.contains(&pids), "they run since {before:?}");
        before.push(pids);
        let nodes = "stat -c '%a %g' /dev/ttyACM0 $(sed -n \
                     's~^DEVNAME=~/dev/~p' $(grep -l 1781 /sys/bus/usb/devices/*/idVendor | sed s/idVendor/uevent/))";
        assert_eq!(machine.sh(nodes).ok(), "660 20\n664 46");
        plug(&mut machine, "");
        machine.until("both are gone", |machine| {
            units.iter().all(|unit| machine.status(unit)["state"] == "down")
        });
        assert!(pids.iter().all(|pid| !machine.alive(*pid)));
    }
}

/// The board's clock says 2020, and the card says that it was 2037 when it was last switched off.
#[test]
#[ignore = "make test-qemu"]
fn the_clock_starts_no_earlier_than_it_was_saved() {
    const SAVED: u64 = 2_114_380_800;
    let mut machine = Qemu::new("virt", "clock");
    machine.has("-rtc base=2020-01-01T00:00:00");
    machine.unit("clock", &shipped("clock"));
    machine.write("/var/lib/ettan/clock", b"");
    machine.written_at("/var/lib/ettan/clock", SAVED);
    machine.boot();
    machine.until("it is up", |machine| are_up(machine, &["clock"]));
    let seconds = |machine: &mut Qemu, command: &str| {
        machine.sh(command).ok().trim().parse::<u64>().expect("seconds")
    };
    let now = seconds(&mut machine, "date +%s");
    assert!((SAVED..SAVED + 300).contains(&now), "{now}");
    machine.until("it says so", |machine| {
        machine.ettan("logs clock").out.contains("to when the time was saved last")
    });
    // And it is saved at the end, later than before: a time stamp is in seconds here.
    machine.until("it goes on", |machine| seconds(machine, "date +%s") > SAVED);
    assert_eq!(machine.ettan("stop clock").code, 0);
    assert!(seconds(&mut machine, "stat -c %Y /var/lib/ettan/clock") > SAVED);
}

/// A swap file in use is open for writing as far as the kernel is concerned.
#[test]
#[ignore = "make test-qemu"]
fn a_root_with_a_swap_file_is_read_only_at_the_end() {
    let mut machine = Qemu::new("virt", "swap");
    machine.write("/etc/fstab", b"/swap none swap sw 0 0\n");
    machine.unit("swap", &shipped("swap"));
    machine.boot();
    machine.until("it is up, and there is nothing to do", |machine| are_up(machine, &["swap"]));
    let made = "for name in swapon swapoff; do ln -s /bin/busybox /sbin/$name; done && \
                busybox dd if=/dev/zero of=/swap bs=64k count=64 && chmod 600 /swap && \
                busybox mkswap /swap && ettan restart swap && grep /swap /proc/swaps";
    let _ = machine.sh(made).ok();
    let _ = machine.sh("dmesg -n 5; ettan poweroff");
    assert_eq!(machine.end(), End::Off);
    machine.card_is_clean();
}

#[test]
#[ignore = "make test-qemu"]
fn f5_13_without_a_unit_a_shell_answers_on_the_serial_console() {
    let mut machine = Qemu::new("virt", "rescue");
    machine.has_no_units();
    // The harness types at the console's prompt, which no unit gives here.
    machine.boot();
    assert_eq!(machine.status("ettan-rescue")["state"], "up");
    let told = machine.ettan("status").out;
    assert!(told.contains("console.toml") && told.contains("follower.toml"), "{told}");
    let log = machine.ettan("logs ettan").out;
    assert!(log.contains("rescue shell on the console"), "{log}");
    assert_eq!(machine.sh("[ -t 0 ] && readlink /proc/self/fd/0").ok(), "/dev/console");
    // And what is started in it is like any program, where memory runs out.
    assert_eq!(machine.sh("cat /proc/self/oom_score_adj").ok(), "0");
    for unit in ["ettan-log", "ettan-watch"] {
        let pid = machine.main_pid(unit);
        assert_eq!(machine.sh(&format!("cat /proc/{pid}/oom_score_adj")).ok(), "-900", "{unit}");
    }
    let _ = machine.sh("ettan poweroff");
    assert_eq!(machine.end(), End::Off);
    machine.card_is_clean();
}

/// What the scenarios of the other boards do, on a root that nothing writes to; then the power is
/// gone, and afterwards everything that was to survive is there: `make run ROOT=ro`.
#[test]
#[ignore = "make test-qemu"]
fn f6_4_a_read_only_root_stays_as_it_was_and_data_survives_a_power_cut() {
    let mut machine = Qemu::new("virt", "read-only");
    let scribe = with("after = [\"mounts\"]", &shell("echo said before; exec sleep 100000"));
    machine.unit("scribe", &format!("{scribe}[log]\nstorage = \"disk\"\n"));
    let mut machine = machine.read_only();
    machine.make_card();
    let root = machine.card().sha256(Partition::Root);
    scenarios::boot_and_order(&mut machine);
    machine.again();
    scenarios::restart_after_kill(&mut machine);
    machine.again();
    scenarios::restart_forking_after_kill(&mut machine);
    machine.again();
    scenarios::words_by_syslog(&mut machine);
    machine.again();
    scenarios::killed_logger_loses_nothing(&mut machine, 3);
    machine.again();
    scenarios::stop_leaves_nothing(&mut machine);
    let duties = duties_are_done(&mut machine);
    assert!(machine.ettan("logs seed").out.contains("none was saved"));
    assert_ne!(machine.sh("touch /etc/here").code, 0);
    let _ = machine.sh("echo word >/var/lib/word && sync").ok();
    machine.until("the log is on the card", |machine| {
        machine.sh("grep -q 'said before' /data/log/ettan/scribe/current").code == 0
    });
    // What can be read there may be on its way still; it is written out once this says so.
    assert_eq!(machine.ettan("logs --flush").code, 0);
    machine.pull_plug();
    assert_eq!(machine.card().sha256(Partition::Root), root);
    let problem = machine.card().problem(Partition::Data);
    assert!(
        problem.is_some_and(|text| text.contains("recover")),
        "the power went while it was in use"
    );

    machine.boot();
    assert_eq!(duties_are_done(&mut machine), duties);
    for (unit, said) in [("mounts", "recovering journal"), ("seed", "counted")] {
        machine.until(said, |machine| machine.ettan(&format!("logs {unit}")).out.contains(said));
    }
    assert_eq!(machine.sh("cat /var/lib/word").ok(), "word");
    assert_eq!(machine.ettan("logs scribe").out.matches("said before").count(), 2);
    let _ = machine.sh("dmesg -n 5; ettan poweroff");
    assert_eq!(machine.end(), End::Off);
    machine.card_is_clean();
    assert_eq!(machine.card().sha256(Partition::Root), root);
}

/// Waits until a board with a read-only root has done what it does at boot; gives its machine id.
fn duties_are_done(machine: &mut Qemu) -> String {
    let duties = ["root", "mounts", "tmpfiles", "machine-id", "seed", "clock"];
    machine.until("all duties are done", |machine| are_up(machine, &duties));
    let id = machine.sh("cat /etc/machine-id").ok();
    assert!(id.len() == 32 && machine.sh("cat /var/lib/ettan/machine-id").ok() == id, "{id}");
    assert_eq!(machine.sh("stat -c '%a %s' /var/lib/ettan/seed").ok(), "600 32");
    id
}
