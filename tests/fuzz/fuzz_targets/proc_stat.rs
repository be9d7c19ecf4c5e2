//! libFuzzer's way to the target `proc_stat` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("proc_stat", bytes);
});
