//! What it asserts: `fuzz::ledger_payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::ledger_payload(data);
});
