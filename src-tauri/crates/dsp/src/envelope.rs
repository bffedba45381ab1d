//! Least and greatest value per pixel column: what a display can show of many samples.

use crate::error::{DspError, check_shape};

/// Columns that a push completed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EnvelopeColumns {
    /// Number of the first column, counted from the stream's sample 0.
    pub first_column: u64,
    /// Columns.
    pub columns: usize,
    /// columns × channels × 2: least, then greatest, µV; NaN where the column holds no sample.
    pub values: Vec<f32>,
}

/// Envelopes of a stream that arrives in blocks.
///
/// Sample `i` belongs to column ⌊i × columns / samples⌋, so that any ratio is exact for ever and a
/// reconnecting display finds the same columns. A column is given out when the first sample of a
/// later one arrives, or on [`Self::flush`].
#[derive(Debug, Clone)]
pub struct EnvelopeState {
    channels: usize,
    columns: u64,
    samples: u64,
    /// Column under way and its (least, greatest) pairs.
    current: Option<u64>,
    extremes: Vec<(f32, f32)>,
}

/// No sample yet: any value replaces it.
const EMPTY: (f32, f32) = (f32::INFINITY, f32::NEG_INFINITY);

impl EnvelopeState {
    /// A state for blocks of `channels` rows that gives `columns` columns every `samples` samples.
    /// `None` when either is zero or there would be more columns than samples.
    #[must_use]
    pub fn new(channels: usize, columns: u32, samples: u32) -> Option<Self> {
        Self::with_ratio(channels, u64::from(columns), u64::from(samples))
    }

    /// As [`Self::new`] for ratios whose terms are great.
    #[must_use]
    pub fn with_ratio(channels: usize, columns: u64, samples: u64) -> Option<Self> {
        (columns > 0 && samples >= columns).then(|| Self {
            channels,
            columns,
            samples,
            current: None,
            extremes: vec![EMPTY; channels],
        })
    }

    /// Number of the column that sample `index` belongs to.
    #[must_use]
    pub fn column_of(&self, index: u64) -> u64 {
        let exact = u128::from(index) * u128::from(self.columns) / u128::from(self.samples);
        u64::try_from(exact).unwrap_or(u64::MAX)
    }

    /// First sample index of `column`.
    #[must_use]
    pub fn start_of(&self, column: u64) -> u64 {
        let product = u128::from(column) * u128::from(self.samples);
        u64::try_from(product.div_ceil(u128::from(self.columns))).unwrap_or(u64::MAX)
    }

    /// Adds a block (channels × `len`, row-major, µV) whose first sample has `first_index`, and
    /// writes the columns it completes to `out`. Columns that lie wholly within a gap are not
    /// given out; `first_column` then jumps, so at most one run of columns is returned a call and
    /// the column before a gap is returned through `before_gap`.
    ///
    /// # Errors
    /// [`DspError::Shape`] when the block has another number of rows.
    pub fn push(
        &mut self,
        data: &[f64],
        len: usize,
        first_index: u64,
        out: &mut EnvelopeColumns,
    ) -> Result<Option<EnvelopeColumns>, DspError> {
        check_shape(self.channels, len, data.len())?;
        out.columns = 0;
        out.values.clear();
        if len == 0 {
            return Ok(None);
        }
        let first = self.column_of(first_index);
        let jumps = self
            .current
            .is_some_and(|current| first > current + 1 || first < current);
        let before_gap = if jumps { self.flush() } else { None };
        let mut at = 0;
        while at < len {
            let column = self.column_of(first_index + at as u64);
            if self.current != Some(column) {
                self.give_out(out);
                self.current = Some(column);
            }
            let until = self.start_of(column + 1) - first_index;
            let until = usize::try_from(until).unwrap_or(len).min(len);
            for (row, extreme) in data.chunks_exact(len).zip(&mut self.extremes) {
                *extreme = widen(*extreme, &row[at..until]);
            }
            at = until;
        }
        Ok(before_gap)
    }

    /// The column under way, as far as it has come.
    pub fn flush(&mut self) -> Option<EnvelopeColumns> {
        self.current?;
        let mut out = EnvelopeColumns::default();
        self.give_out(&mut out);
        Some(out)
    }

    fn give_out(&mut self, out: &mut EnvelopeColumns) {
        let Some(column) = self.current.take() else {
            return;
        };
        if out.columns == 0 {
            out.first_column = column;
        }
        out.columns += 1;
        for extreme in &mut self.extremes {
            let (least, greatest) = std::mem::replace(extreme, EMPTY);
            let some = least <= greatest;
            out.values.extend(if some {
                [least, greatest]
            } else {
                [f32::NAN; 2]
            });
        }
    }
}

/// NaN compares false and leaves the extremes as they are.
#[allow(clippy::cast_possible_truncation)] // a display needs no more than f32
fn widen((mut least, mut greatest): (f32, f32), values: &[f64]) -> (f32, f32) {
    for value in values {
        let value = *value as f32;
        least = if value < least { value } else { least };
        greatest = if value > greatest { value } else { greatest };
    }
    (least, greatest)
}
