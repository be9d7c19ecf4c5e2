//! One hundredth of each part of `make soak` (docs/soak.md).

use ettan_tests::soak::sample;

#[test]
fn soak_kills() {
    sample("kills");
}

#[test]
fn soak_crashes() {
    sample("crashes");
}

#[test]
fn soak_upgrades() {
    sample("upgrades");
}

#[test]
fn soak_floods() {
    sample("floods");
}

#[test]
fn soak_reuse() {
    sample("reuse");
}
