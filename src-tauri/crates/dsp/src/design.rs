//! Filter design: Butterworth of any order as sections, the notch, and the clinical LFF and HFF.
//!
//! Butterworth follows the analogue prototype, frequency transformation and bilinear transform with
//! prewarping (Oppenheim & Schafer, Discrete-Time Signal Processing, chapter 7), and pairs poles
//! with zeros as SciPy's `butter(…, output='sos')` does, so that coefficients and results agree.

use crate::error::{DspError, check_rate};
use crate::limits::MAX_ORDER;
use crate::{Section, Sos};
use rustfft::num_complex::Complex64;
use std::f64::consts::PI;

/// What a filter lets pass; corners in Hz, at which it is 3 dB down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Response {
    /// Below the corner.
    LowPass(f64),
    /// Above the corner.
    HighPass(f64),
    /// Between the corners.
    BandPass(f64, f64),
    /// Outside the corners.
    BandStop(f64, f64),
}

/// A Butterworth filter at `rate_hz` samples a second. Band filters have twice `order` poles, as
/// in SciPy's `butter(order, …)`.
///
/// # Errors
/// [`DspError`] for an order of 0 or above 24, or corners not between 0 and half the rate.
pub fn butterworth(order: usize, response: Response, rate_hz: f64) -> Result<Sos, DspError> {
    check_rate(rate_hz)?;
    if order == 0 || order > MAX_ORDER {
        return Err(DspError::Order(order));
    }
    let warp = |frequency_hz: f64| {
        if frequency_hz > 0.0 && frequency_hz < rate_hz / 2.0 {
            Ok(4.0 * (PI * frequency_hz / rate_hz).tan())
        } else {
            Err(DspError::Frequency {
                frequency_hz,
                rate_hz,
            })
        }
    };
    let band = |low: f64, high: f64| {
        let (from, to) = (warp(low)?, warp(high)?);
        if to <= from {
            return Err(DspError::Frequency {
                frequency_hz: high,
                rate_hz,
            });
        }
        Ok(((from * to).sqrt(), to - from))
    };
    let analogue = match response {
        Response::LowPass(corner) => prototype(order).low_pass(warp(corner)?),
        Response::HighPass(corner) => prototype(order).high_pass(warp(corner)?),
        Response::BandPass(low, high) => {
            let (centre, width) = band(low, high)?;
            prototype(order).band_pass(centre, width)
        }
        Response::BandStop(low, high) => {
            let (centre, width) = band(low, high)?;
            prototype(order).band_stop(centre, width)
        }
    };
    Ok(sections(analogue.bilinear()))
}

/// Second-order notch at `centre_hz` whose −3 dB width is `centre_hz / quality`, as SciPy's
/// `iirnotch` (Orfanidis, Introduction to Signal Processing, eq. 11.3.7).
///
/// # Errors
/// [`DspError::Frequency`] unless the centre lies between 0 and half the rate.
pub fn notch(centre_hz: f64, quality: f64, rate_hz: f64) -> Result<Sos, DspError> {
    check_rate(rate_hz)?;
    let valid = centre_hz > 0.0 && centre_hz < rate_hz / 2.0 && quality > 0.0;
    if !valid {
        return Err(DspError::Frequency {
            frequency_hz: centre_hz,
            rate_hz,
        });
    }
    let relative = 2.0 * centre_hz / rate_hz;
    let beta = (relative / quality * PI / 2.0).tan();
    let gain = 1.0 / (1.0 + beta);
    let cos = (relative * PI).cos();
    let section = Section {
        b: [gain, gain * (-2.0 * cos), gain],
        a: [-2.0 * gain * cos, 2.0 * gain - 1.0],
    };
    Ok(Sos {
        sections: vec![section],
    })
}

/// The clinical low-frequency filter: one pole, −3 dB at the label. Its time constant is
/// 1/(2π f): 1 Hz is 0.16 s.
///
/// # Errors
/// As [`butterworth`].
pub fn low_frequency_filter(corner_hz: f64, rate_hz: f64) -> Result<Sos, DspError> {
    butterworth(1, Response::HighPass(corner_hz), rate_hz)
}

/// The clinical high-frequency filter: two poles, −3 dB at the label.
///
/// # Errors
/// As [`butterworth`].
pub fn high_frequency_filter(corner_hz: f64, rate_hz: f64) -> Result<Sos, DspError> {
    butterworth(2, Response::LowPass(corner_hz), rate_hz)
}

/// Zeros, poles and gain.
struct Zpk {
    zeros: Vec<Complex64>,
    poles: Vec<Complex64>,
    gain: f64,
}

/// The normalised analogue low pass: poles on the unit circle's left half.
#[allow(clippy::cast_precision_loss)] // orders are small
fn prototype(order: usize) -> Zpk {
    let n = order as f64;
    let poles = (0..order).map(|k| {
        let m = 2.0 * k as f64 - n + 1.0;
        -Complex64::new(0.0, PI * m / (2.0 * n)).exp()
    });
    Zpk {
        zeros: Vec::new(),
        poles: poles.collect(),
        gain: 1.0,
    }
}

