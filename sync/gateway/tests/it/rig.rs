//! What the tests of several parts stand on: a state in memory, a clock that is set, seeded randomness.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use events::{Clock, SeededIds, Timestamp};
use gateway::{
    random::Random,
    sealing::Sealer,
    state::{MemoryBackend, State},
};
use zeroize::Zeroizing;

/// A clock that is set; it begins with the machine's time, which certificates are compared with.
#[derive(Debug)]
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(events::SystemClock.now().0))
    }

    pub(crate) fn pass_s(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct Ground {
    pub(crate) state: State,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) ids: Arc<SeededIds>,
    pub(crate) random: Random,
    pub(crate) sealer: Sealer,
}

pub(crate) async fn ground() -> Ground {
    Ground {
        state: State::open(Arc::new(MemoryBackend::default()))
            .await
            .unwrap(),
        clock: Arc::new(SetClock::new()),
        ids: Arc::new(SeededIds::new(1)),
        random: Random::from_seed(1),
        sealer: Sealer::new(Zeroizing::new([3; 32])),
    }
}
