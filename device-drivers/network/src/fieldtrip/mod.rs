//! FieldTrip buffers: the driver, and the decoder of their messages.

mod device;
mod wire;

pub use wire::{DataType, Event, HEAD, Head, Header, data, events, head, header, request};

use crate::hosts;
use contract::{Clock, Device, DeviceError, DeviceSummary, Driver, Settings, SettingsReader};
use device::FieldTrip;
use std::sync::Arc;

/// The driver `fieldtrip`: a buffer that some program fills (version 1 of the protocol); the address is
/// `host:port`, where buffers usually have 1972. No settings.
///
/// 8-bit samples are widened to 16 bits and unsigned 16-bit ones to 32; 32-bit unsigned and 64-bit integers are
/// refused. The counter is the buffer's own number of a sample: what its ring has written over is an exact gap.
#[derive(Debug, Clone, Copy, Default)]
pub struct FieldTripDriver;

impl Driver for FieldTripDriver {
    fn name(&self) -> &'static str {
        "fieldtrip"
    }

    fn discover(&self) -> Result<Vec<DeviceSummary>, DeviceError> {
        Ok(hosts::configured("fieldtrip", "FieldTrip buffer"))
    }

    fn open(
        &self,
        address: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Device>, DeviceError> {
        let operation = format!("open fieldtrip:{address}");
        SettingsReader::new(&operation, settings).finish()?;
        Ok(Box::new(FieldTrip::open(address, clock)?))
    }
}
