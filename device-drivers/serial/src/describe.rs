//! What a Cyton says of itself as streams and channels.

use crate::settings::{BoardMode, CytonSettings};
use contract::{CalibrationSignal, Capabilities, DeviceClass, DeviceDescription, Pacing};
use signal::{
    Channel, ChannelKind, ClockSource, CounterSpec, DigitalRange, HardwareFilter, Reference,
    SampleType, SamplingRate, Scale, StreamDescription, StreamRole, Unit,
};

/// Reference voltage of the converter, V (OpenBCI 'Cyton Data Format', interpreting the EEG data).
const REFERENCE_V: f64 = 4.5;
/// Greatest count.
const FULL_SCALE: f64 = 8_388_607.0;
/// Acceleration of a count, g (OpenBCI 'Cyton Data Format': 0.002 / 2⁴, for ±4 g).
const G_PER_COUNT: f64 = 0.002 / 16.0;
/// The slow test signal: ± 4.5 V / 2400, and f_CLK / 2²¹ with a clock of 2.048 MHz (ADS1299 data sheet,
/// CONFIG2).
const TEST_SIGNAL: CalibrationSignal = CalibrationSignal {
    amplitude_uv: 2.0 * 4.5e6 / 2_400.0,
    period_s: 2_097_152.0 / 2_048_000.0,
};

/// Microvolts a count, with the sign of the wiring: the electrodes go to the negative inputs and SRB2 to the
/// positive ones unless the headset is wired otherwise.
pub(crate) fn scale_uv(settings: &CytonSettings) -> f64 {
    let gain_uv = REFERENCE_V * 1e6 / settings.gain.times / FULL_SCALE;
    if settings.inverting {
        -gain_uv
    } else {
        gain_uv
    }
}

/// Samples a second: the radio carries 250 packets, which Cyton and Daisy share.
pub(crate) const fn rate_hz(daisy: bool) -> u32 {
    if daisy { 125 } else { 250 }
}

const fn counter(daisy: bool) -> CounterSpec {
    CounterSpec {
        modulus: 256,
        step: if daisy { 2 } else { 1 },
        samples_per_packet: 1,
    }
}

fn eeg(settings: &CytonSettings, daisy: bool) -> StreamDescription {
    let count = if daisy { 16 } else { 8 };
    let reference = Reference::Named(settings.reference.clone());
    let channels = (0..count)
        .map(|n| {
            if settings.numbered && n + 1 == count {
                return Channel::trigger("sample number");
            }
            let name =
                (settings.electrodes.get(n)).map_or_else(|| format!("E{}", n + 1), Clone::clone);
            Channel {
                ground: Reference::Named(settings.ground.clone()),
                digital_range: Some(DigitalRange {
                    min: -(1 << 23),
                    max: (1 << 23) - 1,
                }),
                // Third-order sinc filter of the converter: −3 dB at 0.262 of the data rate (ADS1299 data
                // sheet, digital decimation filter). With a Daisy the firmware averages two samples.
                hardware_filter: HardwareFilter {
                    low_pass_hz: Some(65.5),
                    ..HardwareFilter::default()
                },
                ..Channel::eeg(&name, scale_uv(settings), reference.clone())
            }
        })
        .collect();
    StreamDescription {
        name: "eeg".into(),
        role: StreamRole::Signal,
        sample_type: SampleType::I24,
        rate: SamplingRate::hz(rate_hz(daisy)),
        counter: Some(counter(daisy)),
        clock: ClockSource::HostArrival,
        channels,
    }
}

/// Labels of what the auxiliary bytes carry, in the order of [`crate::aux::values`].
fn aux_labels(settings: &CytonSettings) -> Vec<&'static str> {
    let mut labels = match (settings.mode, settings.stamps) {
        (BoardMode::Accelerometer, _) => Vec::new(),
        // Time stamps leave two of the six bytes.
        (BoardMode::Analog, true) => vec!["A5"],
        (BoardMode::Digital, true) => vec!["D11", "D12"],
        (BoardMode::Analog, false) => vec!["A5", "A6", "A7"],
        (BoardMode::Digital, false) => vec!["D11", "D12", "D13", "D17", "D18"],
        (BoardMode::Marker, _) => vec!["marker"],
    };
    if settings.stamps {
        labels.push("board ms");
    }
    labels
}

pub(crate) fn description(
    id: &str,
    settings: &CytonSettings,
    daisy: bool,
    firmware: &str,
) -> DeviceDescription {
    let mut streams = vec![eeg(settings, daisy)];
    if settings.mode == BoardMode::Accelerometer && !settings.stamps {
        let scale = Scale {
            gain: G_PER_COUNT,
            offset: 0.0,
        };
        streams.push(StreamDescription {
            name: "accelerometer".into(),
            role: StreamRole::Auxiliary,
            sample_type: SampleType::I16,
            // The chip measures 25 times a second by a clock of its own, and the packets that happen to
            // bring it have no number for it.
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
    let labels = aux_labels(settings);
    if !labels.is_empty() {
        streams.push(StreamDescription {
            name: "aux".into(),
            role: StreamRole::Marker,
            sample_type: SampleType::I32,
            rate: SamplingRate::hz(rate_hz(daisy)),
            counter: Some(counter(daisy)),
            clock: ClockSource::HostArrival,
            channels: labels.into_iter().map(Channel::trigger).collect(),
        });
    }
    DeviceDescription {
        id: id.into(),
        model: if daisy {
            "OpenBCI Cyton+Daisy"
        } else {
            "OpenBCI Cyton"
        }
        .into(),
        serial: String::new(),
        firmware: firmware.into(),
        class: DeviceClass::Research,
        pacing: Pacing::RealTime,
        capabilities: Capabilities {
            impedance: true,
            calibration: Some(TEST_SIGNAL),
            acts_on_patient: true,
        },
        streams,
    }
}
