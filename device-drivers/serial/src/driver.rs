//! Finding and opening Cytons.

use crate::device::Cyton;
use crate::settings::CytonSettings;
use contract::{
    Clock, Device, DeviceClass, DeviceError, DeviceSummary, Driver, ErrorKind, Settings,
};
use serialport::SerialPortType;
use std::sync::Arc;

/// USB identity of the dongle's chip, an FTDI FT231X (Linux usb.ids; OpenBCI's dongle does not set its own).
const DONGLE: (u16, u16) = (0x0403, 0x6015);

/// Further ports that are offered, between commas: lines that the system does not list.
const MORE_PORTS: &str = "NEURASCALE_SERIAL_PORTS";

/// The driver `cyton`: OpenBCI Cyton and Cyton+Daisy behind their dongle; the address is the port
/// (`cyton:/dev/ttyUSB0`, `cyton:COM3`).
///
/// Settings, all optional: `gain` (1, 2, 4, 6, 8, 12, 24; 24), `daisy` (`auto`, `on`, `off`), `electrodes`
/// (8 or 16 names between commas, or `ultracortex` for the maker's headset; E1, E2, …), `reference` and `ground`
/// (names of the electrodes at SRB2 and BIAS), `wiring` (`inverting`: electrodes at the negative inputs, the
/// default; `straight`), `aux` (`accelerometer`, `analog`, `digital`, `marker`), `timestamps` (`on`, `off`: the
/// board's clock beside each sample; then there is no acceleration), `numbered` (`on` when an emulator numbers its
/// samples in the last channel).
///
/// The board's counter has one byte: after a loss the counter alone cannot tell n packets from n + 256, the time
/// of arrival decides, and where it does not the gap says that it is ambiguous. Variables: `NEURASCALE_SERIAL_PORTS`
/// lists further ports for discovery.
#[derive(Debug, Clone, Copy, Default)]
pub struct CytonDriver;

impl Driver for CytonDriver {
    fn name(&self) -> &'static str {
        "cyton"
    }

    fn discover(&self) -> Result<Vec<DeviceSummary>, DeviceError> {
        let ports = serialport::available_ports().map_err(|error| {
            DeviceError::new(
                ErrorKind::Io,
                "look for serial ports",
                format!("the system does not list them: {error}"),
            )
        })?;
        let dongles = ports.into_iter().filter_map(|port| match port.port_type {
            SerialPortType::UsbPort(usb) if (usb.vid, usb.pid) == DONGLE => {
                let serial = usb.serial_number.unwrap_or_default();
                Some((port.port_name, format!("USB serial adapter {serial}")))
            }
            _ => None,
        });
        let more = std::env::var(MORE_PORTS).unwrap_or_default();
        let configured = more
            .split(',')
            .map(str::trim)
            .filter(|path| !path.is_empty() && std::path::Path::new(path).exists())
            .map(|path| (path.to_owned(), "configured port".to_owned()));
        let mut found: Vec<DeviceSummary> = dongles
            .chain(configured)
            .map(|(port, what)| DeviceSummary {
                id: format!("cyton:{port}"),
                name: format!("OpenBCI Cyton, if its dongle is at {port}"),
                class: DeviceClass::Research,
                transport: "serial".into(),
                note: match permission(&port) {
                    Some(problem) => format!("{what}; {problem}"),
                    None => what,
                },
            })
            .collect();
        found.dedup_by(|a, b| a.id == b.id);
        Ok(found)
    }

    fn open(
        &self,
        address: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Device>, DeviceError> {
        let operation = format!("open cyton:{address}");
        let settings = CytonSettings::read(&operation, settings)?;
        Ok(Box::new(Cyton::open(address, settings, clock)?))
    }
}

/// What keeps this user from a port that is there; `None` when nothing does. The port is not opened: that
/// would raise its control lines.
#[cfg(unix)]
fn permission(path: &str) -> Option<String> {
    use rustix::fs::{Access, access};
    let denied = access(path, Access::READ_OK | Access::WRITE_OK) == Err(rustix::io::Errno::ACCESS);
    denied
        .then(|| "no permission: add this user to the group 'dialout' and sign in anew".to_owned())
}

/// Elsewhere ports have no permissions of their own.
#[cfg(not(unix))]
fn permission(_path: &str) -> Option<String> {
    None
}
