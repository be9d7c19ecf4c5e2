//! libFuzzer's way to the target `override_file` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("override_file", bytes);
});
