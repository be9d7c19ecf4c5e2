//! One hundredth of each part of `make soak` (docs/soak.md).

use ettan_tests::soak::sample;

#[test]
fn f1_1_soak_kills() {
    sample("kills");
}

#[test]
fn f3_5_soak_crashes() {
    sample("crashes");
}

#[test]
fn f8_10_soak_upgrades() {
    sample("upgrades");
}

#[test]
fn f3_7_soak_floods() {
    sample("floods");
}

#[test]
fn f6_11_soak_words() {
    sample("words");
}

#[test]
fn f1_11_soak_reuse() {
    sample("reuse");
}
