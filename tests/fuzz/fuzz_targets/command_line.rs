//! libFuzzer's way to the target `command_line` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("command_line", bytes);
});
