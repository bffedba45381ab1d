//! What an engine is made of, and what it answers with.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::{SystemClock, WorkflowClock};
use crate::definition::Registry;
use crate::execution::ExecutionError;
use crate::failure::Failure;
use crate::history::WorkflowSummary;
use crate::limits;
use crate::store::{HistoryStore, StoreError};
use crate::time::Timestamp;

/// Where run ids and seeds come from. Drawn once per run and recorded.
pub type Entropy = Arc<dyn Fn() -> u128 + Send + Sync>;

/// What an engine is made of.
#[derive(Clone)]
pub struct EngineConfig {
    /// Keeps the histories.
    pub store: Arc<dyn HistoryStore>,
    /// The workflows and activities it can run.
    pub registry: Registry,
    /// Tells the time.
    pub clock: Arc<dyn WorkflowClock>,
    /// Source of run ids and seeds.
    pub entropy: Entropy,
    /// Activities that run at the same time.
    pub max_concurrent_activities: usize,
}

impl EngineConfig {
    /// An engine on `store` that can run `registry`, with the machine's clock and randomness.
    #[must_use]
    pub fn new(store: Arc<dyn HistoryStore>, registry: Registry) -> Self {
        Self {
            store,
            registry,
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(|| uuid::Uuid::new_v4().as_u128()),
            max_concurrent_activities: limits::MAX_CONCURRENT_ACTIVITIES,
        }
    }

    /// The same engine with `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn WorkflowClock>) -> Self {
        self.clock = clock;
        self
    }
}

impl fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineConfig")
            .field("store", &self.store)
            .field("registry", &self.registry)
            .field("clock", &self.clock)
            .field("max_concurrent_activities", &self.max_concurrent_activities)
            .finish_non_exhaustive()
    }
}

/// Why the engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no such workflow.
    #[error("no workflow '{0}'")]
    NotFound(String),
    /// The id belongs to a workflow of another type.
    #[error("workflow '{workflow_id}' exists already, with type '{workflow_type}'")]
    Exists {
        /// The id.
        workflow_id: String,
        /// The type found.
        workflow_type: String,
    },
    /// The workflow has ended and takes nothing more.
    #[error("workflow '{0}' has ended")]
    Closed(String),
    /// The workflow's code cannot go on as it is; see [`ExecutionError`].
    #[error("workflow code does not run")]
    Code(#[source] ExecutionError),
    /// The workflow answers no query by this name, at least not yet.
    #[error("workflow '{workflow_id}' answers no query '{query}'")]
    NoQuery {
        /// The workflow.
        workflow_id: String,
        /// The query.
        query: String,
    },
    /// The store failed.
    #[error("workflow store failed")]
    Store(#[source] StoreError),
    /// A value could not be converted.
    #[error("{what} cannot be converted")]
    Convert {
        /// Which value.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The run kept ending before it answered: another engine fights for the workflow, or a fault
    /// in this one.
    #[error("workflow '{0}' does not answer")]
    Unanswered(String),
    /// The engine has stopped.
    #[error("the workflow engine has stopped")]
    Stopped,
    /// The engine's thread could not be started.
    #[error("starting the workflow thread failed")]
    Thread(#[source] std::io::Error),
}

/// How a workflow ended, for whoever waited for its result.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// Its code returned an error.
    #[error("workflow failed")]
    Failed(#[source] Failure),
    /// It gave way to a cancellation.
    #[error("workflow was cancelled: {0}")]
    Cancelled(String),
    /// It was ended from outside.
    #[error("workflow was terminated: {0}")]
    Terminated(String),
    /// The result could not be had.
    #[error("waiting for a workflow failed")]
    Engine(#[from] EngineError),
}

/// How to start a workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartOptions {
    /// The workflow's id, unique in the store for ever.
    pub workflow_id: String,
    /// Ties the workflow to events of the same undertaking; the workflow id when `None`.
    pub correlation_id: Option<String>,
}

impl StartOptions {
    /// Starts under `workflow_id`.
    #[must_use]
    pub fn id(workflow_id: impl Into<String>) -> Self {
        Self {
            workflow_id: workflow_id.into(),
            correlation_id: None,
        }
    }

    /// The same start with a correlation id.
    #[must_use]
    pub fn with_correlation(mut self, correlation_id: impl Into<String>) -> Self {
        self.correlation_id = Some(correlation_id.into());
        self
    }
}

/// A workflow that runs, or has run, under the id asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The run's own id.
    pub run_id: String,
    /// False when the workflow existed already and nothing was started.
    pub new: bool,
}

/// A workflow's state in detail.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// As in a list.
    pub summary: WorkflowSummary,
    /// Why its code cannot go on, where it cannot.
    pub broken: Option<String>,
    /// Its activities that have not ended, in the order they were asked for.
    pub activities: Vec<ActivityDescription>,
}

/// An activity that has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityDescription {
    /// Its name.
    pub activity: String,
    /// Attempts begun.
    pub attempts: u32,
    /// True while an attempt is under way.
    pub running: bool,
    /// When the next attempt is due, between two attempts.
    pub retry_at: Option<Timestamp>,
    /// How the last attempt failed.
    pub last_failure: Option<Failure>,
    /// What its last heartbeat carried.
    pub last_heartbeat: Value,
}
