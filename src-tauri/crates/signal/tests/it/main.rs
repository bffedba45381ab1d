//! Montages over whole sets of channels: the shipped ones kept as golden text, and the rules that
//! every resolution keeps.

#![allow(clippy::unwrap_used)] // helpers of tests, which may fail loudly

mod golden;
mod resolve;
