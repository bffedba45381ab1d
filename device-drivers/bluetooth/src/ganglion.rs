//! The OpenBCI Ganglion.

use crate::decoder::ganglion::{CHANNELS, Decoder, Firmware, Packet, impedance_kohm};
use crate::device::BluetoothDevice;
use crate::limits::{GREETING, SAFETY_LOOK};
use crate::link::{Heard, Link, discover};
use crate::protocol::{ImpedanceTest, Place, Protocol, give};
use contract::{
    Capabilities, Clock, Device, DeviceClass, DeviceDescription, DeviceError, DeviceEvent,
    DeviceSummary, Driver, Pacing, Settings, SettingsReader, Sink,
};
use signal::{
    Channel, ChannelKind, ClockSource, CounterSpec, DigitalRange, GapCause, HostNanos, Missing,
    Reference, SampleType, SamplingRate, Scale, StreamDescription, StreamIndex, StreamRole, Unit,
};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// Finds and opens Ganglions.
#[derive(Debug, Clone, Copy, Default)]
pub struct GanglionDriver;

// OpenBCI documentation, 'Ganglion Data Format', Bluetooth setup.
const SERVICE: Uuid = crate::short(0xFE84);
const RECEIVE: Uuid = Uuid::from_u128(0x2d30_c082_f39f_4ce6_923f_3484_ea48_0596);
const SEND: Uuid = Uuid::from_u128(0x2d30_c083_f39f_4ce6_923f_3484_ea48_0596);

/// Microvolts of a count: the converter's range of 1.2 V / 1.5 / 51 = 15686 µV (OpenBCI documentation,
/// 'Interpreting the EEG data').
const UV_PER_COUNT: f64 = 1.2e6 / (8_388_607.0 * 1.5 * 51.0);
/// g of a count (the same, accelerometer scale factor).
const G_PER_COUNT: f64 = 0.032;

const EEG: StreamIndex = StreamIndex(0);
const ACCELEROMETER: StreamIndex = StreamIndex(1);

#[derive(Debug, Clone)]
struct GanglionSettings {
    firmware: Option<Firmware>,
    accelerometer: bool,
    electrodes: Vec<String>,
    reference: String,
    ground: String,
    numbered: bool,
}

impl GanglionSettings {
    fn read(operation: &str, settings: &Settings) -> Result<Self, DeviceError> {
        let mut reader = SettingsReader::new(operation, settings);
        let firmwares = [("2", Firmware::Two), ("3", Firmware::Three)];
        let switch = [("on", true), ("off", false)];
        let firmware = reader.word("firmware", &firmwares)?;
        let accelerometer = reader.word("accelerometer", &switch)?.unwrap_or(false);
        let numbered = reader.word("numbered", &switch)?.unwrap_or(false);
        let electrodes: Vec<String> = reader.text("electrodes").map_or_else(Vec::new, |text| {
            text.split(',').map(|name| name.trim().to_owned()).collect()
        });
        if !(electrodes.is_empty() || electrodes.len() == CHANNELS)
            || electrodes.iter().any(String::is_empty)
        {
            return Err(reader.refuse("setting electrodes must be four names between commas"));
        }
        let named = |text: Option<&str>, otherwise: &str| text.unwrap_or(otherwise).to_owned();
        let reference = named(reader.text("reference"), "REF");
        let ground = named(reader.text("ground"), "D_G");
        reader.finish()?;
        Ok(Self {
            firmware,
            accelerometer,
            electrodes,
            reference,
            ground,
            numbered,
        })
    }
}

