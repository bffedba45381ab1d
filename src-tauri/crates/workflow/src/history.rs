//! The event history: the whole durable state of a workflow, in a versioned format.
//!
//! A history is a list of events with ids 1, 2, 3... It is written in *turns*. A turn begins with
//! an arrival (start, signal, result, fired timer, cancellation), goes on with the commands that
//! the workflow's code gave when it saw the arrival, and ends with the engine's own bookkeeping.
//! A turn is appended as a whole or not at all, which is what makes replay exact.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::{ActivityError, ChildError, Failure};
use crate::options::{ActivityOptions, ChildOptions};
use crate::time::Timestamp;

/// Version of the event format that this program writes. Events of a later version are refused;
/// earlier versions are read.
pub const FORMAT_VERSION: u32 = 1;

/// One event of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEvent {
    /// Position in the history, from 1, without gaps.
    pub id: u64,
    /// When the engine saw it. Never earlier than the event before.
    pub time: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Who started a child workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The parent's workflow id.
    pub workflow_id: String,
    /// The parent's run id.
    pub run_id: String,
    /// The sequence number of the child in its parent.
    pub seq: u64,
}

/// What happened. The tag is stored under `event`.
///
/// `seq` counts the operations (activities, timers, children) of one workflow from 1, in the order
/// in which its code started them. No field may be called `id` or `time`: events are stored flat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "the variants' comments say what their fields mean"
)]
pub enum EventKind {
    /// Arrival; always the first event, and only there. `seed` feeds the run's random numbers.
    WorkflowStarted {
        format: u32,
        workflow_type: String,
        run_id: String,
        correlation_id: String,
        seed: u64,
        input: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// Arrival: a signal.
    SignalReceived { name: String, payload: Value },
    /// Arrival: a request to cancel.
    CancelRequested { reason: String },
    /// Arrival: the arrivals deferred so far are handed to the code here, in their order.
    Resumed,
    /// Arrival: an activity succeeded.
    ActivityCompleted { seq: u64, result: Value },
    /// Arrival: an activity ended without success and is not retried.
    ActivityFailed { seq: u64, error: ActivityError },
    /// Arrival: a timer ran out.
    TimerFired { seq: u64 },
    /// Arrival: a child completed.
    ChildCompleted { seq: u64, result: Value },
    /// Arrival: a child ended without completing.
    ChildFailed { seq: u64, error: ChildError },

    /// Command: run an activity.
    ActivityScheduled {
        seq: u64,
        activity: String,
        input: Value,
        options: ActivityOptions,
    },
    /// Command: ask an activity to cancel.
    ActivityCancelRequested { seq: u64 },
    /// Command: start a timer.
    TimerStarted { seq: u64, duration: Duration },
    /// Command: a timer is no longer wanted.
    TimerCanceled { seq: u64 },
    /// Command: start a child workflow.
    ChildScheduled {
        seq: u64,
        workflow_type: String,
        workflow_id: String,
        input: Value,
        options: ChildOptions,
    },
    /// Command: ask a child to cancel.
    ChildCancelRequested { seq: u64, reason: String },
    /// Command: the code took the new side of a patch. A `deprecated` mark may be missing from
    /// newer code.
    PatchMarked {
        patch: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deprecated: bool,
    },
    /// Command, and the end: the code returned a result.
    WorkflowCompleted { result: Value },
    /// Command, and the end: the code returned an error.
    WorkflowFailed { failure: Failure },
    /// Command, and the end: the code gave way to a cancellation.
    WorkflowCancelled { reason: String },

    /// Bookkeeping: an arrival that no code could take when it came, because the code differs from
    /// the history or broke off. It is kept for the `Resumed` that follows once the code is mended.
    Deferred { arrival: Box<EventKind> },
    /// Bookkeeping, and the end: ended from outside, the code unasked.
    WorkflowTerminated { reason: String },
    /// Bookkeeping: attempt number `attempt` (from 1) begins. Written before anything is run.
    ActivityStarted { seq: u64, attempt: u32 },
    /// Bookkeeping: an attempt ended and another follows at `retry_at`.
    ActivityRetried {
        seq: u64,
        attempt: u32,
        failure: Failure,
        retry_at: Timestamp,
    },
}

/// The part an event plays in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventRole {
    /// Something reached the workflow; begins a turn.
    Arrival,
    /// The workflow's code asked for something.
    Command,
    /// The engine's own note; code never sees it.
    Bookkeeping,
}

impl EventKind {
    /// The part this event plays in its turn.
    #[must_use]
    pub fn role(&self) -> EventRole {
        use EventKind as K;
        match self {
            K::WorkflowStarted { .. }
            | K::SignalReceived { .. }
            | K::CancelRequested { .. }
            | K::Resumed
            | K::ActivityCompleted { .. }
            | K::ActivityFailed { .. }
            | K::TimerFired { .. }
            | K::ChildCompleted { .. }
            | K::ChildFailed { .. } => EventRole::Arrival,
            K::ActivityScheduled { .. }
            | K::ActivityCancelRequested { .. }
            | K::TimerStarted { .. }
            | K::TimerCanceled { .. }
            | K::ChildScheduled { .. }
            | K::ChildCancelRequested { .. }
            | K::PatchMarked { .. }
            | K::WorkflowCompleted { .. }
            | K::WorkflowFailed { .. }
            | K::WorkflowCancelled { .. } => EventRole::Command,
            K::Deferred { .. }
            | K::WorkflowTerminated { .. }
            | K::ActivityStarted { .. }
            | K::ActivityRetried { .. } => EventRole::Bookkeeping,
        }
    }

