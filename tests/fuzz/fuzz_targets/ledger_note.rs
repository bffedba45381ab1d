//! What it asserts: `fuzz::ledger_note`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::ledger_note(data);
});