impl Zpk {
    fn degree(&self) -> usize {
        self.poles.len() - self.zeros.len()
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // orders are small
    fn low_pass(mut self, corner: f64) -> Self {
        self.gain *= corner.powi(self.degree() as i32);
        self.poles.iter_mut().for_each(|pole| *pole *= corner);
        self
    }

    fn high_pass(mut self, corner: f64) -> Self {
        self.zeros = vec![Complex64::ZERO; self.poles.len()];
        // The prototype's poles multiply to ±1, whose real part is the gain that turns over.
        self.gain *= (1.0 / product(&self.poles, |pole| -pole)).re;
        self.poles
            .iter_mut()
            .for_each(|pole| *pole = corner / *pole);
        self
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // orders are small
    fn band_pass(mut self, centre: f64, width: f64) -> Self {
        let degree = self.degree();
        self.poles.iter_mut().for_each(|pole| *pole *= width / 2.0);
        self.poles = split(&self.poles, centre);
        self.zeros = vec![Complex64::ZERO; degree];
        self.gain *= width.powi(degree as i32);
        self
    }

    fn band_stop(mut self, centre: f64, width: f64) -> Self {
        let degree = self.degree();
        self.gain *= (1.0 / product(&self.poles, |pole| -pole)).re;
        self.poles
            .iter_mut()
            .for_each(|pole| *pole = (width / 2.0) / *pole);
        self.poles = split(&self.poles, centre);
        self.zeros = vec![Complex64::new(0.0, centre); degree];
        self.zeros
            .extend(vec![Complex64::new(0.0, -centre); degree]);
        self
    }

    /// To the z plane, for frequencies prewarped at a sampling rate of 2.
    fn bilinear(mut self) -> Self {
        const TWICE_RATE: f64 = 4.0;
        let degree = self.degree();
        let scale = product(&self.zeros, |zero| TWICE_RATE - zero)
            / product(&self.poles, |pole| TWICE_RATE - pole);
        self.gain *= scale.re;
        let moved = |point: &mut Complex64| *point = (TWICE_RATE + *point) / (TWICE_RATE - *point);
        self.zeros.iter_mut().for_each(moved);
        self.poles.iter_mut().for_each(moved);
        self.zeros.extend(vec![Complex64::new(-1.0, 0.0); degree]);
        self
    }
}

fn product(points: &[Complex64], each: impl Fn(Complex64) -> Complex64) -> Complex64 {
    points
        .iter()
        .fold(Complex64::ONE, |all, point| all * each(*point))
}

/// Each pole becomes the pair that lies about ±centre.
fn split(poles: &[Complex64], centre: f64) -> Vec<Complex64> {
    let root = |pole: &Complex64| (pole * pole - centre * centre).sqrt();
    let upper = poles.iter().map(|pole| pole + root(pole));
    upper
        .chain(poles.iter().map(|pole| pole - root(pole)))
        .collect()
}

/// One of each conjugate pair by ascending real part, then the real ones: the order on which ties
/// in the pairing below depend.
fn halves(mut points: Vec<Complex64>) -> Vec<Complex64> {
    let key = |p: &Complex64| (p.re, p.im.abs());
    points.sort_by(|a, b| {
        key(a)
            .partial_cmp(&key(b))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let is_real = |p: &Complex64| p.im.abs() <= 100.0 * f64::EPSILON * p.norm();
    let real = points
        .iter()
        .filter(|p| is_real(p))
        .map(|p| Complex64::new(p.re, 0.0));
    let upper = points.iter().filter(|p| !is_real(p) && p.im > 0.0);
    upper.copied().chain(real).collect()
}

/// Takes the element of `from` for which `measure` is least, among those that `fit`.
fn take_least(
    from: &mut Vec<Complex64>,
    measure: impl Fn(Complex64) -> f64,
    fit: impl Fn(Complex64) -> bool,
) -> Option<Complex64> {
    let mut best: Option<(usize, f64)> = None;
    for (at, point) in from.iter().enumerate().filter(|(_, point)| fit(**point)) {
        let value = measure(*point);
        if best.is_none_or(|(_, least)| value < least) {
            best = Some((at, value));
        }
    }
    best.map(|(at, _)| from.remove(at))
}

/// Pairs the pole nearest the unit circle with its nearest zero, last section first ('nearest').
fn sections(mut zpk: Zpk) -> Sos {
    if zpk.poles.len() % 2 == 1 {
        zpk.poles.push(Complex64::ZERO);
        zpk.zeros.push(Complex64::ZERO);
    }
    let count = zpk.poles.len() / 2;
    let (mut zeros, mut poles) = (halves(zpk.zeros), halves(zpk.poles));
    let real = |p: Complex64| p.im == 0.0;
    let worst = |p: Complex64| (1.0 - p.norm()).abs();
    let mut found = Vec::with_capacity(count);
    while let Some(pole) = take_least(&mut poles, worst, |_| true) {
        let near = |zero: Complex64| (zero - pole).norm();
        let only_complex_fits = !real(pole)
            && poles.len() + 1 == zeros.len()
            && poles.iter().filter(|p| real(**p)).count() == 1
            && zeros.iter().filter(|z| real(**z)).count() == 1;
        let partner = if real(pole) {
            take_least(&mut poles, worst, real)
        } else {
            Some(pole.conj())
        };
        let zero = take_least(&mut zeros, near, |z| !only_complex_fits || !real(z));
        let zero = zero.unwrap_or_default();
        let other = if real(zero) {
            take_least(&mut zeros, near, real)
        } else {
            Some(zero.conj())
        };
        let (b1, b2) = polynomial(zero, other.unwrap_or_default());
        let (a1, a2) = polynomial(pole, partner.unwrap_or_default());
        found.push(Section {
            b: [1.0, b1, b2],
            a: [a1, a2],
        });
    }
    found.reverse();
    if let Some(first) = found.first_mut() {
        first.b.iter_mut().for_each(|b| *b *= zpk.gain);
    }
    Sos { sections: found }
}

/// Coefficients of z⁻¹ and z⁻² of the polynomial with roots `one` and `other`.
fn polynomial(one: Complex64, other: Complex64) -> (f64, f64) {
    (-(one + other).re, (one * other).re)
}
