//! Three clocks, never mixed: the device's, the host's monotonic one, and UTC.

use serde::{Deserialize, Serialize};

/// Nanoseconds in a second.
pub const NANOS_PER_S: i64 = 1_000_000_000;

macro_rules! nanos {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// This instant moved by `nanos`, saturating at the ends of the range (year ±292).
            #[must_use]
            pub const fn plus_nanos(self, nanos: i64) -> Self {
                Self(self.0.saturating_add(nanos))
            }

            /// Nanoseconds from `earlier` to this instant; negative when `earlier` is later.
            #[must_use]
            pub const fn nanos_since(self, earlier: Self) -> i64 {
                self.0.saturating_sub(earlier.0)
            }

            /// Seconds from `earlier` to this instant.
            #[must_use]
            #[allow(clippy::cast_precision_loss)]
            pub fn seconds_since(self, earlier: Self) -> f64 {
                self.nanos_since(earlier) as f64 / NANOS_PER_S as f64
            }
        }
    };
}

nanos!(
    /// Nanoseconds since 1970-01-01T00:00:00 UTC, without leap seconds (as POSIX counts).
    UtcNanos
);
nanos!(
    /// Nanoseconds of the host's monotonic clock; comparable only within one start of the host.
    HostNanos
);
nanos!(
    /// Nanoseconds of the device's own clock since the stream's declared epoch.
    DeviceNanos
);

/// The zone's offset from UTC in seconds when something was recorded; positive east of Greenwich.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZoneOffset(pub i32);

/// Nominal rate of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplingRate {
    /// Samples come when something happens (markers, button presses).
    Irregular,
    /// `samples` every `seconds`: an exact fraction, because 12.8 Hz and 1/60 Hz exist.
    Regular {
        /// Numerator in samples, in lowest terms, above zero.
        samples: u64,
        /// Denominator in seconds, in lowest terms, above zero.
        seconds: u64,
    },
}

impl SamplingRate {
    /// A rate of `samples` every `seconds`, reduced to lowest terms; `None` if either is zero.
    #[must_use]
    pub fn new(samples: u64, seconds: u64) -> Option<Self> {
        if samples == 0 || seconds == 0 {
            return None;
        }
        let divisor = gcd(samples, seconds);
        Some(Self::Regular {
            samples: samples / divisor,
            seconds: seconds / divisor,
        })
    }

    /// A whole number of samples a second; zero is irregular.
    #[must_use]
    pub fn hz(samples: u32) -> Self {
        Self::new(u64::from(samples), 1).unwrap_or(Self::Irregular)
    }

    /// Samples a second; `None` when irregular.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_hz(self) -> Option<f64> {
        match self {
            Self::Irregular => None,
            Self::Regular { samples, seconds } => Some(samples as f64 / seconds as f64),
        }
    }

    /// Offset of sample `index` from sample 0, in ns rounded down; 0 when irregular. Exact in
    /// 128-bit arithmetic, so no error accumulates over a long recording.
    #[must_use]
    pub fn nanos_of(self, index: u64) -> i64 {
        match self {
            Self::Irregular => 0,
            Self::Regular { samples, seconds } => {
                let nanos = u128::from(index) * u128::from(seconds) * NANOS_PER_S as u128
                    / u128::from(samples);
                i64::try_from(nanos).unwrap_or(i64::MAX)
            }
        }
    }

    /// The index whose sample lies nearest to `nanos` after sample 0 (ties go up); 0 when
    /// irregular or negative.
    #[must_use]
    pub fn index_at(self, nanos: i64) -> u64 {
        match self {
            Self::Irregular => 0,
            Self::Regular { samples, seconds } => {
                let divisor = u128::from(seconds) * NANOS_PER_S as u128;
                let nanos = u128::from(nanos.max(0).unsigned_abs());
                let index = (nanos * u128::from(samples) * 2 + divisor) / (divisor * 2);
                u64::try_from(index).unwrap_or(u64::MAX)
            }
        }
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fractional_rates_are_exact() {
        let rate = SamplingRate::new(128, 10).unwrap();
        assert_eq!(
            rate,
            SamplingRate::Regular {
                samples: 64,
                seconds: 5
            }
        );
        assert_eq!(rate.as_hz(), Some(12.8));
        assert_eq!(rate.nanos_of(64), 5 * NANOS_PER_S);
    }

    proptest! {
        #[test]
        fn index_and_time_agree(samples in 1_u64..300_000, seconds in 1_u64..600, index in 0_u64..1 << 40) {
            let rate = SamplingRate::new(samples, seconds).unwrap();
            let nanos = rate.nanos_of(index);
            prop_assume!(nanos < i64::MAX);
            prop_assert_eq!(rate.index_at(nanos), index);
        }
    }
}
