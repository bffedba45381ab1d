//! A circuit breaker: calls to an instance that keeps failing are not made for a while.

use std::time::Duration;

use super::window::Window;
use crate::limits::edge as limits;

const SLOTS: usize = 10;

/// When a breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Failures in a row that open it.
    pub failures: u32,
    /// Window of the error rate.
    pub window: Duration,
    /// Calls in the window below which its rate is not looked at.
    pub min_calls: u32,
    /// Failed calls, percent of the window's, that open it.
    pub failure_percent: u32,
    /// A call that takes longer has failed.
    pub slow: Duration,
    /// How long it stays open.
    pub recovery: Duration,
    /// Calls that it lets through while half-open; as many must succeed.
    pub probes: u32,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures: limits::BREAKER_FAILURES,
            window: limits::BREAKER_WINDOW,
            min_calls: limits::BREAKER_MIN_CALLS,
            failure_percent: limits::BREAKER_FAILURE_PERCENT,
            slow: limits::BREAKER_SLOW,
            recovery: limits::BREAKER_RECOVERY,
            probes: limits::BREAKER_PROBES,
        }
    }
}

/// Whether calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// They are.
    Closed,
    /// They are not.
    Open,
    /// A few are, to see whether they succeed again.
    HalfOpen,
}

