//! What a stream says of itself, as plain data: liblsl's own objects stay on the thread that made them.

use crate::channels::{channel, rate};
use crate::limits::{MOST_CHANNELS, MOST_HZ};
use ::lsl::{ChannelFormat, StreamInfo};
use contract::{DeviceError, ErrorKind};
use signal::{
    Channel, ChannelKind, ClockSource, SampleType, SamplingRate, Scale, StreamDescription,
    StreamRole, Unit,
};

/// What is needed to read a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) format: ChannelFormat,
    pub(crate) description: StreamDescription,
    /// Name and kind of the stream, for people.
    pub(crate) model: String,
}

/// How a stream is addressed: by its source's id, which outlives a restart, else by its name.
pub(crate) fn address(info: &StreamInfo) -> String {
    let source = info.source_id();
    if source.is_empty() {
        info.stream_name()
    } else {
        source
    }
}

/// The storage that holds `format` bit for bit; 8-bit integers are widened to 16.
pub(crate) const fn storage(format: ChannelFormat) -> Option<SampleType> {
    match format {
        ChannelFormat::Float32 => Some(SampleType::F32),
        ChannelFormat::Double64 => Some(SampleType::F64),
        ChannelFormat::String => Some(SampleType::Text),
        ChannelFormat::Int32 => Some(SampleType::I32),
        ChannelFormat::Int16 | ChannelFormat::Int8 => Some(SampleType::I16),
        ChannelFormat::Int64 | ChannelFormat::Undefined => None,
    }
}

/// Reads the full description of a stream; labels, kinds and units stand in `desc/channels/channel` (XDF's
/// meta-data specification, EEG and general).
pub(crate) fn known(operation: &str, info: &mut StreamInfo) -> Result<Known, DeviceError> {
    let refused = |message: String| DeviceError::new(ErrorKind::Protocol, operation, message);
    let format = info.channel_format();
    let Some(sample_type) = storage(format) else {
        let message =
            format!("its samples are of format {format}, which no recording holds without loss");
        return Err(refused(message));
    };
    let count = usize::try_from(info.channel_count()).unwrap_or(0);
    if !(1..=MOST_CHANNELS).contains(&count) {
        return Err(refused(format!("it has {count} channels")));
    }
    let hz = info.nominal_srate();
    let rate = match hz {
        ::lsl::IRREGULAR_RATE => SamplingRate::Irregular,
        hz if hz > MOST_HZ => return Err(refused(format!("{hz} Hz is no sampling rate"))),
        hz => rate(hz).ok_or_else(|| refused(format!("{hz} Hz is no sampling rate")))?,
    };
    let kind = info.stream_type();
    let mut at = info.desc().child("channels").child("channel");
    let mut channels = Vec::with_capacity(count);
    for n in 0..count {
        let told = at.is_valid();
        let text = |name: &str| {
            if told {
                at.child_value_named(name)
            } else {
                String::new()
            }
        };
        channels.push(described(
            n,
            &text("label"),
            &text("unit"),
            &text("type"),
            &kind,
        ));
        if told {
            at = at.next_sibling_named("channel");
        }
    }
    let markers = sample_type == SampleType::Text || kind.eq_ignore_ascii_case("markers");
    Ok(Known {
        format,
        model: format!("LSL stream '{}' ({kind})", info.stream_name()),
        description: StreamDescription {
            name: "lsl".into(),
            role: if markers {
                StreamRole::Marker
            } else {
                StreamRole::Signal
            },
            sample_type,
            rate,
            // The protocol has no number of a sample: loss shows in time only.
            counter: None,
            clock: ClockSource::HostArrival,
            channels,
        },
    })
}

fn described(n: usize, label: &str, unit: &str, kind: &str, stream: &str) -> Channel {
    let label = if label.is_empty() {
        format!("{}", n + 1)
    } else {
        label.to_owned()
    };
    let mut made = channel(&label, 1.0);
    let kind = if kind.is_empty() { stream } else { kind };
    made.kind = match kind.to_ascii_lowercase().as_str() {
        "eeg" => ChannelKind::Eeg,
        "eog" => ChannelKind::Eog,
        "ecg" | "ekg" => ChannelKind::Ecg,
        "emg" => ChannelKind::Emg,
        "ppg" => ChannelKind::Ppg,
        "acc" | "accelerometer" => ChannelKind::Accelerometer,
        "gyro" | "gyroscope" => ChannelKind::Gyroscope,
        "trg" | "trig" | "trigger" | "stim" | "markers" | "status" => ChannelKind::Trigger,
        _ => made.kind,
    };
    if made.kind == ChannelKind::Eeg && made.electrode.is_none() && !label.is_empty() {
        made.electrode = Some(label);
    }
    made.scale = Scale::UNITY;
    made.unit = match unit.to_ascii_lowercase().as_str() {
        "microvolts" | "microvolt" | "uv" | "µv" | "μv" => Unit::Microvolt,
        "millivolts" | "millivolt" | "mv" => Unit::Millivolt,
        "nanovolts" | "nanovolt" | "nv" => Unit::Nanovolt,
        "volts" | "volt" | "v" => Unit::Volt,
        "g" => Unit::G,
        "%" | "percent" => Unit::Percent,
        // Without a unit a number is a number.
        "" | "none" | "counts" | "count" | "integer" => Unit::Count,
        other => Unit::Other(other.to_owned()),
    };
    made
}
