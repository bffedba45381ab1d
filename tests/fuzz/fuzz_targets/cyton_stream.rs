//! What it asserts: `fuzz::cyton_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::cyton_stream(data);
});
