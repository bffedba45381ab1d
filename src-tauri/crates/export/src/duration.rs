//! Which record durations hold whole samples of every rate and can be written in eight characters.

use crate::limits::{
    MAX_DURATION_CANDIDATES, MAX_RECORD_BYTES, NUMBER_CHARS, RECOMMENDED_RECORD_BYTES,
    RECORD_MAX_US, RECORD_MIN_US, RECORD_TARGET_US,
};
use crate::number::{self, TICKS_PER_S};

/// Microseconds in a second.
const US_PER_S: u128 = 1_000_000;

/// A rate as samples every so many seconds, in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) samples: u64,
    pub(crate) seconds: u64,
}

impl Rate {
    /// Samples in `us` microseconds; `None` when they are not whole.
    fn samples_in(self, us: u64) -> Option<u64> {
        let product = u128::from(us) * u128::from(self.samples);
        let divisor = u128::from(self.seconds) * US_PER_S;
        (product % divisor == 0)
            .then(|| u64::try_from(product / divisor).ok())
            .flatten()
    }

    /// Whole steps of `step_us` that `samples` samples fill.
    fn steps(self, samples: u64, step_us: u64) -> u64 {
        let micros = u128::from(samples) * u128::from(self.seconds) * US_PER_S;
        let steps = micros / (u128::from(self.samples) * u128::from(step_us));
        u64::try_from(steps).unwrap_or(u64::MAX)
    }
}

/// All durations that hold whole samples of every rate: the multiples of a step.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    rates: Vec<Rate>,
    step_us: u64,
    /// Bytes of one step's samples, over all channels.
    bytes_per_step: u64,
}

impl Grid {
    /// The grid of streams given as rate and bytes a sample over their channels. `None` when no
    /// duration in eight characters holds whole samples of all of them.
    pub(crate) fn new(streams: &[(Rate, u64)]) -> Option<Self> {
        // A sample lasts seconds/samples; the least common multiple of fractions in lowest terms is
        // the multiple of the numerators over the divisor of the denominators.
        let (mut over, mut under) = (1_u64, 0_u64);
        for (rate, _) in streams {
            over = over.checked_mul(rate.seconds / gcd(over, rate.seconds))?;
            under = gcd(under, rate.samples);
        }
        let micros = u128::from(over) * US_PER_S;
        // The smallest multiple of that fraction that is whole in microseconds.
        let step = micros / gcd128(micros, u128::from(under));
        let step_us = u64::try_from(step).ok()?;
        let mut grid = Self {
            rates: streams.iter().map(|(rate, _)| *rate).collect(),
            step_us,
            bytes_per_step: 0,
        };
        for (rate, bytes) in streams {
            let samples = rate.samples_in(step_us)?;
            grid.bytes_per_step = grid
                .bytes_per_step
                .checked_add(samples.checked_mul(*bytes)?)?;
        }
        let usable = grid.candidate(1) || grid.durations().next().is_some();
        usable.then_some(grid)
    }

    /// Whether `steps` steps make a record that can be written.
    fn candidate(&self, steps: u64) -> bool {
        let (Some(us), Some(bytes)) = (
            self.step_us.checked_mul(steps),
            self.bytes_per_step.checked_mul(steps),
        ) else {
            return false;
        };
        bytes <= MAX_RECORD_BYTES && duration_text(us).is_some()
    }

    /// Durations in steps that can be written and are neither short nor long, or one step where the
    /// step itself is longer than that.
    fn durations(&self) -> impl Iterator<Item = u64> + '_ {
        let least = RECORD_MIN_US.div_ceil(self.step_us).max(1);
        let most = (RECORD_MAX_US / self.step_us).max(1);
        let stride = ((most - least.min(most)) / MAX_DURATION_CANDIDATES).max(1);
        (least..=most)
            .step_by(usize::try_from(stride).unwrap_or(usize::MAX))
            .filter(|steps| self.candidate(*steps))
    }

    /// How far `steps` lies from what is aimed at; records above the recommended size come last.
    fn cost(&self, steps: u64) -> (bool, u64) {
        let us = self.step_us * steps;
        let ratio = us.max(RECORD_TARGET_US) * 1_000 / us.min(RECORD_TARGET_US);
        (
            self.bytes_per_step * steps > RECOMMENDED_RECORD_BYTES,
            ratio,
        )
    }

    /// The best duration, in steps.
    pub(crate) fn preferred(&self) -> u64 {
        self.durations()
            .min_by_key(|steps| self.cost(*steps))
            .unwrap_or(1)
    }

    /// The best duration, in steps, that divides each of `totals` steps.
    pub(crate) fn dividing(&self, totals: &[u64]) -> Option<u64> {
        let common = totals.iter().fold(0, |a, b| gcd(a, *b));
        self.durations()
            .filter(|steps| common % steps == 0)
            .min_by_key(|steps| self.cost(*steps))
    }

    /// Whole steps in each stream's `lens` samples, and whether every stream fills the same number
    /// with nothing over.
    pub(crate) fn whole(&self, lens: &[u64]) -> (u64, bool) {
        let steps = self
            .rates
            .iter()
            .zip(lens)
            .map(|(rate, len)| rate.steps(*len, self.step_us))
            .min()
            .unwrap_or(0);
        let exact = (0..lens.len()).all(|i| self.samples(i, steps) == lens[i]);
        (steps, exact)
    }

    /// Samples of stream `position` in `steps` steps.
    pub(crate) fn samples(&self, position: usize, steps: u64) -> u64 {
        self.rates[position].samples_in(self.step_us).unwrap_or(0) * steps
    }

    /// Microseconds of `steps` steps.
    pub(crate) const fn micros(&self, steps: u64) -> u64 {
        self.step_us * steps
    }

    /// Bytes of the samples in `steps` steps.
    pub(crate) const fn bytes(&self, steps: u64) -> u64 {
        self.bytes_per_step.saturating_mul(steps)
    }

    /// Whether records of `steps` steps are larger than the specification recommends.
    pub(crate) const fn oversized(&self, steps: u64) -> bool {
        self.bytes(steps) > RECOMMENDED_RECORD_BYTES
    }
}

