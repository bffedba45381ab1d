//! Our session for other programs.

use ::lsl::{ChannelFormat, ExPushable, StreamInfo, StreamOutlet};
use contract::{Clock, DeviceDescription};
use signal::{
    Channel, ChannelKind, HostNanos, NANOS_PER_S, SampleBlock, SampleType, Samples,
    StreamDescription, Unit,
};
use std::fmt;
use std::sync::Arc;

/// One of our streams, given out.
struct Given {
    outlet: StreamOutlet,
    description: StreamDescription,
    /// Rows that carry a physical value: count × gain + offset.
    scales: Vec<(f64, f64)>,
}

/// Publishes a session's streams and marks on the lab streaming layer. Lives on the thread that makes it.
///
/// Potentials and other measures go out as 32-bit floats in their unit (24-bit counts times their scale, rounded
/// once), trigger and status channels, and integer streams without a scale, as unscaled integers, floats as they
/// are, marks as texts. Names and ids are the caller's: nothing of a patient is asked for here. Labels, units,
/// kinds and references stand where XDF's meta-data specification has them.
pub struct Outlet {
    streams: Vec<Option<Given>>,
    marks: Option<StreamOutlet>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let streams = self.streams.iter().flatten().count();
        f.debug_struct("Outlet")
            .field("streams", &streams)
            .finish_non_exhaustive()
    }
}

/// How a stream goes out.
fn format(stream: &StreamDescription) -> ChannelFormat {
    let plain = |channel: &Channel| {
        channel.kind == ChannelKind::Trigger
            || (channel.unit == Unit::Count && channel.scale == signal::Scale::UNITY)
    };
    match stream.sample_type {
        SampleType::Text => ChannelFormat::String,
        SampleType::F64 => ChannelFormat::Double64,
        SampleType::I16 | SampleType::I24 | SampleType::I32
            if stream.channels.iter().all(plain) =>
        {
            ChannelFormat::Int32
        }
        _ => ChannelFormat::Float32,
    }
}

impl Outlet {
    /// Opens an outlet for each stream of `device`, named `name-stream`, with source ids from `id`. A stream that
    /// liblsl refuses is left out and said in the log.
    #[must_use]
    pub fn new(name: &str, id: &str, device: &DeviceDescription, clock: Arc<dyn Clock>) -> Self {
        let made = |stream: &StreamDescription| match given(name, id, device, stream) {
            Ok(given) => Some(given),
            Err(error) => {
                tracing::warn!(stream = %stream.name, %error, "the stream is not published");
                None
            }
        };
        Self {
            streams: device.streams.iter().map(made).collect(),
            marks: marks(name, id).ok(),
            clock,
        }
    }

    /// Publishes a block, with the time of its last sample.
    pub fn publish(&self, block: &SampleBlock) {
        let Some(Some(given)) = self.streams.get(usize::from(block.stream.0)) else {
            return;
        };
        if block.len == 0 || block.channels != given.scales.len() || !given.outlet.have_consumers()
        {
            return;
        }
        let span = given.description.rate.nanos_of(block.len as u64 - 1);
        let last = block
            .fitted
            .map_or(block.arrival, |first| first.plus_nanos(span));
        let stamp = self.stamp(last);
        let sent = match (format(&given.description), &block.samples) {
            (ChannelFormat::Int32, Samples::I16(values)) => {
                push(&given.outlet, block, stamp, |at| i32::from(values[at]))
            }
            (ChannelFormat::Int32, Samples::I24(values) | Samples::I32(values)) => {
                push(&given.outlet, block, stamp, |at| values[at])
            }
            (ChannelFormat::Double64, Samples::F64(values)) => {
                push(&given.outlet, block, stamp, |at| values[at])
            }
            (ChannelFormat::String, Samples::Text(values)) => {
                push(&given.outlet, block, stamp, |at| values[at].clone())
            }
            #[allow(clippy::cast_possible_truncation)]
            (ChannelFormat::Float32, _) => push(&given.outlet, block, stamp, |at| {
                let (gain, offset) = given.scales[at / block.len];
                let count = block.samples.as_f64(at).unwrap_or(f64::NAN);
                count.mul_add(gain, offset) as f32
            }),
            _ => Ok(()),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "liblsl took no samples");
        }
    }

    /// Publishes a mark that was made at `at`.
    pub fn mark(&self, text: &str, at: HostNanos) {
        if let Some(marks) = &self.marks
            && let Err(error) = marks.push_sample_ex(&vec![text.to_owned()], self.stamp(at), true)
        {
            tracing::debug!(%error, "liblsl took no mark");
        }
    }

    /// A time of this host on liblsl's clock.
    fn stamp(&self, at: HostNanos) -> f64 {
        let ago = self.clock.host().nanos_since(at) as f64 / NANOS_PER_S as f64;
        ::lsl::local_clock() - ago
    }
}

