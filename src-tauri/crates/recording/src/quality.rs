//! How honest a stream's time and how whole its samples are, found from the recording itself.

use crate::{Recording, Result, Run};
use signal::{GapCause, Missing, StreamIndex};

/// Longest stretch whose arrivals are looked at for jitter, s. Ten minutes hold thousands of packets at any
/// rate and are read in well under a second.
const JITTER_REACH_S: f64 = 600.0;

/// What was lost for one cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub cause: GapCause,
    /// Gaps.
    pub gaps: u64,
    /// Samples per channel known to be missing: exact counts, and the least of ambiguous ones.
    pub samples: u64,
    /// Gaps of which only the time, or only the count up to a multiple, is known.
    pub uncertain: u64,
}

/// The quality record of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamQuality {
    /// Which stream.
    pub stream: StreamIndex,
    /// Nominal rate, Hz; `None` for irregular streams, which have neither rate nor jitter.
    pub nominal_hz: Option<f64>,
    /// Rate found by the fitted clock over the longest unbroken run, Hz.
    pub found_hz: Option<f64>,
    /// Spread of the blocks' arrivals about the fitted clock, ms RMS. The constant part of the latency,
    /// from the sensor to the host, cannot be seen in arrivals and is in none of these figures.
    pub jitter_ms: Option<f64>,
    /// Samples per channel recorded.
    pub samples: u64,
    /// Losses by cause, in the order in which each first happened.
    pub losses: Vec<Loss>,
}

impl StreamQuality {
    /// How far the rate found deviates from nominal, parts in a million.
    #[must_use]
    pub fn drift_ppm(&self) -> Option<f64> {
        Some((self.found_hz? / self.nominal_hz? - 1.0) * 1e6)
    }

    /// Samples per channel known to be missing, all causes together.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.losses.iter().map(|loss| loss.samples).sum()
    }
}

/// The quality record of `stream`.
///
/// # Errors
/// Whatever keeps the recording from being read.
#[allow(clippy::cast_precision_loss)] // sample counts stay far below 2⁵³
pub fn stream_quality(recording: &Recording, stream: StreamIndex) -> Result<StreamQuality> {
    let runs = recording.runs(stream)?;
    let nominal_hz = (recording.streams().get(usize::from(stream.0))).and_then(|s| s.rate.as_hz());
    let mut quality = StreamQuality {
        stream,
        nominal_hz,
        found_hz: None,
        jitter_ms: None,
        samples: runs.iter().map(|run| run.end_index - run.first_index).sum(),
        losses: losses(recording, stream),
    };
    let longest = (runs.iter()).max_by_key(|run| run.end_index - run.first_index);
    if let (Some(nominal_hz), Some(run)) = (nominal_hz, longest)
        && run.end_index - run.first_index > 1
    {
        let last = recording.time_of(stream, run.end_index - 1)?;
        let steps = (run.end_index - 1 - run.first_index) as f64;
        quality.found_hz = last
            .map(|last| steps / last.seconds_since(run.start))
            .filter(|hz| hz.is_finite() && *hz > 0.0);
        quality.jitter_ms = jitter(recording, stream, run, nominal_hz)?;
    }
    Ok(quality)
}

fn losses(recording: &Recording, stream: StreamIndex) -> Vec<Loss> {
    let mut losses: Vec<Loss> = Vec::new();
    for known in recording.gaps() {
        if known.gap.stream != stream {
            continue;
        }
        let (samples, uncertain) = match known.gap.missing {
            Missing::Exact(count) => (count, 0),
            Missing::Ambiguous { least, .. } => (least, 1),
            Missing::Unknown => (0, 1),
        };
        let cause = known.gap.cause;
        match losses.iter_mut().find(|loss| loss.cause == cause) {
            Some(loss) => {
                loss.gaps += 1;
                loss.samples += samples;
                loss.uncertain += uncertain;
            }
            None => losses.push(Loss {
                cause,
                gaps: 1,
                samples,
                uncertain,
            }),
        }
    }
    losses
}

/// Spread of the blocks' arrivals about the fitted end of each block, over the end of the run, ms RMS.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn jitter(
    recording: &Recording,
    stream: StreamIndex,
    run: &Run,
    rate_hz: f64,
) -> Result<Option<f64>> {
    let reach = (rate_hz * JITTER_REACH_S) as u64;
    let from = run.first_index.max(run.end_index.saturating_sub(reach));
    let parts = recording.parts(stream, from..run.end_index)?;
    // A block that was cut over frames has several parts and one arrival: that of its last sample.
    let delays: Vec<f64> = parts
        .iter()
        .enumerate()
        .filter(|(n, part)| {
            parts
                .get(n + 1)
                .is_none_or(|next| next.arrival != part.arrival)
        })
        .filter_map(|(_, part)| {
            let start = part.arrival.seconds_since(part.fitted?);
            Some((start - f64::from(part.len) / rate_hz) * 1e3)
        })
        .collect();
    if delays.len() < 2 {
        return Ok(None);
    }
    let mean = delays.iter().sum::<f64>() / delays.len() as f64;
    let square: f64 = (delays.iter().map(|delay| (delay - mean).powi(2))).sum();
    Ok(Some((square / delays.len() as f64).sqrt()))
}
