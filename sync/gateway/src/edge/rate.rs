//! How many requests a consumer may make: counts, without a clock.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError, RwLock},
    time::Duration,
};

use super::window::Window;
use crate::limits::{edge as limits, service::REQUESTS_A_MINUTE, service::REQUESTS_AN_HOUR};

/// Slots of a window; one more than the sixty that cover it, so that no span of its length ever sees more.
const SLOTS: usize = 61;
/// The two windows, s.
pub(crate) const MINUTE_S: u64 = 60;
/// See [`MINUTE_S`].
pub(crate) const HOUR_S: u64 = 3_600;

/// Requests that each consumer may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateOptions {
    /// In any minute.
    pub per_minute: u32,
    /// In any hour.
    pub per_hour: u32,
}

impl Default for RateOptions {
    fn default() -> Self {
        Self {
            per_minute: REQUESTS_A_MINUTE,
            per_hour: REQUESTS_AN_HOUR,
        }
    }
}

/// How one limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests that it allows.
    pub limit: u32,
    /// Requests that are left.
    pub remaining: u32,
    /// When some of what was used comes back.
    pub eases_in: Duration,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may go on.
    pub allowed: bool,
    /// The limit of a minute.
    pub minute: Standing,
    /// The limit of an hour.
    pub hour: Standing,
}

impl Decision {
    /// The limit that is nearer to being reached.
    pub fn tighter(&self) -> Standing {
        if self.hour.remaining < self.minute.remaining {
            self.hour
        } else {
            self.minute
        }
    }

    /// How long to wait before trying again.
    pub fn retry_in(&self) -> Duration {
        let wait = |standing: &Standing| {
            if standing.remaining == 0 {
                standing.eases_in
            } else {
                Duration::ZERO
            }
        };
        wait(&self.minute).max(wait(&self.hour))
    }
}

#[derive(Debug)]
struct Usage {
    minute: Window<SLOTS>,
    hour: Window<SLOTS>,
}

impl Usage {
    fn new() -> Self {
        Self {
            minute: Window::new(Duration::from_secs(MINUTE_S) / (SLOTS as u32 - 1)),
            hour: Window::new(Duration::from_secs(HOUR_S) / (SLOTS as u32 - 1)),
        }
    }

    fn take(&mut self, options: RateOptions, now: Duration) -> Decision {
        let allowed =
            self.minute.sum(now) < options.per_minute && self.hour.sum(now) < options.per_hour;
        if allowed {
            self.minute.add(now);
            self.hour.add(now);
        }
        let standing = |window: &mut Window<SLOTS>, limit: u32| Standing {
            limit,
            remaining: limit.saturating_sub(window.sum(now)),
            eases_in: window.eases_in(now),
        };
        Decision {
            allowed,
            minute: standing(&mut self.minute, options.per_minute),
            hour: standing(&mut self.hour, options.per_hour),
        }
    }
}

/// Who is counted, of whom as many are remembered as fit.
#[derive(Debug)]
struct Counted<K>(Mutex<HashMap<K, Usage>>);

impl<K: Eq + Hash + Clone> Counted<K> {
    fn take<Q>(&self, who: &Q, options: RateOptions, now: Duration) -> Decision
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        // Counts have no half-made state that a panic elsewhere could leave.
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = counted.get_mut(who) {
            return usage.take(options, now);
        }
        if counted.len() >= limits::REMEMBERED_CONSUMERS {
            // Whoever used least of a few loses least by being forgotten.
            let least = counted
                .iter_mut()
                .take(limits::EVICTION_SAMPLE)
                .map(|(who, usage)| (usage.hour.sum(now), who))
                .min_by_key(|(used, _)| *used)
                .map(|(_, who)| who.clone());
            if let Some(least) = least {
                counted.remove(least.borrow());
            }
        }
        counted
            .entry(who.to_owned())
            .or_insert_with(Usage::new)
            .take(options, now)
    }
}

/// Counts requests of consumers, and of peers that nobody knows. Each replica of the gateway counts its own.
#[derive(Debug)]
pub struct RateLimiter {
    options: RwLock<RateOptions>,
    consumers: Counted<String>,
    peers: Counted<IpAddr>,
}

impl RateLimiter {
    /// Nobody has asked yet.
    pub fn new(options: RateOptions) -> Self {
        Self {
            options: RwLock::new(options),
            consumers: Counted(Mutex::default()),
            peers: Counted(Mutex::default()),
        }
    }

