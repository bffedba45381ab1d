//! What it asserts: `fuzz::montage_toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::montage_toml(data);
});
