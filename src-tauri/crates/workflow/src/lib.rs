//! Durable workflow engine: history, activities, retries, timers, signals, versioning.
pub mod conformance;
pub mod limits;

mod clock;
mod failure;
mod history;
mod memory;
mod options;
mod store;
mod time;

pub use clock::{SimulatedClock, SystemClock, WorkflowClock};
pub use failure::{ActivityError, Cancelled, ChildError, Failure, TimeoutKind, WorkflowError};
pub use history::{
    EventKind, EventRole, FORMAT_VERSION, HistoryEvent, Parent, WorkflowStatus, WorkflowSummary,
};
pub use memory::MemoryStore;
pub use options::{
    ActivityOptions, CancellationType, ChildOptions, ParentClosePolicy, RetryPolicy,
};
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
