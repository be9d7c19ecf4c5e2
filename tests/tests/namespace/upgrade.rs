//! Another file in the place of PID 1's own, while services run (tests/FAULTS.md 8.6 to 8.10).

use crate::lives::{descriptors, kill_init, no_line_is_lost, pids, three_units, told};
use ettan_tests::binaries::{Program, look};
use ettan_tests::units::{QUICK, idle};
use ettan_tests::{Builder, Cgroups, End, Limit, Machine, Namespace, Operate};
use std::os::unix::fs::MetadataExt;

const PATH: &str = "/disk/init";

/// A machine whose PID 1 is on a disk that can be written to.
fn movable(builder: Builder) -> Namespace {
    let mut machine = builder.command(&[PATH]).build();
    let _ = machine.sh("mkdir /disk && mount -t tmpfs disk /disk").ok();
    put(&mut machine, "cp /sbin/init");
    machine
}

/// Puts a file in the place of PID 1's: what `copy` makes, with the target as its last argument.
fn put(machine: &mut Namespace, copy: &str) {
    let _ =
        machine.sh(&format!("{copy} /disk/new && chmod 755 /disk/new && mv /disk/new {PATH}")).ok();
}

fn put_bytes(machine: &mut Namespace, bytes: &[u8]) {
    machine.write("/tmp/bytes", bytes);
    put(machine, "cp /tmp/bytes");
}

/// Whether PID 1 is an execution of the file that is at its path now.
fn runs_what_is_there(machine: &Namespace) -> bool {
    let inode =
        |path: &str| std::fs::metadata(path).map(|file| (file.ino(), file.size())).expect("a file");
    inode(&format!("/proc/{}/exe", machine.init()))
        == inode(&format!("{}{PATH}", machine.root().display()))
}

/// The file that is there now is refused, for a reason that says `why`; everything goes on.
fn refused(machine: &mut Namespace, why: &str) {
    let executions = machine.stats()["executions"].clone();
    let answer = machine.ettan("reexec");
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.err.contains(why), "`{why}` is not in {answer:?}");
    assert_eq!(machine.stats()["executions"], executions);
    assert!(!runs_what_is_there(machine));
}

#[test]
fn f8_7_a_new_file_takes_over_and_the_old_one_again() {
    let mut machine = movable(Builder::default());
    let units = three_units(&mut machine);
    machine.until("all are up", |m| told(m, "up") == 3);
    let before = pids(&mut machine, &units);
    let mut open = 0;
    for round in 1..=3 {
        put(&mut machine, "cp /sbin/init");
        assert!(!runs_what_is_there(&machine));
        let answer = machine.ettan("reexec").ok();
        assert!(answer.contains("PID 1: Ettan ") && answer.contains(" -> "), "{answer}");
        assert!(runs_what_is_there(&machine));
        assert_eq!(machine.stats()["executions"], round);
        assert_eq!(pids(&mut machine, &units), before);
        // f8_10: one execution holds as much as the next.
        match round {
            1 => open = descriptors_with_the_watcher(&mut machine),
            _ => machine.until("descriptors are as many as before", |m| descriptors(m) <= open),
        }
    }
    no_line_is_lost(&mut machine);
    // A fault executes the file that is in service, not the one that is there by now.
    put(&mut machine, "cp /bin/true");
    kill_init(&machine, "SEGV");
    machine.until("PID 1 answers again", |m| told(m, "crashes") == 1);
    assert!(!runs_what_is_there(&machine));
    assert_eq!(pids(&mut machine, &units), before);
}

