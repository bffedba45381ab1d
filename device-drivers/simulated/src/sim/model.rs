//! The simulated devices: their streams and channels.

use super::config::Config;
use super::scalp::{TEN_TEN, TEN_TWENTY};
use crate::limits::{EEG_GAIN_UV, MAX_CHANNELS_SIMULATED};
use signal::{
    Channel, ChannelKind, ClockSource, CounterSpec, DigitalRange, HardwareFilter, PhysicalRange,
    Reference, SampleType, SamplingRate, Scale, StreamDescription, StreamRole, Unit,
};

/// Which device is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// 21 electrodes of the 10-20 system and ECG at 256 Hz, accelerometer, trigger inputs.
    Headset,
    /// Any number of inputs at any rate, trigger inputs.
    Amplifier { channels: usize, rate_hz: u32 },
    /// A polysomnograph: streams of many rates and sample types, and a marker stream.
    Psg,
}

/// What computes a stream's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Potentials,
    Accelerometer,
    Triggers,
    Respiration,
    Vital,
    Temperature,
    Marks,
}

const REFERENCE: &str = "FCz";
const GROUND: &str = "AFz";

impl Model {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Headset => "Simulated headset, 21 electrodes".into(),
            Self::Amplifier { channels, rate_hz } => {
                format!("Simulated amplifier, {channels} channels at {rate_hz} Hz")
            }
            Self::Psg => "Simulated polysomnograph".into(),
        }
    }

    /// The streams with what computes them.
    pub(crate) fn streams(self, config: &Config) -> Vec<(StreamDescription, Source)> {
        let clock = if config.speed.is_real_time() {
            ClockSource::HostArrival
        } else {
            ClockSource::Device {
                epoch: config.epoch,
            }
        };
        let make =
            |name: &str, role, sample_type, rate, channels: Vec<Channel>| StreamDescription {
                name: name.to_owned(),
                role,
                sample_type,
                rate,
                counter: Some(CounterSpec::SAMPLE),
                clock,
                channels,
            };
        let potentials = |rate_hz, channels| {
            let mut stream = make(
                "eeg",
                StreamRole::Signal,
                SampleType::I24,
                SamplingRate::hz(rate_hz),
                finish_potentials(channels, config),
            );
            if let Some(bits) = config.counter_bits {
                stream.counter = Some(CounterSpec {
                    modulus: 1 << bits,
                    ..CounterSpec::SAMPLE
                });
            }
            (stream, Source::Potentials)
        };
        let triggers = |rate_hz| {
            let channels = vec![Channel::trigger("trigger")];
            let rate = SamplingRate::hz(rate_hz);
            let stream = make(
                "trigger",
                StreamRole::Marker,
                SampleType::I32,
                rate,
                channels,
            );
            (stream, Source::Triggers)
        };
        match self {
            Self::Headset => {
                let mut channels: Vec<Channel> = TEN_TWENTY.iter().map(|name| eeg(name)).collect();
                channels.push(bipolar("ECG", ChannelKind::Ecg, "ECG1", "ECG2"));
                let axes = ["acc x", "acc y", "acc z"]
                    .map(|label| plain(label, ChannelKind::Accelerometer, Unit::G, Scale::UNITY));
                let acceleration = make(
                    "accelerometer",
                    StreamRole::Auxiliary,
                    SampleType::F32,
                    SamplingRate::hz(52),
                    axes.to_vec(),
                );
                vec![
                    potentials(256, channels),
                    (acceleration, Source::Accelerometer),
                    triggers(256),
                ]
            }
            Self::Amplifier { channels, rate_hz } => {
                let inputs = (0..channels)
                    .map(|index| match TEN_TEN.get(index) {
                        Some(name) => eeg(name),
                        None => eeg(&format!("E{}", index + 1)),
                    })
                    .collect();
                vec![potentials(rate_hz, inputs), triggers(rate_hz)]
            }
            Self::Psg => {
                let mut streams = vec![potentials(256, psg_inputs())];
                streams.extend(psg_slow(&make));
                streams
            }
        }
    }
}

