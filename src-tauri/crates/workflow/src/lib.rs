//! Durable workflow engine: history, activities, retries, timers, signals, versioning.
pub mod conformance;
pub mod limits;

mod activity;
pub mod backend;
mod clock;
pub mod combine;
mod context;
mod definition;
mod embedded;
mod engine;
mod execution;
mod failure;
mod history;
mod memory;
mod options;
mod pending;
mod random;
mod replayer;
mod scope;
mod store;
mod time;

pub use activity::{ActivityContext, ActivityInfo, CancelToken, HeartbeatSink};
pub use backend::WorkflowInfo;
pub use clock::{SimulatedClock, SystemClock, WorkflowClock};
pub use combine::join_all;
pub use context::{
    ActivityFuture, CancelledFuture, ChildFuture, Context, SignalFuture, TimerFuture,
};
pub use definition::{ActivityType, Registry, Signal, Workflow};
pub use engine::{
    ActivityDescription, Description, Engine, EngineConfig, EngineError, Entropy, ResultError,
    StartOptions, Started,
};
pub use execution::ExecutionError;
pub use failure::{ActivityError, Cancelled, ChildError, Failure, TimeoutKind, WorkflowError};
pub use history::{
    EventKind, EventRole, FORMAT_VERSION, HistoryEvent, Parent, WorkflowStatus, WorkflowSummary,
};
pub use memory::MemoryStore;
pub use options::{
    ActivityOptions, CancellationType, ChildOptions, ParentClosePolicy, RetryPolicy,
};
pub use random::SeededRandom;
pub use replayer::{KeptHistory, Replayed, Replayer};
pub use scope::{Cancel, CancelScope, Operation};
pub use store::{Heartbeat, HistoryStore, ListFilter, StoreError, check_append};
pub use time::Timestamp;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    #[tokio::test]
    async fn the_memory_store_conforms() {
        crate::conformance::history_store(Arc::new(crate::MemoryStore::new())).await;
    }
}
