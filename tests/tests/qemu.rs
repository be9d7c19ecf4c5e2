//! The scenarios on emulated boards: a Pi Zero (ARMv6) and a Pi 2. They want images and take
//! minutes, so they run only when asked for: `make test-qemu`.

use ettan_tests::{End, Machine, Qemu, scenarios};

macro_rules! on_boards {
    ($($scenario:ident),+) => {
        mod pi_zero {
            $(#[test]
            #[ignore = "make test-qemu"]
            fn $scenario() {
                super::$scenario(&mut super::board("pi-zero", stringify!($scenario)));
            })+
        }
        mod pi_2 {
            $(#[test]
            #[ignore = "make test-qemu"]
            fn $scenario() {
                super::$scenario(&mut super::board("pi-2", stringify!($scenario)));
            })+
        }
    };
}

on_boards!(
    boot_and_order,
    restart_after_kill,
    restart_forking_after_kill,
    stop_leaves_nothing,
    f7_6_clock_jumps,
    reboot,
    power_off
);

fn board(name: &str, test: &str) -> Qemu {
    Qemu::new(name, test)
}

fn boot_and_order(machine: &mut dyn Machine) {
    scenarios::boot_and_order(machine);
}

fn restart_after_kill(machine: &mut dyn Machine) {
    scenarios::restart_after_kill(machine);
}

fn restart_forking_after_kill(machine: &mut dyn Machine) {
    scenarios::restart_forking_after_kill(machine);
}

fn stop_leaves_nothing(machine: &mut dyn Machine) {
    scenarios::stop_leaves_nothing(machine);
}

fn f7_6_clock_jumps(machine: &mut dyn Machine) {
    scenarios::clock_jumps(machine);
}

fn reboot(machine: &mut dyn Machine) {
    scenarios::shutdown(machine, "ettan reboot", &End::Reboot);
}

fn power_off(machine: &mut dyn Machine) {
    scenarios::shutdown(machine, "ettan poweroff", &End::Off);
}
