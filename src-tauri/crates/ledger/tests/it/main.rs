//! The ledger against its specifications, a naive reference, and whoever changes a byte.
#![allow(clippy::unwrap_used, reason = "tests")]

mod canonical;
mod golden;
mod merkle;
mod notes;
mod support;
mod tampering;
