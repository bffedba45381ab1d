//! What it asserts: `fuzz::bluetooth_notifications`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::bluetooth_notifications(data);
});
