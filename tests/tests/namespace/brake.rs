//! The brake of `units/system`: boots that are not well are counted, and after five there is a rescue.

use crate::cards::full_card;
use ettan_tests::binaries::workspace;
use ettan_tests::units::{idle, shipped};
use ettan_tests::{End, Machine, Namespace, Operate};
use std::fs;

/// A machine with the brake, which has seen so many boots that were not well.
fn with_brake(boots: &str) -> Namespace {
    let mut machine = Namespace::usual();
    for name in ["brake", "common"] {
        let script = fs::read(workspace().join("units/lib").join(name)).expect("the script");
        machine.write(&format!("/tmp/{name}"), &script);
    }
    machine.write("/var/lib/ettan/boots", boots.as_bytes());
    let _ = machine.sh("chmod +x /tmp/brake").ok();
    for unit in ["brake", "brake-release"] {
        let text = shipped(unit).replace("/usr/lib/ettan", "/tmp");
        machine.unit(unit, &text.replace("\"3600\"", "\"0\""));
    }
    for unit in ["web", "ssh", "last-end"] {
        machine.unit(unit, &idle());
    }
    machine
}

fn boots(machine: &mut Namespace) -> String {
    machine.sh("cat /var/lib/ettan/boots").ok()
}

#[test]
fn boots_that_are_not_well_are_counted_until_one_is() {
    for (before, after) in [("4", "5"), ("no number", "1"), ("", "1")] {
        let mut machine = with_brake(before);
        machine.boot();
        machine.expect(&["brake starting", "brake down"]);
        assert_eq!(boots(&mut machine), after, "after {before:?}");
        assert_eq!(machine.status("ettan-rescue")["goal"], "down");
        // Another start is no other boot.
        let _ = machine.ettan("start brake").ok();
        machine.expect(&["brake down"]);
        assert_eq!(boots(&mut machine), after, "after {before:?}");
        // It was well, and then it ends in order.
        let _ = machine.ettan("condition boot-ok set").ok();
        machine.until("it waits", |machine| machine.running("sleep 600").len() == 1);
        assert_eq!(boots(&mut machine), after, "after {before:?}");
        assert_eq!(machine.ettan("stop brake-release").code, 0);
        assert_eq!(boots(&mut machine), "0");
    }
}

#[test]
fn a_boot_after_a_power_cut_does_not_count() {
    let cases = [
        ("power cut", "4"),
        ("power cut or reset", "5"),
        ("power cut: the voltage was too low", "5"),
    ];
    for (ended, after) in cases {
        let mut machine = with_brake("4");
        let text = format!(
            "[service]\ntype = \"oneshot\"\nremain-after-exit = true\nexec-start = [\"/bin/sh\", \"-c\", \"echo '{ended}' >/run/ettan/last-end\"]\n"
        );
        machine.unit("last-end", &text);
        machine.boot();
        machine.expect(&["last-end up", "brake down"]);
        assert_eq!(boots(&mut machine), after, "after {ended:?}");
    }
}

#[test]
fn a_boot_that_stays_well_is_noted_though_it_goes_on() {
    let mut machine = with_brake("3");
    let text = shipped("brake-release").replace("/usr/lib/ettan", "/tmp");
    machine.unit("brake-release", &text.replace("\"600\"", "\"0\""));
    machine.boot();
    machine.expect(&["brake down"]);
    assert_eq!(boots(&mut machine), "4");
    let _ = machine.ettan("condition boot-ok set").ok();
    machine.expect(&["brake-release starting", "brake-release down"]);
    assert_eq!(boots(&mut machine), "0");
}

#[test]
fn a_count_that_cannot_be_lowered_is_no_rescue_for_ever() {
    let mut machine = with_brake("5");
    let closed = "cd /var/lib/ettan && mount --bind . . && mount -o remount,bind,ro /var/lib/ettan";
    let _ = machine.sh(closed).ok();
    machine.boot();
    machine.expect(&["brake starting", "brake down"]);
    assert_eq!(machine.status("ettan-rescue")["goal"], "down");
    assert_eq!(machine.ettan("is-active web").code, 0);
    machine.until("it says so", |machine| {
        machine.ettan("logs brake").out.contains("there is no rescue")
    });
}

#[test]
fn a_disk_that_is_full_counts_all_the_same() {
    for (before, after) in [("2", "3"), ("11", "4")] {
        let mut machine = with_brake(before);
        let _card = full_card(&mut machine, "brake");
        machine.unit("brake", &shipped("brake").replace("/usr/lib/ettan", "/tmp"));
        machine.boot();
        machine.until("it is counted", |machine| boots(machine) == after);
        if after == "4" {
            machine.until("there is a rescue", |machine| machine.running("sleep 3600").len() == 1);
        }
        assert!(!machine.ettan("logs brake").out.contains("cannot be written"));
    }
}

#[test]
fn after_five_boots_that_were_not_well_there_is_a_rescue_and_one_more_try() {
    let mut machine = with_brake("5");
    // An hour is over when somebody says so.
    machine
        .write("/tmp/bin/sleep", b"#!/bin/sh\nuntil test -e /tmp/over; do /bin/sleep 0.02; done\n");
    let _ = machine.sh("chmod +x /tmp/bin/sleep").ok();
    let path = "[service.environment]\nPATH = \"/tmp/bin:/usr/bin:/bin:/usr/sbin:/sbin\"\n";
    let text = shipped("brake").replace("/usr/lib/ettan", "/tmp");
    machine.unit("brake", &text.replace("[service.environment]\n", path));
    machine.boot();
    machine.expect(&["web down"]);
    let is_active =
        |machine: &mut Namespace, unit: &str| machine.ettan(&format!("is-active {unit}")).code == 0;
    machine.until("there is a shell", |machine| machine.status("ettan-rescue")["goal"] == "up");
    for unit in ["ssh", "brake", "last-end"] {
        assert!(is_active(&mut machine, unit), "{unit}");
    }
    assert_eq!(boots(&mut machine), "4", "the next boot is a try");
    // Units that are read again, as the logins of a console are, end no rescue.
    assert_eq!(machine.ettan("reload-units").code, 0);
    assert_eq!(machine.status("ettan-rescue")["goal"], "up");
    machine.until("it says so", |machine| {
        let said = "5 boots in a row were not well: rescue for 3600 s";
        machine.ettan("logs brake").out.contains(said)
    });
    // Back to work by hand: then nothing restarts the machine.
    let _ = machine.ettan("rescue --leave").ok();
    machine.until("it works again", |machine| is_active(machine, "web"));
    let _ = machine.sh("touch /tmp/over").ok();
    machine.expect(&["brake down"]);
    assert!(is_active(&mut machine, "web"));
}

#[test]
fn a_rescue_of_the_brake_ends_with_a_restart() {
    let mut machine = with_brake("7");
    machine.boot();
    assert_eq!(machine.end(), End::Reboot);
}
