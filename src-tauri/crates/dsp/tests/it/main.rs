//! The room against outside numbers, and the properties that every caller relies on.

#![allow(clippy::unwrap_used)] // helpers of tests, which may fail loudly

mod blocks;
mod polarity;
mod quality;
mod scipy;
mod spectra;
mod support;
