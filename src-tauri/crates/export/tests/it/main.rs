//! Exports read back by a reader that shares no code with the writer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod memory;
mod reader;
mod round_trip;
mod safety;
