//! Seeded randomness and noise that can be read at any sample number.
//!
//! Coloured noise is made by the method of Timmer and König ('On generating power law noise',
//! Astronomy and Astrophysics 300, 1995): Gaussian real and imaginary parts for each frequency,
//! weighted with the square root of the wanted spectrum, transformed back to time. The result is
//! periodic without a seam, so that a table of it can be read round and round; a second table of
//! another, prime length keeps the sum from repeating.

use crate::limits::{TABLE_LEN, TABLE_PRIME};
use std::f64::consts::TAU;

/// SplitMix64 (Steele, Lea, Flood 2014): the hash of a counter, hence readable at any place.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        unit(self.next())
    }

    /// Two independent Gaussian numbers (Box and Muller).
    fn gaussian_pair(&mut self) -> (f64, f64) {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sin, cos) = (TAU * self.unit()).sin_cos();
        (radius * cos, radius * sin)
    }
}

#[allow(clippy::cast_precision_loss)] // 53 bits are kept on purpose.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number that depends on nothing but its arguments.
pub(crate) const fn hash(seed: u64, a: u64, b: u64) -> u64 {
    let mut random = Random::new(
        seed ^ a.wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ b.wrapping_mul(0xA076_1D64_78BD_642F),
    );
    random.next()
}

/// [`hash`], uniform in 0..1.
pub(crate) fn hash_unit(seed: u64, a: u64, b: u64) -> f64 {
    unit(hash(seed, a, b))
}

/// Noise of unit root mean square, read round and round.
#[derive(Debug, Clone)]
pub(crate) struct Table(Vec<f32>);

impl Table {
    /// `TABLE_LEN` samples at `rate_hz` whose power spectrum is `spectrum(frequency_hz)`.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub(crate) fn new(seed: u64, rate_hz: f64, spectrum: impl Fn(f64) -> f64) -> Self {
        let mut random = Random::new(seed);
        let mut bins = vec![(0.0, 0.0); TABLE_LEN];
        for (k, bin) in bins.iter_mut().enumerate().take(TABLE_LEN / 2).skip(1) {
            let (re, im) = random.gaussian_pair();
            let weight = spectrum(k as f64 * rate_hz / TABLE_LEN as f64).sqrt();
            *bin = (re * weight, im * weight);
        }
        transform(&mut bins);
        let power: f64 = bins.iter().map(|(re, _)| re * re).sum::<f64>() / TABLE_LEN as f64;
        let scale = if power > 0.0 {
            power.sqrt().recip()
        } else {
            0.0
        };
        Self(bins.iter().map(|(re, _)| (re * scale) as f32).collect())
    }

    /// The same noise cut to a prime length; the seam is cross-faded with equal power.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn cut_to_prime(self) -> Self {
        let seam = TABLE_LEN - TABLE_PRIME;
        let mut cut = self.0[..TABLE_PRIME].to_vec();
        for (i, sample) in cut.iter_mut().enumerate().take(seam) {
            let weight = i as f32 / seam as f32;
            *sample = *sample * weight.sqrt() + self.0[TABLE_PRIME + i] * (1.0 - weight).sqrt();
        }
        Self(cut)
    }

    /// Adds `weight` times the samples from number `first` on to `target`.
    pub(crate) fn add_to(&self, target: &mut [f32], first: u64, weight: f32) {
        let len = self.0.len();
        // The remainder is below the table's length.
        #[allow(clippy::cast_possible_truncation)]
        let mut position = (first % len as u64) as usize;
        let mut done = 0;
        while done < target.len() {
            let run = (len - position).min(target.len() - done);
            let source = &self.0[position..position + run];
            for (sample, noise) in target[done..done + run].iter_mut().zip(source) {
                *sample += weight * noise;
            }
            done += run;
            position = 0;
        }
    }
}

/// Discrete Fourier transform in place (radix 2, decimation in time). Own code, because a library
/// that picks its instructions by the processor would give other bits on another machine.
#[allow(clippy::cast_precision_loss)]
fn transform(bins: &mut [(f64, f64)]) {
    let n = bins.len();
    let bits = n.trailing_zeros();
    for i in 0..n {
        let j = i.reverse_bits() >> (usize::BITS - bits);
        if i < j {
            bins.swap(i, j);
        }
    }
    let turns: Vec<(f64, f64)> = (0..n / 2)
        .map(|k| (TAU * k as f64 / n as f64).sin_cos())
        .map(|(sin, cos)| (cos, sin))
        .collect();
    let mut half = 1;
    while half < n {
        let stride = n / (2 * half);
        for start in (0..n).step_by(2 * half) {
            for k in 0..half {
                let (c, s) = turns[k * stride];
                let (ar, ai) = bins[start + k];
                let (br, bi) = bins[start + k + half];
                let (tr, ti) = (br * c - bi * s, br * s + bi * c);
                bins[start + k] = (ar + tr, ai + ti);
                bins[start + k + half] = (ar - tr, ai - ti);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transform_turns_a_bin_into_its_wave() {
        let mut bins = vec![(0.0, 0.0); 64];
        bins[3] = (1.0, 0.0);
        transform(&mut bins);
        for (i, (re, im)) in bins.iter().enumerate() {
            let (sin, cos) = (TAU * 3.0 * i as f64 / 64.0).sin_cos();
            assert!((re - cos).abs() < 1e-12 && (im - sin).abs() < 1e-12, "{i}");
        }
    }

    #[test]
    fn tables_have_unit_power_and_join_at_the_seam() {
        let table = Table::new(1, 256.0, |f| 1.0 / f);
        let power: f32 = table.0.iter().map(|x| x * x).sum::<f32>() / table.0.len() as f32;
        assert!((power - 1.0).abs() < 1e-3, "{power}");
        let smooth = Table::new(1, 256.0, |f| if f < 2.0 { 1.0 } else { 0.0 }).cut_to_prime();
        let step = (smooth.0[0] - smooth.0[TABLE_PRIME - 1]).abs();
        assert!(step < 0.2, "{step}");
    }

    #[test]
    fn reading_in_pieces_is_reading_at_once() {
        let table = Table::new(7, 256.0, |f| 1.0 / f).cut_to_prime();
        let mut whole = vec![0.0; 1000];
        table.add_to(&mut whole, 59_500, 2.0);
        let mut pieces = vec![0.0; 1000];
        let (left, right) = pieces.split_at_mut(333);
        table.add_to(left, 59_500, 2.0);
        table.add_to(right, 59_833, 2.0);
        assert_eq!(whole, pieces);
    }
}
