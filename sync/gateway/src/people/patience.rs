//! Wrong secrets cost time, more with each, and never lock out.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::limits::people as limits;

/// Counts wrong secrets by login; the wait holds for who comes next under that login, right or wrong, so
/// that guesses side by side gain nothing.
#[derive(Debug, Default)]
pub struct Patience {
    failures: Mutex<HashMap<String, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    /// Nobody is heard before.
    until: Instant,
    last: Instant,
}

impl Patience {
    /// How long this login has to wait, and a promise that whoever comes meanwhile waits longer.
    pub fn wait(&self, login: &str, now: Instant) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = failures.get_mut(login) else {
            return Duration::ZERO;
        };
        if now.duration_since(known.last) > limits::FORGET_FAILURES {
            failures.remove(login);
            return Duration::ZERO;
        }
        let wait = known.until.saturating_duration_since(now);
        known.until = known.until.max(now) + wait_after(known.count);
        wait.min(limits::LONGEST_WAIT)
    }

    /// Notes a wrong secret.
    pub fn failed(&self, login: &str, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= limits::REMEMBERED_LOGINS && !failures.contains_key(login) {
            let oldest = failures.iter().min_by_key(|(_, known)| known.last);
            if let Some(login) = oldest.map(|(login, _)| login.clone()) {
                failures.remove(&login);
            }
        }
        let known = failures.entry(login.to_owned()).or_insert(Failures {
            count: 0,
            until: now,
            last: now,
        });
        known.count = known.count.saturating_add(1);
        known.last = now;
        known.until = now + wait_after(known.count);
    }

    /// Forgets the wrong secrets of a login whose right one was given.
    pub fn succeeded(&self, login: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(login);
    }
}

fn wait_after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (limits::FIRST_WAIT * 2_u32.pow(doublings)).min(limits::LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let patience = Patience::default();
        let now = Instant::now();
        assert_eq!(patience.wait("ada", now), Duration::ZERO);
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            patience.failed("ada", now);
            let wait = patience.wait("ada", now);
            assert!(wait >= longest && wait <= limits::LONGEST_WAIT);
            longest = wait;
        }
        assert_eq!(longest, limits::LONGEST_WAIT);
        assert_eq!(
            patience.wait("bob", now),
            Duration::ZERO,
            "others do not wait"
        );
        let later = now + limits::FORGET_FAILURES + Duration::from_secs(1);
        assert_eq!(patience.wait("ada", later), Duration::ZERO);
        patience.failed("ada", later);
        patience.succeeded("ada");
        assert_eq!(patience.wait("ada", later), Duration::ZERO);
    }

    #[test]
    fn guesses_side_by_side_gain_nothing() {
        let patience = Patience::default();
        let now = Instant::now();
        patience.failed("ada", now);
        let first = patience.wait("ada", now);
        let second = patience.wait("ada", now);
        assert!(second > first, "{first:?} {second:?}");
    }

    #[test]
    fn memory_is_bounded() {
        let patience = Patience::default();
        let now = Instant::now();
        for n in 0..limits::REMEMBERED_LOGINS + 100 {
            patience.failed(&n.to_string(), now + Duration::from_millis(n as u64));
        }
        assert_eq!(
            patience.failures.lock().unwrap().len(),
            limits::REMEMBERED_LOGINS
        );
    }
}
