//! When a sample was taken, from when packets arrived.
//!
//! Model: the packet whose last sample has index i arrives at `t0 + i / rate + latency + jitter`.
//! Jitter only delays, so it is skewed, and stalls make outliers. The rate drifts slowly.
//!
//! Method: arrivals are compared with a clock of nominal rate and summed up in bins of about 1 s
//! by the mean of their lower half, an L-estimator (Huber, Robust Statistics, ch. 3) that a stall
//! cannot pull and that has 73 % of the mean's efficiency for Gaussian and more for skewed jitter.
//! Through the bins of the last one to six minutes goes a weighted least-squares parabola (offset,
//! rate, ramp of the rate), without bins that lie further than four robust standard deviations from
//! it. Weak Gaussian priors on rate and ramp (ridge) keep it calm in the first seconds. The window
//! is widened until the standard error at its newest end (2 s/√n for a line) meets the target.
//! Between bins the tangent at the newest end goes on.
//!
//! The constant part of the latency cannot be seen from arrivals. Fitted times contain it, together
//! with the mean of the lower half of the jitter; it is the same for all samples of a run.

use crate::limits::{
    FIT_BIN_LONGEST_S, FIT_BIN_MAX, FIT_BIN_MIN, FIT_BIN_S, FIT_PRIOR_DRIFT, FIT_PRIOR_RAMP,
    FIT_TARGET_MS, FIT_WINDOW_S, MAX_DRIFT,
};
use crate::stats::ClockQuality;
use signal::{HostNanos, NANOS_PER_S};
use std::collections::VecDeque;

/// One bin: where its arrivals lie against the nominal clock.
#[derive(Debug, Clone, Copy)]
struct Bin {
    /// Nominal time of the bin's mean sample since the origin, s.
    x: f64,
    /// Arrival minus nominal time, mean of the lower half, s.
    y: f64,
    /// Arrivals in it.
    weight: f64,
}

/// Deviation from the nominal clock: `y = offset + slope × (x − at) + bend × (x − at)²`.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    at: f64,
    offset: f64,
    slope: f64,
    bend: f64,
}

impl Line {
    fn y(&self, x: f64) -> f64 {
        let x = x - self.at;
        // Ahead of the last bin the tangent goes on; behind it lies the parabola that was fitted.
        self.offset + x * (self.slope + self.bend * x.min(0.0))
    }
}

/// Robust online fit of sample index to host time for one stream.
#[derive(Debug)]
pub struct ClockFit {
    rate_hz: f64,
    /// Index and arrival of the run's first packet; everything else is relative to them.
    origin: Option<(u64, HostNanos)>,
    /// Arrivals of the bin being filled: nominal time and deviation, s.
    filling: Vec<(f64, f64)>,
    /// Earliest deviation so far, until the first bin closes.
    earliest: f64,
    bins: VecDeque<Bin>,
    line: Line,
    prior_slope: f64,
    /// Latenesses of the bin closed last, sorted, s.
    lateness: Vec<f64>,
    scratch: Vec<f64>,
    quality: ClockQuality,
    /// Standard deviation of a bin of 1 s about the line, s.
    noise: f64,
}

impl ClockFit {
    /// A fit for a stream of `rate_hz` nominal.
    #[must_use]
    pub fn new(rate_hz: f64) -> Self {
        let bins = FIT_WINDOW_S.1.ceil() as usize + 2;
        Self {
            rate_hz,
            origin: None,
            filling: Vec::with_capacity(FIT_BIN_MAX),
            earliest: f64::INFINITY,
            bins: VecDeque::with_capacity(bins),
            line: Line::default(),
            prior_slope: 0.0,
            lateness: Vec::with_capacity(FIT_BIN_MAX),
            scratch: Vec::with_capacity(FIT_BIN_MAX.max(bins)),
            quality: ClockQuality::default(),
            noise: 0.0,
        }
    }

    /// Forgets where samples lie and keeps the rate: after a gap of unknown length or a new start
    /// of the device.
    pub fn restart(&mut self) {
        self.prior_slope = self.line.slope;
        self.origin = None;
        self.filling.clear();
        self.earliest = f64::INFINITY;
        self.bins.clear();
        self.line = Line {
            slope: self.prior_slope,
            ..Line::default()
        };
    }

    /// Whether anything is known of this run.
    #[must_use]
    pub const fn is_started(&self) -> bool {
        self.origin.is_some()
    }

