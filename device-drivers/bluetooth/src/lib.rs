//! Devices over Bluetooth Low Energy: Muse headbands, the OpenBCI Ganglion, heart-rate straps.
//!
//! Counts go out as the device delivered them; what they are worth stands in the channels' scale. Linux is reached
//! through BlueZ on the system's bus (`DBUS_SYSTEM_BUS_ADDRESS` names another one).
//!
//! The decoders are held against recorded notifications and against arbitrary bytes, the drivers against emulated
//! devices behind BlueZ's interface on a bus of their own (`emulators::bluez`), through btleplug's own client code.

mod bits;
pub mod decoder;
mod device;
mod ganglion;
mod heart_rate;
mod limits;
mod link;
mod muse;
mod polar;
mod protocol;

pub use ganglion::GanglionDriver;
pub use heart_rate::HeartRateDriver;
pub use muse::MuseDriver;

use contract::{DeviceClass, DeviceError, DeviceSummary, Driver};
use std::sync::Arc;
use uuid::Uuid;

/// The drivers of this room: `muse`, `ganglion`, `heart-rate`.
#[must_use]
pub fn drivers() -> Vec<Arc<dyn Driver>> {
    vec![
        Arc::new(MuseDriver),
        Arc::new(GanglionDriver),
        Arc::new(HeartRateDriver),
    ]
}

/// Whether Bluetooth can be used now: there is an adapter, it is switched on, and this user may use it.
///
/// # Errors
/// What stands in the way, and what to do about it; [`contract::ErrorKind::NotFound`] where there is no Bluetooth at
/// all.
pub fn usable() -> Result<(), DeviceError> {
    link::usable()
}

/// The long form of a number that Bluetooth assigned (Bluetooth Core, Vol 3 Part B 2.5.1).
const fn short(number: u16) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_1000_8000_0080_5f9b_34fb | (number as u128) << 96)
}

fn summaries(
    driver: &str,
    nameless: &str,
    found: Vec<link::Advertised>,
) -> Result<Vec<DeviceSummary>, DeviceError> {
    Ok(found
        .into_iter()
        .map(|one| DeviceSummary {
            id: format!("{driver}:{}", one.address),
            name: if one.name.is_empty() {
                nameless.to_owned()
            } else {
                one.name
            },
            class: DeviceClass::Research,
            transport: "bluetooth".into(),
            note: String::new(),
        })
        .collect())
}
