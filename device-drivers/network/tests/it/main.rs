//! The network drivers against servers that exist as bytes, over real TCP.

mod decoders;
mod fieldtrip;
mod lsl;
mod rda;

use contract::Device;
use driver_tests::{Kept, Numbering, clock, soak};
use std::time::Duration;

/// Records from `device` until `enough` of what is kept says so, or for `longest`.
fn record(
    device: Box<dyn Device>,
    longest: Duration,
    enough: impl Fn(&Kept) -> bool,
) -> (Kept, acquisition::Summary) {
    driver_tests::record(device, Numbering::default(), longest, enough)
}
