//! What it asserts: `fuzz::ledger_checkpoint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::ledger_checkpoint(data);
});
