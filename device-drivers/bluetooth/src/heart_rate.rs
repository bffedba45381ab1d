//! Straps and watches with the Bluetooth heart-rate service, and what Polar's give besides.

use crate::decoder::heart_rate::{MOST_INTERVALS, measurement};
use crate::device::BluetoothDevice;
use crate::link::{Link, discover};
use crate::polar::{self, Ecg};
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

const ECG: StreamIndex = StreamIndex(0);

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
            let ecg = polar::is_there(link).then(Ecg::default);
            Ok(Box::new(HeartRate {
                description: description(&id, ecg.is_some()),
                ecg,
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

/// The ECG comes first, where there is one.
fn description(id: &str, ecg: bool) -> DeviceDescription {
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
    let mut streams: Vec<StreamDescription> = ecg.then(Ecg::stream).into_iter().collect();
    streams.push(irregular("heart rate", rate));
    streams.push(irregular("rr", interval));
    DeviceDescription {
        id: id.to_owned(),
        model: if ecg {
            "Polar strap with ECG".into()
        } else {
            "Bluetooth heart-rate sensor".into()
        },
        serial: String::new(),
        firmware: String::new(),
        class: DeviceClass::Research,
        pacing: Pacing::RealTime,
        capabilities: Capabilities::default(),
        streams,
    }
}

#[derive(Debug)]
struct HeartRate {
    description: DeviceDescription,
    ecg: Option<Ecg>,
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
        let mut sources = vec![MEASUREMENT];
        if self.ecg.is_some() {
            // A Polar strap answers nobody who does not listen to its control point.
            sources.extend([polar::CONTROL, polar::DATA]);
        }
        sources
    }

    fn control(&self) -> Option<Uuid> {
        self.ecg.as_ref().map(|_| polar::CONTROL)
    }

    fn start(&self) -> Vec<Vec<u8>> {
        // The heart rate needs no command.
        let command = self.ecg.as_ref().map(|_| polar::START.to_vec());
        command.into_iter().collect()
    }

    fn stop(&self) -> Vec<Vec<u8>> {
        let command = self.ecg.as_ref().map(|_| polar::STOP.to_vec());
        command.into_iter().collect()
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
        if source == polar::DATA
            && let Some(ecg) = &mut self.ecg
        {
            return ecg.take(ECG, bytes, at, sink);
        }
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
        let rate = u16::from(self.ecg.is_some());
        let (rate, intervals_stream) = (StreamIndex(rate), StreamIndex(rate + 1));
        give(sink, place(rate, 1), |_, _| i32::from(found.rate));
        let count = found.intervals().count().min(MOST_INTERVALS);
        if count > 0 {
            let mut intervals = [0; MOST_INTERVALS];
            for (kept, interval) in intervals.iter_mut().zip(found.intervals()) {
                *kept = i32::from(interval);
            }
            give(sink, place(intervals_stream, count), |_, n| intervals[n]);
        }
        true
    }
}
