//! Devices behind a network: the lab streaming layer, BrainVision's remote data access, FieldTrip buffers.
//!
//! Values go out as the server sends them; units and resolutions stand in the channels' scale. Servers are
//! configured by hand: `NEURASCALE_NETWORK_DEVICES` lists the ids that discovery offers, between commas
//! (`rda:10.0.0.5:51244,fieldtrip:localhost:1972`).

mod channels;
pub mod fieldtrip;
mod hosts;
mod limits;
mod line;
mod lsl;
pub mod rda;
mod safety;

pub use self::lsl::{LslDriver, Outlet};
pub use fieldtrip::FieldTripDriver;
pub use rda::RdaDriver;

use contract::Driver;
use std::sync::Arc;

/// The drivers of this room: `lsl`, `rda` and `fieldtrip`.
#[must_use]
pub fn drivers() -> Vec<Arc<dyn Driver>> {
    vec![
        Arc::new(LslDriver),
        Arc::new(RdaDriver),
        Arc::new(FieldTripDriver),
    ]
}
