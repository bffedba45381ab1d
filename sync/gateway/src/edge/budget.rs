//! How many requests may be made a second time: retries must not turn a hiccup into a flood.

use std::time::Duration;

use super::window::Window;
use crate::limits::edge as limits;

/// A share of the requests of the last ten seconds, and a few a second besides.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    requests: Window<10>,
    retries: Window<10>,
}

impl RetryBudget {
    pub(crate) fn new() -> Self {
        let second = Duration::from_secs(1);
        Self {
            requests: Window::new(second),
            retries: Window::new(second),
        }
    }

    pub(crate) fn request(&mut self, now: Duration) {
        self.requests.add(now);
    }

    /// Whether another retry is in the budget, which it then is taken from.
    pub(crate) fn retry(&mut self, now: Duration) -> bool {
        let share = u64::from(self.requests.sum(now)) * u64::from(limits::RETRY_PERCENT) / 100;
        let least = u64::from(limits::RETRY_A_SECOND) * 10;
        let allowed = u64::from(self.retries.sum(now)) < share + least;
        if allowed {
            self.retries.add(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_requests_and_ten_a_second_are_retried() {
        let now = Duration::from_secs(5);
        let mut budget = RetryBudget::new();
        for _ in 0..1_000 {
            budget.request(now);
        }
        let retried = (0..1_000).filter(|_| budget.retry(now)).count();
        assert_eq!(retried, 200 + 100);
        // Ten seconds later what was has no say.
        let later = Duration::from_secs(15);
        assert_eq!((0..1_000).filter(|_| budget.retry(later)).count(), 100);
    }
}
