//! The filter settings of the page, per kind of channel, and what must be highlighted of them.

use crate::limits::{
    ECG_DEFAULT, EEG_DEFAULT, EMG_DEFAULT, EOG_DEFAULT, NOTCH_QUALITY, RESPIRATION_DEFAULT,
};
use crate::{DspError, Sos, high_frequency_filter, low_frequency_filter, notch};
use signal::{ChannelKind, HardwareFilter};
use std::fmt;

/// Low-frequency filters to choose from, Hz; off beside them.
pub const LFF_HZ: [f64; 7] = [0.1, 0.3, 0.5, 1.0, 1.6, 5.0, 10.0];
/// High-frequency filters to choose from, Hz; off beside them.
pub const HFF_HZ: [f64; 5] = [15.0, 30.0, 50.0, 70.0, 100.0];
/// Notch filters to choose from, Hz; off beside them and by default.
pub const NOTCH_HZ: [f64; 2] = [50.0, 60.0];

/// The filters of one kind of channel; `None` is off.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FilterSettings {
    /// Corner of the low-frequency filter (one pole), Hz.
    pub lff_hz: Option<f64>,
    /// Corner of the high-frequency filter (two poles), Hz.
    pub hff_hz: Option<f64>,
    /// Centre of the notch, Hz.
    pub notch_hz: Option<f64>,
}

/// Something about the filters that the page must highlight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FilterNote {
    /// The LFF chosen is not the default.
    Lff {
        /// In use.
        chosen_hz: Option<f64>,
        /// The default.
        default_hz: Option<f64>,
    },
    /// The HFF chosen is not the default.
    Hff {
        /// In use.
        chosen_hz: Option<f64>,
        /// The default.
        default_hz: Option<f64>,
    },
    /// The notch is on.
    Notch(f64),
    /// The amplifier's high pass lies above the LFF chosen.
    HardwareHighPass(f64),
    /// The amplifier's low pass lies below the HFF chosen.
    HardwareLowPass(f64),
    /// The amplifier has a notch that the page did not choose.
    HardwareNotch(f64),
    /// The HFF or notch cannot be applied: half the sampling rate, given in Hz, is not above it.
    AboveNyquist(f64),
}

impl FilterSettings {
    /// No filter at all.
    pub const OFF: Self = Self {
        lff_hz: None,
        hff_hz: None,
        notch_hz: None,
    };

    /// What `kind` is shown with when nothing is chosen.
    #[must_use]
    pub const fn default_for(kind: ChannelKind) -> Self {
        let (lff_hz, hff_hz) = match kind {
            ChannelKind::Eeg => EEG_DEFAULT,
            ChannelKind::Eog => EOG_DEFAULT,
            ChannelKind::Ecg => ECG_DEFAULT,
            ChannelKind::Emg => EMG_DEFAULT,
            ChannelKind::Respiration => RESPIRATION_DEFAULT,
            _ => (None, None),
        };
        Self {
            lff_hz,
            hff_hz,
            notch_hz: None,
        }
    }

    /// Time constant of the LFF, s; `None` when off. 1 Hz is 0.16 s.
    #[must_use]
    pub fn time_constant_s(&self) -> Option<f64> {
        self.lff_hz.map(|hz| 1.0 / (std::f64::consts::TAU * hz))
    }

    /// The longest time constant of the poles in use, s; 0 when all is off. A two-pole Butterworth
    /// falls off with √2 of its corner's, a notch with that of half its bandwidth.
    #[must_use]
    pub fn longest_time_constant_s(&self) -> f64 {
        let of = |hz: f64| 1.0 / (std::f64::consts::TAU * hz);
        let lff = self.lff_hz.map_or(0.0, of);
        let hff = self.hff_hz.map_or(0.0, of) * std::f64::consts::SQRT_2;
        let notch = (self.notch_hz).map_or(0.0, |hz| of(hz / (2.0 * NOTCH_QUALITY)));
        lff.max(hff).max(notch)
    }