fn psg_inputs() -> Vec<Channel> {
    let mut channels: Vec<Channel> = ["F3", "F4", "C3", "C4", "O1", "O2", "M1", "M2"]
        .iter()
        .map(|name| eeg(name))
        .collect();
    for (label, electrode) in [("EOG left", "E1"), ("EOG right", "E2")] {
        let mut channel = eeg(electrode);
        channel.label = label.into();
        channel.kind = ChannelKind::Eog;
        channels.push(channel);
    }
    channels.push(bipolar("EMG chin", ChannelKind::Emg, "Chin1", "Chin2"));
    channels.push(bipolar("ECG", ChannelKind::Ecg, "ECG1", "ECG2"));
    channels
}

/// Makes a stream of a name, role, sample type, rate and channels.
type Make<'a> =
    &'a dyn Fn(&str, StreamRole, SampleType, SamplingRate, Vec<Channel>) -> StreamDescription;

fn psg_slow(make: Make<'_>) -> Vec<(StreamDescription, Source)> {
    let respiration = ["Resp nasal", "Resp thorax", "Resp abdomen"].map(|label| {
        let scale = Scale {
            gain: 0.01,
            offset: 0.0,
        };
        plain(
            label,
            ChannelKind::Respiration,
            Unit::Other("a.u.".into()),
            scale,
        )
    });
    let vital = vec![
        plain("SaO2", ChannelKind::VitalSign, Unit::Percent, Scale::UNITY),
        plain(
            "Pulse",
            ChannelKind::VitalSign,
            Unit::PerMinute,
            Scale::UNITY,
        ),
    ];
    let body = plain(
        "Temp skin",
        ChannelKind::Temperature,
        Unit::DegreeCelsius,
        Scale::UNITY,
    );
    let marker = plain("marker", ChannelKind::Trigger, Unit::Count, Scale::UNITY);
    // One sample every ten seconds: rates below one are real.
    let slow = SamplingRate::new(1, 10).unwrap_or(SamplingRate::Irregular);
    let signal = StreamRole::Signal;
    vec![
        (
            make(
                "respiration",
                signal,
                SampleType::I16,
                SamplingRate::hz(32),
                respiration.to_vec(),
            ),
            Source::Respiration,
        ),
        (
            make("vital", signal, SampleType::F32, SamplingRate::hz(1), vital),
            Source::Vital,
        ),
        (
            make(
                "temperature",
                StreamRole::Auxiliary,
                SampleType::F64,
                slow,
                vec![body],
            ),
            Source::Temperature,
        ),
        (
            make(
                "marker",
                StreamRole::Marker,
                SampleType::Text,
                SamplingRate::Irregular,
                vec![marker],
            ),
            Source::Marks,
        ),
    ]
}

fn eeg(electrode: &str) -> Channel {
    Channel {
        ground: Reference::Named(GROUND.into()),
        transducer: "simulated electrode".into(),
        hardware_filter: HardwareFilter::default(),
        ..Channel::eeg(electrode, EEG_GAIN_UV, Reference::Named(REFERENCE.into()))
    }
}

fn bipolar(label: &str, kind: ChannelKind, plus: &str, minus: &str) -> Channel {
    Channel {
        label: label.into(),
        kind,
        reference: Reference::Bipolar(minus.into()),
        ..eeg(plus)
    }
}

fn plain(label: &str, kind: ChannelKind, unit: Unit, scale: Scale) -> Channel {
    Channel {
        label: label.into(),
        kind,
        unit,
        scale,
        ..Channel::trigger(label)
    }
}

/// Adds the numbered channel, turns the scale where the device inverts, and states the ranges.
#[allow(clippy::cast_precision_loss)] // 24-bit numbers are exact.
fn finish_potentials(mut channels: Vec<Channel>, config: &Config) -> Vec<Channel> {
    const RANGE: DigitalRange = DigitalRange {
        min: -(1 << 23),
        max: (1 << 23) - 1,
    };
    for channel in &mut channels {
        if config.inverting {
            channel.scale.gain = -channel.scale.gain;
        }
        channel.digital_range = Some(RANGE);
        channel.physical_range = Some(PhysicalRange {
            min: channel.scale.apply(RANGE.min as f64),
            max: channel.scale.apply(RANGE.max as f64),
        });
    }
    if config.numbered {
        channels.truncate(MAX_CHANNELS_SIMULATED - 1);
        channels.push(plain(
            "number",
            ChannelKind::Other,
            Unit::Count,
            Scale::UNITY,
        ));
    }
    channels
}
