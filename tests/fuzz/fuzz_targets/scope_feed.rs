//! What it asserts: `fuzz::scope_feed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::scope_feed(data);
});
