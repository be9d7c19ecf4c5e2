//! What takes a whole machine: a kernel that resets it, and hardware that none of the emulated
//! Raspberry Pis has. On QEMU's `virt` board, which takes minutes: `make test-qemu`.

use ettan_tests::{End, Machine, Operate, Qemu, scenarios};

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
