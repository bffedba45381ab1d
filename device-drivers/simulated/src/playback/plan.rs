//! From a header to streams.

use crate::edf::{self, Continuity, EdfError, Format, Header};
use signal::{
    Channel, ClockSource, CounterSpec, MAX_CHANNELS, Reference, SampleType, SamplingRate,
    StreamDescription, StreamRole,
};

/// One stream: the signals that share a number of samples a record.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) rate: SamplingRate,
    /// Samples of each signal in a record.
    pub(super) samples: u64,
    /// Numbers of the signals in the file.
    pub(super) signals: Vec<usize>,
}

/// The streams of a file, and what a person should know about them.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) groups: Vec<Group>,
    pub(super) streams: Vec<StreamDescription>,
    pub(super) warnings: Vec<String>,
}

pub(super) fn plan(header: &Header) -> Result<Plan, EdfError> {
    if header.signals.iter().all(|signal| signal.annotations) {
        return Err(EdfError::NoSignal);
    }
    if header.record_duration.numerator == 0 {
        return Err(EdfError::Field {
            field: "duration of a data record",
            offset: 244,
            why: "is zero although the file holds signals",
        });
    }
    let mut warnings = Vec::new();
    let groups = groups(header, &mut warnings)?;
    if groups.is_empty() {
        return Err(EdfError::NoSignal);
    }
    let mut streams: Vec<StreamDescription> = (groups.iter())
        .map(|group| stream(header, group, &mut warnings))
        .collect();
    share_reference(&mut streams);
    Ok(Plan {
        groups,
        streams,
        warnings,
    })
}

fn groups(header: &Header, warnings: &mut Vec<String>) -> Result<Vec<Group>, EdfError> {
    let mut groups: Vec<Group> = Vec::new();
    for (index, signal) in header.signals.iter().enumerate() {
        if signal.annotations {
            continue;
        }
        if signal.samples == 0 {
            let number = index + 1;
            warnings.push(format!("signal {number} has no samples and is left out"));
            continue;
        }
        match groups
            .iter_mut()
            .find(|group| group.samples == signal.samples)
        {
            Some(group) => group.signals.push(index),
            None => groups.push(Group {
                rate: header
                    .record_duration
                    .rate(signal.samples)
                    .ok_or(EdfError::Field {
                        field: "duration of a data record",
                        offset: 244,
                        why: "gives a sampling rate beyond 64 bits",
                    })?,
                samples: signal.samples,
                signals: vec![index],
            }),
        }
    }
    match groups.iter().map(|group| group.signals.len()).max() {
        Some(most) if most > MAX_CHANNELS => Err(EdfError::TooLarge {
            what: "the number of signals of one rate",
            found: most as u64,
            limit: MAX_CHANNELS as u64,
        }),
        _ => Ok(groups),
    }
}

fn stream(header: &Header, group: &Group, warnings: &mut Vec<String>) -> StreamDescription {
    let channels = (group.signals.iter())
        .map(|index| {
            let signal = &header.signals[*index];
            let channel = edf::channel(signal, header.format);
            if channel.physical_range.is_none() {
                let number = index + 1;
                warnings.push(format!(
                    "signal {number}: physical minimum and maximum are equal; its counts are shown unscaled"
                ));
            }
            channel
        })
        .collect();
    StreamDescription {
        name: format!("signals {}", rate_name(group.rate)),
        role: StreamRole::Signal,
        sample_type: match header.format {
            Format::Edf => SampleType::I16,
            Format::Bdf => SampleType::I24,
        },
        rate: group.rate,
        counter: Some(CounterSpec::SAMPLE),
        clock: ClockSource::Device {
            epoch: header.start,
        },
        channels,
    }
}

fn rate_name(rate: SamplingRate) -> String {
    match rate {
        SamplingRate::Irregular => "irregular".into(),
        SamplingRate::Regular {
            samples,
            seconds: 1,
        } => format!("{samples} Hz"),
        SamplingRate::Regular { samples, seconds } => format!("{samples}/{seconds} Hz"),
    }
}

/// Where every pair of the file has one and the same second electrode, that is the reference
/// ('Fpz-Cz', 'C4-Cz'), not a bipolar derivation.
fn share_reference(streams: &mut [StreamDescription]) {
    let second = |channel: &Channel| match &channel.reference {
        Reference::Bipolar(name) => Some(name.clone()),
        _ => None,
    };
    let all: Vec<String> = (streams.iter())
        .flat_map(|stream| &stream.channels)
        .filter_map(second)
        .collect();
    let shared = all.len() > 1 && all.windows(2).all(|pair| pair[0] == pair[1]);
    if !shared {
        return;
    }
    for channel in streams.iter_mut().flat_map(|stream| &mut stream.channels) {
        if let Some(name) = second(channel) {
            channel.reference = Reference::Named(name);
        }
    }
}

/// What kind of file it is, as people call it.
pub(super) fn model(header: &Header) -> String {
    let format = match header.format {
        Format::Edf => "EDF",
        Format::Bdf => "BDF",
    };
    let continuity = match header.continuity {
        Continuity::Plain => "",
        Continuity::Continuous => "+C",
        Continuity::Discontinuous => "+D",
    };
    format!("{format}{continuity} file")
}
