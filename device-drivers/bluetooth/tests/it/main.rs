//! The Bluetooth decoders against recorded bytes.
#![allow(clippy::print_stderr, reason = "what a test skips, it says")]

mod recordings;
