//! What it asserts: `fuzz::ledger_proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::ledger_proof(data);
});
