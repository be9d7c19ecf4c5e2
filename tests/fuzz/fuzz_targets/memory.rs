//! libFuzzer's way to the target `memory` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("memory", bytes);
});
