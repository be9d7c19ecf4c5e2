//! libFuzzer's way to the target `pid_file` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("pid_file", bytes);
});
