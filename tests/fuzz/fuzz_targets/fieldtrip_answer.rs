//! What it asserts: `fuzz::fieldtrip_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::fieldtrip_answer(data);
});