impl BreakerState {
    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Leave for one call; goes back with [`Breaker::record`] or [`Breaker::release`].
#[derive(Debug)]
#[must_use]
pub struct Permit {
    /// Calls that began in another period say nothing about this one.
    period: u64,
}

#[derive(Debug)]
enum Phase {
    Closed {
        in_a_row: u32,
        calls: Window<SLOTS>,
        failed: Window<SLOTS>,
    },
    Open {
        since: Duration,
    },
    HalfOpen {
        out: u32,
        succeeded: u32,
    },
}

/// The breaker of one instance. Times are durations since a beginning that the caller chooses.
#[derive(Debug)]
pub struct Breaker {
    options: BreakerOptions,
    period: u64,
    phase: Phase,
}

impl Breaker {
    /// A closed one.
    pub fn new(options: BreakerOptions) -> Self {
        Self {
            options,
            period: 0,
            phase: closed(&options),
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.period += 1;
        self.phase = phase;
    }

    /// Its state: open until a call may be tried again.
    pub fn state(&self, now: Duration) -> BreakerState {
        match &self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { since } if now < since.saturating_add(self.options.recovery) => {
                BreakerState::Open
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether its probes are under way.
    pub fn is_probing(&self) -> bool {
        matches!(self.phase, Phase::HalfOpen { .. })
    }

    /// Whether [`Self::acquire`] would give leave.
    pub fn allows(&self, now: Duration) -> bool {
        match &self.phase {
            Phase::Closed { .. } => true,
            Phase::Open { .. } => self.state(now) == BreakerState::HalfOpen,
            Phase::HalfOpen { out, succeeded } => out + succeeded < self.options.probes.max(1),
        }
    }

    /// How long until calls may be tried again; zero where they may be now.
    pub fn opens_again_in(&self, now: Duration) -> Duration {
        match &self.phase {
            Phase::Open { since } => since
                .saturating_add(self.options.recovery)
                .saturating_sub(now),
            Phase::Closed { .. } | Phase::HalfOpen { .. } => Duration::ZERO,
        }
    }

    /// Leave for a call.
    pub fn acquire(&mut self, now: Duration) -> Option<Permit> {
        if !self.allows(now) {
            return None;
        }
        if matches!(self.phase, Phase::Open { .. }) {
            self.enter(Phase::HalfOpen {
                out: 0,
                succeeded: 0,
            });
        }
        if let Phase::HalfOpen { out, .. } = &mut self.phase {
            *out += 1;
        }
        Some(Permit {
            period: self.period,
        })
    }

    /// The call was not made, or was given up by who asked for it: it says nothing.
    pub fn release(&mut self, permit: Permit) {
        if permit.period == self.period
            && let Phase::HalfOpen { out, .. } = &mut self.phase
        {
            *out -= 1;
        }
    }

    /// How a call went and how long it took.
    pub fn record(&mut self, permit: Permit, succeeded: bool, took: Duration, now: Duration) {
        if permit.period != self.period {
            return;
        }
        let good = succeeded && took <= self.options.slow;
        let options = self.options;
        let next = match &mut self.phase {
            Phase::Closed {
                in_a_row,
                calls,
                failed,
            } => {
                calls.add(now);
                if good {
                    *in_a_row = 0;
                    None
                } else {
                    *in_a_row += 1;
                    failed.add(now);
                    let (all, bad) = (u64::from(calls.sum(now)), u64::from(failed.sum(now)));
                    let rate = all >= u64::from(options.min_calls)
                        && bad * 100 >= all * u64::from(options.failure_percent);
                    (*in_a_row >= options.failures || rate).then_some(Phase::Open { since: now })
                }
            }
            Phase::HalfOpen { .. } if !good => Some(Phase::Open { since: now }),
            Phase::HalfOpen { out, succeeded } => {
                *out -= 1;
                *succeeded += 1;
                (*succeeded >= options.probes.max(1)).then(|| closed(&options))
            }
            // No permit is of an open period.
            Phase::Open { .. } => None,
        };
        if let Some(next) = next {
            self.enter(next);
        }
    }
}

fn closed(options: &BreakerOptions) -> Phase {
    let slot = options.window / SLOTS as u32;
    Phase::Closed {
        in_a_row: 0,
        calls: Window::new(slot),
        failed: Window::new(slot),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAST: Duration = Duration::from_millis(1);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn call(breaker: &mut Breaker, succeeded: bool, now: Duration) {
        let permit = breaker.acquire(now).unwrap();
        breaker.record(permit, succeeded, FAST, now);
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(BreakerOptions::default());
        for _ in 0..5 {
            call(&mut breaker, false, s(100));
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_four_do_not() {
        let mut breaker = Breaker::new(BreakerOptions::default());
        for _ in 0..3 {
            for _ in 0..4 {
                call(&mut breaker, false, s(1));
            }
            call(&mut breaker, true, s(1));
        }
        assert_eq!(breaker.state(s(1)), BreakerState::Closed);
        let breaker = opened();
        assert_eq!(breaker.state(s(100)), BreakerState::Open);
        assert_eq!(breaker.opens_again_in(s(130)), s(30));
    }

    #[test]
    fn half_of_twenty_calls_open_it_unless_they_are_long_ago() {
        let mut breaker = Breaker::new(BreakerOptions::default());
        for at in 0..19 {
            call(&mut breaker, at % 2 == 0, s(1));
        }
        assert_eq!(breaker.state(s(1)), BreakerState::Closed);
        call(&mut breaker, false, s(1));
        assert_eq!(breaker.state(s(1)), BreakerState::Open);

        let mut breaker = Breaker::new(BreakerOptions::default());
        for at in 0..100 {
            // Ten seconds hold only ten calls.
            call(&mut breaker, at % 2 == 0, s(at));
        }
        assert_eq!(breaker.state(s(100)), BreakerState::Closed);
    }

    #[test]
    fn slow_calls_are_failures() {
        let mut breaker = Breaker::new(BreakerOptions::default());
        for _ in 0..5 {
            let permit = breaker.acquire(s(1)).unwrap();
            breaker.record(permit, true, s(11), s(12));
        }
        assert_eq!(breaker.state(s(12)), BreakerState::Open);
    }

    #[test]
    fn after_a_minute_three_probes_close_it_or_one_opens_it_again() {
        let mut breaker = opened();
        assert!(breaker.acquire(s(159)).is_none());
        let probes: Vec<_> = (0..3).map(|_| breaker.acquire(s(160)).unwrap()).collect();
        assert!(breaker.acquire(s(160)).is_none());
        assert_eq!(breaker.state(s(160)), BreakerState::HalfOpen);
        for probe in probes {
            breaker.record(probe, true, FAST, s(161));
        }
        assert_eq!(breaker.state(s(161)), BreakerState::Closed);

        let mut breaker = opened();
        let (first, late) = (
            breaker.acquire(s(160)).unwrap(),
            breaker.acquire(s(160)).unwrap(),
        );
        breaker.record(first, false, FAST, s(161));
        assert_eq!(breaker.state(s(220)), BreakerState::Open);
        assert_eq!(breaker.state(s(221)), BreakerState::HalfOpen);
        // A probe of the period before neither closes nor opens.
        breaker.record(late, false, FAST, s(222));
        assert!(breaker.acquire(s(222)).is_some());
    }

    #[test]
    fn a_probe_that_was_given_up_leaves_its_place() {
        let mut breaker = opened();
        for _ in 0..10 {
            let probe = breaker.acquire(s(200)).unwrap();
            breaker.release(probe);
        }
        assert!(breaker.acquire(s(200)).is_some());
    }

    proptest! {
        #[test]
        fn it_opens_only_for_failures_and_never_lets_more_probes_out(
            steps in proptest::collection::vec((0_u8..4, 0_usize..8, 0_u64..20_000), 1..400),
        ) {
            let options = BreakerOptions::default();
            let mut breaker = Breaker::new(options);
            let mut now = Duration::ZERO;
            let mut out: Vec<(Permit, bool)> = Vec::new();
            let mut opened_at: Option<Duration> = None;
            for (step, which, wait) in steps {
                now += Duration::from_millis(wait);
                let before = breaker.state(now);
                match step {
                    0 | 1 => {
                        let given = breaker.acquire(now);
                        prop_assert_eq!(given.is_some() || before != BreakerState::Closed, true);
                        if let Some(at) = opened_at {
                            prop_assert!(given.is_none() || now >= at + options.recovery);
                        }
                        if let Some(permit) = given {
                            out.push((permit, before == BreakerState::HalfOpen));
                        }
                    }
                    2 if !out.is_empty() => {
                        let (permit, _) = out.swap_remove(which % out.len());
                        let good = which % 2 == 0;
                        breaker.record(permit, good, FAST, now);
                        let after = breaker.state(now);
                        prop_assert!(!(good && after == BreakerState::Open && before != after));
                        if after == BreakerState::Open && before != BreakerState::Open {
                            opened_at = Some(now);
                        } else if after == BreakerState::Closed {
                            opened_at = None;
                        }
                    }
                    _ if !out.is_empty() => {
                        let (permit, _) = out.swap_remove(which % out.len());
                        breaker.release(permit);
                    }
                    _ => {}
                }
                if let Phase::HalfOpen { out: probing, succeeded } = &breaker.phase {
                    prop_assert!(probing + succeeded <= options.probes);
                    let period = breaker.period;
                    let held = out.iter().filter(|(permit, _)| permit.period == period).count();
                    prop_assert_eq!(*probing as usize, held);
                    prop_assert!(out.iter().all(|(p, probe)| p.period != period || *probe));
                }
            }
        }
    }
}
