//! Devices on serial lines: OpenBCI Cyton and Cyton+Daisy.
//!
//! Counts go out as the board delivered them; gain and polarity stand in the channels' scale. Sources of the
//! constants: OpenBCI's documentation ('Cyton Data Format', 'Cyton Board SDK', 'Impedance'), the firmware's text,
//! and the data sheet of the converter (Texas Instruments ADS1299, SBAS499).

mod aux;
mod board;
mod decode;
mod describe;
mod device;
mod driver;
mod latency;
mod lead_off;
mod limits;
mod link;
mod packet;
mod pairing;
mod settings;

pub use driver::CytonDriver;

/// The decoder without a port.
pub mod decoder {
    pub use crate::packet::{Aux, Framer, Packet};
    pub use crate::pairing::{Halves, Pair, Pairing};
}

use contract::Driver;
use std::sync::Arc;

/// The drivers of this room: `cyton`.
#[must_use]
pub fn drivers() -> Vec<Arc<dyn Driver>> {
    vec![Arc::new(CytonDriver)]
}
