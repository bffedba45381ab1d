//! Limits, defaults and thresholds of analysis, with units and sources.

use crate::Band;

/// Highest Butterworth order; beyond it sections with double precision lose the shape asked for.
pub(crate) const MAX_ORDER: usize = 24;

/// Filter states below this (µV) are taken for zero: an input of exact zeros would otherwise decay
/// into denormal numbers, which are slow. 10⁻²⁰⁰ µV is far below any converter's resolution.
pub(crate) const STATE_FLOOR_UV: f64 = 1e-200;

/// Time constants of history that a display filter is warmed up with. e⁻²⁰ is 2 × 10⁻⁹: of the
/// 100 µV by which a filter that starts settled may be off, less is left than the last digit of the
/// 32-bit floats that a display gets.
pub(crate) const WARM_UP_TIME_CONSTANTS: f64 = 20.0;

/// Least history for that, s.
pub(crate) const LEAST_WARM_UP_S: f64 = 1.0;

/// Quality factor of the display notch: 50 Hz ± 0.8 Hz at −3 dB, wide enough for a grid that
/// keeps within ±0.5 Hz (ENTSO-E continental Europe's maximum steady-state deviation is 0.2 Hz).
pub(crate) const NOTCH_QUALITY: f64 = 30.0;

/// Display filters when nothing is chosen: (LFF Hz, HFF Hz); `None` is off.
/// EEG: 0.5–70 Hz, IFCN/ILAE minimum standards for routine EEG (Peltola et al. 2023, Clin
/// Neurophysiol 147:108); within ACNS guideline 1 (LFF at most 1 Hz, HFF at least 70 Hz).
pub(crate) const EEG_DEFAULT: (Option<f64>, Option<f64>) = (Some(0.5), Some(70.0));
/// EOG: the AASM manual asks for 0.3–35 Hz; 30 Hz is the nearest setting.
pub(crate) const EOG_DEFAULT: (Option<f64>, Option<f64>) = (Some(0.3), Some(30.0));
/// ECG: the AASM manual's 0.3–70 Hz.
pub(crate) const ECG_DEFAULT: (Option<f64>, Option<f64>) = (Some(0.3), Some(70.0));
/// EMG: the AASM manual's 10–100 Hz.
pub(crate) const EMG_DEFAULT: (Option<f64>, Option<f64>) = (Some(10.0), Some(100.0));
/// Respiration: the AASM manual's 0.1–15 Hz for effort and flow.
pub(crate) const RESPIRATION_DEFAULT: (Option<f64>, Option<f64>) = (Some(0.1), Some(15.0));

/// The frequency bands, Hz: IFCN glossary (Kane et al. 2017, Clin Neurophysiol Pract 2:170) gives
/// delta 0.1–<4, theta 4–<8, alpha 8–13, beta 14–30, gamma above 30; delta begins here at the
/// default LFF, beta where alpha ends, and gamma ends at the default HFF.
pub const BANDS: [Band; 5] = [
    Band {
        name: "delta",
        low_hz: 0.5,
        high_hz: 4.0,
    },
    Band {
        name: "theta",
        low_hz: 4.0,
        high_hz: 8.0,
    },
    Band {
        name: "alpha",
        low_hz: 8.0,
        high_hz: 13.0,
    },
    Band {
        name: "beta",
        low_hz: 13.0,
        high_hz: 30.0,
    },
    Band {
        name: "gamma",
        low_hz: 30.0,
        high_hz: 70.0,
    },
];

/// A peak counts as an alpha peak when it stands this many times above the straight line between
/// the spectrum at both ends of the band (3 dB).
pub(crate) const ALPHA_PROMINENCE: f64 = 2.0;

/// Half the width of the range that counts as mains, Hz: where the main lobe of a one-second Hann
/// window, to which a steady sine is confined, has its zeros.
pub(crate) const MAINS_HALF_WIDTH_HZ: f64 = 2.0;

/// The span over which a step is measured, s: shorter than the rise of any spike (20–70 ms, IFCN
/// glossary), longer than one sample at 100 Hz and more.
pub(crate) const STEP_S: f64 = 0.01;

/// Thresholds of the quality measures, each over one second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QualityLimits {
    /// Flat at or below this peak to peak, µV. An amplifier alone may add up to 1 µV peak to peak
    /// (ACNS guideline 1, 0.5–100 Hz), so that half of it means that no electrode is connected.
    pub flat_uv: f64,
    /// Railed when this share of samples lies at an end of the converter's range.
    pub railed_share: f64,
    /// How near to an end of the range counts as railed, as a share of the range.
    pub rail_margin: f64,
    /// Mains when the power within ±2 Hz of it exceeds this multiple of that of 1–45 Hz: hum of
    /// twice the amplitude of the signal. PREP judges by the same two ranges, relative to the
    /// other channels (Bigdely-Shamlo et al. 2015, Front Neuroinform 9:16).
    pub mains_ratio: f64,
    /// Mains is not complained of below this amplitude, µV RMS: it is then invisible at 7 µV/mm.
    pub mains_floor_uv: f64,
    /// Muscle when the 30–100 Hz amplitude without mains exceeds this, µV RMS. Scalp EEG's own is
    /// below 1–2 µV there; muscle raises it 10 to 200 times (Goncharova et al. 2003, Clin
    /// Neurophysiol 114:1580).
    pub muscle_uv: f64,
    /// Muscle must also exceed this share of the mains amplitude: hum whose amplitude wanders
    /// spills some 5 % of it beyond ±2 Hz (measured on an unshielded OpenBCI Cyton).
    pub muscle_hum_share: f64,
    /// Electrode pop when the signal steps by more than this within 10 ms, µV, and by more than
    /// [`Self::pop_factor`] times its usual step. IFCN glossary: pops are abrupt and confined to
    /// one electrode; physiological EEG slopes stay below some 20 µV/ms in spikes.
    pub pop_uv: f64,
    /// Multiple of the median 10 ms step above which a step is a pop.
    pub pop_factor: f64,
    /// Beyond this peak to peak, µV, a scalp channel is not EEG (FASTER and clinical practice
    /// reject epochs of some 500 µV and more; seizures and slow waves stay below 1 mV).
    pub excessive_uv: f64,
}

impl Default for QualityLimits {
    fn default() -> Self {
        Self {
            flat_uv: 0.5,
            railed_share: 0.05,
            rail_margin: 1e-3,
            mains_ratio: 4.0,
            mains_floor_uv: 3.0,
            muscle_uv: 10.0,
            muscle_hum_share: 0.1,
            pop_uv: 150.0,
            pop_factor: 12.0,
            excessive_uv: 2_000.0,
        }
    }
}

/// Codes of protocol annotations between which the eyes are closed.
pub(crate) const EYES_CLOSED_CODE: &str = "eyes_closed";
/// Code of the annotation that ends it.
pub(crate) const EYES_OPEN_CODE: &str = "eyes_open";