#[test]
fn f8_7_fifty_services_outlive_twenty_new_executions() {
    let mut machine = Namespace::usual();
    let units: Vec<String> = (0..50).map(|nth| format!("u{nth:02}")).collect();
    for unit in &units {
        machine.unit(unit, &idle());
    }
    machine.boot();
    machine.until("all are up", |m| told(m, "up") == 50);
    machine.until("all are there", |m| sorted(m).len() == 50);
    let before = sorted(&mut machine);
    let _ = machine.ettan("reexec").ok();
    let open = descriptors_with_the_watcher(&mut machine);
    for _ in 1..20 {
        let _ = machine.ettan("reexec").ok();
    }
    assert_eq!(sorted(&mut machine), before);
    assert_eq!(machine.stats()["executions"], 20);
    assert_eq!(machine.stats()["crashes"], 0);
    // f8_10: none is left open, none is missing. A client that just left may still be there.
    machine.until("descriptors are as many as before", |m| descriptors(m) <= open);
}

/// How many PID 1 has once the watcher, which connects anew after an execution, has one of them.
fn descriptors_with_the_watcher(machine: &mut Namespace) -> usize {
    machine.until("the watcher asks", |m| told(m, "clients").as_u64() >= Some(2));
    descriptors(machine)
}

fn sorted(machine: &mut Namespace) -> Vec<i32> {
    let mut pids: Vec<i32> = machine.running("sleep 100000").iter().map(|one| one.pid).collect();
    pids.sort_unstable();
    pids
}

#[test]
fn f8_10_a_signal_executes_anew_and_descriptors_stay_the_same() {
    let mut machine = movable(Builder::default());
    let units = three_units(&mut machine);
    machine.until("all are up", |m| told(m, "up") == 3);
    let before = pids(&mut machine, &units);
    let open = descriptors_with_the_watcher(&mut machine);
    put(&mut machine, "cp /sbin/init");
    kill_init(&machine, "QUIT");
    machine.until("it is in service", |m| told(m, "executions") == 1 && told(m, "trial") == false);
    assert!(runs_what_is_there(&machine));
    machine.until("descriptors are as many as before", |m| descriptors(m) <= open);
    assert_eq!(pids(&mut machine, &units), before);
    no_line_is_lost(&mut machine);
}

#[test]
fn f8_8_a_broken_file_is_not_executed_and_why_is_told() {
    let mut machine = movable(Builder::default());
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    let web = machine.main_pid("web");
    let program = std::fs::read(look(Program::Init).expect("the init is built")).expect("bytes");
    let mut foreign = program.clone();
    // The machine that an ELF file is for: 243 is RISC-V.
    foreign[18] = 243;
    put_bytes(&mut machine, &foreign);
    refused(&mut machine, "exec format error");
    put_bytes(&mut machine, &program[..program.len() / 8]);
    refused(&mut machine, PATH);
    put_bytes(&mut machine, b"");
    refused(&mut machine, "exec format error");
    put_bytes(&mut machine, b"#!/bin/sh\nkill -SEGV $$\n");
    refused(&mut machine, "SEGV");
    put_bytes(&mut machine, b"#!/bin/sh\necho the card is bad; echo read it again; exit 3\n");
    refused(&mut machine, "exited with status 3: the card is bad; read it again");
    put(&mut machine, "cp /bin/true");
    refused(&mut machine, "is no Ettan");
    put(&mut machine, "cp /bin/echo");
    refused(&mut machine, "is no Ettan");
    let _ = machine.sh(&format!("rm {PATH} && mkdir {PATH}")).ok();
    refused(&mut machine, "exec format error");
    let _ = machine.sh(&format!("rmdir {PATH} && mkfifo {PATH}")).ok();
    refused(&mut machine, "exec format error");
    let _ = machine.sh(&format!("rm {PATH}")).ok();
    let answer = machine.ettan("reexec");
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("no such file"), "{answer:?}");
    // QUIT has nobody to tell but the log.
    kill_init(&machine, "QUIT");
    machine.until("the log says why", |m| {
        m.sh("grep -c 'no such file' /run/log/ettan/ettan/current").out.trim() == "2"
    });
    assert_eq!(machine.main_pid("web"), web);
    machine.kill9(web);
    machine.until("web is back", |m| m.is_up_anew("web", web));
    assert_eq!(machine.stats()["executions"], 0);
}

