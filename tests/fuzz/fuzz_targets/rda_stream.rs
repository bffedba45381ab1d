//! What it asserts: `fuzz::rda_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::rda_stream(data);
});
