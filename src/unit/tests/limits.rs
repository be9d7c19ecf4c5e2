//! The largest set of unit files there can be: what it costs, and that it fits the loader's limits.

mod common;

use std::process::Command;
use std::time::Instant;

use common::{Root, service};
use ettan_sys::limits;

/// Set in the process that has the loader's limits and reads this root.
const INSIDE: &str = "ETTAN_UNIT_TEST_ROOT";

/// Two thirds of what the loader may have (`helper::MEMORY_BYTES`), and as much time.
const MEMORY_BYTES: u64 = (512 << 20) / 3 * 2;
const CPU_SECONDS: u64 = 120;

/// As large as a file may be, most of it values that end up in the table, none like another.
fn largest(number: usize) -> String {
    let mut text = service("[service.environment]");
    for variable in 0..240 {
        let name = format!("V{variable}_{number}");
        text.push_str(&format!("{name} = \"{}\"\n", name.repeat(230 / name.len())));
    }
    assert!(text.len() > 55 * 1024 && text.len() < 64 * 1024, "{}", text.len());
    text
}

#[test]
fn f5_2_the_largest_set_of_files_fits_the_loaders_limits() {
    if let Some(root) = std::env::var_os(INSIDE) {
        limits::confine(MEMORY_BYTES, CPU_SECONDS).unwrap();
        let loaded = ettan_unit::load(root.as_ref());
        assert_eq!(loaded.units, 1_016, "{:?}", loaded.diagnostics.first());
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find(|line| line.starts_with("VmPeak")).unwrap();
        println!("table of {} bytes, {peak}", loaded.table.len());
        return;
    }
    let root = Root::new();
    for number in 0..1_016 {
        root.unit(&format!("u{number:04}"), largest(number));
    }
    let began = Instant::now();
    let test = "f5_2_the_largest_set_of_files_fits_the_loaders_limits";
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, root.path())
        .status()
        .unwrap();
    println!("1,016 files of 57 KiB: {:?}", began.elapsed());
    assert!(status.success(), "{status}");
}

#[test]
fn f5_2_past_its_limits_the_loader_ends_and_nothing_else() {
    if std::env::var_os(INSIDE).is_some() {
        limits::confine(64 << 20, CPU_SECONDS).unwrap();
        let much = vec![1_u8; 256 << 20];
        panic!("{} bytes were to be had", much.len());
    }
    let test = "f5_2_past_its_limits_the_loader_ends_and_nothing_else";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("memory allocation of"), "{said}");
}

#[test]
fn f5_2_of_a_hundred_thousand_files_as_many_are_read_as_there_is_room_for() {
    let root = Root::new();
    let folder = root.at("/etc/units");
    for number in 0..100_000 {
        std::fs::write(folder.join(format!("u{number:06}.toml")), service("")).unwrap();
    }
    let began = Instant::now();
    let world = root.load();
    println!("100,000 files: {:?}", began.elapsed());
    assert!(world.names().len() <= 1_016 && world.names().len() > 1_000, "{}", world.names().len());
    assert!(world.0.diagnostics.len() <= 3, "{world}");
    world.assert_says("files are looked at");
}
