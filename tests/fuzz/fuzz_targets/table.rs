//! libFuzzer's way to the target `table` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("table", bytes);
});
