//! An opened device.

use crate::{DeviceError, ErrorKind, Sink};
use serde::{Deserialize, Serialize};
use signal::{Impedance, StreamDescription};
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// What kind of device it is; shown wherever its data are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceClass {
    /// A medical device by its maker's declaration.
    Medical,
    /// A research device: not for diagnosis.
    Research,
    /// Computed data; attaches to training patients only.
    Simulated,
    /// A file played back; attaches to training patients only.
    Playback,
}

impl DeviceClass {
    /// Whether the data come from a living person now.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Medical | Self::Research)
    }
}

/// Who sets the pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pacing {
    /// Data come when they come; a full recorder queue loses them (and says so).
    RealTime,
    /// The source waits for its reader (playback as fast as possible): a full queue holds it back
    /// and nothing is lost.
    AsFastAsPossible,
}

/// The device's own test signal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationSignal {
    /// Peak-to-peak amplitude of the square wave, µV.
    pub amplitude_uv: f64,
    /// Period, s.
    pub period_s: f64,
}

/// What the device can do beside streaming.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Capabilities {
    /// Measures electrode impedances.
    pub impedance: bool,
    /// Has a calibration signal of its own.
    pub calibration: Option<CalibrationSignal>,
    /// Can give stimuli or test currents to the patient, which [`Safety`] ends.
    pub acts_on_patient: bool,
}

/// Everything constant about an opened device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceDescription {
    /// `driver:address`.
    pub id: String,
    /// Maker's name of the model.
    pub model: String,
    /// Serial number; empty when the device has none.
    pub serial: String,
    /// Firmware; empty when unknown.
    pub firmware: String,
    /// Medical, research, simulated, playback.
    pub class: DeviceClass,
    /// Who sets the pace.
    pub pacing: Pacing,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Its streams; [`signal::StreamIndex`] counts in this order.
    pub streams: Vec<StreamDescription>,
}

/// What a call of [`Device::read`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Read {
    /// At least one block or event went to the sink.
    Progress,
    /// Nothing came within the time given.
    Idle,
    /// The source has ended (a file's end); nothing will follow.
    Ended,
}

/// Ends what acts on the patient. Works from any thread at any time, never blocks on the reader,
/// the disk or the store, and returns within 100 ms.
pub trait Safety: Send + Sync + Debug {
    /// Ends stimuli and test currents now, and keeps them off until the device is opened anew.
    ///
    /// # Errors
    /// When the device could not be told; the caller must then tell a person to pull the plug.
    fn end_all(&self) -> Result<(), DeviceError>;
}

/// An opened device, driven by one thread.
pub trait Device: Send + Debug {
    /// What it is. Does not change while open.
    fn description(&self) -> &DeviceDescription;

    /// Handle that ends what acts on the patient.
    fn safety(&self) -> Arc<dyn Safety>;

    /// Starts streaming. After a stop or a lost connection it may be called again: the same
    /// device goes on with its counters as they are.
    ///
    /// # Errors
    /// The device did not answer, or refused.
    fn start(&mut self) -> Result<(), DeviceError>;

    /// Reads what has come, for at most about `timeout`, and gives it to `sink`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disconnected`] when it is gone (acquisition then retries `start`);
    /// anything else is final for this opening.
    fn read(&mut self, sink: &mut dyn Sink, timeout: Duration) -> Result<Read, DeviceError>;

    /// Stops streaming. Idempotent.
    ///
    /// # Errors
    /// The device could not be told; it counts as stopped all the same.
    fn stop(&mut self) -> Result<(), DeviceError>;

    /// Measures every electrode, reference and ground included, telling each as it is known;
    /// `progress` may break off. The device must not be streaming. A device that has not the means
    /// keeps to this default.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when it cannot; otherwise as for reading.
    fn measure_impedances(
        &mut self,
        progress: &mut dyn FnMut(&Impedance) -> ControlFlow<()>,
    ) -> Result<Vec<Impedance>, DeviceError> {
        let _ = progress;
        Err(DeviceError::new(
            ErrorKind::Unsupported,
            format!("measure impedances of {}", self.description().id),
            "it gives no means to do that from here; measure them in the amplifier's own program",
        ))
    }

    /// Switches the calibration signal on or off on every channel. A device that has none keeps to this
    /// default.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when there is none.
    fn calibration(&mut self, on: bool) -> Result<(), DeviceError> {
        let _ = on;
        Err(DeviceError::new(
            ErrorKind::Unsupported,
            format!("calibrate {}", self.description().id),
            "it has no calibration signal that can be switched from here",
        ))
    }
}
