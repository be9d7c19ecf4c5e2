//! The scenarios that also run on emulated boards.

use ettan_tests::{Builder, Cgroups, End, Namespace, scenarios};

#[test]
fn boot_and_order() {
    scenarios::boot_and_order(&mut Namespace::usual());
}

#[test]
fn f1_1_restart_after_kill() {
    scenarios::restart_after_kill(&mut Namespace::usual());
}

#[test]
fn f2_7_restart_forking_after_kill() {
    scenarios::restart_forking_after_kill(&mut Namespace::usual());
}

#[test]
fn f2_7_restart_forking_after_kill_without_cgroups() {
    let mut machine = Builder::default().cgroups(Cgroups::Missing).build();
    scenarios::restart_forking_after_kill(&mut machine);
}

#[test]
fn crash_loop_backs_off() {
    scenarios::crash_loop_backs_off(&mut Namespace::usual());
}

#[test]
fn f1_8_stop_leaves_nothing() {
    scenarios::stop_leaves_nothing(&mut Namespace::usual());
}

#[test]
fn f1_8_stop_leaves_nothing_without_cgroups() {
    let mut machine = Builder::default().cgroups(Cgroups::Missing).build();
    scenarios::stop_leaves_nothing(&mut machine);
}

#[test]
fn f1_3_term_is_ignored() {
    scenarios::term_is_ignored(&mut Namespace::usual());
}

#[test]
fn shutdown_by_command() {
    for (command, end) in
        [("ettan reboot", End::Reboot), ("ettan poweroff", End::Off), ("ettan halt", End::Off)]
    {
        scenarios::shutdown(&mut Namespace::usual(), command, &end);
    }
}

#[test]
fn shutdown_by_signal() {
    for (signal, end) in
        [("TERM", End::Reboot), ("INT", End::Reboot), ("USR1", End::Off), ("USR2", End::Off)]
    {
        scenarios::shutdown(&mut Namespace::usual(), &format!("kill -{signal} 1"), &end);
    }
}
