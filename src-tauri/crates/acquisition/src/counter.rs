//! Loss, repetition and order from a device's raw counter.
//!
//! A counter of period P packets shows a loss of n packets as n mod P. What is physically possible
//! decides: no packet arrives before its samples were taken. If n were lost, this packet is late by
//! some time; n + P lost would make it one period less late. When that would be too early, n is the
//! only answer. When one or more periods fit, n + k·P is taken as certain only if it leaves the
//! lateness of an ordinary transport, and something was lost for sure (n > 0); otherwise a stalled
//! transport explains it as well, and the loss is ambiguous.

use crate::limits::{EARLY_SLACK, ORDINARY_JITTER};
use signal::CounterSpec;

/// A counter that wraps later than this is taken at its word where there is no time to ask, s.
const TRUSTED_WRAP_S: f64 = 3_600.0;

/// What a packet's counter means for the packets before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is missing.
    Continues,
    /// So many packets are missing.
    Lost(u64),
    /// `least + k × period` packets are missing; `likeliest` by time.
    Ambiguous { least: u64, likeliest: u64 },
    /// The packet lies so many packets back: a repetition, or out of order.
    Behind(u64),
}

/// One stream's counter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CounterTracker {
    spec: CounterSpec,
    /// Packets until the counter repeats; `None` beyond 2⁶³.
    period: Option<u64>,
    /// Raw value due next.
    expected: Option<u64>,
}

impl CounterTracker {
    /// `None` when the description makes no sense (a step that does not divide the modulus).
    pub(crate) fn new(spec: CounterSpec) -> Option<Self> {
        if spec.step == 0 || spec.samples_per_packet == 0 {
            return None;
        }
        let period = match spec.modulus {
            0 => None,
            modulus if modulus % spec.step == 0 => Some(modulus / spec.step),
            _ => return None,
        };
        Some(Self {
            spec,
            period,
            expected: None,
        })
    }

    /// Packets until the counter repeats.
    pub(crate) const fn period(&self) -> Option<u64> {
        self.period
    }

    /// Samples per packet.
    pub(crate) fn samples(&self) -> u64 {
        u64::from(self.spec.samples_per_packet)
    }

    /// Raw value due next.
    pub(crate) const fn expected(&self) -> Option<u64> {
        self.expected
    }

    /// Forgets what is due: whatever comes next is the beginning.
    pub(crate) fn forget(&mut self) {
        self.expected = None;
    }

    /// Takes a block of `samples` that begins at `raw` as the last one delivered.
    pub(crate) fn accept(&mut self, raw: u64, samples: u64) {
        let packets = samples.div_ceil(self.samples());
        let ahead = packets.wrapping_mul(self.spec.step);
        self.expected = Some(match self.spec.modulus {
            0 => raw.wrapping_add(ahead),
            modulus => {
                let sum = u128::from(raw % modulus) + u128::from(ahead);
                // A remainder of a u64 modulus fits.
                (sum % u128::from(modulus)) as u64
            }
        });
    }

    /// Packets by which `raw` lies ahead of what is due, within one period; a 64-bit counter that
    /// went back gives a number beyond 2⁶³. `None` at the beginning and for a value that the
    /// counter cannot have.
    pub(crate) fn ahead(&self, raw: u64) -> Option<u64> {
        let expected = self.expected?;
        let difference = match self.spec.modulus {
            0 => {
                let signed = raw.wrapping_sub(expected) as i64;
                let packets = signed.checked_div(i64::try_from(self.spec.step).ok()?)?;
                return (packets.wrapping_mul(self.spec.step as i64) == signed)
                    .then_some(packets as u64);
            }
            modulus if raw >= modulus => return None,
            _ if raw >= expected => raw - expected,
            modulus => modulus - expected + raw,
        };
        (difference % self.spec.step == 0).then_some(difference / self.spec.step)
    }

    /// What `ahead` means. `lateness_s` is how late the packet would be if exactly `ahead` packets
    /// were missing, by the clock fit or the device's stamps; `packet_s` one packet's duration.
    pub(crate) fn judge(&self, ahead: u64, lateness_s: Option<f64>, packet_s: f64) -> Verdict {
        let Some(period) = self.period else {
            return match ahead {
                0 => Verdict::Continues,
                ahead if ahead > u64::MAX / 2 => Verdict::Behind(ahead.wrapping_neg()),
                ahead => Verdict::Lost(ahead),
            };
        };
        let back = period - ahead;
        let wrap_s = period as f64 * packet_s;
        let Some(late) = lateness_s else {
            return match ahead {
                0 => Verdict::Continues,
                _ if back < ahead => Verdict::Behind(back),
                _ if wrap_s > TRUSTED_WRAP_S => Verdict::Lost(ahead),
                _ => Verdict::Ambiguous {
                    least: ahead,
                    likeliest: ahead,
                },
            };
        };
        let slack = EARLY_SLACK.as_secs_f64();
        let ordinary = ORDINARY_JITTER.as_secs_f64();
        let periods = ((late + slack) / wrap_s).floor();
        if ahead == 0 {
            return if periods >= 1.0 {
                self.ambiguous(0, periods)
            } else {
                Verdict::Continues
            };
        }
        if late < -slack {
            // Too early for a loss of so many: a repetition, or a burst after a stall.
            return if back < ahead {
                Verdict::Behind(back)
            } else {
                Verdict::Lost(ahead)
            };
        }
        if periods < 1.0 {
            // Late, and mostly a period ahead: after a stall an old packet looks the same.
            return if late > ordinary && back < ahead && wrap_s <= TRUSTED_WRAP_S {
                self.ambiguous(ahead, 0.0)
            } else {
                Verdict::Lost(ahead)
            };
        }
        let rest = late - periods * wrap_s;
        if rest <= ordinary && wrap_s >= 2.0 * ordinary {
            Verdict::Lost(ahead.saturating_add(whole(periods).saturating_mul(period)))
        } else {
            self.ambiguous(ahead, periods)
        }
    }

