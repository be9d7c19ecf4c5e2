//! libFuzzer's way to the target `uevent` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("uevent", bytes);
});
