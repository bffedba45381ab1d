//! The page's causal filter over derivations of several kinds, live and in review alike.

use crate::error::check_shape;
use crate::limits::{LEAST_WARM_UP_S, WARM_UP_TIME_CONSTANTS};
use crate::{DspError, FilterSettings, SosFilter};
use signal::ChannelKind;

/// Filters the rows of blocks, each with the settings of its kind.
///
/// It starts settled on the first sample, so that an electrode's offset leaves no swing of the
/// traces, and again after [`Self::gap`]. To switch settings without a jump, make a new one and
/// [`Self::warm_up`] it with the unfiltered samples that are still at hand.
#[derive(Debug, Clone)]
pub struct DisplayFilter {
    filters: Vec<SosFilter>,
    rows: usize,
    warm_up_s: f64,
    started: bool,
}

impl DisplayFilter {
    /// A filter for rows of `kinds` at `rate_hz`; `settings` gives those of each kind.
    ///
    /// # Errors
    /// [`DspError`] when a setting cannot be designed at this rate.
    pub fn new(
        rate_hz: f64,
        kinds: &[ChannelKind],
        settings: impl Fn(ChannelKind) -> FilterSettings,
    ) -> Result<Self, DspError> {
        let mut seen: Vec<ChannelKind> = Vec::new();
        let mut filters = Vec::new();
        let mut warm_up_s: f64 = 0.0;
        for kind in kinds {
            if seen.contains(kind) {
                continue;
            }
            seen.push(*kind);
            let chosen = settings(*kind);
            let sos = chosen.design(rate_hz)?;
            let rows = (0..kinds.len())
                .filter(|row| kinds[*row] == *kind)
                .collect();
            filters.push(SosFilter::on_rows(sos, rows));
            warm_up_s = warm_up_s
                .max(WARM_UP_TIME_CONSTANTS * chosen.longest_time_constant_s())
                .max(LEAST_WARM_UP_S);
        }
        Ok(Self {
            filters,
            rows: kinds.len(),
            warm_up_s,
            started: false,
        })
    }

    /// History that [`Self::warm_up`] makes use of, s: twenty times the longest time constant.
    #[must_use]
    pub const fn warm_up_s(&self) -> f64 {
        self.warm_up_s
    }

    /// Runs over unfiltered history (rows × `len`, row-major, ending where the next block begins),
    /// so that the next output is what it would have been with these settings all along.
    ///
    /// # Errors
    /// [`DspError::Shape`] when the history has another number of rows.
    pub fn warm_up(&mut self, history: &[f64], len: usize) -> Result<(), DspError> {
        self.process(&mut history.to_vec(), len)
    }

    /// Filters a block in place: rows × `len`, row-major, µV.
    ///
    /// # Errors
    /// [`DspError::Shape`] when the block has another number of rows.
    pub fn process(&mut self, data: &mut [f64], len: usize) -> Result<(), DspError> {
        check_shape(self.rows, len, data.len())?;
        if len == 0 {
            return Ok(());
        }
        for filter in &mut self.filters {
            if !self.started {
                filter.settle(|row| data[row * len]);
            }
            filter.process(data, len)?;
        }
        self.started = true;
        Ok(())
    }

    /// Samples are missing before the next block: it starts settled again.
    pub fn gap(&mut self) {
        self.started = false;
    }
}