    /// Whether a bin has closed, so that [`Self::lateness_s`] can be relied on.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.bins.is_empty()
    }

    /// Takes note that the packet ending with sample `last_index` arrived at `arrival`.
    pub fn add(&mut self, last_index: u64, arrival: HostNanos) {
        if self.origin.is_none() {
            self.origin = Some((last_index, arrival));
        }
        let (x, y) = self.deviation(last_index, arrival);
        if self.bins.is_empty() && y < self.earliest {
            // Until a bin has closed, the earliest arrival is the best estimate.
            self.earliest = y;
            self.line.offset = y;
            self.line.at = x;
        }
        if self.filling.len() < FIT_BIN_MAX {
            self.filling.push((x, y));
        }
        let span = x - self.filling[0].0;
        if (span >= FIT_BIN_S && self.filling.len() >= FIT_BIN_MIN) || span >= FIT_BIN_LONGEST_S {
            self.close_bin();
        }
    }

    /// When sample `index` was taken, by the host's clock, beyond a constant latency.
    #[must_use]
    pub fn time_of(&self, index: u64) -> Option<HostNanos> {
        let (origin, start) = self.origin?;
        let x = self.nominal(origin, index);
        Some(start.plus_nanos(nanos(x + self.line.y(x))))
    }

    /// How much later than expected the packet ending with sample `last_index` arrived, s;
    /// negative when earlier.
    #[must_use]
    pub fn lateness_s(&self, last_index: u64, arrival: HostNanos) -> Option<f64> {
        self.origin?;
        let (x, y) = self.deviation(last_index, arrival);
        Some(y - self.line.y(x))
    }

    /// Samples a host second as found so far; nominal until then.
    #[must_use]
    pub fn rate_hz(&self) -> f64 {
        self.rate_hz / (1.0 + self.line.slope)
    }

    /// Rate found, drift, jitter and standard error.
    #[must_use]
    pub const fn quality(&self) -> ClockQuality {
        self.quality
    }

    fn nominal(&self, origin: u64, index: u64) -> f64 {
        let distance = if index >= origin {
            (index - origin) as f64
        } else {
            -((origin - index) as f64)
        };
        distance / self.rate_hz
    }

    fn deviation(&self, last_index: u64, arrival: HostNanos) -> (f64, f64) {
        let (origin, start) = self.origin.unwrap_or((last_index, arrival));
        let x = self.nominal(origin, last_index);
        (x, arrival.seconds_since(start) - x)
    }

    fn close_bin(&mut self) {
        let count = self.filling.len() as f64;
        let x = self.filling.iter().map(|(x, _)| x).sum::<f64>() / count;
        self.scratch.clear();
        let slope = self.line.slope;
        self.scratch
            .extend(self.filling.iter().map(|(at, y)| y - slope * (at - x)));
        self.filling.clear();
        self.scratch.sort_unstable_by(f64::total_cmp);
        let half = self.scratch.len().div_ceil(2);
        let y = self.scratch[..half].iter().sum::<f64>() / half as f64;
        std::mem::swap(&mut self.lateness, &mut self.scratch);
        if self.bins.len() == self.bins.capacity() {
            self.bins.pop_front();
        }
        self.bins.push_back(Bin {
            x,
            y,
            weight: count,
        });
        self.refit(x);
        self.assess(x);
    }

    fn window_s(&self) -> f64 {
        let (shortest, longest) = FIT_WINDOW_S;
        let seconds = (2.0 * self.noise / (FIT_TARGET_MS * 1e-3)).powi(2);
        seconds.clamp(shortest, longest)
    }

    /// Fits the line to the window that ends at `now`.
    fn refit(&mut self, now: f64) {
        let from = now - self.window_s();
        let first = self.bins.partition_point(|bin| bin.x < from);
        let mut line = Line {
            at: now,
            offset: 0.0,
            slope: self.line.slope,
            bend: self.line.bend,
        };
        // Start from the known slope and the median offset, which outliers cannot move.
        self.scratch.clear();
        self.scratch
            .extend(self.bins.range(first..).map(|bin| bin.y - line.y(bin.x)));
        line.offset = median(&mut self.scratch);
        for _ in 0..2 {
            self.scratch.clear();
            self.scratch.extend(
                self.bins
                    .range(first..)
                    .map(|bin| (bin.y - line.y(bin.x)).abs()),
            );
            // 1.4826 × MAD estimates a Gaussian's standard deviation; 50 µs is below any transport.
            let sigma = (1.4826 * median(&mut self.scratch)).max(5e-5);
            let inliers = self
                .bins
                .range(first..)
                .filter(|bin| (bin.y - line.y(bin.x)).abs() <= 4.0 * sigma);
            line = least_squares(inliers, now, sigma, self.prior_slope).unwrap_or(line);
            let bin_s = (now - self.bins[first].x) / (self.bins.len() - first).max(2) as f64;
            self.noise = sigma * bin_s.max(FIT_BIN_S).sqrt();
        }
        self.line = line;
        let used = (self.bins.len() - first) as f64;
        self.quality.residual_ms = 2e3 * self.noise / used.sqrt();
        // Older bins than the longest window are never used again.
        let oldest = now - FIT_WINDOW_S.1;
        while self.bins.front().is_some_and(|bin| bin.x < oldest) {
            self.bins.pop_front();
        }
    }

    fn assess(&mut self, x: f64) {
        let expected = self.line.y(x);
        let at = |share: f64| {
            let position = (share * (self.lateness.len() - 1) as f64).round() as usize;
            (self.lateness[position] - expected) * 1e3
        };
        self.quality.jitter_p50_ms = at(0.5);
        self.quality.jitter_p95_ms = at(0.95);
        self.quality.rate_hz = self.rate_hz();
        self.quality.drift_ppm = (self.rate_hz() / self.rate_hz - 1.0) * 1e6;
    }
}

