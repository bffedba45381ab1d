//! The store as its owner sees it, and everything that can go wrong with its file.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod backup;
mod crash;
mod faults;
mod golden;
mod keys;
mod rows;
mod support;
