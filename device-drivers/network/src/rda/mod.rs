//! BrainVision's remote data access (RDA): the driver, and the decoder of its messages.

mod device;
mod wire;

pub use wire::{Data, Front, GUID, Marker, Message, Start, front};

use crate::hosts;
use contract::{Clock, Device, DeviceError, DeviceSummary, Driver, Settings, SettingsReader};
use device::Rda;
use std::sync::Arc;

/// The driver `rda`: a recording that BrainVision Recorder gives out; the address is `host:port`, where the
/// recorder has 51244 for 32-bit floats and 51234 for 16-bit integers. No settings.
///
/// Blocks are numbered, so that a lost one is known; the counter is this driver's count of samples, lost ones
/// included. A stopped recording counts as a lost connection, which comes back when monitoring does.
#[derive(Debug, Clone, Copy, Default)]
pub struct RdaDriver;

impl Driver for RdaDriver {
    fn name(&self) -> &'static str {
        "rda"
    }

    fn discover(&self) -> Result<Vec<DeviceSummary>, DeviceError> {
        Ok(hosts::configured("rda", "BrainVision RDA server"))
    }

    fn open(
        &self,
        address: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Device>, DeviceError> {
        let operation = format!("open rda:{address}");
        SettingsReader::new(&operation, settings).finish()?;
        Ok(Box::new(Rda::open(address, clock)?))
    }
}
