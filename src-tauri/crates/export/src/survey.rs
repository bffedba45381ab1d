//! What each stream needs: the width of its samples, its signals' scales, and why it cannot be
//! written.

use crate::duration::{Grid, Rate};
use crate::header::SignalHeader;
use crate::label;
use crate::limits::{MAX_SIGNALS, WRITE_CHUNK_BYTES};
use crate::outcome::Omitted;
use crate::plan::StreamPlan;
use crate::scale::{self, Fitted, I16_RANGE, I24_RANGE};
use crate::source::{Provenance, Run, Source};
use crate::{ExportError, ExportOptions, Format};
use signal::{Channel, SampleType, Samples, SamplingRate, StreamDescription, StreamIndex};

/// How a channel's stored values become the file's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Encoding {
    /// Digital values identical.
    Identical,
    /// `(value × gain + offset − start) / step + first`, rounded.
    Quantised {
        gain: f64,
        offset: f64,
        start: f64,
        step: f64,
        first: f64,
    },
}

/// A stream that can be written, with its signals.
#[derive(Debug)]
pub(crate) struct Surveyed {
    pub(crate) index: StreamIndex,
    pub(crate) sample_type: SampleType,
    pub(crate) signals: Vec<SignalHeader>,
    pub(crate) encodings: Vec<Encoding>,
}

/// All streams, split into those that can be written and those that cannot.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) plans: Vec<StreamPlan>,
    pub(crate) streams: Vec<Surveyed>,
    pub(crate) omitted: Vec<Omitted>,
    pub(crate) warnings: Vec<String>,
}

/// Looks at every stream. Values are read only where their type does not tell what holds them.
pub(crate) fn survey(source: &dyn Source, options: &ExportOptions) -> Result<Survey, ExportError> {
    let mut survey = Survey::default();
    for (position, stream) in source.info().streams.iter().enumerate() {
        let index = StreamIndex(u16::try_from(position).unwrap_or(u16::MAX));
        let runs = source.runs(index).map_err(|source| ExportError::Source {
            operation: "find the unbroken runs of the recording",
            source,
        })?;
        match look(source, options, index, stream, runs, &mut survey.warnings)? {
            Ok((plan, surveyed)) => {
                survey.plans.push(plan);
                survey.streams.push(surveyed);
            }
            Err(reason) => survey.omitted.push(Omitted {
                stream: index,
                reason,
            }),
        }
    }
    Ok(survey)
}

type Looked = Result<(StreamPlan, Surveyed), String>;

fn look(
    source: &dyn Source,
    options: &ExportOptions,
    index: StreamIndex,
    stream: &StreamDescription,
    runs: Vec<Run>,
    warnings: &mut Vec<String>,
) -> Result<Looked, ExportError> {
    let SamplingRate::Regular { samples, seconds } = stream.rate else {
        return Ok(Err(
            "irregular in time: EDF+ and BDF+ hold regular samples only".to_owned(),
        ));
    };
    let rate = Rate { samples, seconds };
    let channels = stream.channels.len();
    if channels == 0 || runs.is_empty() {
        return Ok(Err("holds no samples".to_owned()));
    }
    if channels >= MAX_SIGNALS {
        return Ok(Err(format!(
            "has {channels} channels; a file holds fewer than {MAX_SIGNALS}"
        )));
    }
    if Grid::new(&[(rate, channels as u64 * 3)]).is_none() {
        return Ok(Err(format!(
            "rate of {samples} samples in {seconds} s: no record duration of eight characters holds whole samples"
        )));
    }
    let (wide, own, ranges) = match stream.sample_type {
        SampleType::Text => return Ok(Err("holds texts, not numbers".to_owned())),
        SampleType::I16 => (false, I16_RANGE, None),
        SampleType::I24 => (true, I24_RANGE, None),
        SampleType::I32 => {
            let ranges = extremes(source, index, channels, &runs)?;
            let inside = |limits: [i32; 2]| {
                ranges.iter().all(|range| {
                    range[0] >= f64::from(limits[0]) && range[1] <= f64::from(limits[1])
                })
            };
            if inside(I16_RANGE) {
                (false, I16_RANGE, None)
            } else if inside(I24_RANGE) {
                (true, I24_RANGE, None)
            } else {
                return Ok(Err("holds integers of more than 24 bits".to_owned()));
            }
        }
        SampleType::F32 | SampleType::F64 => {
            let ranges = extremes(source, index, channels, &runs)?;
            if ranges.iter().flatten().any(|value| !value.is_finite()) {
                return Ok(Err(
                    "holds values that are not finite, which EDF+ and BDF+ cannot write".to_owned(),
                ));
            }
            warnings.push(format!(
                "stream {}: floating-point values are quantised to 24 bits; the manifest bounds the error of each channel, the recording keeps the exact values",
                index.0
            ));
            (true, I24_RANGE, Some(ranges))
        }
    };
    let wide = wide || options.format == Format::Bdf;
    let file = if wide { I24_RANGE } else { I16_RANGE };
    let guarded = guarded(source, options);
    let fitted = |(position, channel): (usize, &Channel)| {
        let id = (index, position);
        match &ranges {
            Some(ranges) => {
                let [least, greatest] = ranges[position];
                let fitted = scale::float(channel, id, least, greatest)?;
                let encoding = Encoding::Quantised {
                    gain: fitted.scale.gain,
                    offset: fitted.scale.offset,
                    start: fitted.read_start,
                    step: fitted.read_gain,
                    first: f64::from(fitted.scale.digital[0]),
                };
                Ok((fitted, encoding))
            }
            None => {
                let fitted = scale::integer(channel, id, own, file)?;
                Ok((fitted, Encoding::Identical))
            }
        }
    };
    let fitted: Vec<(Fitted, Encoding)> = match stream
        .channels
        .iter()
        .enumerate()
        .map(fitted)
        .collect::<Result<_, String>>()
    {
        Ok(fitted) => fitted,
        Err(reason) => return Ok(Err(reason)),
    };
    let plan = StreamPlan {
        rate,
        runs,
        channels: channels as u64,
        wide,
    };
    Ok(Ok((
        plan,
        signals(index, stream, fitted, guarded, warnings),
    )))
}

