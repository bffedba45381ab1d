//! Devices: what is there and what it is.

use crate::call::call;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Lists devices that are there now.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DeviceList {}
call!(DeviceList, "device.list", DeviceListReply);

/// Devices found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceListReply {
    /// By driver.
    pub devices: Vec<DeviceView>,
    /// Drivers that could not look, and why.
    pub problems: Vec<String>,
}

/// A device found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceView {
    /// `driver:address`.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// 'medical', 'research', 'simulated', 'playback'.
    pub class: String,
    /// How it is reached.
    pub transport: String,
    /// What to know.
    pub note: String,
}

/// Opens a device, describes it and measures its impedances where it can.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceProbe {
    /// `driver:address`.
    pub id: String,
    /// Driver's settings.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}
call!(DeviceProbe, "device.probe", DeviceProbeReply);

/// What a device says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceProbeReply {
    /// Model.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// Firmware.
    pub firmware: String,
    /// Class.
    pub class: String,
    /// Streams.
    pub streams: Vec<StreamView>,
    /// Impedances; empty when it cannot measure them.
    pub impedances: Vec<ImpedanceView>,
}

/// A stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamView {
    /// Name.
    pub name: String,
    /// Nominal rate, Hz; `None` when irregular.
    pub rate_hz: Option<f64>,
    /// 'i16', 'i24', …
    pub sample_type: String,
    /// Channels.
    pub channels: Vec<ChannelView>,
}

/// A channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChannelView {
    /// Label.
    pub label: String,
    /// Kind.
    pub kind: String,
    /// Unit's symbol.
    pub unit: String,
    /// Units a count.
    pub gain: f64,
    /// Reference, for people.
    pub reference: String,
}

/// An electrode's impedance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImpedanceView {
    /// Electrode.
    pub electrode: String,
    /// kΩ; `None` when it could not be measured.
    pub impedance_kohm: Option<f64>,
    /// 'good', 'acceptable', 'bad', 'bridge', 'unknown'.
    pub grade: String,
}