    /// The status that this event gives its workflow, when it ends it.
    #[must_use]
    pub fn closing_status(&self) -> Option<WorkflowStatus> {
        match self {
            Self::WorkflowCompleted { .. } => Some(WorkflowStatus::Completed),
            Self::WorkflowFailed { .. } => Some(WorkflowStatus::Failed),
            Self::WorkflowCancelled { .. } => Some(WorkflowStatus::Cancelled),
            Self::WorkflowTerminated { .. } => Some(WorkflowStatus::Terminated),
            _ => None,
        }
    }

    /// The event in a few words, without payloads: fit for logs and error messages.
    #[must_use]
    pub fn describe(&self) -> String {
        use EventKind as K;
        match self {
            K::WorkflowStarted { workflow_type, .. } => format!("start of '{workflow_type}'"),
            K::SignalReceived { name, .. } => format!("signal '{name}'"),
            K::CancelRequested { .. } => "cancel request".into(),
            K::Resumed => "resumption".into(),
            K::ActivityCompleted { seq, .. } => format!("completion of activity {seq}"),
            K::ActivityFailed { seq, .. } => format!("failure of activity {seq}"),
            K::TimerFired { seq } => format!("end of timer {seq}"),
            K::ChildCompleted { seq, .. } => format!("completion of child {seq}"),
            K::ChildFailed { seq, .. } => format!("failure of child {seq}"),
            K::ActivityScheduled { seq, activity, .. } => format!("activity {seq} '{activity}'"),
            K::ActivityCancelRequested { seq } => format!("cancellation of activity {seq}"),
            K::TimerStarted { seq, .. } => format!("timer {seq}"),
            K::TimerCanceled { seq } => format!("cancellation of timer {seq}"),
            K::ChildScheduled {
                seq, workflow_type, ..
            } => format!("child {seq} '{workflow_type}'"),
            K::ChildCancelRequested { seq, .. } => format!("cancellation of child {seq}"),
            K::PatchMarked { patch, .. } => format!("patch '{patch}'"),
            K::WorkflowCompleted { .. } => "completion of the workflow".into(),
            K::WorkflowFailed { .. } => "failure of the workflow".into(),
            K::WorkflowCancelled { .. } => "cancellation of the workflow".into(),
            K::Deferred { arrival } => format!("deferred {}", arrival.describe()),
            K::WorkflowTerminated { .. } => "termination".into(),
            K::ActivityStarted { seq, attempt } => format!("attempt {attempt} of activity {seq}"),
            K::ActivityRetried { seq, attempt, .. } => {
                format!("failed attempt {attempt} of activity {seq}")
            }
        }
    }
}

/// Where a workflow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowStatus {
    /// Not ended yet.
    Running,
    /// Its code returned a result.
    Completed,
    /// Its code returned an error.
    Failed,
    /// It gave way to a cancellation.
    Cancelled,
    /// It was ended from outside.
    Terminated,
}

impl WorkflowStatus {
    /// The status as stored in a database column.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Terminated => "terminated",
        }
    }

    /// The status that [`Self::as_str`] calls `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Running,
            Self::Completed,
            Self::Failed,
            Self::Cancelled,
            Self::Terminated,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }
}

/// One line of a list of workflows. A store keeps it beside each history, in step with it through
/// [`WorkflowSummary::apply`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowSummary {
    /// The workflow's id, chosen by whoever started it.
    pub workflow_id: String,
    /// The run's own id.
    pub run_id: String,
    /// The name of its code.
    pub workflow_type: String,
    /// Ties it to the events of the same undertaking.
    pub correlation_id: String,
    /// Where it stands.
    pub status: WorkflowStatus,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
    /// Events in its history.
    pub length: u64,
}

impl WorkflowSummary {
    /// The summary of the history that begins with `first`, or `None` when `first` is no start.
    #[must_use]
    pub fn begin(workflow_id: &str, first: &HistoryEvent) -> Option<Self> {
        let EventKind::WorkflowStarted {
            workflow_type,
            run_id,
            correlation_id,
            ..
        } = &first.kind
        else {
            return None;
        };
        Some(Self {
            workflow_id: workflow_id.to_owned(),
            run_id: run_id.clone(),
            workflow_type: workflow_type.clone(),
            correlation_id: correlation_id.clone(),
            status: WorkflowStatus::Running,
            started_at: first.time,
            closed_at: None,
            length: 1,
        })
    }

    /// Takes in one further event.
    pub fn apply(&mut self, event: &HistoryEvent) {
        self.length = event.id;
        if let Some(status) = event.kind.closing_status() {
            self.status = status;
            self.closed_at = Some(event.time);
        }
    }
}