/// Pushes a block sample after sample; `value` gives the value at a place of the block's storage.
fn push<T>(
    outlet: &StreamOutlet,
    block: &SampleBlock,
    stamp: f64,
    value: impl Fn(usize) -> T,
) -> Result<(), ::lsl::Error>
where
    StreamOutlet: ExPushable<Vec<T>>,
{
    let samples: Vec<Vec<T>> = (0..block.len)
        .map(|n| {
            (0..block.channels)
                .map(|row| value(row * block.len + n))
                .collect()
        })
        .collect();
    outlet.push_chunk_ex(&samples, stamp, true)
}

fn given(
    name: &str,
    id: &str,
    device: &DeviceDescription,
    stream: &StreamDescription,
) -> Result<Given, ::lsl::Error> {
    let kind = match stream.channels.first().map(|channel| channel.kind) {
        _ if stream.sample_type == SampleType::Text => "Markers",
        Some(kind) if kind.is_potential() => "EEG",
        Some(ChannelKind::Accelerometer) => "ACC",
        Some(ChannelKind::Gyroscope) => "GYRO",
        Some(ChannelKind::Trigger) => "Trigger",
        _ => "Misc",
    };
    let mut info = StreamInfo::new(
        &format!("{name}-{}", stream.name),
        kind,
        u32::try_from(stream.channels.len()).unwrap_or(0),
        stream.rate.as_hz().unwrap_or(::lsl::IRREGULAR_RATE),
        format(stream),
        &format!("{id}-{}", stream.name),
    )?;
    let mut desc = info.desc();
    desc.append_child_value("manufacturer", "NeuraScale Workstation");
    let mut acquisition = desc.append_child("acquisition");
    acquisition.append_child_value("model", &device.model);
    let mut channels = desc.append_child("channels");
    for channel in &stream.channels {
        let mut one = channels.append_child("channel");
        one.append_child_value("label", &channel.label);
        one.append_child_value("unit", unit(&channel.unit));
        one.append_child_value("type", channel_type(channel.kind));
    }
    if let Some(signal::Reference::Named(reference)) = stream.channels.first().map(|c| &c.reference)
    {
        let mut block = desc.append_child("reference");
        block.append_child_value("label", reference);
    }
    let floats = matches!(stream.sample_type, SampleType::F32 | SampleType::F64);
    Ok(Given {
        outlet: StreamOutlet::new(&info, 0, 360)?,
        scales: (stream.channels.iter())
            .map(|channel| match channel.kind {
                ChannelKind::Trigger => (1.0, 0.0),
                _ if floats && channel.scale == signal::Scale::UNITY => (1.0, 0.0),
                _ => (channel.scale.gain, channel.scale.offset),
            })
            .collect(),
        description: stream.clone(),
    })
}

fn marks(name: &str, id: &str) -> Result<StreamOutlet, ::lsl::Error> {
    let info = StreamInfo::new(
        &format!("{name}-markers"),
        "Markers",
        1,
        ::lsl::IRREGULAR_RATE,
        ChannelFormat::String,
        &format!("{id}-markers"),
    )?;
    StreamOutlet::new(&info, 0, 360)
}

/// XDF's words for units.
fn unit(unit: &Unit) -> &str {
    match unit {
        Unit::Nanovolt => "nanovolts",
        Unit::Microvolt => "microvolts",
        Unit::Millivolt => "millivolts",
        Unit::Volt => "volts",
        Unit::Count => "none",
        other => other.symbol(),
    }
}

const fn channel_type(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Eeg => "EEG",
        ChannelKind::Eog => "EOG",
        ChannelKind::Ecg => "ECG",
        ChannelKind::Emg => "EMG",
        ChannelKind::Ppg => "PPG",
        ChannelKind::Accelerometer => "ACC",
        ChannelKind::Gyroscope => "GYRO",
        ChannelKind::Trigger => "Trigger",
        _ => "Misc",
    }
}
