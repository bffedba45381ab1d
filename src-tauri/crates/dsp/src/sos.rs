//! Second-order sections: a filter as a cascade of biquads.

use std::f64::consts::TAU;

/// One biquad, `a0` being 1: H(z) = (b0 + b1 z⁻¹ + b2 z⁻²) / (1 + a1 z⁻¹ + a2 z⁻²).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Section {
    /// Numerator b0, b1, b2.
    pub b: [f64; 3],
    /// Denominator a1, a2.
    pub a: [f64; 2],
}

impl Section {
    /// Gain at zero frequency.
    fn gain_at_zero(&self) -> f64 {
        self.b.iter().sum::<f64>() / (1.0 + self.a[0] + self.a[1])
    }

    /// State (transposed direct form II) after an input of 1 has stood for ever.
    fn steady(&self) -> [f64; 2] {
        let [b0, b1, b2] = self.b;
        let [a1, a2] = self.a;
        let first = ((b1 - a1 * b0) + (b2 - a2 * b0)) / (1.0 + a1 + a2);
        [first, (b2 - a2 * b0) - a2 * first]
    }
}

/// A cascade of sections in the order in which they are applied.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sos {
    /// The sections; none at all passes everything.
    pub sections: Vec<Section>,
}

impl Sos {
    /// This filter followed by `other`.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        self.sections.extend_from_slice(&other.sections);
        self
    }

    /// State of each section once an input of constant 1 has settled, as SciPy's `sosfilt_zi`;
    /// multiplied by the first sample it starts a filter without a transient.
    #[must_use]
    pub fn steady_state(&self) -> Vec<[f64; 2]> {
        let mut scale = 1.0;
        let each = self.sections.iter().map(|section| {
            let [first, second] = section.steady();
            let state = [scale * first, scale * second];
            scale *= section.gain_at_zero();
            state
        });
        each.collect()
    }

    /// Gain (a ratio of amplitudes) at `frequency_hz` when sampled at `rate_hz`.
    #[must_use]
    pub fn gain_at(&self, frequency_hz: f64, rate_hz: f64) -> f64 {
        let turn = TAU * frequency_hz / rate_hz;
        let power = |c0: f64, c1: f64, c2: f64| {
            let re = c0 + c1 * turn.cos() + c2 * (2.0 * turn).cos();
            let im = c1 * turn.sin() + c2 * (2.0 * turn).sin();
            re.hypot(im)
        };
        let each = self.sections.iter().map(|section| {
            let [b0, b1, b2] = section.b;
            power(b0, b1, b2) / power(1.0, section.a[0], section.a[1])
        });
        each.product()
    }
}
