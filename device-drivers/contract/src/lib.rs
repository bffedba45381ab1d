//! What every driver keeps to: how devices are found, opened, read, checked and stopped.
//!
//! A [`Driver`] finds and opens devices; a [`Device`] is read on one thread of its own, which only
//! that device can block. The device decodes its bytes into blocks that the [`Sink`] lends it (no
//! allocation per block) and reports everything else as a [`DeviceEvent`]. It never repairs time or
//! loss: raw counters and arrival times go out as they are, and acquisition decides.
//!
//! What acts on the patient (test currents, stimuli) can be ended from any thread through
//! [`Device::safety`], whatever the reading thread is doing.

mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod device;
mod driver;
mod error;
mod settings;
mod sink;

pub use clock::{Clock, SystemClock};
pub use device::{
    CalibrationSignal, Capabilities, Device, DeviceClass, DeviceDescription, Pacing, Read, Safety,
};
pub use driver::{DeviceSummary, Driver, Settings};
pub use error::{DeviceError, ErrorKind};
pub use settings::SettingsReader;
pub use sink::{Collected, DeviceEvent, Sink};