fn nanos(seconds: f64) -> i64 {
    (seconds * NANOS_PER_S as f64).round() as i64
}

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Weighted parabola through `bins`, with priors on slope and curvature; `None` without bins.
fn least_squares<'a>(
    bins: impl Iterator<Item = &'a Bin>,
    now: f64,
    sigma: f64,
    prior_slope: f64,
) -> Option<Line> {
    // Normal equations in units of 100 s, which keeps them well conditioned.
    const UNIT: f64 = 100.0;
    let (mut moments, mut right, mut count) = ([0.0; 5], [0.0; 3], 0.0);
    for bin in bins {
        let x = (bin.x - now) / UNIT;
        let y = bin.y - prior_slope * (bin.x - now);
        count += 1.0;
        let mut power = bin.weight;
        for (order, moment) in moments.iter_mut().enumerate() {
            *moment += power;
            if let Some(value) = right.get_mut(order) {
                *value += power * y;
            }
            power *= x;
        }
    }
    if count == 0.0 {
        return None;
    }
    // A prior weighs as much as its variance says against that of one bin of mean weight.
    let weight = moments[0] / count * sigma * sigma;
    let slope_prior = weight / (FIT_PRIOR_DRIFT * UNIT).powi(2);
    let bend_prior = weight / (FIT_PRIOR_RAMP * UNIT * UNIT / 2.0).powi(2);
    let [m0, m1, m2, m3, m4] = moments;
    let matrix = [
        [m0, m1, m2],
        [m1, m2 + slope_prior, m3],
        [m2, m3, m4 + bend_prior],
    ];
    let [offset, slope, bend] = solve(matrix, right);
    let slope = (prior_slope + slope / UNIT).clamp(-MAX_DRIFT, MAX_DRIFT);
    Some(Line {
        at: now,
        offset,
        slope,
        bend: bend / (UNIT * UNIT),
    })
}

