//! libFuzzer's way to the target `cgroup_files` of `tests/hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ettan_hostile::check("cgroup_files", bytes);
});
