//! libFuzzer's way to the target `log_packet` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("log_packet", bytes);
});
