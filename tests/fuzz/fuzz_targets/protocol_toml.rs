//! What it asserts: `fuzz::protocol_toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::protocol_toml(data);
});
