//! Circuit breakers, one for each target, and the budget of retries.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::limits;

/// Whether a target is being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests go through.
    Closed,
    /// The target failed repeatedly: requests are refused here.
    Open,
    /// The next request may try whether the target is back.
    HalfOpen,
}

/// What became of a target's requests, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BreakerCounts {
    /// Attempts that failed.
    pub failed: u64,
    /// How often the target came to be left alone.
    pub opened: u64,
    /// Attempts that were refused here meanwhile.
    pub refused: u64,
}

#[derive(Debug)]
struct Breaker {
    counts: BreakerCounts,
    failures: u32,
    /// Set while the target is left alone: when the next request may try it.
    retry_at: Option<Instant>,
    used: Instant,
}

/// The breakers of all targets.
#[derive(Debug)]
pub(crate) struct Breakers {
    targets: BTreeMap<String, Breaker>,
    failures: u32,
    open: Duration,
}

impl Breakers {
    pub(crate) fn new(failures: u32, open: Duration) -> Self {
        Self {
            targets: BTreeMap::new(),
            failures: failures.max(1),
            open,
        }
    }

    /// Whether the target may be asked now.
    pub(crate) fn admit(&mut self, target: &str, now: Instant) -> bool {
        if !self.targets.contains_key(target) && self.targets.len() >= limits::TARGETS {
            let oldest = self.targets.iter().min_by_key(|(_, b)| b.used);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.targets.remove(&oldest);
            }
        }
        let breaker = self.targets.entry(target.to_owned()).or_insert(Breaker {
            counts: BreakerCounts::default(),
            failures: 0,
            retry_at: None,
            used: now,
        });
        breaker.used = now;
        match breaker.retry_at {
            None => true,
            Some(at) if now < at => {
                breaker.counts.refused += 1;
                false
            }
            // One may try. The next is due after another pause, even if this one is never heard of again.
            Some(_) => {
                breaker.retry_at = Some(now + self.open);
                true
            }
        }
    }

    /// What became of an admitted request.
    pub(crate) fn report(&mut self, target: &str, well: bool, now: Instant) {
        let Some(breaker) = self.targets.get_mut(target) else {
            return;
        };
        if well {
            breaker.failures = 0;
            breaker.retry_at = None;
            return;
        }
        breaker.counts.failed += 1;
        breaker.failures = breaker.failures.saturating_add(1);
        if breaker.failures >= self.failures {
            breaker.counts.opened += u64::from(breaker.retry_at.is_none());
            breaker.retry_at = Some(now + self.open);
        }
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, BreakerCounts> {
        let counts = |(name, breaker): (&String, &Breaker)| (name.clone(), breaker.counts);
        self.targets.iter().map(counts).collect()
    }

    pub(crate) fn states(&self, now: Instant) -> BTreeMap<String, BreakerState> {
        let state = |breaker: &Breaker| match breaker.retry_at {
            None => BreakerState::Closed,
            Some(at) if now < at => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        };
        self.targets
            .iter()
            .map(|(name, b)| (name.clone(), state(b)))
            .collect()
    }
}

/// What may be asked a second time, counted in parts of a retry that a request earns.
#[derive(Debug)]
pub(crate) struct Budget(u32);

impl Budget {
    const MOST: u32 = limits::BUDGET * limits::REQUESTS_A_RETRY;

    pub(crate) fn new() -> Self {
        Self(Self::MOST)
    }

    pub(crate) fn request(&mut self) {
        self.0 = (self.0 + 1).min(Self::MOST);
    }

    pub(crate) fn retry(&mut self) -> bool {
        let left = self.0.checked_sub(limits::REQUESTS_A_RETRY);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_requests_is_retried_once_the_savings_are_spent() {
        let mut budget = Budget::new();
        let saved = (0..100).filter(|_| budget.retry()).count();
        assert_eq!(saved, 10);
        let mut retried = 0;
        for _ in 0..100 {
            budget.request();
            retried += u32::from(budget.retry());
        }
        assert_eq!(retried, 20);
    }

    #[test]
    fn one_request_tries_a_target_after_each_pause() {
        let pause = Duration::from_secs(10);
        let start = Instant::now();
        let mut breakers = Breakers::new(2, pause);
        for _ in 0..2 {
            assert!(breakers.admit("a", start));
            breakers.report("a", false, start);
        }
        assert!(!breakers.admit("a", start));
        assert_eq!(breakers.states(start)["a"], BreakerState::Open);
        let later = start + pause;
        assert_eq!(breakers.states(later)["a"], BreakerState::HalfOpen);
        assert!(breakers.admit("a", later));
        assert!(!breakers.admit("a", later));
        // The trial was never reported: another is due.
        assert!(breakers.admit("a", later + pause));
        breakers.report("a", true, later + pause);
        assert_eq!(breakers.states(later + pause)["a"], BreakerState::Closed);
        let counted = BreakerCounts {
            failed: 2,
            opened: 1,
            refused: 2,
        };
        assert_eq!(breakers.counts()["a"], counted);
    }

    #[test]
    fn targets_are_bounded() {
        let now = Instant::now();
        let mut breakers = Breakers::new(1, Duration::from_secs(1));
        for n in 0..limits::TARGETS + 50 {
            breakers.admit(&n.to_string(), now);
        }
        assert_eq!(breakers.states(now).len(), limits::TARGETS);
    }
}
