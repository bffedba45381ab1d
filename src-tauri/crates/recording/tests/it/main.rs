//! The journal from outside: recorded, cut, damaged, killed, read again.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod annotate;
mod common;
mod damage;
mod golden;
mod kill;
mod overview;
mod power;
mod round_trip;
