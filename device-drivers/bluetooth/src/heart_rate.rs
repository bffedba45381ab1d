//! Straps and watches with the Bluetooth heart-rate service.

use crate::decoder::heart_rate::{MOST_INTERVALS, measurement};
use crate::device::BluetoothDevice;
use crate::link::{Link, discover};
use crate::protocol::{Place, Protocol, give};
use contract::{
    Capabilities, Clock, Device, DeviceClass, DeviceDescription, DeviceError, DeviceEvent,
    DeviceSummary, Driver, Pacing, Settings, SettingsReader, Sink,
};
use signal::{
    Channel, ChannelKind, ClockSource, HostNanos, SampleType, SamplingRate, Scale,
    StreamDescription, StreamIndex, StreamRole, Unit,
};
use std::sync::Arc;
use uuid::Uuid;

/// Finds and opens devices with the heart-rate service.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeartRateDriver;

// Bluetooth Assigned Numbers: services and characteristics.
const SERVICE: Uuid = crate::short(0x180D);
const MEASUREMENT: Uuid = crate::short(0x2A37);
const BATTERY: Uuid = crate::short(0x2A19);

const RATE: StreamIndex = StreamIndex(0);
const INTERVALS: StreamIndex = StreamIndex(1);

impl Driver for HeartRateDriver {
    fn name(&self) -> &'static str {
        "heart-rate"
    }

    fn discover(&self) -> Result<Vec<DeviceSummary>, DeviceError> {
        let found = discover(&[SERVICE])?;
        crate::summaries("heart-rate", "Heart-rate sensor", found)
    }

    fn open(
        &self,
        address: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Device>, DeviceError> {
        let id = format!("heart-rate:{address}");
        SettingsReader::new(&format!("open {id}"), settings).finish()?;
        let device = BluetoothDevice::open(&id, address, SERVICE, clock, |link| {
            Ok(Box::new(HeartRate {
                description: description(&id),
                battery: link.has(BATTERY),
                charge: None,
                told: None,
            }))
        })?;
        Ok(Box::new(device))
    }
}

fn irregular(name: &str, channel: Channel) -> StreamDescription {
    StreamDescription {
        name: name.to_owned(),
        role: StreamRole::Signal,
        sample_type: SampleType::I32,
        rate: SamplingRate::Irregular,
        counter: None,
        clock: ClockSource::HostArrival,
        channels: vec![channel],
    }
}

fn description(id: &str) -> DeviceDescription {
    let rate = Channel {
        kind: ChannelKind::VitalSign,
        unit: Unit::PerMinute,
        ..Channel::trigger("heart rate")
    };
    let interval = Channel {
        kind: ChannelKind::VitalSign,
        unit: Unit::Other("ms".to_owned()),
        scale: Scale {
            gain: 1_000.0 / 1_024.0,
            offset: 0.0,
        },
        ..Channel::trigger("RR interval")
    };
    DeviceDescription {
        id: id.to_owned(),
        model: "Bluetooth heart-rate sensor".into(),
        serial: String::new(),
        firmware: String::new(),
        class: DeviceClass::Research,
        pacing: Pacing::RealTime,
        capabilities: Capabilities::default(),
        streams: vec![irregular("heart rate", rate), irregular("rr", interval)],
    }
}

#[derive(Debug)]
struct HeartRate {
    description: DeviceDescription,
    battery: bool,
    charge: Option<u8>,
    told: Option<u8>,
}

impl Protocol for HeartRate {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn sources(&self) -> Vec<Uuid> {
        // What is subscribed is sent from then on; the measurements wait until they are wanted.
        vec![MEASUREMENT]
    }

    fn control(&self) -> Option<Uuid> {
        None
    }

    fn start(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn stop(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn connected(&mut self, operation: &str, link: &mut Link) -> Result<(), DeviceError> {
        if self.battery {
            let charge = link.read(operation, BATTERY)?;
            self.charge = charge.first().map(|percent| (*percent).min(100));
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.told = None;
    }

    fn take(&mut self, source: Uuid, bytes: &[u8], at: HostNanos, sink: &mut dyn Sink) -> bool {
        if source != MEASUREMENT {
            return false;
        }
        let Some(found) = measurement(bytes) else {
            sink.event(DeviceEvent::Garbage {
                bytes: bytes.len() as u64,
            });
            return true;
        };
        if let Some(charge) = self.charge
            && self.told.replace(charge) != Some(charge)
        {
            sink.event(DeviceEvent::Battery(charge));
        }
        let place = |stream, len| Place {
            stream,
            channels: 1,
            len,
            counter: None,
            at,
        };
        give(sink, place(RATE, 1), |_, _| i32::from(found.rate));
        let count = found.intervals().count().min(MOST_INTERVALS);
        if count > 0 {
            let mut intervals = [0; MOST_INTERVALS];
            for (kept, interval) in intervals.iter_mut().zip(found.intervals()) {
                *kept = i32::from(interval);
            }
            give(sink, place(INTERVALS, count), |_, n| intervals[n]);
        }
        true
    }
}
