//! F2: what a PID file can hold and be. A file is a claim; only a proven member is believed.

use ettan_tests::units::{QUICK, forking, forking_at, idle, silent};
use ettan_tests::{Builder, Cgroups, Machine, Namespace, Operate};

/// Short time-outs, so that a refusal shows soon; one try only.
const BRIEF: &str =
    "timeout-start-sec = \"700ms\"\ntimeout-stop-sec = \"300ms\"\nrestart = \"no\"\n";

/// As brief, for what takes the daemon some time.
const PATIENT: &str =
    "timeout-start-sec = \"5s\"\ntimeout-stop-sec = \"300ms\"\nrestart = \"no\"\n";

/// Boots a machine whose one unit `d` is a forking daemon with these flags.
fn booted(flags: &str, keys: &str) -> Namespace {
    let mut machine = Namespace::usual();
    start(&mut machine, &forking("d", flags), keys);
    machine
}

fn start(machine: &mut dyn Machine, unit: &str, keys: &str) {
    machine.unit("d", &format!("{unit}{keys}"));
    machine.boot();
}

/// The daemon's own number, from its events.
fn daemon_pid(machine: &mut dyn Machine) -> Option<i32> {
    let line = machine.sh("grep 'daemon started' /tmp/d.events | tail -n 1").ok();
    line.split(' ').nth(4)?.parse().ok()
}

/// The unit comes up, and its main process is the daemon.
fn is_believed(machine: &mut dyn Machine) {
    machine.expect(&["d starting", "d up"]);
    // It is up once its number is known, and may not have said its first word.
    machine.until("the main process is the daemon", |machine| {
        Some(machine.main_pid("d")) == daemon_pid(machine)
    });
}

/// The unit never comes up; its start times out and nothing of it is left.
fn is_refused(machine: &mut dyn Machine) {
    machine.expect(&["d starting", "d failed"]);
    assert_eq!(machine.told("d up"), 0, "{:?}", machine.story().all());
    assert!(machine.running("--name d").is_empty());
}

