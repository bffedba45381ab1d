//! Integration tests of the event bus.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bus;
mod schemas;
