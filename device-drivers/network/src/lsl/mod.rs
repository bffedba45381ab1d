//! The lab streaming layer: inlets as devices, and an outlet for our own sessions, by liblsl itself.

mod device;
mod outlet;
mod pump;
mod stream;

pub use outlet::Outlet;

use crate::limits::LSL_LOOK_S;
use contract::{
    Clock, Device, DeviceClass, DeviceError, DeviceSummary, Driver, ErrorKind, Settings,
    SettingsReader,
};
use device::Lsl;
use std::sync::Arc;

/// The driver `lsl`: any stream on the network that has numbers or texts; the address is its source id, or its
/// name where it has none. Which network and which peers stand in liblsl's own configuration (`lsl_api.cfg`,
/// `LSLAPICFG`).
///
/// Setting: `markers` (addresses of streams of texts between commas, whose samples become marks at their nearest
/// sample). Values are kept bit for bit; 8-bit integers are widened to 16 bits, 64-bit ones refused. A block's
/// arrival is its source's own stamp, brought to this host's clock by liblsl's time correction; the fitted clock
/// takes out what the stamps scatter. The protocol numbers no samples: loss shows in time only.
#[derive(Debug, Clone, Copy, Default)]
pub struct LslDriver;

impl Driver for LslDriver {
    fn name(&self) -> &'static str {
        "lsl"
    }

    fn discover(&self) -> Result<Vec<DeviceSummary>, DeviceError> {
        let found = ::lsl::resolve_streams(LSL_LOOK_S).map_err(|error| {
            DeviceError::new(
                ErrorKind::Io,
                "look for LSL streams",
                format!("liblsl: {error}"),
            )
        })?;
        let mut listed: Vec<DeviceSummary> = found
            .iter()
            .filter(|info| stream::storage(info.channel_format()).is_some())
            .map(|info| DeviceSummary {
                id: format!("lsl:{}", stream::address(info)),
                name: format!(
                    "{} ({}), {} channels",
                    info.stream_name(),
                    info.stream_type(),
                    info.channel_count()
                ),
                class: DeviceClass::Research,
                transport: "network".into(),
                note: format!("on {}", info.hostname()),
            })
            .collect();
        listed.sort_by(|a, b| a.id.cmp(&b.id));
        listed.dedup_by(|a, b| a.id == b.id);
        Ok(listed)
    }

    fn open(
        &self,
        address: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Device>, DeviceError> {
        let operation = format!("open lsl:{address}");
        let mut reader = SettingsReader::new(&operation, settings);
        let markers: Vec<String> = reader
            .text("markers")
            .unwrap_or_default()
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        reader.finish()?;
        Ok(Box::new(Lsl::open(address, &markers, clock)?))
    }
}