/// `us` as decimal seconds, when eight characters hold it exactly.
pub(crate) fn duration_text(us: u64) -> Option<String> {
    let text = number::unsigned_ticks(us.checked_mul(10)?);
    (us > 0 && text.len() <= NUMBER_CHARS).then_some(text)
}

/// The duration of `samples` at `rate` in eight characters, rounded where it must be, with its
/// relative error.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn rounded_duration(rate: Rate, samples: u64) -> Option<(String, f64)> {
    let product = u128::from(samples) * u128::from(rate.seconds) * u128::from(TICKS_PER_S);
    if product % u128::from(rate.samples) == 0
        && let Ok(ticks) = u64::try_from(product / u128::from(rate.samples))
    {
        let text = number::unsigned_ticks(ticks);
        if text.len() <= NUMBER_CHARS {
            return Some((text, 0.0));
        }
    }
    let exact = samples as f64 * rate.seconds as f64 / rate.samples as f64;
    let text = number::fit(exact)?;
    let read: f64 = text.parse().ok()?;
    (read > 0.0).then(|| (text, (read - exact).abs() / exact))
}

pub(crate) fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn gcd128(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use signal::SamplingRate;

    fn rate(samples: u64, seconds: u64) -> Rate {
        let Some(SamplingRate::Regular { samples, seconds }) = SamplingRate::new(samples, seconds)
        else {
            panic!("rate of zero");
        };
        Rate { samples, seconds }
    }

    #[test]
    fn a_common_second_where_there_is_one() {
        let grid = Grid::new(&[(rate(256, 1), 2)]).unwrap();
        assert_eq!(grid.micros(grid.preferred()), 1_000_000);
    }

    #[test]
    fn uneven_rates_share_a_record() {
        let grid = Grid::new(&[(rate(128, 10), 2), (rate(100, 1), 2)]).unwrap();
        let steps = grid.preferred();
        assert_eq!(grid.micros(steps), 1_250_000);
        assert_eq!((grid.samples(0, steps), grid.samples(1, steps)), (16, 125));
    }

    #[test]
    fn a_sample_a_minute_makes_records_of_a_minute() {
        let grid = Grid::new(&[(rate(1, 60), 2)]).unwrap();
        assert_eq!(grid.micros(grid.preferred()), 60_000_000);
    }

    #[test]
    fn thirds_of_a_hertz_are_exact() {
        let grid = Grid::new(&[(rate(1_000, 3), 2)]).unwrap();
        let steps = grid.preferred();
        assert_eq!(grid.micros(steps), 999_000);
        assert_eq!(grid.samples(0, steps), 333);
    }

    #[test]
    fn wide_recordings_get_shorter_records() {
        let grid = Grid::new(&[(rate(1_000, 1), 64 * 2)]).unwrap();
        let steps = grid.preferred();
        assert!(!grid.oversized(steps));
        assert!(grid.micros(steps) >= RECORD_MIN_US);
    }

    #[test]
    fn a_record_that_divides_the_run() {
        let grid = Grid::new(&[(rate(128, 1), 2)]).unwrap();
        let (steps, exact) = grid.whole(&[1_228]); // 9.59375 s
        assert!(exact);
        let record = grid.dividing(&[steps]).unwrap();
        assert_eq!(steps % record, 0);
        assert_eq!(grid.whole(&[1_229]), (steps, false)); // 1/128 s needs nine characters
    }

    proptest! {
        #[test]
        fn records_hold_whole_samples_and_can_be_written(
            rates in proptest::collection::vec((1_u64..3_000, 1_u64..61), 1..4),
        ) {
            let rates: Vec<_> = rates.into_iter().map(|(a, b)| (rate(a, b), 2)).collect();
            if let Some(grid) = Grid::new(&rates) {
                let steps = grid.preferred();
                let us = grid.micros(steps);
                prop_assert!(duration_text(us).is_some() || grid.durations().next().is_none());
                for (rate, _) in &rates {
                    prop_assert!(rate.samples_in(us).is_some());
                }
            }
        }
    }
}