/// Whether texts of the source may name a person and are to be kept out.
pub(crate) fn guarded(source: &dyn Source, options: &ExportOptions) -> bool {
    options.deidentification().is_some() && source.info().provenance == Provenance::Playback
}

fn signals(
    index: StreamIndex,
    stream: &StreamDescription,
    fitted: Vec<(Fitted, Encoding)>,
    guarded: bool,
    warnings: &mut Vec<String>,
) -> Surveyed {
    let mut labels: Vec<(String, bool)> = stream
        .channels
        .iter()
        .enumerate()
        .map(|(position, channel)| {
            let label = label::label(channel, position, guarded);
            let electrode = channel.electrode.as_deref();
            let kept = electrode.is_some_and(|name| label.contains(name))
                || label == label::ascii(channel.label.trim());
            let lost = !kept && !channel.label.trim().is_empty();
            (label, lost)
        })
        .collect();
    label::distinguish(&mut labels);
    let hidden = labels.iter().filter(|(_, lost)| *lost).count();
    if hidden > 0 {
        warnings.push(format!(
            "stream {}: {hidden} labels were cut, or replaced because their words are not known to name no one",
            index.0
        ));
    }
    let mut surveyed = Surveyed {
        index,
        sample_type: stream.sample_type,
        signals: Vec::new(),
        encodings: Vec::new(),
    };
    for ((channel, (label, _)), (fitted, encoding)) in
        stream.channels.iter().zip(labels).zip(fitted)
    {
        warnings.extend(fitted.warning);
        surveyed.signals.push(SignalHeader {
            scale: crate::SignalScale {
                label,
                ..fitted.scale
            },
            transducer: label::transducer(&channel.transducer, guarded),
            prefilter: label::prefilter(&channel.hardware_filter, guarded),
            samples: 0,
        });
        surveyed.encodings.push(encoding);
    }
    surveyed
}

/// Least and greatest value of each channel, in counts; infinite where any value is not finite.
fn extremes(
    source: &dyn Source,
    index: StreamIndex,
    channels: usize,
    runs: &[Run],
) -> Result<Vec<[f64; 2]>, ExportError> {
    let mut found = vec![[f64::INFINITY, f64::NEG_INFINITY]; channels];
    let chunk = (WRITE_CHUNK_BYTES / 8 / channels).max(1);
    let mut samples = Samples::I32(Vec::new());
    for run in runs {
        let mut done = 0;
        while done < run.len {
            let len = usize::try_from(run.len - done)
                .unwrap_or(usize::MAX)
                .min(chunk);
            source
                .read(index, run.first_index + done, len, &mut samples)
                .map_err(|source| ExportError::Source {
                    operation: "read samples",
                    source,
                })?;
            for (channel, range) in found.iter_mut().enumerate() {
                for position in channel * len..(channel + 1) * len {
                    match samples.as_f64(position) {
                        Some(value) if value.is_finite() => {
                            range[0] = range[0].min(value);
                            range[1] = range[1].max(value);
                        }
                        _ => *range = [f64::NEG_INFINITY, f64::INFINITY],
                    }
                }
            }
            done += len as u64;
        }
    }
    Ok(found)
}
