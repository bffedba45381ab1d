//! The Muse driver: finding, settings, and which of the two protocols a headband speaks.

mod athena;
mod classic;
mod groups;

use crate::device::BluetoothDevice;
use crate::link::{Link, discover};
use athena::Athena;
use classic::Classic;
use contract::{
    Capabilities, Clock, Device, DeviceClass, DeviceDescription, DeviceError, DeviceSummary,
    Driver, ErrorKind, Pacing, Settings, SettingsReader,
};
use signal::{
    Channel, ChannelKind, ClockSource, CounterSpec, DigitalRange, Reference, SampleType,
    SamplingRate, Scale, StreamDescription, StreamRole, Unit,
};
use std::sync::Arc;
use uuid::Uuid;

/// Finds and opens Muse headbands.
#[derive(Debug, Clone, Copy, Default)]
pub struct MuseDriver;

/// The maker's service (Bluetooth Assigned Numbers, member service 0xFE8D: Interaxon).
const SERVICE: Uuid = crate::short(0xFE8D);

/// A characteristic of the headband by its number.
const fn characteristic(number: u8) -> Uuid {
    Uuid::from_u128(0x273e_0000_4c4d_454d_96be_f03b_ac82_1358 | (number as u128) << 96)
}

/// Where commands go.
const CONTROL: Uuid = characteristic(0x01);

/// What the caller chose.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MuseSettings {
    preset: Option<&'static str>,
    numbered: bool,
}

const PRESETS: [(&str, &str); 6] = [
    ("p20", "p20"),
    ("p21", "p21"),
    ("p50", "p50"),
    ("p51", "p51"),
    ("p1041", "p1041"),
    ("p1035", "p1035"),
];

impl MuseSettings {
    fn read(operation: &str, settings: &Settings) -> Result<Self, DeviceError> {
        let mut reader = SettingsReader::new(operation, settings);
        let preset = reader.word("preset", &PRESETS)?;
        let switch = [("on", true), ("off", false)];
        let numbered = reader.word("numbered", &switch)?.unwrap_or(false);
        reader.finish()?;
        Ok(Self { preset, numbered })
    }
}

/// A command as the headband takes it: its length, its text, the end of the line.
fn command(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len() + 1).unwrap_or(u8::MAX)];
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'\n');
    bytes
}

impl Driver for MuseDriver {
    fn name(&self) -> &'static str {
        "muse"
    }

    fn discover(&self) -> Result<Vec<DeviceSummary>, DeviceError> {
        crate::summaries("muse", "Muse headband", discover(&[SERVICE])?)
    }

    fn open(
        &self,
        address: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Device>, DeviceError> {
        let id = format!("muse:{address}");
        let operation = format!("open {id}");
        let settings = MuseSettings::read(&operation, settings)?;
        let device = BluetoothDevice::open(&id, address, SERVICE, clock, |link: &mut Link| {
            let refuse = |message| DeviceError::new(ErrorKind::Settings, &operation, message);
            let is_athena = link.has(athena::DATA);
            let preset = settings.preset;
            let for_athena = matches!(preset, Some("p1041" | "p1035"));
            if is_athena {
                if matches!(preset, Some("p20" | "p50" | "p51")) {
                    return Err(refuse(
                        "a Muse S Athena knows the presets p21, p1035 and p1041",
                    ));
                }
                return Ok(Box::new(Athena::new(&id, preset.unwrap_or("p1041"))));
            }
            if for_athena {
                return Err(refuse("the presets p1035 and p1041 are a Muse S Athena's"));
            }
            let has_light = link.has(classic::PPG[0]);
            let preset = preset.unwrap_or(if has_light { "p50" } else { "p21" });
            if !has_light && matches!(preset, "p50" | "p51") {
                return Err(refuse(
                    "this headband has no light sensor; choose p20 or p21",
                ));
            }
            Ok(Box::new(Classic::new(&id, preset, settings.numbered)))
        })?;
        Ok(Box::new(device))
    }
}

/// Names of the electrodes, in the order of the characteristics and channels.
const ELECTRODES: [&str; 4] = ["TP9", "AF7", "AF8", "TP10"];

/// A potential of `gain_uv` a count, `middle` being zero.
fn potential(name: &str, gain_uv: f64, middle: i32) -> Channel {
    let electrode = ELECTRODES.contains(&name).then(|| name.to_owned());
    Channel {
        scale: Scale {
            gain: gain_uv,
            offset: -gain_uv * f64::from(middle),
        },
        digital_range: Some(DigitalRange {
            min: 0,
            max: i64::from(middle) * 2 - 1,
        }),
        electrode,
        // The reference is at the forehead's middle, between two sensors that drive the body.
        ..Channel::eeg(name, gain_uv, Reference::Named("Fpz".to_owned()))
    }
}

/// Three axes of a sensor of motion.
fn axes(prefix: &str, kind: ChannelKind, unit: &Unit, gain: f64) -> Vec<Channel> {
    let scale = Scale { gain, offset: 0.0 };
    ["x", "y", "z"]
        .map(|axis| Channel {
            kind,
            unit: unit.clone(),
            scale,
            ..Channel::trigger(&format!("{prefix} {axis}"))
        })
        .to_vec()
}

/// g a count (muse-lsl, muse-js and OpenMuse alike: 1/16384).
const G_PER_COUNT: f64 = 1.0 / 16_384.0;

/// A stream of the headband.
fn stream(
    name: &str,
    role: StreamRole,
    sample_type: SampleType,
    rate_hz: u32,
    counter: CounterSpec,
    channels: Vec<Channel>,
) -> StreamDescription {
    StreamDescription {
        name: name.to_owned(),
        role,
        sample_type,
        rate: SamplingRate::hz(rate_hz),
        counter: Some(counter),
        clock: ClockSource::HostArrival,
        channels,
    }
}

fn description(id: &str, model: &str, streams: Vec<StreamDescription>) -> DeviceDescription {
    DeviceDescription {
        id: id.to_owned(),
        model: model.to_owned(),
        serial: String::new(),
        firmware: String::new(),
        class: DeviceClass::Research,
        pacing: Pacing::RealTime,
        capabilities: Capabilities::default(),
        streams,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characteristics_and_commands_are_the_headbands() {
        assert_eq!(
            characteristic(0x0b).to_string(),
            "273e000b-4c4d-454d-96be-f03bac821358"
        );
        assert_eq!(command("p21"), b"\x04p21\n");
        assert_eq!(command("d"), b"\x02d\n");
    }
}
