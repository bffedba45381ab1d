//! What it asserts: `fuzz::edf_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::edf_header(data);
});
