//! Exports read back by a reader that shares no code with the writer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod journal;
mod memory;
mod reader;
mod round_trip;
mod safety;
