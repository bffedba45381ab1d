//! Real servers for tests and measurements: each in a temporary folder, on a free port of loopback, gone with
//! whoever started it. Whoever uses this is a test: what is missing is told by a panic.
#![allow(clippy::expect_used)] // A test's tool: failing loudly is its purpose.

pub mod line;
pub mod postgres;
