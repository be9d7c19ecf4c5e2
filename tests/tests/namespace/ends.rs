//! How the boot before this one ended: the units `last-end` and `last-end-watchdog`.

use crate::cards::full_card;
use crate::layer::Layer;
use ettan_tests::binaries::workspace;
use ettan_tests::units::{idle, shipped};
use ettan_tests::{Builder, Machine, Namespace, Operate};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A board that was switched on, gone when dropped.
struct Board(PathBuf);

impl Board {
    fn new(test: &str) -> Self {
        // Tests that ask for the same one run at the same time.
        static BOARDS: AtomicU32 = AtomicU32::new(0);
        let (nth, pid) = (BOARDS.fetch_add(1, Ordering::Relaxed), std::process::id());
        let board = Self(std::env::temp_dir().join(format!("ettan-end-{test}-{pid}-{nth}")));
        board.write("run/nothing", b"");
        board
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("a path of a file")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// The script, where PID 1 says this of itself.
    fn run(&self, word: &str, says: &str) {
        self.write("bin/ettan", format!("#!/bin/sh\necho '{says}'\n").as_bytes());
        let fake = self.0.join("bin");
        fs::set_permissions(fake.join("ettan"), Permissions::from_mode(0o755)).expect("a program");
        let path = format!("{}:/usr/bin:/bin", fake.display());
        let out = Command::new("sh")
            .arg(workspace().join("units/lib/last-end"))
            .arg(word)
            .env("PATH", path)
            .env("ETTAN_STATE", self.0.join("state"))
            .env("ETTAN_RUN", self.0.join("run"))
            .env("ETTAN_FIRMWARE", self.0.join("chosen"))
            .env("ETTAN_WATCHDOG", self.0.join("watchdog"))
            .output()
            .expect("a shell");
        assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    }

    fn line(&self, path: &str) -> String {
        let text = fs::read_to_string(Path::new(&self.0).join(path)).unwrap_or_default();
        text.trim_end().to_owned()
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What is found out of what was written down, and what the watchdog's driver, the chip's register and the
/// supply say.
fn found(written: &str, status: &str, rsts: Option<u32>, supply: Option<u32>) -> String {
    let board = Board::new("found");
    board.write("state/last-end", written.as_bytes());
    board.write("watchdog/bootstatus", status.as_bytes());
    for (property, number) in [("bootloader/rsts", rsts), ("power/power_reset", supply)] {
        if let Some(number) = number {
            board.write(&format!("chosen/{property}"), &number.to_be_bytes());
        }
    }
    board.run("begin", "");
    assert_eq!(board.line("state/last-end"), "running", "after {written:?}");
    board.line("run/last-end")
}

#[test]
fn what_was_written_down_and_what_hardware_says_tells_how_a_boot_ended() {
    for (written, how) in [
        ("reboot\n", "ended in order (reboot)"),
        ("poweroff\n", "ended in order (poweroff)"),
        ("halt\n", "ended in order (halt)"),
        ("watchdog: web is not well\n", "reset by the watchdog: web is not well"),
        ("running\n", "power cut or reset"),
        ("stopped\n", "not known: last-end was stopped"),
        ("", "not known: nothing was written down"),
        ("run", "not known: nothing was written down"),
    ] {
        assert_eq!(found(written, "0\n", None, None), how);
    }
    // What somebody has written is not trusted to be short.
    assert!(found(&format!("watchdog: {}", "x".repeat(9_000)), "0", None, None).len() < 96);
    let by_hardware = "reset with the power on: by the watchdog, or after a kernel panic";
    for (status, rsts, supply, how) in [
        ("32\n", None, None, "reset by the watchdog"),
        ("strange\n", None, None, "power cut or reset"),
        ("0\n", Some(0x1000), Some(0), "power cut"),
        ("0\n", Some(0x20), Some(0), by_hardware),
        // Two of the other bits are partition 3.
        ("0\n", Some(0x25), None, by_hardware),
        // Power was there at the last reset, whatever was before it.
        ("0\n", Some(0x1020), Some(0), by_hardware),
        ("0\n", Some(0x5), None, "power cut or reset"),
        ("0\n", Some(0x1000), Some(2), "power cut: the voltage was too low"),
        ("0\n", Some(0x1000), Some(1), "power cut: the voltage was too high"),
        ("0\n", Some(0x1000), Some(4), "power cut: the board was too hot"),
    ] {
        assert_eq!(found("running\n", status, rsts, supply), how);
    }
}

#[test]
fn an_end_in_order_is_written_down_with_its_name_and_a_reset_with_its_reason() {
    let board = Board::new("written");
    board.run("begin", "");
    assert_eq!(board.line("run/last-end"), "not known: nothing was written down");
    for (word, says, written) in [
        ("finish", r#"{"phase":"running"}"#, "stopped"),
        ("begin", "", "running"),
        (
            "starves",
            r#"{"watchdog_trouble":"not fed: web is not well"}"#,
            "watchdog: web is not well",
        ),
        ("recovers", "", "running"),
        ("finish", r#"{"phase":"stopping-units","ending":"poweroff"}"#, "poweroff"),
    ] {
        board.run(word, says);
        assert_eq!(board.line("state/last-end"), written, "{word}");
    }
}

/// A machine with both units, on whose card this was written.
fn machine(test: &str, written: &str) -> (Namespace, Layer) {
    let layer = Layer::new(test);
    layer.script("last-end");
    let mut machine = Builder::default().layer(&layer.0).build();
    machine.write("/var/lib/ettan/last-end", written.as_bytes());
    for unit in ["last-end", "last-end-watchdog"] {
        machine.unit(unit, &shipped(unit));
    }
    machine.unit("web", &idle());
    (machine, layer)
}

fn written(machine: &mut Namespace) -> String {
    machine.sh("head -n 1 /var/lib/ettan/last-end").ok()
}

#[test]
fn a_disk_that_is_full_has_room_for_the_word() {
    let (mut machine, _layer) = machine("last-end-full", "watchdog: pulse is not well\n");
    let _card = full_card(&mut machine, "last-end");
    machine.boot();
    machine.expect(&["last-end up"]);
    assert_eq!(written(&mut machine), "running");
    assert_eq!(machine.ettan("stop last-end").code, 0);
    assert_eq!(written(&mut machine), "stopped");
    assert!(!machine.ettan("logs last-end").out.contains("cannot be written"));
}

#[test]
fn how_the_last_boot_ended_is_in_the_status_and_in_the_log() {
    let (mut machine, _layer) = machine("last-end", "watchdog: pulse is not well\n");
    machine.boot();
    machine.expect(&["last-end up"]);
    let how = "reset by the watchdog: pulse is not well";
    assert_eq!(machine.stats()["last_end"], how);
    let status = machine.ettan("status").out;
    assert!(status.contains(&format!("last end: {how}\n")), "{status}");
    machine.until("it is in the log", |machine| machine.ettan("logs last-end").out.contains(how));
    assert_eq!(written(&mut machine), "running");
    // Another start is no other boot, and a stop no end of the machine; nor is it a power cut later.
    assert_eq!(machine.ettan("stop last-end").code, 0);
    assert_eq!(written(&mut machine), "stopped");
    assert_eq!(machine.ettan("start last-end").code, 0);
    machine.expect(&["last-end up"]);
    assert_eq!(machine.stats()["last_end"], how);
    assert_eq!(written(&mut machine), "running");
}

#[test]
fn a_reset_that_is_near_is_written_down_until_it_is_not() {
    let (mut machine, _layer) = machine("reset-ahead", "");
    machine.boot();
    machine.expect(&["last-end up"]);
    assert_eq!(machine.status("last-end-watchdog")["waiting_for"], "reset-ahead");
    let _ = machine.ettan("condition reset-ahead set").ok();
    machine.expect(&["last-end-watchdog up"]);
    assert_eq!(written(&mut machine), "watchdog: it was not fed");
    let _ = machine.ettan("condition reset-ahead clear").ok();
    machine.expect(&["last-end-watchdog down"]);
    assert_eq!(written(&mut machine), "running");
    // The end of a boot that goes on is nobody's to write down any more.
    assert_eq!(machine.ettan("stop last-end").code, 0);
    let _ = machine.ettan("condition reset-ahead set").ok();
    machine.expect(&["last-end-watchdog up"]);
    let _ = machine.ettan("condition reset-ahead clear").ok();
    machine.expect(&["last-end-watchdog down"]);
    assert_eq!(written(&mut machine), "stopped");
}

/// A folder stands for the memory that outlives a reset: no machine of these tests has one.
#[test]
fn what_the_kernel_said_last_is_brought_to_the_card() {
    let layer = Layer::new("pstore");
    layer.script("pstore");
    let mut machine = Builder::default().layer(&layer.0).build();
    let text = shipped("pstore") + "environment = { ETTAN_PSTORE = \"/tmp/pstore\" }\n";
    machine.unit("pstore", &text.replace(", \"last-end\"", ""));
    machine.unit("free", &idle());
    let _ = machine.sh("mkdir /tmp/pstore && mount -t tmpfs none /tmp/pstore").ok();
    machine.boot();
    machine.expect(&["free up", "pstore down"]);
    assert_ne!(machine.sh("ls /var/lib/ettan/pstore").code, 0, "there was nothing");
    let says = |machine: &mut Namespace, ended: &str, kept: &str| {
        let words = format!(
            "echo '{ended}' >/run/ettan/last-end; cd /tmp/pstore && echo panic >dmesg-ramoops-0 && \
             echo messages >console-ramoops-0"
        );
        let _ = machine.sh(&words).ok();
        assert_eq!(machine.ettan("start pstore").code, 0);
        assert_eq!(machine.sh("ls /tmp/pstore").ok(), "", "there is room for the next");
        let newest = "cd /var/lib/ettan/pstore && cd $(ls | sort -n | tail -n 1) && echo *";
        assert_eq!(machine.sh(newest).ok(), kept);
    };
    says(&mut machine, "ended in order (reboot)", "dmesg-ramoops-0");
    for _ in 0..6 {
        says(&mut machine, "power cut or reset", "console-ramoops-0 dmesg-ramoops-0");
    }
    assert_eq!(machine.sh("ls /var/lib/ettan/pstore | xargs").ok(), "3 4 5 6 7");
    machine.until("it says where", |machine| {
        machine.ettan("logs pstore").out.contains("is in /var/lib/ettan/pstore/7")
    });
}