    fn ambiguous(&self, least: u64, periods: f64) -> Verdict {
        let period = self.period.unwrap_or(0);
        Verdict::Ambiguous {
            least,
            likeliest: least.saturating_add(whole(periods).saturating_mul(period)),
        }
    }
}

/// A non-negative float as an integer; saturates.
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tracker(modulus: u64, step: u64, samples_per_packet: u32) -> CounterTracker {
        CounterTracker::new(CounterSpec {
            modulus,
            step,
            samples_per_packet,
        })
        .expect("valid")
    }

    #[test]
    fn one_byte_counter_at_250_hz() {
        let mut counter = tracker(256, 1, 1);
        counter.accept(254, 1);
        let judge =
            |raw: u64, late: f64| counter.judge(counter.ahead(raw).unwrap(), Some(late), 0.004);
        for (raw, late, verdict) in [
            (255, 0.01, Verdict::Continues),
            // A stall below one period cannot be a loss of 256.
            (255, 0.9, Verdict::Continues),
            // Beyond one it can be either.
            (
                255,
                1.1,
                Verdict::Ambiguous {
                    least: 0,
                    likeliest: 256,
                },
            ),
            (3, 0.02, Verdict::Lost(4)),
            (3, 1.044, Verdict::Lost(260)),
            (3, 0.5, Verdict::Lost(4)),
            (
                3,
                1.6,
                Verdict::Ambiguous {
                    least: 4,
                    likeliest: 260,
                },
            ),
            // The last packet again: 255 lost would make it a second early.
            (254, -1.02, Verdict::Behind(1)),
            (254, 0.01, Verdict::Lost(255)),
        ] {
            assert_eq!(judge(raw, late), verdict, "raw {raw}, late {late}");
        }
    }

    #[test]
    fn a_counter_off_its_grid_is_unrelated() {
        let mut counter = tracker(256, 2, 1);
        counter.accept(0, 1);
        assert_eq!(counter.ahead(2), Some(0));
        assert_eq!(counter.ahead(3), None);
        assert_eq!(counter.ahead(300), None);
        assert!(
            CounterTracker::new(CounterSpec {
                modulus: 10,
                step: 3,
                samples_per_packet: 1
            })
            .is_none()
        );
    }

    proptest! {
        /// Against the reference: the true packet numbers, with arrivals jittered by up to 20 ms
        /// and losses of less than, about and more than a period.
        #[test]
        fn unwrapping_agrees_with_the_true_number(
            modulus in prop::sample::select(vec![0_u64, 100, 256, 65_536, 1 << 32]),
            step in prop::sample::select(vec![1_u64, 2, 4]),
            samples in 1_u32..13,
            start in 0_u64..1_000_000,
            losses in prop::collection::vec((0_u64..700, 0_u32..20), 1..200),
        ) {
            let mut counter = tracker(modulus, step, samples);
            let packet_s = 0.01;
            let raw = |packet: u64| {
                let value = packet.wrapping_mul(step);
                if modulus == 0 { value } else { value % modulus }
            };
            let mut packet = start;
            counter.accept(raw(packet), u64::from(samples));
            for (lost, jitter_ms) in losses {
                let truth = packet + 1 + lost;
                let ahead = counter.ahead(raw(truth)).expect("on the grid");
                let wrap_s = counter.period().unwrap_or(0) as f64 * packet_s;
                let hidden = lost - ahead.min(lost);
                let late = hidden as f64 * packet_s + f64::from(jitter_ms) * 1e-3;
                let verdict = counter.judge(ahead, Some(late), packet_s);
                match verdict {
                    Verdict::Continues => prop_assert_eq!(lost, 0),
                    Verdict::Lost(found) => prop_assert_eq!(found, lost),
                    Verdict::Ambiguous { least, likeliest } => {
                        // A whole number of periods leaves no trace in the counter, and a counter
                        // that repeats within ordinary jitter is never certain.
                        let short = wrap_s < 2.0 * ORDINARY_JITTER.as_secs_f64();
                        prop_assert!(least == 0 || short);
                        prop_assert_eq!(least, ahead);
                        prop_assert_eq!(likeliest, lost);
                    }
                    Verdict::Behind(_) => prop_assert!(false, "nothing went back"),
                }
                packet = truth;
                counter.accept(raw(packet), u64::from(samples));
            }
        }
    }
}
