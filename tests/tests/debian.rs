//! `ettan install` on a whole Debian: it boots with systemd before, with Ettan after, and with systemd again.
//! On QEMU's `virt` board, which takes its time: `make test-install`.

use ettan_tests::{End, Machine, Operate, Partition, Qemu};

/// What somebody has running there.
const SERVICES: [&str; 4] = ["nginx", "ssh", "cron", "app"];

/// What a port of this machine says to a line.
fn said(machine: &mut Qemu, port: u16, line: &str) -> String {
    let words = format!(
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && printf \"{line}\" >&3 && timeout 20 cat <&3' 2>&1"
    );
    machine.sh(&words).out
}

/// Whether everybody who would ask it gets an answer.
fn answer(machine: &mut Qemu) -> bool {
    const GET: &str = "GET / HTTP/1.0\\r\\n\\r\\n";
    said(machine, 80, GET).contains("Welcome to nginx!")
        && said(machine, 8080, GET).contains("hello from CherryPy")
        && said(machine, 22, "no ssh\\r\\n").contains("SSH-2.0-OpenSSH")
        && machine.sh("pidof cron").code == 0
}

fn runs_under_systemd(machine: &mut Qemu) {
    machine.boot();
    machine.until("systemd is done", |machine| {
        let state = machine.sh("systemctl is-system-running --wait").out;
        assert!(!state.contains("degraded"), "{}", machine.sh("systemctl --failed").out);
        state.contains("running")
    });
    for name in SERVICES {
        assert_eq!(
            machine.sh(&format!("systemctl is-active {name}")).out.trim(),
            "active",
            "{name}"
        );
    }
    machine.until("all answer", answer);
}

/// Switches it off by the word that everybody knows, and looks at its card.
fn is_switched_off(machine: &mut Qemu) {
    machine.type_in("poweroff");
    assert_eq!(machine.end(), End::Off);
    assert!(machine.is_off(), "{}", machine.report());
    let problem = machine.card().problem(Partition::Root);
    assert!(problem.is_none(), "{}", problem.unwrap_or_default());
    machine.pull_plug();
}

#[track_caller]
fn done(machine: &Qemu, verb: &str, more: &[&str]) -> String {
    let out = machine.ettan_on_card(verb, more);
    assert!(out.status.success(), "{verb}: {out:?}");
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

#[test]
#[ignore = "make test-install"]
fn a_debian_boots_with_systemd_then_with_ettan_then_with_systemd() {
    let mut machine = Qemu::debian("debian");
    runs_under_systemd(&mut machine);
    is_switched_off(&mut machine);

    let programs = Qemu::programs();
    let said = done(&machine, "install", &["--from", programs.to_str().expect("a plain path")]);
    assert!(
        said.contains("cmdline.txt: console=ttyAMA0,115200 root=/dev/vda2 rootwait panic=10"),
        "{said}"
    );
    assert!(
        said.contains("/etc/units/fstrim.toml from /usr/lib/systemd/system/fstrim.timer"),
        "{said}"
    );
    assert!(!said.contains("refused as they are"), "{said}");

    machine.boot();
    assert_eq!(machine.sh("readlink /proc/1/exe").out.trim(), "/usr/sbin/ettan-init");
    let are_up = |machine: &mut Qemu| {
        SERVICES.iter().all(|name| machine.ettan(&format!("is-active {name}")).code == 0)
    };
    machine.until("all four are up", are_up);
    machine.until("all answer", answer);
    for name in SERVICES {
        let pid = machine.main_pid(name);
        machine.kill9(pid);
        machine.until("it is back", |machine| machine.is_up_anew(name, pid));
    }
    machine.until("all answer again", answer);
    let list = machine.ettan("list").out;
    assert!(!list.lines().any(|line| line.starts_with("failed")), "{list}");
    // Others than root may log in, too.
    assert_ne!(machine.sh("ls /run/nologin").code, 0);
    assert_eq!(machine.sh("ls -d /run/dbus/system_bus_socket").code, 0);
    is_switched_off(&mut machine);

    let said = done(&machine, "uninstall", &[]);
    assert!(said.contains("/sbin/init: as it was before"), "{said}");
    runs_under_systemd(&mut machine);
    let left = "find / -xdev -name '*ettan*' ! -path '/var/log/*' ! -path '/var/lib/ettan*'";
    assert_eq!(machine.sh(left).out.trim(), "");
    let line = machine.sh("cat /boot/firmware/cmdline.txt").out;
    assert_eq!(line.trim(), "console=ttyAMA0,115200 root=/dev/vda2 rootwait");
    assert!(machine.sh("ls -d /etc/units /usr/lib/units").code != 0);
    is_switched_off(&mut machine);
}
