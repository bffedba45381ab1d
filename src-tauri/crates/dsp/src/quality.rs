//! Quality of each channel, judged every second on what the device delivered.

use crate::error::{DspError, check_rate, check_shape};
use crate::limits::QualityLimits;
use crate::quality_window::Analyser;
use signal::{Channel, SampleBlock, Samples};

/// What was found wrong within one second of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools)] // independent findings
pub struct QualityFlags {
    /// No electrode, or a shorted input.
    pub flat: bool,
    /// Samples at the end of the converter's range.
    pub railed: bool,
    /// Hum of the mains above the signal.
    pub mains: bool,
    /// Muscle activity over the EEG.
    pub muscle: bool,
    /// A sudden step of one electrode.
    pub electrode_pop: bool,
    /// Larger than any EEG.
    pub excessive: bool,
    /// Samples are missing.
    pub gap: bool,
}

impl QualityFlags {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(self) -> bool {
        self == Self::default()
    }

    /// Whether the channel shows its electrode at all: not flat, railed or beyond any EEG. What
    /// hum, muscle, a pop or a gap touches is still the patient's signal; hum can be notched.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        !(self.flat || self.railed || self.excessive)
    }
}

/// What was measured within one second of a channel; µV RMS unless said otherwise. `None` where
/// the channel is no voltage or its rate is too low.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct QualityMeasures {
    /// Greatest less least value, µV.
    pub peak_to_peak_uv: Option<f64>,
    /// Share of samples at an end of the converter's range, 0 … 1.
    pub railed_share: f64,
    /// Within ±2 Hz of the mains frequency.
    pub mains_uv: Option<f64>,
    /// 1–45 Hz.
    pub signal_uv: Option<f64>,
    /// 30–100 Hz without mains.
    pub muscle_uv: Option<f64>,
    /// Greatest step within 10 ms, µV.
    pub step_uv: Option<f64>,
    /// Share of the second's samples that are missing, 0 … 1.
    pub missing_share: f64,
}

/// The judgement of one second of one channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QualityVerdict {
    /// Index of the channel within its stream.
    pub channel: usize,
    /// Stream index of the second's first sample.
    pub first_index: u64,
    /// What was found.
    pub flags: QualityFlags,
    /// What was measured.
    pub measures: QualityMeasures,
}

/// Judges a stream as it arrives; a verdict for each channel at the end of each second, counted
/// from the stream's sample 0. Of a gap longer than that, the seconds it begins and ends in are
/// judged; seconds without any sample are not.
#[derive(Debug)]
pub struct QualityMonitor {
    channels: Vec<Channel>,
    analyser: Analyser,
    window: usize,
    /// Counts of the second under way, one row a channel.
    counts: Vec<Vec<f64>>,
    /// Which second that is.
    second: Option<u64>,
}

impl QualityMonitor {
    /// A monitor for a stream of `channels` at `rate_hz` where the mains have `mains_hz`.
    ///
    /// # Errors
    /// [`DspError::Rate`] for a rate that is not a positive number.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked to be positive
    pub fn new(
        channels: &[Channel],
        rate_hz: f64,
        mains_hz: f64,
        limits: QualityLimits,
    ) -> Result<Self, DspError> {
        check_rate(rate_hz)?;
        let window = rate_hz.round().max(1.0) as usize;
        Ok(Self {
            channels: channels.to_vec(),
            analyser: Analyser::new(window, rate_hz, mains_hz, limits),
            window,
            counts: vec![Vec::with_capacity(window); channels.len()],
            second: None,
        })
    }

    /// Adds a block as it was delivered, with its `first_index` filled in, and appends the verdicts
    /// of the seconds it completes to `verdicts`.
    ///
    /// # Errors
    /// [`DspError::Shape`] when the block has other channels than the monitor.
    pub fn push(
        &mut self,
        block: &SampleBlock,
        verdicts: &mut Vec<QualityVerdict>,
    ) -> Result<(), DspError> {
        check_shape(self.channels.len(), block.len, block.samples.len())?;
        let window = self.window as u64;
        let mut at = 0;
        while at < block.len {
            let index = block.first_index + at as u64;
            let second = index / window;
            if self.second != Some(second) {
                self.close(verdicts);
                self.second = Some(second);
            }
            let left = usize::try_from((second + 1) * window - index).unwrap_or(block.len);
            let until = (at + left).min(block.len);
            self.take(block, at, until);
            at = until;
            if block.first_index + at as u64 == (second + 1) * window {
                self.close(verdicts);
            }
        }
        Ok(())
    }

    /// Judges the second under way as it is; for the end of a stream.
    pub fn finish(&mut self, verdicts: &mut Vec<QualityVerdict>) {
        self.close(verdicts);
    }

    fn take(&mut self, block: &SampleBlock, from: usize, until: usize) {
        for (channel, counts) in self.counts.iter_mut().enumerate() {
            let range = channel * block.len + from..channel * block.len + until;
            match &block.samples {
                Samples::I16(v) => counts.extend(v[range].iter().map(|x| f64::from(*x))),
                Samples::I24(v) | Samples::I32(v) => {
                    counts.extend(v[range].iter().map(|x| f64::from(*x)));
                }
                Samples::F32(v) => counts.extend(v[range].iter().map(|x| f64::from(*x))),
                Samples::F64(v) => counts.extend_from_slice(&v[range]),
                Samples::Text(_) => {}
            }
        }
    }

    fn close(&mut self, verdicts: &mut Vec<QualityVerdict>) {
        let Some(second) = self.second.take() else {
            return;
        };
        let each = self.channels.iter().zip(&mut self.counts).enumerate();
        for (index, (channel, counts)) in each {
            let (flags, measures) = self.analyser.judge(channel, counts);
            counts.clear();
            verdicts.push(QualityVerdict {
                channel: index,
                first_index: second * self.window as u64,
                flags,
                measures,
            });
        }
    }
}
