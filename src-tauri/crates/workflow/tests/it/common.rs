//! A world to run workflows in.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use workflow::{
    Engine, EngineConfig, EventKind, HistoryEvent, HistoryStore, MemoryStore, Registry,
    SystemClock, Timestamp,
};

/// When simulated worlds begin.
pub(crate) const DAWN: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

/// Runs `test` on one thread with time paused.
pub(crate) fn simulate<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let limit = Duration::from_secs(100 * 24 * 3600);
        tokio::time::timeout(limit, test())
            .await
            .expect("the test ends within 100 days");
    });
}

/// An engine on `store` in the current simulation, with seeds 1, 2, 3...
pub(crate) fn engine_on(store: Arc<dyn HistoryStore>, registry: Registry) -> Engine {
    let (engine, driver) = Engine::local(config(store, registry)).expect("an engine");
    tokio::task::spawn_local(driver);
    engine
}

pub(crate) fn config(store: Arc<dyn HistoryStore>, registry: Registry) -> EngineConfig {
    let drawn = Mutex::new(0_u128);
    let mut config = EngineConfig::new(store, registry);
    config.clock = Arc::new(SystemClock::starting_at(DAWN));
    config.entropy = Arc::new(move || {
        let mut drawn = drawn.lock().expect("not poisoned");
        *drawn += 1;
        *drawn
    });
    config
}

/// An engine on a store of its own.
pub(crate) fn engine(registry: Registry) -> Engine {
    engine_on(Arc::new(MemoryStore::new()), registry)
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The names of a history's events, without payloads, joined by commas.
pub(crate) fn outline(events: &[HistoryEvent]) -> String {
    let name = |event: &HistoryEvent| -> String {
        let value = serde_json::to_value(&event.kind).expect("events serialise");
        value["event"].as_str().expect("a tag").to_owned()
    };
    events.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// How often each kind of event that `select` keeps is in a history.
pub(crate) fn count(events: &[HistoryEvent], select: impl Fn(&EventKind) -> bool) -> usize {
    events.iter().filter(|event| select(&event.kind)).count()
}

/// A log of effects in the outside world: each is kept once per idempotency key.
#[derive(Clone, Debug, Default)]
pub(crate) struct EffectLog(Arc<Mutex<BTreeMap<String, (String, usize)>>>);

impl EffectLog {
    /// Has effect `what` unless `key` had one before.
    pub(crate) fn apply(&self, key: String, what: &str) {
        let mut log = self.0.lock().expect("not poisoned");
        log.entry(key).or_insert_with(|| (what.to_owned(), 0)).1 += 1;
    }

    /// The effects, in the order of their keys.
    pub(crate) fn effects(&self) -> Vec<String> {
        self.0
            .lock()
            .expect("not poisoned")
            .values()
            .map(|(what, _)| what.clone())
            .collect()
    }

    /// Times that an activity came to its effect, repetitions included.
    pub(crate) fn attempts(&self) -> usize {
        self.0
            .lock()
            .expect("not poisoned")
            .values()
            .map(|(_, times)| times)
            .sum()
    }
}
