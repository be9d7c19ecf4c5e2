//! The scenarios on emulated boards: a Pi Zero (ARMv6), a Pi 2, a Pi 3 (64 bits). They want images and take
//! minutes, so they run only when asked for: `make test-qemu`.

use ettan_tests::{End, Machine, Operate, Qemu, scenarios};

macro_rules! on_board {
    ($module:ident, $board:literal, $cross:literal: $($scenario:ident),+) => {
        mod $module {
            $(#[test]
            #[ignore = "make test-qemu"]
            fn $scenario() {
                super::$scenario(&mut super::board($board, $cross, stringify!($scenario)));
            })+
        }
    };
}

on_board!(pi_zero, "pi-zero", "armv6":
    boot_to_power_off, f7_6_clock_jumps, f3_5_every_fault_costs_nothing, reboot);
on_board!(pi_2, "pi-2", "armv6":
    boot_to_power_off, f7_6_clock_jumps, f3_5_every_fault_costs_nothing, reboot);
on_board!(pi_3, "pi-3", "aarch64": boot_to_power_off, f3_5_every_fault_costs_nothing, reboot);

fn board(name: &str, cross: &str, test: &str) -> Qemu {
    let board = Qemu::new(name, test);
    if test.starts_with("f3_5_") { board.failing(cross) } else { board }
}

/// From the boot to a card that can be pulled out. A boot costs more than a story, so the board
/// tells several of them on one.
fn boot_to_power_off(machine: &mut Qemu) {
    scenarios::boot_and_order(machine);
    machine.again();
    scenarios::restart_after_kill(machine);
    machine.again();
    scenarios::restart_forking_after_kill(machine);
    machine.again();
    scenarios::words_by_syslog(machine);
    machine.until("the kernel's words are there", |machine| {
        machine.sh("grep -h 'Linux version' /run/log/ettan/ettan-kernel/*").code == 0
    });
    machine.again();
    scenarios::killed_logger_loses_nothing(machine, 3);
    machine.again();
    scenarios::memory_max_holds(machine);
    machine.again();
    scenarios::stop_leaves_nothing(machine);
    let stats = machine.ettan("status --json").ok();
    assert!(stats.contains("\"allocations_after_boot\":0,"), "the heap was used: {stats}");
    machine.again();
    scenarios::shutdown(machine, "ettan poweroff", &End::Off);
    machine.card_is_clean();
}

fn f7_6_clock_jumps(machine: &mut Qemu) {
    scenarios::clock_jumps(machine);
    machine.again();
    scenarios::past_2038(machine);
}

/// Every kind of fault, a stack overflow among them: this processor's code has no stack probes.
fn f3_5_every_fault_costs_nothing(machine: &mut Qemu) {
    machine.write("/root/strike.py", include_bytes!("../src/strike.py"));
    scenarios::every_fault_costs_nothing(machine, "python3 /root/strike.py", 8);
    machine.card_is_clean();
}

fn reboot(machine: &mut Qemu) {
    scenarios::shutdown(machine, "ettan reboot", &End::Reboot);
    machine.card_is_clean();
}
