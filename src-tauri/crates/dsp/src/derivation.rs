//! From raw samples to derivations in µV.

use crate::DspError;
use crate::error::check_shape;
use ndarray::Array2;
use signal::{Channel, ResolvedDerivation, SampleBlock, Samples, Scale};

/// Weights of derivations over channels, with the channels' scales folded in.
#[derive(Debug, Clone)]
pub struct DerivationMatrix {
    rows: Vec<Row>,
    /// Scale of each channel to µV; `None` when it is no voltage or in no derivation.
    scales: Vec<Option<Scale>>,
    /// The block's channels in µV, channels × samples.
    scaled: Vec<f64>,
}

#[derive(Debug, Clone)]
struct Row {
    blank: bool,
    terms: Vec<(usize, f64)>,
}

impl DerivationMatrix {
    /// The matrix of `derivations` over `channels`, which they were resolved against.
    #[must_use]
    pub fn new(derivations: &[ResolvedDerivation], channels: &[Channel]) -> Self {
        let rows: Vec<Row> = derivations
            .iter()
            .map(|derivation| Row {
                blank: derivation.blank.is_some(),
                terms: derivation
                    .weights
                    .iter()
                    .map(|w| (w.channel, w.weight))
                    .collect(),
            })
            .collect();
        let used = |index: usize| {
            rows.iter()
                .any(|row| row.terms.iter().any(|(c, _)| *c == index))
        };
        let scale = |channel: &Channel| {
            let microvolts = channel.unit.microvolts()?;
            let Scale { gain, offset } = channel.scale;
            Some(Scale {
                gain: gain * microvolts,
                offset: offset * microvolts,
            })
        };
        let scales = channels.iter().enumerate();
        let scales = scales.map(|(index, channel)| scale(channel).filter(|_| used(index)));
        let scales = scales.collect();
        Self {
            rows,
            scales,
            scaled: Vec::new(),
        }
    }

    /// Every channel by itself: voltages in µV, others in their own unit, texts NaN.
    #[must_use]
    pub fn as_recorded(channels: &[Channel]) -> Self {
        let row = |channel| Row {
            blank: false,
            terms: vec![(channel, 1.0)],
        };
        let scale = |channel: &Channel| {
            let factor = channel.unit.microvolts().unwrap_or(1.0);
            Some(Scale {
                gain: channel.scale.gain * factor,
                offset: channel.scale.offset * factor,
            })
        };
        Self {
            rows: (0..channels.len()).map(row).collect(),
            scales: channels.iter().map(scale).collect(),
            scaled: Vec::new(),
        }
    }

    /// Derivations (rows of the output).
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the derivations of `block` to `out`: derivations × samples, row-major, µV, each
    /// input 1 − input 2 (negative is drawn upward). Blank derivations are NaN.
    ///
    /// # Errors
    /// [`DspError::Shape`] when the block has other channels than the matrix was made for.
    pub fn apply(&mut self, block: &SampleBlock, out: &mut Vec<f64>) -> Result<(), DspError> {
        self.apply_samples(&block.samples, block.len, out)
    }

    /// [`Self::apply`] to samples alone: channels × `len`, row-major.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_samples(
        &mut self,
        samples: &Samples,
        len: usize,
        out: &mut Vec<f64>,
    ) -> Result<(), DspError> {
        check_shape(self.scales.len(), len, samples.len())?;
        self.scale(samples, len);
        out.clear();
        out.resize(self.rows.len() * len, 0.0);
        if len == 0 {
            return Ok(());
        }
        for (row, out) in self.rows.iter().zip(out.chunks_exact_mut(len)) {
            if row.blank {
                out.fill(f64::NAN);
            }
            for (channel, weight) in &row.terms {
                let from = &self.scaled[channel * len..(channel + 1) * len];
                out.iter_mut()
                    .zip(from)
                    .for_each(|(to, value)| *to += weight * value);
            }
        }
        Ok(())
    }

    /// [`Self::apply`] into a new array of derivations × samples.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_array(&mut self, block: &SampleBlock) -> Result<Array2<f64>, DspError> {
        let mut out = Vec::new();
        self.apply(block, &mut out)?;
        let (channels, found) = (self.rows.len(), out.len());
        Array2::from_shape_vec((channels, block.len), out).map_err(|_| DspError::Shape {
            channels,
            len: block.len,
            found,
        })
    }

    fn scale(&mut self, samples: &Samples, len: usize) {
        self.scaled.clear();
        self.scaled.resize(self.scales.len() * len, 0.0);
        match samples {
            Samples::I16(v) => self.scale_from(v, len, f64::from),
            Samples::I24(v) | Samples::I32(v) => self.scale_from(v, len, f64::from),
            Samples::F32(v) => self.scale_from(v, len, f64::from),
            Samples::F64(v) => self.scale_from(v, len, |x| x),
            // Texts have no scale to microvolts.
            Samples::Text(_) => self.scaled.fill(f64::NAN),
        }
    }

    fn scale_from<T: Copy>(&mut self, values: &[T], len: usize, number: impl Fn(T) -> f64) {
        for (channel, scale) in self.scales.iter().enumerate() {
            let Some(Scale { gain, offset }) = *scale else {
                continue;
            };
            let range = channel * len..(channel + 1) * len;
            let to = self.scaled[range.clone()].iter_mut();
            to.zip(&values[range])
                .for_each(|(to, x)| *to = number(*x) * gain + offset);
        }
    }
}
