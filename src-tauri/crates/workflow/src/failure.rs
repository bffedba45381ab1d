//! What can go wrong in an activity, a child or a workflow, in a form that a history can keep.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A failure as recorded in a history: typed by a name, so that a retry policy can tell one kind
/// from another across processes and program versions.
///
/// `message` and `details` must hold no patient identifiers: histories are shown and exported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Failure {
    /// The failure's type, matched by [`crate::RetryPolicy::non_retryable_error_types`].
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, for a person.
    pub message: String,
    /// True when a retry can never help.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub non_retryable: bool,
    /// Further data for the code that handles the failure.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

impl Failure {
    /// Type of the failure by which an activity gives way to a cancellation.
    pub const CANCELLED: &'static str = "Cancelled";
    /// Type of the failure of an attempt that a crash or stop of the engine cut short.
    pub const INTERRUPTED: &'static str = "Interrupted";
    /// Type of the failure of code that panicked.
    pub const PANIC: &'static str = "Panic";
    /// Type of the failure to convert an input, output or result.
    pub const CONVERSION: &'static str = "Conversion";
    /// Type of the failure when an engine does not know an activity.
    pub const UNKNOWN_ACTIVITY: &'static str = "UnknownActivity";

    /// A failure that the retry policy may retry.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            message: message.into(),
            non_retryable: false,
            details: Value::Null,
        }
    }

    /// A failure that no retry can cure.
    pub fn non_retryable(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            non_retryable: true,
            ..Self::new(kind, message)
        }
    }

    /// The same failure with `details` attached.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// A failure named `kind` that carries the whole chain of `error`'s causes in its message.
    pub fn from_error(kind: impl Into<String>, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message.push_str(": ");
            message.push_str(&inner.to_string());
            cause = inner.source();
        }
        Self::new(kind, message)
    }
}

/// Which of an activity's time limits ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeoutKind {
    /// No worker took the activity in time.
    ScheduleToStart,
    /// One attempt took too long.
    StartToClose,
    /// All attempts together took too long.
    ScheduleToClose,
    /// The activity stopped reporting progress.
    Heartbeat,
}

/// How an activity ended when it did not succeed, as workflow code sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ActivityError {
    /// The activity failed and is not retried any more.
    #[error("activity '{activity}' failed after {attempts} attempt(s)")]
    Failed {
        /// The activity's name.
        activity: String,
        /// Attempts made.
        attempts: u32,
        /// The last attempt's failure.
        #[source]
        failure: Failure,
    },
    /// A time limit ran out and the activity is not retried any more.
    #[error("activity '{activity}' timed out ({timeout:?}) after {attempts} attempt(s)")]
    TimedOut {
        /// The activity's name.
        activity: String,
        /// Attempts made; 0 when it never started.
        attempts: u32,
        /// The limit that ran out.
        timeout: TimeoutKind,
        /// What the last heartbeat carried, where there was one.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        last_heartbeat: Value,
    },
    /// The activity was cancelled at the workflow's request.
    #[error("activity '{activity}' was cancelled")]
    Cancelled {
        /// The activity's name.
        activity: String,
    },
    /// The activity's input or output could not be converted, or its options are unusable.
    #[error("activity '{activity}' was not run or read: {message}")]
    Invalid {
        /// The activity's name.
        activity: String,
        /// What was wrong.
        message: String,
    },
}

impl ActivityError {
    /// True when the activity was cancelled rather than having failed.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }

    /// The type of the failure, where the activity itself reported one.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

/// How a child workflow ended when it did not complete, as its parent sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChildError {
    /// The child could not be started.
    #[error("child workflow '{workflow_id}' could not be started: {message}")]
    NotStarted {
        /// The child's id.
        workflow_id: String,
        /// Why.
        message: String,
    },
    /// The child failed.
    #[error("child workflow '{workflow_id}' failed")]
    Failed {
        /// The child's id.
        workflow_id: String,
        /// The child's failure.
        #[source]
        failure: Failure,
    },
    /// The child was cancelled.
    #[error("child workflow '{workflow_id}' was cancelled")]
    Cancelled {
        /// The child's id.
        workflow_id: String,
    },
    /// The child was ended from outside without its code being asked.
    #[error("child workflow '{workflow_id}' was terminated")]
    Terminated {
        /// The child's id.
        workflow_id: String,
    },
    /// The child's input or result could not be converted.
    #[error("child workflow '{workflow_id}' was not run or read: {message}")]
    Invalid {
        /// The child's id.
        workflow_id: String,
        /// What was wrong.
        message: String,
    },
}

/// An operation was cancelled, with the workflow or with the scope it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cancelled: {reason}")]
pub struct Cancelled {
    /// Why, in the words of whoever asked.
    pub reason: String,
}

/// Why a workflow's code gave up. `?` converts the errors of all operations into it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorkflowError {
    /// A failure of the workflow's own.
    #[error("workflow failed")]
    Failed(#[source] Failure),
    /// An activity failed and the workflow did not handle it.
    #[error("workflow failed on an activity")]
    Activity(#[from] ActivityError),
    /// A child workflow failed and the workflow did not handle it.
    #[error("workflow failed on a child workflow")]
    Child(#[from] ChildError),
    /// The workflow ended because it was cancelled.
    #[error("workflow ended by cancellation")]
    Cancelled(#[from] Cancelled),
}

impl WorkflowError {
    /// A failure of the workflow's own.
    pub fn failed(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Failed(Failure::new(kind, message))
    }

    /// True when the workflow ended by cancellation, of itself or of something it waited for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled(_) => true,
            Self::Activity(error) => error.is_cancelled(),
            Self::Child(error) => matches!(error, ChildError::Cancelled { .. }),
            Self::Failed(_) => false,
        }
    }

    /// The failure to record for a workflow that ends with this error.
    #[must_use]
    pub fn to_failure(&self) -> Failure {
        match self {
            Self::Failed(failure) => failure.clone(),
            Self::Activity(ActivityError::Failed { failure, .. })
            | Self::Child(ChildError::Failed { failure, .. }) => failure.clone(),
            Self::Activity(error) => Failure::from_error("ActivityError", error),
            Self::Child(error) => Failure::from_error("ChildWorkflowError", error),
            Self::Cancelled(cancelled) => Failure::from_error("Cancelled", cancelled),
        }
    }
}

impl From<Failure> for WorkflowError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_error_keeps_the_chain_of_causes() {
        let error = ActivityError::Failed {
            activity: "collect".into(),
            attempts: 2,
            failure: Failure::new("DiskFull", "no space"),
        };
        let failure = Failure::from_error("X", &error);
        assert_eq!(
            failure.message,
            "activity 'collect' failed after 2 attempt(s): DiskFull: no space"
        );
    }

    #[test]
    fn an_activitys_failure_keeps_its_type_when_the_workflow_fails_on_it() {
        let error = WorkflowError::from(ActivityError::Failed {
            activity: "collect".into(),
            attempts: 1,
            failure: Failure::non_retryable("DeviceGone", "unplugged"),
        });
        assert_eq!(error.to_failure().kind, "DeviceGone");
    }
}
