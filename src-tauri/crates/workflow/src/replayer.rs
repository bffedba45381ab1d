//! Checks kept histories against today's code.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::definition::Registry;
use crate::execution::{Execution, ExecutionError};
use crate::history::{FORMAT_VERSION, HistoryEvent};

/// A history on its own, as exported and as kept for replay tests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptHistory {
    /// Version of the format; see [`FORMAT_VERSION`].
    pub format: u32,
    /// The workflow's id.
    pub workflow_id: String,
    /// All events.
    pub events: Vec<HistoryEvent>,
}

impl KeptHistory {
    /// The history of `workflow_id`, to be kept.
    #[must_use]
    pub fn new(workflow_id: impl Into<String>, events: Vec<HistoryEvent>) -> Self {
        Self {
            format: FORMAT_VERSION,
            workflow_id: workflow_id.into(),
            events,
        }
    }
}

/// Replays histories without running anything.
#[derive(Clone, Debug)]
pub struct Replayer {
    registry: Registry,
}

/// Where a replayed history left its workflow.
#[derive(Debug)]
pub struct Replayed {
    execution: Execution,
}

impl Replayer {
    /// A replayer of the workflows in `registry`; its activities are not run.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry }
    }

    /// Runs the code over a whole history.
    ///
    /// # Errors
    /// [`ExecutionError::NonDeterminism`] naming the first event at which the code differs, and
    /// whatever else keeps the code from being run.
    pub fn replay(
        &self,
        workflow_id: &str,
        events: &[HistoryEvent],
    ) -> Result<Replayed, ExecutionError> {
        let execution = Execution::replay(&self.registry, workflow_id, events)?;
        Ok(Replayed { execution })
    }

    /// Runs the code over a kept history.
    ///
    /// # Errors
    /// As [`Self::replay`]; a history of a newer format is refused.
    pub fn replay_kept(&self, kept: &KeptHistory) -> Result<Replayed, ExecutionError> {
        if kept.format > FORMAT_VERSION {
            return Err(ExecutionError::History {
                workflow_id: kept.workflow_id.clone(),
                message: format!("its format {} is newer than {FORMAT_VERSION}", kept.format),
            });
        }
        self.replay(&kept.workflow_id, &kept.events)
    }
}

impl Replayed {
    /// True when the workflow had ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.execution.is_closed()
    }

    /// What a query by `name` would have been answered with at the end of the history.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<Value> {
        self.execution.query(name)
    }
}
