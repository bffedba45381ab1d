//! What it asserts: `fuzz::edf_records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::edf_records(data);
});
