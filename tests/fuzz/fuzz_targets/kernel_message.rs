//! libFuzzer's way to the target `kernel_message` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("kernel_message", bytes);
});
