//! Power spectra after Welch (1967, IEEE Trans Audio Electroacoust 15:70): Hann windows, the mean of
//! each segment removed, periodograms averaged. Numbers as SciPy's `welch` with its defaults.

use crate::error::{DspError, check_rate, check_shape};
use rustfft::num_complex::Complex64;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::TAU;
use std::fmt;
use std::sync::Arc;

/// What a spectrum's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// Power spectral density, µV²/Hz: integrates to power.
    Density,
    /// Power spectrum, µV²: a sine's peak is its mean square.
    Spectrum,
}

/// A one-sided spectrum: value `k` stands at `k × resolution_hz`, from 0 to half the rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// Distance between values, Hz.
    pub resolution_hz: f64,
    /// µV²/Hz or µV², by [`Self::scaling`].
    pub values: Vec<f64>,
    /// What the values are.
    pub scaling: Scaling,
    /// Segments averaged; with 0 the values are zero and mean nothing.
    pub segments: usize,
}

impl Spectrum {
    /// Frequency of value `bin`, Hz.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // bins are few
    pub fn frequency_hz(&self, bin: usize) -> f64 {
        bin as f64 * self.resolution_hz
    }
}

/// A plan for spectra of one segment length at one rate; cheap to clone and to keep.
#[derive(Clone)]
pub struct Welch {
    rate_hz: f64,
    segment: usize,
    overlap: usize,
    scaling: Scaling,
    window: Arc<[f64]>,
    fft: Arc<dyn Fft<f64>>,
}

impl fmt::Debug for Welch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Welch")
            .field("rate_hz", &self.rate_hz)
            .field("segment", &self.segment)
            .field("overlap", &self.overlap)
            .field("scaling", &self.scaling)
            .finish_non_exhaustive()
    }
}

/// Buffers of one transform, reused from segment to segment.
struct Workspace {
    values: Vec<Complex64>,
    scratch: Vec<Complex64>,
}

impl Welch {
    /// A plan for segments of `segment` samples that overlap by `overlap`.
    ///
    /// # Errors
    /// [`DspError::Rate`], or [`DspError::Segments`] unless `overlap < segment` and `segment ≥ 2`.
    pub fn new(
        rate_hz: f64,
        segment: usize,
        overlap: usize,
        scaling: Scaling,
    ) -> Result<Self, DspError> {
        check_rate(rate_hz)?;
        if segment < 2 || overlap >= segment {
            return Err(DspError::Segments { segment, overlap });
        }
        // The periodic Hann window, as spectra use it.
        #[allow(clippy::cast_precision_loss)] // segments are short
        let hann = (0..segment).map(|n| 0.5 - 0.5 * (TAU * n as f64 / segment as f64).cos());
        let fft = FftPlanner::new().plan_fft_forward(segment);
        Ok(Self {
            rate_hz,
            segment,
            overlap,
            scaling,
            window: hann.collect(),
            fft,
        })
    }

    /// Spectrum of one channel's samples, µV. Samples behind the last whole segment are left out.
    ///
    /// # Errors
    /// [`DspError::TooShort`] when there is not one whole segment.
    pub fn channel(&self, samples: &[f64]) -> Result<Spectrum, DspError> {
        let mut spectra = self.block(samples, samples.len())?;
        spectra.pop().ok_or(DspError::TooShort {
            found: 0,
            needed: self.segment,
        })
    }

    /// Spectrum of each channel of a block: channels × `len`, row-major, µV.
    ///
    /// # Errors
    /// [`DspError::TooShort`], or [`DspError::Shape`] when `data` holds no whole rows.
    pub fn block(&self, data: &[f64], len: usize) -> Result<Vec<Spectrum>, DspError> {
        if len < self.segment {
            return Err(DspError::TooShort {
                found: len,
                needed: self.segment,
            });
        }
        check_shape(data.len() / len, len, data.len())?;
        let mut workspace = self.workspace();
        let rows = data.chunks_exact(len);
        Ok(rows.map(|row| self.spectrum(row, &mut workspace)).collect())
    }

    /// Two segments of one channel travel as real and imaginary part of one transform; the sum of
    /// their powers is all that the average needs, and it is (|X(k)|² + |X(−k)|²)/2.
    fn spectrum(&self, row: &[f64], workspace: &mut Workspace) -> Spectrum {
        let step = self.segment - self.overlap;
        let mut sums = vec![0.0; self.segment];
        let mut segments = 0;
        let mut starts = (0..=row.len() - self.segment).step_by(step);
        while let Some(first) = starts.next() {
            let second = starts.next();
            segments += 1 + usize::from(second.is_some());
            let part = |start: usize| &row[start..start + self.segment];
            self.transform(part(first), second.map(part), workspace);
            for (sum, value) in sums.iter_mut().zip(&workspace.values) {
                *sum += value.norm_sqr();
            }
        }
        let folded = (0..=self.segment / 2)
            .map(|k| 0.5 * (sums[k] + sums[(self.segment - k) % self.segment]));
        self.scaled(folded.collect(), segments)
    }

    fn workspace(&self) -> Workspace {
        Workspace {
            values: vec![Complex64::ZERO; self.segment],
            scratch: vec![Complex64::ZERO; self.fft.get_inplace_scratch_len()],
        }
    }

