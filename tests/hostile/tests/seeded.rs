//! Each target with 100,000 inputs from a seed. `ETTAN_SEED` and `ETTAN_FUZZ_ROUNDS` repeat one.

use ettan_hostile::{Plan, TARGETS, run, target};

/// Below so many rounds chance decides whether anything is accepted.
const MANY: u64 = 10_000;

fn stands(name: &str) {
    let target = target(name).expect("a target of this name");
    let plan = Plan::of_environment();
    println!("{name}: ETTAN_SEED={} ETTAN_FUZZ_ROUNDS={}", plan.seed, plan.rounds);
    let figures = run(target, plan);
    println!("{name}: {figures:?}");
    if plan.rounds >= MANY {
        let rare = figures.rounds / 500;
        let refused = figures.rounds - figures.accepted;
        assert!(figures.accepted > rare, "{name} accepts nothing: {figures:?}");
        assert!(refused > rare, "{name} refuses nothing: {figures:?}");
    }
}

#[test]
fn f5_1_unit_file() {
    stands("unit_file");
}

#[test]
fn override_file() {
    stands("override_file");
}

#[test]
fn f5_8_table() {
    stands("table");
}

#[test]
fn f8_9_records() {
    stands("records");
}

#[test]
fn f3_6_memory() {
    stands("memory");
}

#[test]
fn f4_3_request() {
    stands("request");
}

#[test]
fn f4_3_reply() {
    stands("reply");
}

#[test]
fn f2_5_pid_file() {
    stands("pid_file");
}

#[test]
fn proc_stat() {
    stands("proc_stat");
}

#[test]
fn proc_cgroup() {
    stands("proc_cgroup");
}

#[test]
fn proc_environ() {
    stands("proc_environ");
}

#[test]
fn cgroup_files() {
    stands("cgroup_files");
}

#[test]
fn f7_10_command_line() {
    stands("command_line");
}

#[test]
fn log_packet() {
    stands("log_packet");
}

#[test]
fn f6_9_log_record() {
    stands("log_record");
}

#[test]
fn f6_12_syslog() {
    stands("syslog");
}

#[test]
fn kernel_message() {
    stands("kernel_message");
}

#[test]
fn uevent() {
    stands("uevent");
}

#[test]
fn rtnetlink() {
    stands("rtnetlink");
}

#[test]
fn r4_notify() {
    stands("notify");
}

#[test]
fn every_target_is_tested() {
    let here = include_str!("seeded.rs");
    for target in TARGETS {
        let name = target.name;
        assert!(here.contains(&format!("stands(\"{name}\")")), "{name} is not tested");
        assert!(target.examples_exist(), "{name} has no examples");
        let program = format!("../fuzz/fuzz_targets/{name}.rs");
        let program = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
        assert!(program.exists(), "{name} is not in tests/fuzz");
    }
}
