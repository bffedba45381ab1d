//! The ledger against its specifications, a naive reference, and whoever changes a byte.

mod canonical;
mod golden;
mod merkle;
mod notes;
mod support;
mod tampering;
