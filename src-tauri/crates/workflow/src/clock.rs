//! Time as the engine sees it, passed in so that hours of workflow run in milliseconds of test.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::time::Timestamp;

/// Tells the time and waits for it.
pub trait WorkflowClock: Debug + Send + Sync + 'static {
    /// The time now. Never goes back within one process.
    fn now(&self) -> Timestamp;

    /// Waits until `deadline`; done at once when it has passed.
    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'static, ()>;
}

/// The machine's clock: its wall time when the clock was made, carried on by the monotonic clock.
///
/// A step of the wall clock therefore neither fires nor delays a timer; the next start of the
/// program takes the stepped time. It rests on `tokio::time`, so tokio's paused test time drives it.
#[derive(Clone, Debug)]
pub struct SystemClock {
    wall: Timestamp,
    anchor: tokio::time::Instant,
}

impl SystemClock {
    /// A clock that starts from the machine's wall time.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "this is where real time enters the room"
    )]
    pub fn new() -> Self {
        Self::starting_at(std::time::SystemTime::now().into())
    }

    /// A clock that shows `wall` now and goes on from there.
    #[must_use]
    pub fn starting_at(wall: Timestamp) -> Self {
        Self {
            wall,
            anchor: tokio::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl WorkflowClock for SystemClock {
    fn now(&self) -> Timestamp {
        self.wall + self.anchor.elapsed()
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'static, ()> {
        let at = self.anchor.checked_add(deadline.since(self.wall));
        Box::pin(async move {
            match at {
                Some(at) => tokio::time::sleep_until(at).await,
                // Beyond what the operating system's clock can express: it never comes.
                None => std::future::pending().await,
            }
        })
    }
}

/// A clock that stands still until it is told to move.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    state: Arc<Mutex<Simulated>>,
}

#[derive(Debug)]
struct Simulated {
    now: Timestamp,
    sleepers: BTreeMap<Timestamp, Vec<oneshot::Sender<()>>>,
}

impl SimulatedClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let sleepers = BTreeMap::new();
        Self {
            state: Arc::new(Mutex::new(Simulated { now, sleepers })),
        }
    }

    /// Moves the clock on and wakes whoever waited for a time up to then, the earliest first.
    pub fn advance(&self, by: Duration) {
        let to = self.state().now + by;
        self.advance_to(to);
    }

    /// Moves the clock on to the next time that someone waits for. False when nobody waits.
    pub fn advance_to_next(&self) -> bool {
        let next = self.next_deadline();
        if let Some(to) = next {
            self.advance_to(to);
        }
        next.is_some()
    }

    /// The next time that someone waits for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let mut state = self.state();
        state.sleepers.retain(|_, waiting| {
            waiting.retain(|sender| !sender.is_closed());
            !waiting.is_empty()
        });
        state.sleepers.keys().next().copied()
    }

    fn advance_to(&self, to: Timestamp) {
        let mut state = self.state();
        state.now = state.now.max(to);
        let keep_from = state.now + Duration::from_micros(1);
        let later = state.sleepers.split_off(&keep_from);
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        for sender in due.into_values().flatten() {
            // A sleeper that is gone needs no waking.
            let _ = sender.send(());
        }
    }

    fn state(&self) -> MutexGuard<'_, Simulated> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkflowClock for SimulatedClock {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'static, ()> {
        let mut state = self.state();
        if deadline <= state.now {
            return Box::pin(std::future::ready(()));
        }
        let (sender, receiver) = oneshot::channel();
        state.sleepers.entry(deadline).or_default().push(sender);
        Box::pin(async move {
            // An error means that the clock is gone, and then nothing sleeps on it any more.
            let _ = receiver.await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn simulated_time_wakes_whoever_is_due() {
        let clock = SimulatedClock::new(Timestamp::from_micros(100));
        let early = clock.sleep_until(clock.now() + Duration::from_micros(5));
        let late = tokio::spawn(clock.sleep_until(clock.now() + Duration::from_micros(6)));
        clock.advance(Duration::from_micros(5));
        early.await;
        tokio::task::yield_now().await;
        assert!(!late.is_finished());
        assert!(clock.advance_to_next());
        late.await.expect("the sleeper ends");
        assert_eq!(clock.now(), Timestamp::from_micros(106));
        assert!(!clock.advance_to_next());
    }

    #[tokio::test(start_paused = true)]
    async fn the_system_clock_obeys_paused_time() {
        let clock = SystemClock::starting_at(Timestamp::EPOCH);
        clock
            .sleep_until(Timestamp::EPOCH + Duration::from_secs(86_400))
            .await;
        assert!(clock.now() - Timestamp::EPOCH >= Duration::from_secs(86_400));
    }
}
