//! Which instance a request goes to, and which are left out for a while.

use std::time::Duration;

use crate::limits::edge as limits;

/// An instance that a request could go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Share of the load beside the others' weights; at least 1.
    pub weight: u32,
    /// Requests that it has not answered yet.
    pub outstanding: u32,
}

impl Candidate {
    fn weight(&self) -> u64 {
        u64::from(self.weight.max(1))
    }
}

/// The less loaded of two that are drawn by weight (Mitzenmacher, "The Power of Two Choices in Randomized
/// Load Balancing", 2001). `draw` is 64 random bits.
pub fn pick(draw: u64, candidates: &[Candidate]) -> Option<usize> {
    let total: u64 = candidates.iter().map(Candidate::weight).sum();
    let first = drawn(draw >> 32, total, candidates, None)?;
    let rest = total - candidates[first].weight();
    let Some(second) = drawn(draw & 0xffff_ffff, rest, candidates, Some(first)) else {
        return Some(first);
    };
    let load = |at: usize, other: usize| {
        u128::from(candidates[at].outstanding) * u128::from(candidates[other].weight())
    };
    // Idle ones are as good as each other; the first was drawn by weight.
    Some(if load(first, second) <= load(second, first) {
        first
    } else {
        second
    })
}

/// The one in whose part of the total weight 32 random bits fall.
fn drawn(bits: u64, total: u64, candidates: &[Candidate], without: Option<usize>) -> Option<usize> {
    let mut left = u64::try_from((u128::from(bits) * u128::from(total)) >> 32).ok()?;
    for (at, candidate) in candidates.iter().enumerate() {
        if Some(at) == without {
            continue;
        }
        match left.checked_sub(candidate.weight()) {
            Some(rest) => left = rest,
            None => return Some(at),
        }
    }
    None
}

/// Whether one more of so many instances may be ejected: never the last one.
pub fn may_eject(instances: usize, ejected: usize) -> bool {
    ejected < instances * limits::EJECT_PERCENT / 100
}

/// What an instance has done lately, and whether it is left out for that.
///
/// Unlike a breaker it counts every server error, those of one broken endpoint included, and so it
/// is bounded: a service never loses more than a share of its instances to it.
#[derive(Debug, Default)]
pub struct Outlier {
    in_a_row: u32,
    times: u32,
    until: Option<Duration>,
}

impl Outlier {
    /// Whether it is left out.
    pub fn is_ejected(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// It answered without a server error.
    pub fn succeeded(&mut self, now: Duration) {
        self.in_a_row = 0;
        if let Some(until) = self.until
            && now >= until.saturating_add(limits::EJECT_AT_MOST)
        {
            // What was so long ago does not make the next ejection longer.
            self.times = 0;
            self.until = None;
        }
    }

    /// A server error or a connection that failed; true where this ejects it, if that `may` be.
    pub fn failed(&mut self, now: Duration, may: bool) -> bool {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row < limits::EJECT_FAILURES || self.is_ejected(now) || !may {
            return false;
        }
        self.in_a_row = 0;
        self.times = self.times.saturating_add(1);
        let length = (limits::EJECT_FOR.saturating_mul(self.times)).min(limits::EJECT_AT_MOST);
        self.until = Some(now.saturating_add(length));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn of(weights: &[u32]) -> Vec<Candidate> {
        weights
            .iter()
            .map(|&weight| Candidate {
                weight,
                outstanding: 0,
            })
            .collect()
    }

    #[test]
    fn nobody_is_picked_from_nobody_and_the_only_one_from_one() {
        assert_eq!(pick(7, &[]), None);
        assert_eq!(pick(u64::MAX, &of(&[3])), Some(0));
    }

    #[test]
    fn idle_instances_share_the_load_by_weight() {
        let mut rng = StdRng::seed_from_u64(1);
        let candidates = of(&[1, 3]);
        let heavy = (0..20_000)
            .filter(|_| pick(rng.random(), &candidates) == Some(1))
            .count();
        assert!((14_500..15_500).contains(&heavy), "{heavy}");
        let even = of(&[2, 2, 2, 2]);
        let mut counts = [0_usize; 4];
        for _ in 0..20_000 {
            counts[pick(rng.random(), &even).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (4_500..5_500).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn requests_that_stay_are_spread_by_weight() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut candidates = of(&[1, 1, 2, 4]);
        for _ in 0..8_000 {
            let at = pick(rng.random(), &candidates).unwrap();
            candidates[at].outstanding += 1;
        }
        for candidate in &candidates {
            let due = 1_000 * candidate.weight;
            assert!(
                candidate.outstanding.abs_diff(due) < due / 20 + 5,
                "{candidates:?}"
            );
        }
    }

    #[test]
    fn five_server_errors_in_a_row_eject_for_a_growing_time() {
        let s = Duration::from_secs;
        let mut outlier = Outlier::default();
        let mut now = s(0);
        for expected in [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300] {
            for _ in 0..4 {
                assert!(!outlier.failed(now, true));
            }
            assert!(outlier.failed(now, true));
            assert!(outlier.is_ejected(now + s(expected) - s(1)));
            assert!(!outlier.is_ejected(now + s(expected)));
            now += s(expected);
        }
        outlier.succeeded(now + s(300));
        now += s(400);
        let ejected = (0..5).filter(|_| outlier.failed(now, true)).count();
        assert_eq!(ejected, 1);
        assert!(!outlier.is_ejected(now + s(30)));
    }

    #[test]
    fn half_of_the_instances_at_most_and_never_the_only_one() {
        assert!(!may_eject(1, 0));
        assert!(may_eject(2, 0) && !may_eject(2, 1));
        assert!(may_eject(5, 1) && !may_eject(5, 2));
        let mut outlier = Outlier::default();
        (0..20).for_each(|_| assert!(!outlier.failed(Duration::ZERO, false)));
    }

    proptest! {
        #[test]
        fn the_picked_is_never_the_most_loaded_of_all(
            draw: u64,
            loads in proptest::collection::vec((1_u32..100, 0_u32..1_000), 2..20),
        ) {
            let candidates: Vec<_> = loads
                .iter()
                .map(|&(weight, outstanding)| Candidate { weight, outstanding })
                .collect();
            let at = pick(draw, &candidates).unwrap();
            let load = |c: &Candidate| f64::from(c.outstanding) / f64::from(c.weight);
            let picked = load(&candidates[at]);
            let no_better = candidates
                .iter()
                .enumerate()
                .any(|(other, c)| other != at && load(c) >= picked - 1e-9);
            prop_assert!(no_better);
        }
    }
}
