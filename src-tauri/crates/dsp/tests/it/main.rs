//! The room against outside numbers, and the properties that every caller relies on.

// Helpers of tests may fail loudly, and say on stderr what they skip.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod blocks;
mod polarity;
mod quality;
mod recordings;
mod scipy;
mod spectra;
mod support;
