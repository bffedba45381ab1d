//! Finding and opening devices.

use crate::{Clock, Device, DeviceClass, DeviceError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

/// A device that was found, before it is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSummary {
    /// `driver:address`, what a person types and a session stores.
    pub id: String,
    /// Name for people ('Simulated headset, 21 electrodes').
    pub name: String,
    /// Medical, research, simulated or playback.
    pub class: DeviceClass,
    /// How it is reached ('simulated', 'file', 'serial', 'bluetooth', 'network').
    pub transport: String,
    /// What a person should know (battery, missing permission); empty when nothing.
    pub note: String,
}

/// Settings by name, as given on a command line or by a protocol (`rate=1000`). A driver refuses
/// names and values that it does not know with [`crate::ErrorKind::Settings`].
pub type Settings = BTreeMap<String, String>;

/// One family of devices.
pub trait Driver: Send + Sync + Debug {
    /// Short name; the part of a device id before the colon.
    fn name(&self) -> &'static str;

    /// Devices that are there now. Returns within 2 s and opens none of them.
    ///
    /// # Errors
    /// When looking itself fails (no permission, no adapter); finding none is an empty list.
    fn discover(&self) -> Result<Vec<DeviceSummary>, DeviceError>;

    /// Opens the device at `address` (the part of its id after the colon) without starting it.
    ///
    /// # Errors
    /// Not found, busy, no permission, unknown setting, wrong firmware, malformed file.
    fn open(
        &self,
        address: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Device>, DeviceError>;
}
