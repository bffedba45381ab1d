//! What the engine's parts tell each other.

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{ActivityDescription, EngineError, Started};
use crate::failure::{ChildError, Failure};
use crate::history::{EventKind, Parent};

/// Where the answer to a request goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// From a handle to the engine.
pub(crate) enum Command {
    To { workflow_id: String, input: Input },
    Stop { reply: oneshot::Sender<()> },
}

/// A workflow to start.
#[derive(Clone)]
pub(crate) struct StartRequest {
    pub(crate) workflow_type: String,
    pub(crate) correlation_id: String,
    pub(crate) input: Value,
    pub(crate) parent: Option<Parent>,
}

/// To one run.
pub(crate) enum Input {
    Start {
        request: StartRequest,
        reply: Reply<Started>,
    },
    Signal {
        name: String,
        payload: Value,
        reply: Reply<()>,
    },
    Cancel {
        reason: String,
        reply: Reply<()>,
    },
    Terminate {
        reason: String,
        reply: Reply<()>,
    },
    Query {
        name: String,
        reply: Reply<Value>,
    },
    Wait {
        even_broken: bool,
        reply: Reply<Outcome>,
    },
    Describe {
        reply: Reply<(Option<String>, Vec<ActivityDescription>)>,
    },
    Wake {
        reply: Reply<()>,
    },
    AttemptEnded {
        seq: u64,
        attempt: u32,
        result: Result<Value, Failure>,
    },
    Heartbeat {
        seq: u64,
    },
    Permit {
        seq: u64,
        permit: OwnedSemaphorePermit,
    },
    ChildEnded {
        seq: u64,
        outcome: Result<Value, ChildError>,
    },
}

/// How a workflow ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Completed(Value),
    Failed(Failure),
    Cancelled(String),
    Terminated(String),
}

impl Outcome {
    /// The outcome that a closing event stands for.
    pub(crate) fn of(kind: &EventKind) -> Option<Self> {
        match kind {
            EventKind::WorkflowCompleted { result } => Some(Self::Completed(result.clone())),
            EventKind::WorkflowFailed { failure } => Some(Self::Failed(failure.clone())),
            EventKind::WorkflowCancelled { reason } => Some(Self::Cancelled(reason.clone())),
            EventKind::WorkflowTerminated { reason } => Some(Self::Terminated(reason.clone())),
            _ => None,
        }
    }

    /// The outcome as the parent of child `workflow_id` sees it.
    pub(crate) fn for_parent(self, workflow_id: String) -> Result<Value, ChildError> {
        match self {
            Self::Completed(result) => Ok(result),
            Self::Failed(failure) => Err(ChildError::Failed {
                workflow_id,
                failure,
            }),
            Self::Cancelled(_) => Err(ChildError::Cancelled { workflow_id }),
            Self::Terminated(_) => Err(ChildError::Terminated { workflow_id }),
        }
    }
}
