//! What the engine asks of whatever keeps the histories.

use std::fmt::Debug;

use async_trait::async_trait;
use serde_json::Value;

use crate::history::{HistoryEvent, WorkflowStatus, WorkflowSummary};

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The history is not as long as the writer believes: another engine owns the workflow now.
    /// Nothing was written.
    #[error(
        "append to history of workflow '{workflow_id}': it has {actual} events, not {expected}"
    )]
    Conflict {
        /// The workflow.
        workflow_id: String,
        /// The length that the writer expected.
        expected: u64,
        /// The length found.
        actual: u64,
    },
    /// There is no such workflow.
    #[error("no workflow '{workflow_id}'")]
    NotFound {
        /// The workflow.
        workflow_id: String,
    },
    /// What was read or was to be written is no valid history. Trying again does not help.
    #[error("history of workflow '{workflow_id}' is not valid: {message}")]
    Invalid {
        /// The workflow.
        workflow_id: String,
        /// What is wrong.
        message: String,
    },
    /// The store cannot be reached or written now (locked, full, no connection). The engine tries
    /// again.
    #[error("{operation} failed")]
    Unavailable {
        /// What was attempted.
        operation: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// An [`StoreError::Unavailable`] for `operation`, caused by `source`.
    pub fn unavailable(
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable {
            operation,
            source: source.into(),
        }
    }
}

/// Which workflows to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only those with this status.
    pub status: Option<WorkflowStatus>,
    /// Only those of this type.
    pub workflow_type: Option<String>,
    /// Only those with this correlation id.
    pub correlation_id: Option<String>,
    /// At most so many, the latest started first; all when `None`.
    pub limit: Option<u32>,
}

impl ListFilter {
    /// All workflows that have not ended.
    #[must_use]
    pub fn running() -> Self {
        Self {
            status: Some(WorkflowStatus::Running),
            ..Self::default()
        }
    }

    /// Whether `summary` belongs to the list (the limit apart).
    #[must_use]
    pub fn matches(&self, summary: &WorkflowSummary) -> bool {
        self.status.is_none_or(|status| summary.status == status)
            && self
                .workflow_type
                .as_ref()
                .is_none_or(|name| *name == summary.workflow_type)
            && self
                .correlation_id
                .as_ref()
                .is_none_or(|id| *id == summary.correlation_id)
    }
}

/// The last heartbeat of one running activity.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// The activity's sequence number in its workflow.
    pub seq: u64,
    /// The attempt that sent it.
    pub attempt: u32,
    /// What it carried.
    pub details: Value,
}

/// Keeps workflow histories. Every implementation passes [`crate::conformance::history_store`].
///
/// An implementation on SQL appends in one transaction and may put whatever follows from the
/// events (a ledger entry, an outbox row) into the same one: the events are all it needs to know.
#[async_trait]
pub trait HistoryStore: Debug + Send + Sync + 'static {
    /// Appends `events` (not empty) to the history of `workflow_id`, if it has `expected_len`
    /// events now. All events are durable when it returns, or none is. Their ids run on from
    /// `expected_len + 1`. With `expected_len` 0 the workflow must be new and the first event is
    /// [`crate::EventKind::WorkflowStarted`].
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the length differs, which is how a second engine learns that
    /// it does not own the workflow; [`StoreError::Invalid`] when ids or first event are wrong.
    async fn append(
        &self,
        workflow_id: &str,
        expected_len: u64,
        events: &[HistoryEvent],
    ) -> Result<(), StoreError>;

    /// The events of `workflow_id` with an id above `after`, in order; with `after` 0, all.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such workflow.
    async fn load(&self, workflow_id: &str, after: u64) -> Result<Vec<HistoryEvent>, StoreError>;

    /// The summary of `workflow_id`, or `None` when there is no such workflow.
    async fn summary(&self, workflow_id: &str) -> Result<Option<WorkflowSummary>, StoreError>;

    /// The summaries of the workflows that `filter` selects, the latest started first and, of
    /// those started together, by workflow id.
    async fn list(&self, filter: &ListFilter) -> Result<Vec<WorkflowSummary>, StoreError>;

    /// Replaces the last heartbeat of one activity of `workflow_id`. It may be lost in a crash
    /// (it is progress, not history), so it needs no sync of its own.
    async fn save_heartbeat(
        &self,
        workflow_id: &str,
        heartbeat: &Heartbeat,
    ) -> Result<(), StoreError>;

    /// The last heartbeats of the activities of `workflow_id`, by sequence number. A store may
    /// drop them once the workflow has ended.
    async fn load_heartbeats(&self, workflow_id: &str) -> Result<Vec<Heartbeat>, StoreError>;
}

/// The checks on an append that every store makes before it writes.
///
/// # Errors
/// [`StoreError::Invalid`] with what is wrong.
pub fn check_append(
    workflow_id: &str,
    expected_len: u64,
    events: &[HistoryEvent],
) -> Result<(), StoreError> {
    let invalid = |message: &str| {
        Err(StoreError::Invalid {
            workflow_id: workflow_id.to_owned(),
            message: message.to_owned(),
        })
    };
    let Some(first) = events.first() else {
        return invalid("an append without events");
    };
    let starts = matches!(first.kind, crate::EventKind::WorkflowStarted { .. });
    if starts != (expected_len == 0) {
        return invalid("a history has its start as first event and nowhere else");
    }
    let mut expected_id = expected_len;
    for event in events {
        expected_id += 1;
        if event.id != expected_id {
            return invalid("event ids do not run on");
        }
    }
    Ok(())
}
