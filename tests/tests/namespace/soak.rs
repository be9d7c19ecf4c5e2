//! One hundredth of each part of `make soak` (docs/soak.md).

use ettan_tests::soak::sample;

#[test]
fn soak_kills() {
    sample("kills");
}
