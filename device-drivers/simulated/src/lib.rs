//! Devices without hardware: a physiological simulator and the playback of files.
//!
//! [`Simulator`] computes signals from a seed and a script of scenes and faults; the same seed and
//! script give the same samples, bit for bit, however they are read. [`Playback`] gives out the
//! integers of EDF, EDF+ and BDF files as they stand in the file. Both are marked so that their
//! data can never pass for a patient's ([`contract::DeviceClass::is_live`] is false).
//!
//! [`edf`] reads the format itself: headers, data records, annotations.

mod decimal;
pub mod edf;
mod limits;
mod playback;
mod settings;
mod sim;

pub use playback::Playback;
pub use sim::{GeneratorCost, Simulator, generator_cost};

use contract::Driver;
use std::sync::Arc;

/// The drivers of this room: `simulated` and `playback`.
#[must_use]
pub fn drivers() -> Vec<Arc<dyn Driver>> {
    vec![Arc::new(Simulator), Arc::new(Playback)]
}