    /// Transforms `first` (real part) and `second` (imaginary part), windowed, without their means.
    #[allow(clippy::cast_precision_loss)] // segments are short
    fn transform(&self, first: &[f64], second: Option<&[f64]>, workspace: &mut Workspace) {
        let mean = |part: &[f64]| sum(part) / self.segment as f64;
        let first_mean = mean(first);
        let values = workspace.values.iter_mut().zip(self.window.iter());
        match second {
            Some(second) => {
                let second_mean = mean(second);
                for ((to, window), (a, b)) in values.zip(first.iter().zip(second)) {
                    *to = Complex64::new((a - first_mean) * window, (b - second_mean) * window);
                }
            }
            None => {
                for ((to, window), a) in values.zip(first) {
                    *to = Complex64::new((a - first_mean) * window, 0.0);
                }
            }
        }
        self.fft
            .process_with_scratch(&mut workspace.values, &mut workspace.scratch);
    }

    /// Sums of squared magnitudes over `segments` as a one-sided spectrum.
    #[allow(clippy::cast_precision_loss)] // segments are few
    fn scaled(&self, mut sums: Vec<f64>, segments: usize) -> Spectrum {
        let unit = match self.scaling {
            Scaling::Density => self.rate_hz * self.window.iter().map(|w| w * w).sum::<f64>(),
            Scaling::Spectrum => self.window.iter().sum::<f64>().powi(2),
        };
        let scale = 1.0 / (unit * segments.max(1) as f64);
        let nyquist = if self.segment.is_multiple_of(2) {
            sums.len() - 1
        } else {
            sums.len()
        };
        for (bin, value) in sums.iter_mut().enumerate() {
            let sides = if bin == 0 || bin == nyquist { 1.0 } else { 2.0 };
            *value *= scale * sides;
        }
        Spectrum {
            resolution_hz: self.rate_hz / self.segment as f64,
            values: sums,
            scaling: self.scaling,
            segments,
        }
    }
}

/// A sum in eight strands, which the processor can add side by side.
fn sum(values: &[f64]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut strands = [0.0; 8];
    for chunk in chunks {
        for (strand, value) in strands.iter_mut().zip(chunk) {
            *strand += value;
        }
    }
    strands.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

/// Spectra of a stream that arrives in blocks. Segments never reach across a gap.
#[derive(Debug)]
pub struct WelchState {
    plan: Welch,
    channels: usize,
    /// Samples of the segment under way, one row a channel.
    pending: Vec<Vec<f64>>,
    sums: Vec<Vec<f64>>,
    segments: usize,
}

impl WelchState {
    /// An empty state for blocks of `channels` rows.
    #[must_use]
    pub fn new(plan: Welch, channels: usize) -> Self {
        let bins = plan.segment / 2 + 1;
        Self {
            pending: vec![Vec::with_capacity(plan.segment); channels],
            sums: vec![vec![0.0; bins]; channels],
            plan,
            channels,
            segments: 0,
        }
    }

    /// Adds a block: channels × `len`, row-major, µV.
    ///
    /// # Errors
    /// [`DspError::Shape`] when the block has another number of rows.
    pub fn push(&mut self, data: &[f64], len: usize) -> Result<(), DspError> {
        check_shape(self.channels, len, data.len())?;
        let mut taken = 0;
        while taken < len && self.channels > 0 {
            let part = (self.plan.segment - self.pending[0].len()).min(len - taken);
            for (row, pending) in data.chunks_exact(len).zip(&mut self.pending) {
                pending.extend_from_slice(&row[taken..taken + part]);
            }
            taken += part;
            if self.pending[0].len() == self.plan.segment {
                self.close_segment();
            }
        }
        Ok(())
    }

    /// Two channels travel together as real and imaginary part, and are told apart by symmetry.
    fn close_segment(&mut self) {
        let size = self.plan.segment;
        let mut workspace = self.plan.workspace();
        for (pair, sums) in self.pending.chunks(2).zip(self.sums.chunks_mut(2)) {
            self.plan
                .transform(&pair[0], pair.get(1).map(Vec::as_slice), &mut workspace);
            for bin in 0..=size / 2 {
                let here = workspace.values[bin];
                let mirror = workspace.values[(size - bin) % size].conj();
                sums[0][bin] += (here + mirror).norm_sqr() / 4.0;
                if let Some(second) = sums.get_mut(1) {
                    second[bin] += (here - mirror).norm_sqr() / 4.0;
                }
            }
        }
        self.segments += 1;
        let step = size - self.plan.overlap;
        self.pending
            .iter_mut()
            .for_each(|pending| drop(pending.drain(..step)));
    }

    /// Samples are missing, or the next ones shall not be joined to those before (an artifact, the
    /// end of an epoch): the segment under way is dropped.
    pub fn gap(&mut self) {
        self.pending.iter_mut().for_each(Vec::clear);
    }

    /// The spectra so far, one a channel.
    #[must_use]
    pub fn spectra(&self) -> Vec<Spectrum> {
        let each = self
            .sums
            .iter()
            .map(|sums| self.plan.scaled(sums.clone(), self.segments));
        each.collect()
    }
}
