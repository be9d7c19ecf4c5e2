//! libFuzzer's way to the target `syslog` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("syslog", bytes);
});