#[test]
fn f8_8_a_file_that_hangs_holds_up_nobody() {
    let mut machine = movable(Builder::default());
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    let web = machine.main_pid("web");
    put_bytes(&mut machine, b"#!/bin/sh\nexec sleep 77777\n");
    let _ = machine.sh("(ettan reexec >/tmp/out 2>&1; echo $? >/tmp/code) & true").ok();
    machine.until("it is tried out", |m| !m.running("sleep 77777").is_empty());
    machine.kill9(web);
    machine.until("web is back meanwhile", |m| m.is_up_anew("web", web));
    assert!(!machine.running("sleep 77777").is_empty());
    machine.until("its time is up", |m| m.sh("cat /tmp/code").out == "1\n");
    let told = machine.sh("cat /tmp/out").ok();
    assert!(told.contains("did not end within 10 s"), "{told}");
    assert!(machine.running("sleep 77777").is_empty());
}

/// A new file that passes its check, and fails or hangs as PID 1, as `/run/HOW-at` asks it to.
fn falls_back(how: &str, place: &str) {
    let built = look(Program::FailingInit).is_some();
    assert!(built, "no init with fault-injection; tests/run namespace builds one");
    let mut machine = movable(Builder::default());
    let units = three_units(&mut machine);
    machine.until("all are up", |m| told(m, "up") == 3);
    let before = pids(&mut machine, &units);
    let asked = format!("/run/{how}-at");
    machine.write(&asked, place.as_bytes());
    put(&mut machine, "cp /sbin/init-failing");
    let answer = machine.ettan("reexec");
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.err.contains("failed before it was in service"), "{answer:?}");
    assert!(!runs_what_is_there(&machine));
    let stats = machine.stats();
    assert_eq!(stats["crashes"], 1);
    assert_eq!([&stats["reverted"], &stats["trial"], &stats["reduced"]], [true, false, false]);
    assert!(machine.ettan("status").out.contains("failed before it was in service"));
    assert_eq!(pids(&mut machine, &units), before, "a process was replaced");
    no_line_is_lost(&mut machine);
    // The old one is whole: it takes the next, better file.
    let _ = machine.sh(&format!("rm {asked}")).ok();
    let _ = machine.ettan("reexec").ok();
    assert!(runs_what_is_there(&machine));
    assert_eq!(pids(&mut machine, &units), before);
    // In service, a fault executes it and not the one before.
    kill_init(&machine, "SEGV");
    machine.until("PID 1 answers again", |m| told(m, "crashes") == 2);
    assert!(runs_what_is_there(&machine));
}

#[test]
fn f8_8_a_new_one_that_fails_at_once_gives_way_to_the_old() {
    falls_back("fail", "main");
}

#[test]
fn f8_8_a_new_one_that_fails_on_its_way_gives_way_to_the_old() {
    falls_back("fail", "resume");
}

#[test]
fn f8_8_a_new_one_that_fails_in_its_first_turn_gives_way_to_the_old() {
    falls_back("fail", "turn");
}

#[test]
fn f8_8_a_new_one_that_hangs_at_once_gives_way_to_the_old() {
    falls_back("hang", "main");
}

#[test]
fn f8_8_a_new_one_that_hangs_in_its_first_turn_gives_way_to_the_old() {
    falls_back("hang", "turn");
}

