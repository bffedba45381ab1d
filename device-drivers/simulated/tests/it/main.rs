//! Tests of the simulator and of playback.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says aloud what it skips"
)]

mod conformance;
mod edf_files;
mod edf_properties;
mod real_files;
mod simulator;
mod support;
mod timing;
mod writer;
