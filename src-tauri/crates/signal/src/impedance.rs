//! Electrode impedance and its grades.

use crate::UtcNanos;
use serde::{Deserialize, Serialize};

/// One electrode's impedance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Impedance {
    /// Electrode name ('Fp1', 'REF', 'GND').
    pub electrode: String,
    /// Magnitude in kΩ at the test frequency; `None` when it could not be measured.
    pub impedance_kohm: Option<f64>,
    /// When it was measured.
    pub at: UtcNanos,
}

/// Limits for one type of electrode, kΩ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImpedanceLimits {
    /// At or below: good.
    pub good_kohm: f64,
    /// At or below: acceptable; above: bad.
    pub acceptable_kohm: f64,
    /// Below: a gel bridge between electrodes is likely.
    pub bridge_kohm: f64,
}

impl Default for ImpedanceLimits {
    /// Wet scalp electrodes: the ACNS and IFCN guidelines ask for 5 kΩ, and accept 10 kΩ; 0.1 kΩ
    /// is ACNS guideline 1's lower bound, below which a bridge is suspected.
    fn default() -> Self {
        Self {
            good_kohm: 5.0,
            acceptable_kohm: 10.0,
            bridge_kohm: 0.1,
        }
    }
}

/// What a value means under its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImpedanceGrade {
    /// At or below the good limit.
    Good,
    /// At or below the acceptable limit.
    Acceptable,
    /// Above the acceptable limit.
    Bad,
    /// So low that a gel bridge is likely.
    Bridge,
    /// Not measured.
    Unknown,
}

impl ImpedanceLimits {
    /// The grade of `impedance_kohm` under these limits.
    #[must_use]
    pub fn grade(&self, impedance_kohm: Option<f64>) -> ImpedanceGrade {
        match impedance_kohm {
            None => ImpedanceGrade::Unknown,
            Some(value) if !value.is_finite() || value < 0.0 => ImpedanceGrade::Unknown,
            Some(value) if value < self.bridge_kohm => ImpedanceGrade::Bridge,
            Some(value) if value <= self.good_kohm => ImpedanceGrade::Good,
            Some(value) if value <= self.acceptable_kohm => ImpedanceGrade::Acceptable,
            Some(_) => ImpedanceGrade::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_at_their_edges() {
        let limits = ImpedanceLimits::default();
        for (value, grade) in [
            (Some(0.05), ImpedanceGrade::Bridge),
            (Some(5.0), ImpedanceGrade::Good),
            (Some(5.01), ImpedanceGrade::Acceptable),
            (Some(10.0), ImpedanceGrade::Acceptable),
            (Some(10.01), ImpedanceGrade::Bad),
            (Some(f64::NAN), ImpedanceGrade::Unknown),
            (None, ImpedanceGrade::Unknown),
        ] {
            assert_eq!(limits.grade(value), grade, "{value:?}");
        }
    }
}
