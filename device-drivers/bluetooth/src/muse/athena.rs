//! The Muse S Athena.

use super::{
    CONTROL, ELECTRODES, G_PER_COUNT, axes, characteristic, command, description, potential, stream,
};
use crate::decoder::athena::{Kind, Part, parts};
use crate::limits::KEEP_ALIVE;
use crate::protocol::{Place, Protocol, give};
use contract::{DeviceDescription, DeviceEvent, Sink};
use signal::{
    Channel, ChannelKind, CounterSpec, HostNanos, SampleType, Scale, StreamIndex, StreamRole, Unit,
};
use std::time::Duration;
use uuid::Uuid;

/// Where everything comes from.
pub(super) const DATA: Uuid = characteristic(0x13);

/// Microvolts of a count of 14 bits (OpenMuse: 1450 µV over 16383 counts).
const UV_PER_COUNT: f64 = 1_450.0 / 16_383.0;
/// The middle of 14 bits; both recordings of OpenMuse lie about it.
const MIDDLE: i32 = 8_192;
/// °/s of a count, with the sign of the axes (OpenMuse).
const DEGREES_PER_COUNT: f64 = -0.007_476_8;
/// A count of light in the unit that OpenMuse gives, 1/32768.
const LIGHT_PER_COUNT: f64 = 1.0 / 32_768.0;

const OPTICS: [&str; 16] = [
    "LO 730",
    "RO 730",
    "LO 850",
    "RO 850",
    "LI 730",
    "RI 730",
    "LI 850",
    "RI 850",
    "LO red",
    "RO red",
    "LO ambient",
    "RO ambient",
    "LI red",
    "RI red",
    "LI ambient",
    "RI ambient",
];

const EEG_STREAM: StreamIndex = StreamIndex(0);
const MOTION_STREAM: StreamIndex = StreamIndex(1);
const OPTICS_STREAM: StreamIndex = StreamIndex(2);

/// The protocol with one characteristic for everything.
#[derive(Debug)]
pub(super) struct Athena {
    description: DeviceDescription,
    preset: &'static str,
    eeg: usize,
    optics: usize,
    battery: Option<u8>,
    warned: bool,
}

fn counter(kind: Kind) -> CounterSpec {
    CounterSpec {
        modulus: 256,
        step: 1,
        samples_per_packet: u32::try_from(kind.shape().1).unwrap_or(1),
    }
}

impl Athena {
    pub(super) fn new(id: &str, preset: &'static str) -> Self {
        let (channels, light) = match preset {
            "p1041" => (8, 16),
            "p1035" => (4, 4),
            _ => (4, 0),
        };
        let names = ELECTRODES
            .into_iter()
            .chain(["AUX1", "AUX2", "AUX3", "AUX4"]);
        let eeg = (names.take(channels))
            .map(|name| potential(name, UV_PER_COUNT, MIDDLE))
            .collect();
        let mut motion = axes("acc", ChannelKind::Accelerometer, &Unit::G, G_PER_COUNT);
        let degrees = Unit::DegreePerSecond;
        motion.extend(axes(
            "gyro",
            ChannelKind::Gyroscope,
            &degrees,
            DEGREES_PER_COUNT,
        ));
        let (signal, auxiliary) = (StreamRole::Signal, StreamRole::Auxiliary);
        let of_eeg = counter(Kind::Eeg { channels });
        let mut streams = vec![
            stream("eeg", signal, SampleType::I16, 256, of_eeg, eeg),
            stream(
                "motion",
                auxiliary,
                SampleType::I16,
                52,
                counter(Kind::Motion),
                motion,
            ),
        ];
        if light > 0 {
            // The four inner sensors alone, or all.
            let first = if light == 4 { 4 } else { 0 };
            let optics = (OPTICS[first..first + light].iter())
                .map(|name| Channel {
                    kind: ChannelKind::Ppg,
                    unit: Unit::Other("a.u.".to_owned()),
                    scale: Scale {
                        gain: LIGHT_PER_COUNT,
                        offset: 0.0,
                    },
                    ..Channel::trigger(name)
                })
                .collect();
            let of_light = counter(Kind::Optics { channels: light });
            streams.push(stream(
                "optics",
                signal,
                SampleType::I32,
                64,
                of_light,
                optics,
            ));
        }
        Self {
            description: description(id, "Muse S Athena", streams),
            preset,
            eeg: channels,
            optics: light,
            battery: None,
            warned: false,
        }
    }

    fn part(&mut self, part: &Part<'_>, at: HostNanos, sink: &mut dyn Sink) -> bool {
        let (channels, len) = part.kind.shape();
        let stream = match part.kind {
            Kind::Eeg { channels } if channels == self.eeg => EEG_STREAM,
            Kind::Optics { channels } if channels == self.optics => OPTICS_STREAM,
            Kind::Motion => MOTION_STREAM,
            Kind::Battery => {
                let percent = u8::try_from((part.values()[0] / 256).clamp(0, 100)).unwrap_or(100);
                let news = self.battery.replace(percent) != Some(percent);
                if news {
                    sink.event(DeviceEvent::Battery(percent));
                }
                return news;
            }
            Kind::Unknown => return false,
            kind => {
                let news = !std::mem::replace(&mut self.warned, true);
                if news {
                    sink.event(DeviceEvent::Warning(format!(
                        "the headband sends {kind:?}, which its preset {} does not have; these are not recorded",
                        self.preset
                    )));
                }
                return news;
            }
        };
        let values = part.values();
        let place = Place {
            stream,
            channels,
            len,
            counter: Some(u64::from(part.counter)),
            at,
        };
        give(sink, place, |channel, n| values[n * channels + channel]);
        true
    }
}

impl Protocol for Athena {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn sources(&self) -> Vec<Uuid> {
        vec![CONTROL, DATA]
    }

    fn control(&self) -> Option<Uuid> {
        Some(CONTROL)
    }

    fn start(&self) -> Vec<Vec<u8>> {
        // OpenMuse: halt, preset, status, and the order to stream twice, the first of which wakes it.
        ["h", self.preset, "s", "dc001", "dc001"]
            .map(command)
            .to_vec()
    }

    fn stop(&self) -> Vec<Vec<u8>> {
        vec![command("h")]
    }

    fn keep_alive(&self) -> Option<(Duration, Vec<u8>)> {
        Some((KEEP_ALIVE, command("k")))
    }

    fn begin(&mut self) {
        self.battery = None;
    }

    fn take(&mut self, source: Uuid, bytes: &[u8], at: HostNanos, sink: &mut dyn Sink) -> bool {
        if source != DATA {
            return false;
        }
        let mut given = false;
        let skipped = parts(bytes, |part| given |= self.part(part, at, sink));
        if skipped > 0 {
            sink.event(DeviceEvent::Garbage {
                bytes: skipped as u64,
            });
        }
        given || skipped > 0
    }
}
