//! Counts of a sliding window.

use std::time::Duration;

/// Counts in `N` slots of equal length, the newest of which is the running one.
///
/// What was counted at `t` is in the sum for at least `N - 1` slots after `t`, and never for more than `N`.
#[derive(Debug, Clone)]
pub(crate) struct Window<const N: usize> {
    slot: Duration,
    newest: u128,
    counts: [u32; N],
    sum: u32,
}

impl<const N: usize> Window<N> {
    pub(crate) fn new(slot: Duration) -> Self {
        Self {
            slot: slot.max(Duration::from_nanos(1)),
            newest: 0,
            counts: [0; N],
            sum: 0,
        }
    }

    fn at(slot: u128) -> usize {
        (slot % N as u128) as usize
    }

    /// Forgets what lies before the window. A time before an earlier call's is taken for that one's.
    fn advance(&mut self, now: Duration) {
        let slot = now.as_nanos() / self.slot.as_nanos();
        if slot <= self.newest {
            return;
        }
        for passed in self.newest + 1..=slot.min(self.newest + N as u128) {
            let count = &mut self.counts[Self::at(passed)];
            self.sum -= *count;
            *count = 0;
        }
        self.newest = slot;
    }

    pub(crate) fn add(&mut self, now: Duration) {
        self.advance(now);
        let count = &mut self.counts[Self::at(self.newest)];
        if self.sum < u32::MAX {
            *count += 1;
            self.sum += 1;
        }
    }

    pub(crate) fn sum(&mut self, now: Duration) -> u32 {
        self.advance(now);
        self.sum
    }

    /// How long until the oldest counts leave the window.
    pub(crate) fn eases_in(&mut self, now: Duration) -> Duration {
        self.advance(now);
        let first = (self.newest + 1).saturating_sub(N as u128);
        let oldest = (first..=self.newest).find(|&slot| self.counts[Self::at(slot)] > 0);
        let Some(oldest) = oldest else {
            return Duration::ZERO;
        };
        let leaves = (oldest + N as u128) * self.slot.as_nanos();
        let left = leaves.saturating_sub(now.as_nanos());
        Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
    }
}
