//! The Bluetooth drivers against recorded bytes and against devices that exist as bytes behind BlueZ's interface.
#![allow(clippy::print_stderr, reason = "what a test skips, it says")]

#[cfg(target_os = "linux")]
mod bus;
#[cfg(target_os = "linux")]
mod emulated;
mod recordings;
