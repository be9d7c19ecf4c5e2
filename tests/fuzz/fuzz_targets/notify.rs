//! libFuzzer's way to the target `notify` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("notify", bytes);
});