/// Solves a positive definite system by Cholesky's method.
fn solve(a: [[f64; 3]; 3], b: [f64; 3]) -> [f64; 3] {
    let mut l = [[0.0_f64; 3]; 3];
    for row in 0..3 {
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| l[row][k] * l[column][k]).sum();
            let rest = a[row][column] - known;
            l[row][column] = if row == column {
                rest.max(f64::MIN_POSITIVE).sqrt()
            } else {
                rest / l[column][column]
            };
        }
    }
    let mut y = [0.0_f64; 3];
    for row in 0..3 {
        let known: f64 = (0..row).map(|k| l[row][k] * y[k]).sum();
        y[row] = (b[row] - known) / l[row][row];
    }
    let mut x = [0.0_f64; 3];
    for row in (0..3).rev() {
        let known: f64 = (row + 1..3).map(|k| l[k][row] * x[k]).sum();
        x[row] = (y[row] - known) / l[row][row];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    /// xorshift64*, enough for jitter.
    struct Noise(u64);

    impl Noise {
        fn uniform(&mut self) -> f64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
        }

        fn gaussian(&mut self) -> f64 {
            let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
            radius * (std::f64::consts::TAU * self.uniform()).cos()
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Jitter {
        /// 0 to 20 ms.
        Uniform,
        /// Mean and standard deviation 20 ms.
        Exponential,
        /// Standard deviation 20 ms about 80 ms, never negative.
        Gaussian,
        /// 0 to 20 ms; every 5 s all packets of 0.2 s come at its end, and every 5 minutes those of
        /// a whole second. Order is kept, as a stream transport keeps it.
        Stalls,
    }

    fn jitter_s(kind: Jitter, noise: &mut Noise, t: f64) -> f64 {
        match kind {
            Jitter::Uniform => 0.020 * noise.uniform(),
            Jitter::Exponential => -0.020 * (1.0 - noise.uniform()).ln(),
            Jitter::Gaussian => (0.080 + 0.020 * noise.gaussian()).max(0.0),
            Jitter::Stalls => {
                let short = (0.2 - t % 5.0).max(0.0);
                let long = if t % 300.0 < 1.0 {
                    1.0 - t % 300.0
                } else {
                    0.0
                };
                (0.020 * noise.uniform()).max(short).max(long)
            }
        }
    }

    /// Drift in ppm at `t`: +200 for an hour, down to −200 within two, there for an hour, and up
    /// again within two; then a sine of 50 ppm in 30 minutes, as a room's heating makes.
    fn drift_ppm(t: f64) -> f64 {
        let hour = t / 3600.0;
        if hour < 1.0 {
            200.0
        } else if hour < 3.0 {
            200.0 - 200.0 * (hour - 1.0)
        } else if hour < 4.0 {
            -200.0
        } else if hour < 6.0 {
            -200.0 + 200.0 * (hour - 4.0)
        } else {
            200.0 - 50.0 + 50.0 * (std::f64::consts::TAU * (hour - 6.0) * 2.0).cos()
        }
    }

    /// 99th percentile of the residual beyond its median, ms, from two minutes on for 8 hours.
    fn residual_p99_ms(rate: f64, per_packet: u64, kind: Jitter, seed: u64) -> f64 {
        let mut noise = Noise(seed);
        let mut fit = ClockFit::new(rate);
        let mut residuals = Vec::new();
        let (mut t, mut index, mut arrived) = (0.0, 0_u64, 0.0_f64);
        let mut last = HostNanos(i64::MIN);
        while t < 8.0 * 3600.0 {
            // True time of the packet's last sample advances by per_packet device periods.
            t += per_packet as f64 / (rate * (1.0 + drift_ppm(t) * 1e-6));
            index += per_packet;
            let mut arrival = t + 0.004 + jitter_s(kind, &mut noise, t);
            if matches!(kind, Jitter::Stalls) {
                arrival = arrival.max(arrived);
            }
            arrived = arrival;
            fit.add(index - 1, HostNanos(nanos(arrival)));
            let fitted = fit.time_of(index - 1).unwrap();
            if t > 120.0 {
                assert!(fitted > last, "time went back at {t}");
                residuals.push(fitted.0 as f64 * 1e-6 - t * 1e3);
            }
            last = fitted;
        }
        let constant = median(&mut residuals);
        for residual in &mut residuals {
            *residual = (*residual - constant).abs();
        }
        let position = residuals.len() * 99 / 100;
        let p99 = *residuals.select_nth_unstable_by(position, f64::total_cmp).1;
        eprintln!(
            "{rate} Hz / {per_packet}, {kind:?}: p99 {p99:.3} ms, {:?}",
            fit.quality()
        );
        p99
    }

    #[test]
    fn eight_hours_at_100_packets_a_second_stay_within_1_ms() {
        for kind in [
            Jitter::Uniform,
            Jitter::Exponential,
            Jitter::Gaussian,
            Jitter::Stalls,
        ] {
            let p99 = residual_p99_ms(1000.0, 10, kind, 7);
            assert!(p99 <= 1.0, "{kind:?}: {p99} ms");
        }
    }

    #[test]
    fn eight_hours_at_250_packets_a_second_stay_within_1_ms() {
        for kind in [Jitter::Uniform, Jitter::Stalls] {
            let p99 = residual_p99_ms(250.0, 1, kind, 11);
            assert!(p99 <= 1.0, "{kind:?}: {p99} ms");
        }
    }

    #[test]
    fn eight_hours_at_bluetooth_rates_stay_within_2_5_ms() {
        for kind in [
            Jitter::Uniform,
            Jitter::Exponential,
            Jitter::Gaussian,
            Jitter::Stalls,
        ] {
            let p99 = residual_p99_ms(256.0, 12, kind, 13);
            assert!(p99 <= 2.5, "{kind:?}: {p99} ms");
        }
    }

    #[test]
    fn a_restart_keeps_the_rate_and_forgets_the_place() {
        let mut fit = ClockFit::new(100.0);
        let arrival = |i: u64| HostNanos(i64::try_from(i).unwrap() * 10_001_000);
        for index in 0..20_000 {
            fit.add(index, arrival(index));
        }
        assert!(
            (fit.quality().drift_ppm + 100.0).abs() < 1.0,
            "{:?}",
            fit.quality()
        );
        fit.restart();
        assert_eq!(fit.time_of(0), None);
        fit.add(50, HostNanos(0));
        // 100 s later by the rate found, from one packet alone.
        assert_eq!(
            fit.time_of(10_050)
                .map(|t| (t.0 - 100_010_000_000).abs() < 100_000),
            Some(true)
        );
    }
}
