//! Analysis of samples: filters, derivations, spectra, quality, envelopes and impedance.
//!
//! Everything here is a pure function or a state that blocks are pushed through: no I/O, clock,
//! thread or randomness. Blocks are channels × samples, row-major, one contiguous row a channel,
//! values in µV unless said otherwise. How a run of samples is cut into blocks never changes what
//! comes out, bit for bit. Nothing here sees the record: it works on copies for display and
//! analysis.

mod bands;
mod clinical;
mod derivation;
mod design;
mod display;
mod envelope;
mod error;
mod filter;
mod impedance;
mod limits;
mod quality;
mod quality_window;
mod sos;
mod welch;
mod zero_phase;

pub use bands::{Band, BandPowers, PeakAlpha, band_power, band_powers, eyes_closed, peak_alpha};
pub use clinical::{FilterNote, FilterSettings, HFF_HZ, LFF_HZ, NOTCH_HZ};
pub use derivation::DerivationMatrix;
pub use design::{Response, butterworth, high_frequency_filter, low_frequency_filter, notch};
pub use display::DisplayFilter;
pub use envelope::{EnvelopeColumns, EnvelopeState};
pub use error::DspError;
pub use filter::SosFilter;
pub use impedance::{amplitude_at, impedance_kohm};
pub use limits::{BANDS, QualityLimits};
pub use quality::{QualityFlags, QualityMeasures, QualityMonitor, QualityVerdict};
pub use sos::{Section, Sos};
pub use welch::{Scaling, Spectrum, Welch, WelchState};
pub use zero_phase::zero_phase;