#[test]
fn f2_1_pid_file_missing_for_ever() {
    let mut machine = Namespace::usual();
    // Two processes that could be meant: only the file could say which.
    let unit = silent("d", "/run/d.pid", "--children 1");
    let keys = "timeout-start-sec = \"400ms\"\nrestart-sec = \"20ms\"\n";
    start(&mut machine, &unit, keys);
    machine.expect(&["d starting", "d seeking", "d backoff"]);
    assert!(machine.status("d")["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    machine.expect(&["d starting", "d seeking", "d backoff", "d starting"]);
    assert_eq!(machine.told("d up"), 0);
    assert!(machine.running("--role daemon").len() <= 2, "the daemon of an earlier start is left");
}

#[test]
fn f2_2_pid_file_empty_then_filled() {
    let mut machine = booted("--pid-empty-for 150", "");
    is_believed(&mut machine);
    assert_eq!(machine.told("d says"), 0, "{:?}", machine.story().all());
}

#[test]
fn f2_3_pid_file_written_late_by_grandchild() {
    let mut machine = booted("--grandchild --pid-by daemon --pid-after 300 --children 1", "");
    is_believed(&mut machine);
}

#[test]
fn f2_4_pid_file_partly_written() {
    let mut machine = booted("--pid-partial-for 200", "");
    is_believed(&mut machine);
    let mut machine = booted("--pid-partial-for 200 --pid-no-newline", "");
    is_believed(&mut machine);
}

#[test]
fn f2_5_pid_file_with_garbage() {
    let contents = [
        "garbage\\n",
        "-1\\n",
        "+{pid}\\n",
        "-{pid}\\n",
        "0\\n",
        "1\\n",
        "0x10\\n",
        "010\\n",
        "0{pid}\\n",
        "4294967297\\n",
        "1000000000000000000000000000000\\n",
        "{pid}\\0\\n",
        "\\0\\n",
        "{pid} 7\\n",
        "\\n",
    ];
    let mut machine = Namespace::usual();
    machine.unit("bystander", &idle());
    for (number, content) in contents.iter().enumerate() {
        // Two processes, so that a lone survivor is not what is found.
        let flags = format!("--children 1 --pid-content \"{}\"", content.replace('\\', "\\\\"));
        machine.unit(
            &format!("d{number}"),
            &format!("{}{BRIEF}", forking(&format!("d{number}"), &flags)),
        );
    }
    machine.boot();
    machine.has_units();
    machine.until("all have failed", |machine| {
        (0..contents.len()).all(|number| machine.status(&format!("d{number}"))["state"] == "failed")
    });
    machine.expect(&[]);
    for (number, content) in contents.iter().enumerate() {
        assert_eq!(machine.told(&format!("d{number} up")), 0, "{content} was believed");
    }
    assert!(machine.running("fake-daemon").is_empty());
    assert_eq!(machine.ettan("is-active bystander").code, 0);
}

#[test]
fn f2_5_blanks_and_carriage_returns_are_trimmed() {
    for content in [" {pid}\\n", "{pid}\\r\\n", "{pid} \\n", "{pid}\\nsecond line\\n"] {
        let mut machine =
            booted(&format!("--pid-content \"{}\"", content.replace('\\', "\\\\")), "");
        is_believed(&mut machine);
    }
}

#[test]
fn f2_6_pid_file_of_a_gigabyte() {
    let mut machine = booted("--children 1 --pid-kind sparse:1000000000", BRIEF);
    machine.has_units();
    machine.until("it is decided", |machine| {
        ["up", "failed"].iter().any(|state| machine.status("d")["state"] == *state)
    });
    let peak = machine.sh("sed -n 's/VmHWM:[^0-9]*//p' /proc/1/status").ok();
    let peak: u64 = peak.trim_end_matches(" kB").trim().parse().expect("a number of kB");
    assert!(peak < 100_000, "PID 1 took {peak} kB");
}

#[test]
fn f2_7_planted_stale_pid_file() {
    let mut machine = Namespace::usual();
    machine.write("/tmp/d.pid", b"99999\n");
    start(&mut machine, &forking_at("d", "/tmp/d.pid", "--pid-after 300 --children 1"), "");
    is_believed(&mut machine);
}

#[test]
fn f2_8_stale_pid_file_names_somebody_else() {
    let mut machine = Namespace::usual();
    machine.unit("other", &idle());
    let unit = forking_at("d", "/tmp/d.pid", "--pid-after 300 --children 1");
    machine.unit("d", &format!("{unit}[unit]\nafter = [\"planter\"]\n"));
    // As after a reboot: the number is in use again, by a process older than the daemon.
    let planter = "echo $(pgrep -x sleep) >/tmp/d.pid; cp /tmp/d.pid /tmp/planted";
    let planter = format!(
        "[unit]\nafter = [\"other\"]\n[service]\ntype = \"oneshot\"\nremain-after-exit = true\n\
         exec-start = [\"/bin/sh\", \"-c\", '{planter}']\n"
    );
    machine.unit("planter", &planter);
    machine.boot();
    is_believed(&mut machine);
    let other = machine.main_pid("other");
    assert_eq!(machine.sh("cat /tmp/planted").ok(), other.to_string());
    assert_eq!(machine.ettan("stop d").code, 0);
    assert!(machine.alive(other), "the stranger was hit");
}

/// Boots with one idle unit `web`, then adds a daemon whose PID file names what `number` finds.
fn names_another(machine: &mut dyn Machine, number: impl Fn(&mut dyn Machine) -> i32) -> i32 {
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["web up"]);
    let pid = number(machine);
    let unit = forking("d", &format!("--children 1 --pid-content \"{pid}\\\\n\""));
    machine.unit("d", &format!("{unit}{BRIEF}"));
    assert_eq!(machine.ettan("reload-units").code, 0);
    is_refused(machine);
    assert!(machine.alive(pid), "process {pid} was hit");
    pid
}

#[test]
fn f2_9_pid_file_names_another_unit() {
    let mut machine = Namespace::usual();
    names_another(&mut machine, |machine| machine.main_pid("web"));
    assert_eq!(machine.ettan("is-active web").code, 0);
    assert_eq!(machine.told("web starting"), 1);
}

#[test]
fn f2_9_pid_file_names_another_unit_without_cgroups() {
    let mut machine = Builder::default().cgroups(Cgroups::Missing).build();
    names_another(&mut machine, |machine| machine.main_pid("web"));
}

/// A process that no unit has to do with.
fn outsider(machine: &mut dyn Machine) -> i32 {
    let _ = machine.sh("setsid sleep 77777 >/dev/null 2>&1 </dev/null &").ok();
    // Between setsid(1) and sleep(1) it has no command line for a moment.
    let mut pid = None;
    machine.until("the outsider runs", |machine| {
        pid = machine
            .running("sleep 77777")
            .iter()
            .find(|p| p.command.starts_with("sleep"))
            .map(|p| p.pid);
        pid.is_some()
    });
    pid.expect("it runs")
}

#[test]
fn f2_10_pid_file_names_an_outsider() {
    names_another(&mut Namespace::usual(), outsider);
}

#[test]
fn f2_10_pid_file_names_an_outsider_without_cgroups() {
    names_another(&mut Builder::default().cgroups(Cgroups::Missing).build(), outsider);
}

#[test]
fn f2_11_daemon_dies_after_its_launcher_reported_success() {
    // The launcher writes the number and exits 0; the daemon finds no such user and exits 1.
    let mut machine = booted("--user nosuch --launcher-exit-after 2000", PATIENT);
    is_refused(&mut machine);
    let status = machine.status("d").to_string();
    assert!(status.contains("died during start, exited with status 1"), "{status}");
}

#[test]
fn f2_11_pid_file_names_a_dead_process() {
    // Two are left when the launcher is gone: nobody can say which of them is meant.
    let mut machine = booted("--escapees 1 --pid-of dead --launcher-exit-after 2000", PATIENT);
    is_refused(&mut machine);
}

#[test]
fn f2_11_wrong_number_and_one_survivor() {
    let mut machine = booted("--pid-of dead", "");
    is_believed(&mut machine);
}

#[test]
fn f2_12_pid_file_is_a_symlink() {
    let mut machine = Namespace::usual();
    machine.write("/etc/shadow", b"root:SECRET:1\n");
    machine.write("/tmp/number", b"2\n");
    let targets = ["/etc/shadow", "/nowhere", "d2.pid", "/tmp/number"];
    for (number, target) in targets.iter().enumerate() {
        let name = format!("d{number}");
        let unit = forking(&name, &format!("--children 1 --pid-kind symlink:{target}"));
        machine.unit(&name, &format!("{unit}{BRIEF}"));
    }
    machine.boot();
    machine.has_units();
    machine.until("all have failed", |machine| {
        (0..targets.len()).all(|number| machine.status(&format!("d{number}"))["state"] == "failed")
    });
    let told = machine.report();
    assert!(!told.contains("SECRET"), "{told}");
    assert_eq!(machine.sh("cat /etc/shadow").ok(), "root:SECRET:1");
}

#[test]
fn f2_13_pid_file_in_a_symlinked_directory() {
    let mut machine = Namespace::usual();
    let made = machine.sh("mkdir /tmp/real && chown telldus /tmp/real && ln -s real /tmp/link");
    assert_eq!(made.code, 0);
    start(&mut machine, &forking_at("d", "/tmp/link/d.pid", ""), "");
    is_believed(&mut machine);
}

#[test]
fn f2_14_pid_file_is_no_file() {
    let mut machine = Namespace::usual();
    let kinds = ["fifo", "socket", "directory"];
    for kind in kinds {
        let unit = forking(kind, &format!("--children 1 --pid-kind {kind}"));
        machine.unit(kind, &format!("{unit}{BRIEF}"));
    }
    let device = silent("device", "/tmp/device.pid", "--children 1");
    machine.unit("device", &format!("{device}{BRIEF}"));
    assert_eq!(machine.sh("mknod /tmp/device.pid c 1 5").code, 0);
    machine.boot();
    machine.has_units();
    machine.until("all have failed", |machine| {
        // That each question is answered shows that PID 1 hangs in none of them.
        kinds.iter().chain(&["device"]).all(|name| machine.status(name)["state"] == "failed")
    });
    assert_eq!(machine.sh("stat -c %F /tmp/device.pid").ok(), "character special file");
}

#[test]
fn f2_15_pid_file_on_a_file_system_that_may_hang() {
    let mut machine = Namespace::usual();
    machine.unit("web", &idle());
    machine.unit("d", &forking_at("d", "/var/lib/d.pid", ""));
    machine.boot();
    machine.expect(&["web up"]);
    // PID 1 looks itself, so it looks only where no disk and no server can keep it.
    let told = machine.ettan("status").out;
    assert!(told.contains("d.toml:3") && told.contains("/run"), "{told}");
    assert!(machine.running("fake-daemon").is_empty());
}

#[test]
fn f2_16_pid_file_unreadable_for_others() {
    let mut machine = booted("--pid-mode 0000", "");
    is_believed(&mut machine);
}

#[test]
fn f2_16_stale_pid_file_on_a_read_only_file_system() {
    let mut machine = Namespace::usual();
    let made = "mkdir /tmp/ro && mount -t tmpfs ro /tmp/ro && echo 99999 >/tmp/ro/d.pid \
                && mount -o remount,ro /tmp/ro";
    assert_eq!(machine.sh(made).code, 0);
    // The daemon cannot replace the file either; it is the one survivor.
    start(&mut machine, &silent("d", "/tmp/ro/d.pid", ""), "");
    is_believed(&mut machine);
}

#[test]
fn f2_17_pid_file_that_anybody_may_write() {
    let mut machine = Namespace::usual();
    assert_eq!(machine.sh("mkdir -m 777 /tmp/open").code, 0);
    machine.unit("web", &idle());
    let unit = forking_at("d", "/tmp/open/d.pid", "--pid-mode 0666 --user telldus --group telldus");
    start(&mut machine, &unit, QUICK);
    is_believed(&mut machine);
    machine.until("web is up", |machine| machine.ettan("is-active web").code == 0);
    let (web, old) = (machine.main_pid("web"), machine.main_pid("d"));
    // Whoever may write the file makes it name another unit's process, then ends the daemon.
    assert_eq!(machine.sh(&format!("echo {web} >/tmp/open/d.pid")).code, 0);
    machine.kill9(old);
    is_believed(&mut machine);
    assert_eq!(machine.ettan("stop d").code, 0);
    assert!(machine.alive(web), "the other unit's process was hit");
    assert_eq!(machine.told("web starting"), 1);
}

#[test]
fn f2_18_main_process_moves() {
    let mut machine = booted("--refork-on-usr2 --refork-linger 100", "");
    is_believed(&mut machine);
    let old = machine.main_pid("d");
    assert_eq!(machine.ettan("kill -s USR2 d").code, 0);
    machine.until("the successor is known", |machine| {
        machine.status("d")["main_pid"].as_i64().is_some_and(|pid| pid != i64::from(old))
    });
    machine.until("the old one is gone", |machine| !machine.alive(old));
    assert_eq!(Some(machine.main_pid("d")), daemon_pid(&mut machine));
    let status = machine.status("d");
    assert_eq!((&status["restarts"], &status["state"]), (&0.into(), &"up".into()));
}

#[test]
fn f2_18_main_process_moves_at_once() {
    let mut machine = booted("--refork-on-usr2", "");
    is_believed(&mut machine);
    let old = machine.main_pid("d");
    let _ = machine.sh(&format!("kill -USR2 {old}")).ok();
    machine.until("the successor is known", |machine| {
        machine.status("d")["main_pid"].as_i64().is_some_and(|pid| pid != i64::from(old))
    });
    machine.until("one is left", |machine| machine.running("--name d").len() == 1);
}

#[test]
fn f2_19_pid_file_kept_open_and_rewritten() {
    let mut machine = booted("--pid-hold --pid-by daemon --pid-empty-for 200 --children 1", "");
    is_believed(&mut machine);
}

#[test]
fn f2_20_two_units_share_a_pid_file() {
    let mut machine = Namespace::usual();
    machine.unit("web", &idle());
    machine.unit("one", &forking_at("one", "/run/shared.pid", ""));
    machine.unit("two", &forking_at("two", "/run/shared.pid", ""));
    machine.boot();
    machine.expect(&["web up"]);
    let told = machine.ettan("status").out;
    assert!(told.contains("one.toml") && told.contains("the same PID file"), "{told}");
    assert!(machine.running("fake-daemon").is_empty());
}

#[test]
fn f2_22_no_inotify_watches_left() {
    let mut machine = Namespace::usual();
    let calls = "inject=inotify_init,inotify_init1,inotify_add_watch:error=ENOSPC";
    let trace = machine.trace(&["trace=inotify_init,inotify_init1,inotify_add_watch", calls]);
    start(&mut machine, &forking("d", "--pid-after 300 --children 1"), "");
    is_believed(&mut machine);
    drop(trace);
}