#[test]
fn f8_8_a_trial_that_is_over_has_no_clock() {
    let mut machine = movable(Builder::default());
    let units = three_units(&mut machine);
    machine.until("all are up", |m| told(m, "up") == 3);
    let before = pids(&mut machine, &units);
    put(&mut machine, "cp /sbin/init");
    let trace = machine.trace(&["trace=setitimer"]);
    let _ = machine.ettan("reexec").ok();
    machine.until("the clock is stopped", |_| clock(&trace.log()) == [10, 0]);
    drop(trace);
    // Neither somebody else's word.
    kill_init(&machine, "ALRM");
    machine.until("the signal is told of", |m| {
        m.sh("grep -c 'signal 14 (ALRM) from' /run/log/ettan/ettan/current").out.trim() == "1"
    });
    let stats = machine.stats();
    assert_eq!([&stats["crashes"], &stats["executions"]], [0, 1]);
    assert_eq!(pids(&mut machine, &units), before);
}

/// The seconds that a clock was set to, one call after the other.
fn clock(log: &str) -> Vec<u64> {
    let values = log.split("it_value={tv_sec=").skip(1);
    values.filter_map(|rest| rest.split(',').next()?.parse().ok()).collect()
}

/// As `movable`, with the made-up next release at hand.
fn with_next(builder: Builder) -> Namespace {
    let built = look(Program::NextInit).is_some();
    assert!(built, "no init with next-release; tests/run namespace builds one");
    movable(builder)
}

fn all_up(machine: &mut Namespace, units: &[String]) -> bool {
    units.iter().all(|unit| machine.ettan(&format!("is-active {unit}")).code == 0)
}

#[test]
fn f8_9_the_next_release_reads_the_state_and_this_one_finds_the_units() {
    // What a package ships starts when it is asked to.
    let layer = ettan_tests::binaries::target().join("test/layers/ships-extra");
    let shipped = layer.join("usr/lib/units");
    std::fs::create_dir_all(&shipped).expect("a directory of the layer");
    std::fs::write(shipped.join("extra.toml"), idle()).expect("a file of the layer");
    let mut machine = with_next(Builder::default().layer(&layer));
    let units = three_units(&mut machine);
    machine.has_units();
    let services: Vec<String> = ["web", "telldus", "counts", "extra"].map(str::to_owned).to_vec();
    let _ = machine.ettan("start extra").ok();
    machine.until("all are up", |m| all_up(m, &services));
    let before = pids(&mut machine, &services);
    for _ in 0..2 {
        // Up: nothing at all changes, for the helpers neither.
        let helpers = pids(&mut machine, &units);
        put(&mut machine, "cp /sbin/init-next");
        let answer = machine.ettan("reexec").ok();
        assert!(answer.ends_with("+next"), "{answer}");
        assert_eq!(pids(&mut machine, &services), before);
        assert_eq!(pids(&mut machine, &units), helpers);
        // Down: this release cannot read those records, and finds what runs.
        put(&mut machine, "cp /sbin/init");
        let answer = machine.ettan("reexec").ok();
        assert!(!answer.ends_with("+next"), "{answer}");
        machine.until("all are up again", |m| all_up(m, &services));
        assert_eq!(pids(&mut machine, &services), before, "a process was replaced");
    }
    assert_eq!(machine.running("sleep 100000").len(), 2);
    assert_eq!(machine.running("--name telldus").len(), 1);
    for helper in ["log", "watch"] {
        let helper = format!("ettan-init {helper}");
        machine.until("one helper of a kind is left", |m| m.running(&helper).len() == 1);
    }
    // All kinds are still looked after.
    for unit in ["web", "telldus"] {
        let old = machine.main_pid(unit);
        machine.kill9(old);
        machine.until("it is back", |m| {
            let status = m.status(unit);
            status["state"] == "up" && status["main_pid"] != old
        });
    }
    assert_eq!(machine.running("sleep 100000").len(), 2);
    assert_eq!(machine.running("--name telldus").len(), 1);
    let last = machine.sh("tail -n 1 /run/log/ettan/counts/current").out;
    machine
        .until("the log goes on", |m| m.sh("tail -n 1 /run/log/ettan/counts/current").out != last);
    assert_eq!(machine.stats()["crashes"], 0);
}

