//! What the drivers' tests share: a recorder that keeps what acquisition gives it, and the check that nothing
//! delivered is missing from it.
//!
//! An emulated device numbers its samples in its last channel; its log says which of them went out whole. What is
//! kept must be exactly those, once, in order, and every hole must be a gap.
#![allow(clippy::print_stderr, reason = "what a test skips, it says")]

mod bus;
mod kept;

pub use bus::Bus;
pub use kept::{Kept, Numbering};

use acquisition::{Acquisition, AcquisitionConfig, Consumers, Summary};
use contract::{Clock, Device, SystemClock};
use kept::Keeper;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The system's clock.
#[must_use]
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Whether the long runs are wanted.
#[must_use]
pub fn soak() -> bool {
    std::env::var_os("NEURASCALE_SOAK").is_some()
}

/// How often a device is disconnected.
#[must_use]
pub fn reconnects() -> usize {
    if soak() { 200 } else { 20 }
}

/// Records the first stream of `device` until `enough` of what is kept says so, or for `longest`.
///
/// # Panics
/// Acquisition does not start.
pub fn record(
    device: Box<dyn Device>,
    numbering: Numbering,
    longest: Duration,
    enough: impl Fn(&Kept) -> bool,
) -> (Kept, Summary) {
    let keeper = Keeper::new(numbering);
    let consumers = Consumers {
        recorder: Some(Box::new(keeper.clone())),
        analyser: None,
    };
    let config = AcquisitionConfig::default();
    let handle = Acquisition::start(device, consumers, clock(), config).expect("acquisition");
    let began = Instant::now();
    while began.elapsed() < longest && !enough(&keeper.kept()) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let summary = handle.stop();
    (keeper.kept(), summary)
}