    /// The causal filter at `rate_hz`. An HFF or notch at or above half the rate has nothing to
    /// act on and is left out; [`Self::notes`] says so.
    ///
    /// # Errors
    /// [`DspError`] for a corner that is not positive, an LFF above half the rate or a bad rate.
    pub fn design(&self, rate_hz: f64) -> Result<Sos, DspError> {
        let below = |hz: &f64| *hz < rate_hz / 2.0;
        let mut sos = Sos::default();
        if let Some(hz) = self.lff_hz {
            sos = sos.then(&low_frequency_filter(hz, rate_hz)?);
        }
        if let Some(hz) = self.hff_hz.filter(below) {
            sos = sos.then(&high_frequency_filter(hz, rate_hz)?);
        }
        if let Some(hz) = self.notch_hz.filter(below) {
            sos = sos.then(&notch(hz, NOTCH_QUALITY, rate_hz)?);
        }
        Ok(sos)
    }

    /// What of these settings, on a channel of `kind` sampled at `rate_hz` behind `hardware`, must
    /// be highlighted.
    #[must_use]
    pub fn notes(
        &self,
        kind: ChannelKind,
        hardware: &HardwareFilter,
        rate_hz: f64,
    ) -> Vec<FilterNote> {
        let default = Self::default_for(kind);
        let mut notes = Vec::new();
        if self.lff_hz != default.lff_hz {
            notes.push(FilterNote::Lff {
                chosen_hz: self.lff_hz,
                default_hz: default.lff_hz,
            });
        }
        if self.hff_hz != default.hff_hz {
            notes.push(FilterNote::Hff {
                chosen_hz: self.hff_hz,
                default_hz: default.hff_hz,
            });
        }
        notes.extend(self.notch_hz.map(FilterNote::Notch));
        let high_pass = hardware
            .high_pass_hz
            .filter(|hz| *hz > self.lff_hz.unwrap_or(0.0));
        notes.extend(high_pass.map(FilterNote::HardwareHighPass));
        let low_pass = hardware
            .low_pass_hz
            .filter(|hz| *hz < self.hff_hz.unwrap_or(f64::INFINITY));
        notes.extend(low_pass.map(FilterNote::HardwareLowPass));
        let own_notch = hardware.notch_hz.filter(|hz| self.notch_hz != Some(*hz));
        notes.extend(own_notch.map(FilterNote::HardwareNotch));
        let nyquist = rate_hz / 2.0;
        if [self.hff_hz, self.notch_hz]
            .iter()
            .flatten()
            .any(|hz| *hz >= nyquist)
        {
            notes.push(FilterNote::AboveNyquist(nyquist));
        }
        notes
    }
}

fn hertz(value: Option<f64>) -> String {
    value.map_or_else(|| "off".to_owned(), |hz| format!("{hz} Hz"))
}

impl fmt::Display for FilterSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [lff, hff, notch] = [self.lff_hz, self.hff_hz, self.notch_hz].map(hertz);
        write!(f, "LFF {lff}, HFF {hff}, notch {notch}")
    }
}

impl fmt::Display for FilterNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lff {
                chosen_hz,
                default_hz,
            } => {
                write!(
                    f,
                    "LFF {} (default {})",
                    hertz(*chosen_hz),
                    hertz(*default_hz)
                )
            }
            Self::Hff {
                chosen_hz,
                default_hz,
            } => {
                write!(
                    f,
                    "HFF {} (default {})",
                    hertz(*chosen_hz),
                    hertz(*default_hz)
                )
            }
            Self::Notch(hz) => write!(f, "notch {hz} Hz on"),
            Self::HardwareHighPass(hz) => write!(f, "amplifier high pass {hz} Hz"),
            Self::HardwareLowPass(hz) => write!(f, "amplifier low pass {hz} Hz"),
            Self::HardwareNotch(hz) => write!(f, "amplifier notch {hz} Hz"),
            Self::AboveNyquist(hz) => write!(f, "samples end at {hz} Hz"),
        }
    }
}
