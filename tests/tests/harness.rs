//! The machine itself under test: with a shell or Perl as process 1, never with Ettan.

use std::path::Path;

use ettan_tests::{Builder, Cgroups, End, Machine, Operate, Start};

/// A process 1 that makes one reboot(2) call with this command as soon as it starts.
fn calling(command: &str) -> Builder {
    let call = format!("syscall(169, 0xfee1dead, 672274793, {command})");
    Builder::default().command(&["/usr/bin/perl", "-e", &call])
}

#[test]
fn a_restart_is_told_from_power_off() {
    let ends = [("0x01234567", End::Reboot), ("0x4321fedc", End::Off), ("0xcdef0123", End::Off)];
    for (command, end) in ends {
        let mut machine = calling(command).build();
        machine.boot();
        assert_eq!(machine.end(), end, "{command}");
    }
}

#[test]
fn a_process_1_that_exits_has_died() {
    let mut machine = Builder::default().command(&["/bin/sh", "-c", "exit 7"]).build();
    machine.boot();
    assert_eq!(machine.end(), End::Died("exit status: 7".to_owned()));
}

/// A process 1 that stays and does nothing.
fn idle() -> Builder {
    Builder::default().command(&["/bin/sh", "-c", "echo here; sleep 1000 & wait"])
}

#[test]
fn commands_run_inside() {
    let mut machine = idle().build();
    machine.write("/etc/units/web.toml", b"# nothing\n");
    machine.boot();
    machine.until("the child runs", |machine| machine.running("sleep 1000").len() == 2);
    assert_eq!(machine.sh("cat /etc/units/web.toml").ok(), "# nothing");
    assert_eq!(machine.sh("exit 3").code, 3);
    assert_eq!(machine.sh("kill -9 $$").code, 137);
    assert_eq!(machine.sh("id -u telldus").ok(), "990");
    let sleeper = machine.running("sleep 1000")[1].clone();
    assert_eq!((sleeper.parent, sleeper.command.as_str()), (1, "sleep 1000"));
    machine.kill9(sleeper.pid);
    assert_eq!(machine.end(), End::Died("exit status: 0".to_owned()));
}

#[test]
fn the_console_outlives_the_machine() {
    let mut machine = Builder::default().command(&["/bin/sh", "-c", "echo last words"]).build();
    machine.boot();
    assert_eq!(machine.end(), End::Died("exit status: 0".to_owned()));
    assert_eq!(machine.console(), "last words\n");
}

#[test]
fn nothing_is_shared_with_the_host() {
    let mut machine = idle().build();
    machine.boot();
    assert_ne!(machine.sh("mount -o remount,ro /usr; touch /usr/bin/x").code, 0);
    assert_eq!(machine.sh("mount -t sysfs sys /sys && ls /sys/class/net").ok(), "lo");
    assert_eq!(machine.sh("cat /proc/self/mountinfo | grep -c ext4").out, "0\n");
    assert_eq!(machine.sh("hostname other && hostname").ok(), "other");
    assert_ne!(machine.sh("echo b >/proc/sysrq-trigger; echo 1 >/proc/sys/kernel/panic").code, 0);
}

#[test]
fn control_groups_are_its_own_or_missing() {
    let mut machine = idle().build();
    machine.boot();
    let mounted = "mount -t sysfs sys /sys; mount -t cgroup2 c /sys/fs/cgroup";
    assert_eq!(machine.sh(&format!("{mounted} && mkdir /sys/fs/cgroup/one; echo $?")).ok(), "0");
    assert_eq!(machine.sh("grep ^0: /proc/1/cgroup").ok(), "0::/");
    let mut machine = idle().cgroups(Cgroups::Missing).build();
    machine.boot();
    assert_ne!(machine.sh("mkdir -p /sys/fs/cgroup/one").code, 0);
}

#[test]
fn a_hostile_start_has_nothing_open() {
    let mut machine =
        Builder::default().start(Start::Closed).command(&["/bin/sh", "-c", "sleep 1000"]).build();
    machine.boot();
    let open = format!("/proc/{}/fd", machine.init());
    let devices = machine.root().join("dev");
    let count = |path: &Path| std::fs::read_dir(path).map_or(0, Iterator::count);
    machine.until("nothing is open", |_| count(Path::new(&open)) == 0);
    assert_eq!(count(&devices), 0);
}

#[test]
fn system_calls_can_be_tampered_with() {
    let mut machine = idle().build();
    let trace = machine
        .trace(&["trace=clone,clone3,vfork,fork", "inject=clone,clone3,vfork,fork:error=EAGAIN"]);
    machine.boot();
    assert_eq!(machine.end(), End::Died("exit status: 2".to_owned()));
    assert!(trace.log().contains("EAGAIN"), "{}", trace.log());
}