impl Driver for GanglionDriver {
    fn name(&self) -> &'static str {
        "ganglion"
    }

    fn discover(&self) -> Result<Vec<DeviceSummary>, DeviceError> {
        let found = discover(&[SERVICE])?;
        crate::summaries("ganglion", "OpenBCI Ganglion", found)
    }

    fn open(
        &self,
        address: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Device>, DeviceError> {
        let id = format!("ganglion:{address}");
        let settings = GanglionSettings::read(&format!("open {id}"), settings)?;
        let operation = format!("open {id}");
        let device = BluetoothDevice::open(&id, address, SERVICE, clock, |link| {
            let (firmware, version) = greeting(&operation, link, settings.firmware)?;
            Ok(Box::new(Ganglion::new(&id, settings, firmware, &version)))
        })?;
        Ok(Box::new(device))
    }
}

/// Resets the board and reads what it says of itself; a board that says nothing is of the newer firmware.
fn greeting(
    operation: &str,
    link: &mut Link,
    wanted: Option<Firmware>,
) -> Result<(Firmware, String), DeviceError> {
    link.subscribe(operation, RECEIVE)?;
    link.write(operation, SEND, b"v")?;
    let began = Instant::now();
    let mut text = Vec::new();
    let mut decoder = Decoder::new(Firmware::Three);
    while began.elapsed() < GREETING {
        let Heard::Notification(heard) = link.next(SAFETY_LOOK) else {
            continue;
        };
        if let Some(Packet::Text { text: piece, more }) = decoder.take(&heard.value) {
            // A greeting has some 60 bytes; a board that never ends it is stopped here.
            if text.len() < 512 {
                text.extend_from_slice(piece);
            }
            if !more {
                break;
            }
        }
    }
    let text = String::from_utf8_lossy(&text);
    let version = (text.split_whitespace())
        .find(|word| word.starts_with('v') && word[1..].starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or_default();
    let found = if version.starts_with("v2") || version.starts_with("v1") {
        Firmware::Two
    } else {
        Firmware::Three
    };
    Ok((wanted.unwrap_or(found), version.to_owned()))
}

#[derive(Debug)]
struct Ganglion {
    description: DeviceDescription,
    firmware: Firmware,
    accelerometer: bool,
    electrodes: Vec<String>,
    decoder: Decoder,
    /// Axes since the last x.
    axes: [Option<i8>; 3],
    /// Whether the loss that made differences worthless was told.
    baseless: bool,
}

impl Ganglion {
    fn new(id: &str, settings: GanglionSettings, firmware: Firmware, version: &str) -> Self {
        let reference = Reference::Named(settings.reference.clone());
        let mut channels: Vec<Channel> = (0..CHANNELS)
            .map(|n| {
                let name = settings.electrodes.get(n).cloned();
                let name = name.unwrap_or_else(|| format!("E{}", n + 1));
                Channel {
                    ground: Reference::Named(settings.ground.clone()),
                    digital_range: Some(DigitalRange {
                        min: -(1 << 23),
                        max: (1 << 23) - 1,
                    }),
                    ..Channel::eeg(&name, UV_PER_COUNT, reference.clone())
                }
            })
            .collect();
        let mut electrodes: Vec<String> = channels.iter().map(|c| c.label.clone()).collect();
        electrodes.push(settings.reference);
        electrodes.push(settings.ground);
        if settings.numbered {
            channels[CHANNELS - 1] = Channel::trigger("sample number");
        }
        // Firmware 2 has no number for the second sample of a packet: the decoder makes one a sample of the
        // packet's, one for one.
        let counter = match firmware {
            Firmware::Two => CounterSpec {
                modulus: 201,
                step: 1,
                samples_per_packet: 1,
            },
            Firmware::Three => CounterSpec {
                modulus: 100,
                step: 1,
                samples_per_packet: 2,
            },
        };
        let mut streams = vec![StreamDescription {
            name: "eeg".into(),
            role: StreamRole::Signal,
            sample_type: SampleType::I24,
            rate: SamplingRate::hz(200),
            counter: Some(counter),
            clock: ClockSource::HostArrival,
            channels,
        }];
        if settings.accelerometer {
            let scale = Scale {
                gain: G_PER_COUNT,
                offset: 0.0,
            };
            streams.push(StreamDescription {
                name: "accelerometer".into(),
                role: StreamRole::Auxiliary,
                sample_type: SampleType::I16,
                rate: SamplingRate::Irregular,
                counter: None,
                clock: ClockSource::HostArrival,
                channels: ["acc x", "acc y", "acc z"]
                    .map(|label| Channel {
                        kind: ChannelKind::Accelerometer,
                        unit: Unit::G,
                        scale,
                        ..Channel::trigger(label)
                    })
                    .to_vec(),
            });
        }
        Self {
            description: DeviceDescription {
                id: id.to_owned(),
                model: "OpenBCI Ganglion".into(),
                serial: String::new(),
                firmware: version.to_owned(),
                class: DeviceClass::Research,
                pacing: Pacing::RealTime,
                capabilities: Capabilities {
                    impedance: true,
                    calibration: None,
                    acts_on_patient: true,
                },
                streams,
            },
            firmware,
            accelerometer: settings.accelerometer,
            electrodes,
            decoder: Decoder::new(firmware),
            axes: [None; 3],
            baseless: false,
        }
    }
}

fn impedance(bytes: &[u8]) -> Option<(usize, Option<f64>)> {
    match Decoder::new(Firmware::Three).take(bytes) {
        Some(Packet::Impedance { input, text }) => Some((input, impedance_kohm(text))),
        _ => None,
    }
}

impl Protocol for Ganglion {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn sources(&self) -> Vec<Uuid> {
        vec![RECEIVE]
    }

    fn control(&self) -> Option<Uuid> {
        Some(SEND)
    }

    fn start(&self) -> Vec<Vec<u8>> {
        let accelerometer = if self.accelerometer { b"n" } else { b"N" };
        vec![accelerometer.to_vec(), b"b".to_vec()]
    }

    fn stop(&self) -> Vec<Vec<u8>> {
        vec![b"s".to_vec()]
    }

    fn begin(&mut self) {
        self.decoder.begin();
        self.axes = [None; 3];
        self.baseless = false;
    }

    fn take(&mut self, _source: Uuid, bytes: &[u8], at: HostNanos, sink: &mut dyn Sink) -> bool {
        let packet = self.decoder.take(bytes);
        let Some(packet) = packet else {
            sink.event(DeviceEvent::Garbage {
                bytes: bytes.len() as u64,
            });
            return true;
        };
        let (counter, samples, count, axis) = match packet {
            Packet::Samples {
                counter,
                samples,
                count,
                axis,
            } => (counter, samples, count, axis),
            Packet::Baseless => {
                self.baseless = true;
                return false;
            }
            Packet::Impedance { .. } | Packet::Text { .. } => return false,
        };
        if std::mem::take(&mut self.baseless) && self.firmware == Firmware::Two {
            sink.event(DeviceEvent::Discontinuity {
                stream: EEG,
                cause: GapCause::Transport,
                missing: Missing::Unknown,
            });
        }
        let place = Place {
            stream: EEG,
            channels: CHANNELS,
            len: count,
            counter: Some(u64::from(counter)),
            at,
        };
        give(sink, place, |channel, n| samples[n][channel]);
        if let Some(axis) = axis.filter(|_| self.accelerometer) {
            if axis.axis == 0 {
                self.axes = [None; 3];
            }
            self.axes[axis.axis] = Some(axis.value);
            if let (2, [Some(x), Some(y), Some(z)]) = (axis.axis, self.axes) {
                let axes = [x, y, z];
                let place = Place {
                    stream: ACCELEROMETER,
                    channels: 3,
                    len: 1,
                    counter: None,
                    at,
                };
                give(sink, place, |axis, _| i32::from(axes[axis]));
            }
        }
        true
    }

    fn impedance(&self) -> Option<(Vec<String>, ImpedanceTest)> {
        let test = ImpedanceTest {
            on: b"z",
            off: b"Z",
            read: impedance,
            inputs: CHANNELS + 1,
        };
        Some((self.electrodes.clone(), test))
    }
}
