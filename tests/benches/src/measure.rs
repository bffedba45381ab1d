//! Times, shares and their spelling.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// Durations in seconds, gathered and then asked for their distribution.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64());
    }

    pub(crate) fn push_s(&mut self, seconds: f64) {
        self.0.push(seconds);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that `share` of all do not exceed; NaN when there is none, which meets no bound.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            len => sorted[(((len as f64) * share).ceil() as usize).clamp(1, len) - 1],
        }
    }

    pub(crate) fn p50(&self) -> f64 {
        self.at(0.5)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.at(0.99)
    }

    pub(crate) fn max(&self) -> f64 {
        self.at(1.0)
    }
}

/// Seconds of processor time that this process has used, system calls included.
pub(crate) fn process_s() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 * 1e-9
}

/// The shortest of `passes` runs, s; `prepare` is not counted.
pub(crate) fn best<T>(
    passes: usize,
    mut prepare: impl FnMut() -> T,
    mut run: impl FnMut(&mut T),
) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..passes {
        let mut input = prepare();
        let begun = Instant::now();
        run(&mut input);
        best = best.min(begun.elapsed().as_secs_f64());
        std::hint::black_box(&input);
    }
    best
}

/// A time with three digits: '1.23 ms'.
pub(crate) fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    format!("{} {unit}", digits(value))
}

/// Three significant digits, as far as they stand behind the point.
pub(crate) fn digits(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.places$}")
}

/// A whole number in groups of three: '12,345'.
pub(crate) fn grouped(value: f64) -> String {
    let text = format!("{:.0}", value.max(0.0));
    let mut grouped = String::new();
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && (text.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut times = Times::default();
        assert!(times.p99().is_nan());
        for n in (1..=200).rev() {
            times.push_s(f64::from(n));
        }
        assert_eq!(
            (times.p50(), times.p99(), times.max()),
            (100.0, 198.0, 200.0)
        );
    }

    #[test]
    fn numbers_are_spelled() {
        assert_eq!(time(0.012_34), "12.3 ms");
        assert_eq!(time(0.000_123_4), "123 µs");
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(12.0), "12");
    }
}
