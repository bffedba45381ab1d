//! What it asserts: `fuzz::electrode_positions_toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::electrode_positions_toml(data);
});