    /// What every consumer may do.
    pub fn options(&self) -> RateOptions {
        *self.options.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it; what was counted stays counted.
    pub fn set_options(&self, options: RateOptions) {
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = options;
    }

    /// Counts a consumer's request if it may go on; one that may not is not counted. `now` is the time since
    /// a beginning that the caller chooses.
    pub fn of_consumer(&self, consumer: &str, now: Duration) -> Decision {
        self.consumers.take(consumer, self.options(), now)
    }

    /// The same for who is not known. Who has one address of IPv6 has a network of 64 bits (RFC 6177), and
    /// is counted as one.
    pub fn of_peer(&self, peer: IpAddr, now: Duration) -> Decision {
        let counted = match peer.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            v4 @ IpAddr::V4(_) => v4,
        };
        self.peers.take(&counted, self.options(), now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_thousand_a_minute_and_ten_thousand_an_hour() {
        let limiter = RateLimiter::new(RateOptions::default());
        let allowed = |at: u64| {
            (0..1_100)
                .filter(|_| limiter.of_consumer("a", s(at)).allowed)
                .count()
        };
        for minute in 0..10 {
            assert_eq!(allowed(minute * 61), 1_000, "{minute}");
        }
        assert_eq!(allowed(700), 0);
        let refused = limiter.of_consumer("a", s(700));
        assert_eq!(
            (refused.hour.remaining, refused.minute.remaining),
            (0, 1_000)
        );
        assert_eq!(refused.tighter().limit, 10_000);
        // The first thousand was in the hour's first slot of sixty seconds, and leaves after 61 of them.
        assert_eq!(refused.retry_in(), s(61 * 60 - 700));
        assert_eq!(allowed(61 * 60), 1_000);
        assert!(limiter.of_consumer("b", s(700)).allowed);
    }

    #[test]
    fn addresses_of_one_network_are_one_peer() {
        let limiter = RateLimiter::new(RateOptions {
            per_minute: 1,
            per_hour: 9,
        });
        let ask = |peer: &str| limiter.of_peer(peer.parse().unwrap(), s(1)).allowed;
        assert!(ask("2001:db8::1"));
        assert!(!ask("2001:db8::2"));
        assert!(ask("2001:db8:0:1::1"));
        assert!(ask("192.0.2.1"));
        assert!(!ask("::ffff:192.0.2.1"));
        assert!(ask("192.0.2.2"));
    }

    #[test]
    fn whoever_asks_how_many_are_remembered_is_bounded() {
        let limiter = RateLimiter::new(RateOptions::default());
        for _ in 0..500 {
            let _ = limiter.of_consumer("busy", s(1));
        }
        for at in 0..limits::REMEMBERED_CONSUMERS as u32 * 2 {
            let peer = IpAddr::V4(std::net::Ipv4Addr::from_bits(at));
            let _ = limiter.of_peer(peer, s(1));
        }
        let remembered = limiter.peers.0.lock().unwrap().len();
        assert_eq!(remembered, limits::REMEMBERED_CONSUMERS);
        // Unknown peers do not displace consumers.
        assert_eq!(limiter.of_consumer("busy", s(1)).minute.remaining, 499);
    }

    proptest! {
        #[test]
        fn no_minute_and_no_hour_sees_more(
            waits in proptest::collection::vec(0_u64..4_000, 1..2_000),
            per_minute in 1_u32..40,
            per_hour in 1_u32..400,
        ) {
            let options = RateOptions { per_minute, per_hour };
            let limiter = RateLimiter::new(options);
            let mut now = Duration::ZERO;
            let mut allowed: Vec<Duration> = Vec::new();
            for wait in waits {
                now += Duration::from_millis(wait);
                let decision = limiter.of_consumer("x", now);
                if decision.allowed {
                    allowed.push(now);
                } else {
                    prop_assert!(decision.retry_in() > Duration::ZERO);
                    let later = now + decision.retry_in();
                    let recent = |span| allowed.iter().filter(|&&at| at + span > now).count();
                    // It refuses only who has used up what a slot more than the span holds.
                    prop_assert!(
                        recent(s(MINUTE_S + 1)) >= per_minute as usize
                            || recent(s(HOUR_S + 60)) >= per_hour as usize
                    );
                    prop_assert!(later <= now + s(HOUR_S + 60));
                }
            }
            for (from, &begin) in allowed.iter().enumerate() {
                let within = |span| allowed[from..].iter().filter(|&&at| at < begin + span).count();
                prop_assert!(within(s(MINUTE_S)) <= per_minute as usize);
                prop_assert!(within(s(HOUR_S)) <= per_hour as usize);
            }
        }
    }
}