#[test]
fn f8_9_without_cgroups_there_is_no_way_back() {
    let mut machine = with_next(Builder::default().cgroups(Cgroups::Missing));
    let units = three_units(&mut machine);
    machine.until("all are up", |m| told(m, "up") == 3);
    let before = pids(&mut machine, &units);
    put(&mut machine, "cp /sbin/init-next");
    let _ = machine.ettan("reexec").ok();
    assert_eq!(pids(&mut machine, &units), before);
    put(&mut machine, "cp /sbin/init");
    refused(&mut machine, "every service would have to be ended");
    assert_eq!(pids(&mut machine, &units), before);
    no_line_is_lost(&mut machine);
}

/// What refers to a file without a name that is on the disk: open, mapped, or executed.
fn holds(machine: &Namespace, disk: &str) -> Vec<String> {
    let proc = format!("/proc/{}", machine.init());
    let open = std::fs::read_dir(format!("{proc}/fd")).into_iter().flatten().flatten();
    let links = open.map(|entry| entry.path()).chain([format!("{proc}/exe").into()]);
    let mut names: Vec<String> = links
        .filter_map(|link| Some(std::fs::read_link(link).ok()?.to_string_lossy().into_owned()))
        .collect();
    let maps = std::fs::read_to_string(format!("{proc}/maps")).unwrap_or_default();
    names.extend(maps.lines().map(str::to_owned));
    names.retain(|name| name.contains(disk));
    names
}

/// A machine whose process 1 is a file below /dev, where a tmpfs is not unmounted at the end.
fn on_a_disk() -> Namespace {
    let mut machine = Builder::default().command(&["/dev/disk/init"]).build();
    let disk = "mkdir -p /dev/disk && mount -t tmpfs disk /dev/disk && cp /sbin/init /dev/disk/";
    let _ = machine.sh(disk).ok();
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["web up"]);
    machine
}

#[test]
fn f8_6_a_replaced_pid_1_does_not_keep_its_disk_from_being_closed() {
    let mut machine = on_a_disk();
    let _ = machine.sh("mount -o remount,ro /dev/disk && mount -o remount,rw /dev/disk").ok();
    let _ = machine.sh("cp /sbin/init /dev/disk/new && mv /dev/disk/new /dev/disk/init").ok();
    let busy = machine.sh("mount -o remount,ro /dev/disk");
    assert_ne!(busy.code, 0, "nothing is in the way");
    assert!(!holds(&machine, "/dev/disk").is_empty());
    // PID 1 stays after everything is closed, and tries again.
    let trace = machine.trace(&["trace=reboot", "inject=reboot:error=EIO"]);
    let _ = machine.sh("ettan poweroff");
    machine.until("it is time to switch off", |_| trace.log().contains("reboot("));
    assert_eq!(holds(&machine, "/dev/disk"), Vec::<String>::new());
    drop(trace);
    assert_eq!(machine.end(), End::Off);
}

#[test]
fn f8_6_a_copy_that_never_ends_does_not_keep_file_systems_from_being_closed() {
    let mut machine = on_a_disk();
    let _ = machine.sh("cp /sbin/init /dev/disk/new && mv /dev/disk/new /dev/disk/init").ok();
    let _ = machine.sh("mkdir /mnt/a && mount -t tmpfs a /mnt/a").ok();
    // What is to be copied is on a disk that does not answer.
    let hangs = "inject=open,openat:delay_enter=9000000";
    let trace =
        machine.trace_all(&["/proc/self/exe", "/mnt/a", "trace=open,openat,umount2", hangs]);
    let limit = Limit::seconds(30);
    let _ = machine.sh("ettan poweroff");
    assert_eq!(machine.end(), End::Off);
    assert!(!limit.over(), "more than {:?}", limit.span());
    let log = trace.log();
    assert!(log.contains("/proc/self/exe"), "nothing was copied: {log}");
    assert!(log.contains("umount2(\"/mnt/a\", "), "{log}");
}
