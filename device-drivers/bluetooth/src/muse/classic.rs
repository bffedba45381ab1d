//! The Muse of 2016, the Muse 2 and the Muse S.

use super::groups::{Group, Groups};
use super::{
    CONTROL, ELECTRODES, G_PER_COUNT, axes, characteristic, command, description, potential, stream,
};
use crate::decoder::muse;
use crate::limits::KEEP_ALIVE;
use crate::protocol::{Place, Protocol, give};
use contract::{DeviceDescription, DeviceEvent, Sink};
use signal::{
    Channel, ChannelKind, CounterSpec, HostNanos, SampleType, StreamIndex, StreamRole, Unit,
};
use std::time::Duration;
use uuid::Uuid;

const TELEMETRY: Uuid = characteristic(0x0b);
const GYROSCOPE: Uuid = characteristic(0x09);
const ACCELEROMETER: Uuid = characteristic(0x0a);
/// TP9, AF7, AF8, TP10, and the auxiliary input.
const EEG: [Uuid; 5] = [
    characteristic(0x03),
    characteristic(0x04),
    characteristic(0x05),
    characteristic(0x06),
    characteristic(0x07),
];
/// Ambient, infrared, red light.
pub(super) const PPG: [Uuid; 3] = [
    characteristic(0x0f),
    characteristic(0x10),
    characteristic(0x11),
];

/// Microvolts of a count of 12 bits (muse-lsl and muse-js: 0.48828125, 2000 µV over 4096 counts).
const UV_PER_COUNT: f64 = 2_000.0 / 4_096.0;
const MIDDLE: i32 = 2_048;
/// °/s of a count (muse-lsl and muse-js).
const DEGREES_PER_COUNT: f64 = 0.007_476_8;

const EEG_STREAM: StreamIndex = StreamIndex(0);
const ACC_STREAM: StreamIndex = StreamIndex(1);
const GYRO_STREAM: StreamIndex = StreamIndex(2);
const PPG_STREAM: StreamIndex = StreamIndex(3);

/// The protocol with one characteristic a channel.
#[derive(Debug)]
pub(super) struct Classic {
    description: DeviceDescription,
    preset: &'static str,
    channels: usize,
    light: bool,
    eeg: Groups,
    ppg: Groups,
    battery: Option<u8>,
}

const fn counter(samples_per_packet: usize) -> CounterSpec {
    CounterSpec {
        modulus: 1 << 16,
        step: 1,
        samples_per_packet: samples_per_packet as u32,
    }
}

impl Classic {
    pub(super) fn new(id: &str, preset: &'static str, numbered: bool) -> Self {
        // p20 and p50 have the auxiliary input, p50 and p51 light.
        let channels = if matches!(preset, "p20" | "p50") {
            5
        } else {
            4
        };
        let light = matches!(preset, "p50" | "p51");
        let mut eeg: Vec<Channel> = (ELECTRODES.iter().chain(&["AUX"]).take(channels))
            .map(|name| potential(name, UV_PER_COUNT, MIDDLE))
            .collect();
        if numbered && let Some(last) = eeg.last_mut() {
            *last = Channel::trigger("sample number");
        }
        let (signal, auxiliary) = (StreamRole::Signal, StreamRole::Auxiliary);
        let (i16, motion) = (SampleType::I16, counter(muse::MOTION_SAMPLES));
        let acc = axes("acc", ChannelKind::Accelerometer, &Unit::G, G_PER_COUNT);
        let degrees = Unit::DegreePerSecond;
        let gyro = axes("gyro", ChannelKind::Gyroscope, &degrees, DEGREES_PER_COUNT);
        let mut streams = vec![
            stream("eeg", signal, i16, 256, counter(muse::EEG_SAMPLES), eeg),
            stream("accelerometer", auxiliary, i16, 52, motion, acc),
            stream("gyroscope", auxiliary, i16, 52, motion, gyro),
        ];
        if light {
            let ppg = ["ambient", "infrared", "red"].map(|name| Channel {
                kind: ChannelKind::Ppg,
                ..Channel::trigger(name)
            });
            let of_light = counter(muse::PPG_SAMPLES);
            streams.push(stream(
                "ppg",
                signal,
                SampleType::I32,
                64,
                of_light,
                ppg.to_vec(),
            ));
        }
        let model = if light { "Muse 2 or Muse S" } else { "Muse" };
        Self {
            description: description(id, model, streams),
            preset,
            channels,
            light,
            eeg: Groups::new(channels),
            ppg: Groups::new(PPG.len()),
            battery: None,
        }
    }

