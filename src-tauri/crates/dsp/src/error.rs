//! What analysis can be asked that it cannot do.

use thiserror::Error;

/// Why a filter, spectrum or other measure cannot be formed.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DspError {
    /// A sampling rate that is no positive number.
    #[error("a sampling rate of {0} Hz cannot be analysed")]
    Rate(f64),
    /// A corner or centre frequency outside 0 … half the sampling rate, or corners out of order.
    #[error("{frequency_hz} Hz is no frequency for a filter at {rate_hz} samples a second")]
    Frequency {
        /// Asked for.
        frequency_hz: f64,
        /// Sampling rate.
        rate_hz: f64,
    },
    /// A filter order of zero or above 24.
    #[error("a filter of order {0} cannot be designed")]
    Order(usize),
    /// Fewer samples than the method needs.
    #[error("{found} samples are too few: {needed} are needed")]
    TooShort {
        /// Samples given.
        found: usize,
        /// Samples needed.
        needed: usize,
    },
    /// A block of another shape than the state was made for.
    #[error("block of {found} values does not hold {channels} channels x {len} samples")]
    Shape {
        /// Channels of the state.
        channels: usize,
        /// Samples a channel stated.
        len: usize,
        /// Values found.
        found: usize,
    },
    /// Segment length and overlap that do not fit.
    #[error("segments of {segment} samples cannot overlap by {overlap}")]
    Segments {
        /// Segment length, samples.
        segment: usize,
        /// Overlap, samples.
        overlap: usize,
    },
}

/// Refuses a sampling rate that is not a positive number.
pub(crate) fn check_rate(rate_hz: f64) -> Result<(), DspError> {
    if rate_hz.is_finite() && rate_hz > 0.0 {
        Ok(())
    } else {
        Err(DspError::Rate(rate_hz))
    }
}

/// Refuses a block that is not channels × len.
pub(crate) fn check_shape(channels: usize, len: usize, found: usize) -> Result<(), DspError> {
    if channels.checked_mul(len) == Some(found) {
        Ok(())
    } else {
        Err(DspError::Shape {
            channels,
            len,
            found,
        })
    }
}
