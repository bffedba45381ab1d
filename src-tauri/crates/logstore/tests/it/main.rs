//! The log store against its contracts, and how it fails.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod ledger_tests;
mod log;
mod measure;
mod support;
