//! What it asserts: `fuzz::edf_annotations`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::edf_annotations(data);
});
