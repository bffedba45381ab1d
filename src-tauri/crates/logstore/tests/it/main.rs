//! The log store against its contracts, and how it fails.

mod ledger_tests;
mod log;
mod measure;
mod support;
