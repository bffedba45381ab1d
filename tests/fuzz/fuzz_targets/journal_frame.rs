//! What it asserts: `fuzz::journal_frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::journal_frame(data);
});