    fn motion(stream: StreamIndex, bytes: &[u8], at: HostNanos, sink: &mut dyn Sink) -> bool {
        let Some(packet) = muse::motion(bytes) else {
            return garbage(bytes, sink);
        };
        let place = Place {
            stream,
            channels: 3,
            len: muse::MOTION_SAMPLES,
            counter: Some(u64::from(packet.counter)),
            at,
        };
        give(sink, place, |axis, n| packet.samples[n * 3 + axis]);
        true
    }

    fn telemetry(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> bool {
        let Some(telemetry) = muse::telemetry(bytes) else {
            return garbage(bytes, sink);
        };
        let percent = telemetry.percent();
        let news = self.battery.replace(percent) != Some(percent);
        if news {
            sink.event(DeviceEvent::Battery(percent));
        }
        news
    }
}

fn garbage(bytes: &[u8], sink: &mut dyn Sink) -> bool {
    sink.event(DeviceEvent::Garbage {
        bytes: bytes.len() as u64,
    });
    true
}

/// Gives a group, and says which of its channels are lost.
fn group(stream: StreamIndex, channels: usize, len: usize, group: &Group, sink: &mut dyn Sink) {
    let counter = Some(u64::from(group.counter));
    for channel in (0..channels).filter(|channel| group.there & 1 << channel == 0) {
        sink.event(DeviceEvent::Stale {
            stream,
            channel: u16::try_from(channel).unwrap_or(u16::MAX),
            counter,
        });
    }
    let place = Place {
        stream,
        channels,
        len,
        counter,
        at: group.at,
    };
    give(sink, place, |channel, n| group.samples[channel][n]);
}

impl Protocol for Classic {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn sources(&self) -> Vec<Uuid> {
        let mut sources = vec![CONTROL, TELEMETRY, GYROSCOPE, ACCELEROMETER];
        sources.extend(&EEG[..self.channels]);
        sources.extend(PPG.iter().filter(|_| self.light));
        sources
    }

    fn control(&self) -> Option<Uuid> {
        Some(CONTROL)
    }

    fn start(&self) -> Vec<Vec<u8>> {
        ["h", self.preset, "s", "d"].map(command).to_vec()
    }

    fn stop(&self) -> Vec<Vec<u8>> {
        vec![command("h")]
    }

    fn keep_alive(&self) -> Option<(Duration, Vec<u8>)> {
        Some((KEEP_ALIVE, command("k")))
    }

    fn begin(&mut self) {
        self.eeg.begin();
        self.ppg.begin();
        self.battery = None;
    }

    fn take(&mut self, source: Uuid, bytes: &[u8], at: HostNanos, sink: &mut dyn Sink) -> bool {
        let mut given = false;
        if let Some(channel) = EEG.iter().position(|eeg| *eeg == source) {
            let Some(packet) = muse::eeg(bytes) else {
                return garbage(bytes, sink);
            };
            let channels = self.channels;
            (self.eeg).push(channel, packet.counter, &packet.samples, at, |whole| {
                group(EEG_STREAM, channels, muse::EEG_SAMPLES, whole, sink);
                given = true;
            });
            return given;
        }
        if let Some(channel) = PPG.iter().position(|ppg| *ppg == source) {
            let Some(packet) = muse::ppg(bytes) else {
                return garbage(bytes, sink);
            };
            (self.ppg).push(channel, packet.counter, &packet.samples, at, |whole| {
                group(PPG_STREAM, PPG.len(), muse::PPG_SAMPLES, whole, sink);
                given = true;
            });
            return given;
        }
        match source {
            ACCELEROMETER => Self::motion(ACC_STREAM, bytes, at, sink),
            GYROSCOPE => Self::motion(GYRO_STREAM, bytes, at, sink),
            TELEMETRY => self.telemetry(bytes, sink),
            _ => false,
        }
    }

    fn flush(&mut self, since: HostNanos, sink: &mut dyn Sink) -> bool {
        let channels = self.channels;
        let eeg = (self.eeg).flush(since, |whole| {
            group(EEG_STREAM, channels, muse::EEG_SAMPLES, whole, sink);
        });
        let ppg = (self.ppg).flush(since, |whole| {
            group(PPG_STREAM, PPG.len(), muse::PPG_SAMPLES, whole, sink);
        });
        eeg || ppg
    }
}
