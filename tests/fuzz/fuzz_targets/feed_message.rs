//! What it asserts: `fuzz::feed_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::feed_message(data);
});
