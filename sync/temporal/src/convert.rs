//! Our values, options and errors in Temporal's terms, and back.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use temporalio_common::data_converters::RawValue;
use temporalio_common::error::{ApplicationFailure, IncomingError};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_workflow::{
    ActivityCancellationType, ActivityCloseTimeouts, ActivityExecutionError, ActivityOptions,
    ChildWorkflowCancellationType, ChildWorkflowExecutionError, ChildWorkflowOptions,
    ChildWorkflowStartError, ParentClosePolicy, RetryPolicy, TimeoutType,
    WorkflowCancellationToken,
};
use workflow::{ActivityError, CancellationType, ChildError, Failure, Parent, TimeoutKind};

use crate::limits;

/// Travels beside the input of workflows and activities, as a second argument.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) correlation_id: Option<String>,
    /// Set for children that our own code started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Parent>,
}

/// A JSON payload, encoded as every Temporal SDK does by default.
pub(crate) fn payload(value: &Value) -> Payload {
    Payload {
        metadata: HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
        data: value.to_string().into_bytes(),
        ..Payload::default()
    }
}

/// The JSON of a payload; an empty one (a null of other SDKs) is null.
pub(crate) fn value(payload: &Payload) -> Result<Value, String> {
    if payload.data.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&payload.data).map_err(|error| error.to_string())
}

/// The first payload of `payloads`, null when there is none.
pub(crate) fn first(payloads: &[Payload]) -> Result<Value, String> {
    payloads.first().map_or(Ok(Value::Null), value)
}

/// An input and what travels beside it.
pub(crate) fn arguments(input: &Value, meta: &Meta) -> RawValue {
    let meta = serde_json::to_value(meta).unwrap_or(Value::Null);
    RawValue::new(vec![payload(input), payload(&meta)])
}

/// What travelled beside an input. A start by other tools may lack it.
pub(crate) fn meta(payloads: &[Payload]) -> Meta {
    payloads
        .get(1)
        .and_then(|payload| value(payload).ok())
        .and_then(|value| serde_json::from_value(value).ok())
        .unwrap_or_default()
}

fn retry_policy(policy: &workflow::RetryPolicy) -> RetryPolicy {
    let longest = policy
        .maximum_interval
        .unwrap_or(policy.initial_interval * workflow::limits::RETRY_MAXIMUM_INTERVAL_FACTOR);
    RetryPolicy::builder()
        .initial_interval(policy.initial_interval)
        .backoff_coefficient(policy.backoff_coefficient)
        .maximum_interval(longest)
        .maximum_attempts(policy.maximum_attempts)
        .non_retryable_error_types(policy.non_retryable_error_types.clone())
        .build()
}

/// Our options for an activity that `token` cancels.
pub(crate) fn activity_options(
    options: &workflow::ActivityOptions,
    token: WorkflowCancellationToken,
) -> ActivityOptions {
    let close = match (options.start_to_close, options.schedule_to_close) {
        (Some(start_to_close), Some(schedule_to_close)) => {
            ActivityCloseTimeouts::ScheduleAndStartToClose {
                schedule_to_close,
                start_to_close,
            }
        }
        (None, Some(limit)) => ActivityCloseTimeouts::ScheduleToClose(limit),
        (Some(limit), None) => ActivityCloseTimeouts::StartToClose(limit),
        (None, None) => ActivityCloseTimeouts::StartToClose(limits::NO_LIMIT),
    };
    let cancellation = match options.cancellation {
        CancellationType::TryCancel => ActivityCancellationType::TryCancel,
        CancellationType::WaitCompleted => ActivityCancellationType::WaitCancellationCompleted,
        CancellationType::Abandon => ActivityCancellationType::Abandon,
    };
    ActivityOptions::with_close_timeouts(close)
        .maybe_schedule_to_start_timeout(options.schedule_to_start)
        .maybe_heartbeat_timeout(options.heartbeat)
        .retry_policy(retry_policy(&options.retry))
        .cancellation_type(cancellation)
        .cancellation_token(token)
        .build()
}

/// Our options for child `workflow_id` that `token` cancels.
pub(crate) fn child_options(
    options: &workflow::ChildOptions,
    workflow_id: &str,
    token: WorkflowCancellationToken,
) -> ChildWorkflowOptions {
    let cancellation = match options.cancellation {
        CancellationType::TryCancel => ChildWorkflowCancellationType::TryCancel,
        CancellationType::WaitCompleted => ChildWorkflowCancellationType::WaitCancellationCompleted,
        CancellationType::Abandon => ChildWorkflowCancellationType::Abandon,
    };
    let parent_close = match options.parent_close {
        workflow::ParentClosePolicy::Terminate => ParentClosePolicy::Terminate,
        workflow::ParentClosePolicy::Abandon => ParentClosePolicy::Abandon,
        workflow::ParentClosePolicy::RequestCancel => ParentClosePolicy::RequestCancel,
    };
    let mut converted = ChildWorkflowOptions::default();
    converted.workflow_id = Some(workflow_id.to_owned());
    converted.cancel_type = cancellation;
    converted.parent_close_policy = parent_close;
    converted.cancellation_token = Some(token);
    converted
}

/// A failure of ours, as the cluster keeps it.
pub(crate) fn application_failure(failure: &Failure) -> ApplicationFailure {
    let details = (!failure.details.is_null()).then(|| failure.details.clone());
    ApplicationFailure::builder(failure.message.clone())
        .type_name(failure.kind.clone())
        .non_retryable(failure.non_retryable)
        .maybe_details(details)
        .build()
}

/// A failure that the cluster kept, as ours.
pub(crate) fn failure(error: &IncomingError) -> Failure {
    match error {
        IncomingError::Application(application) => Failure {
            kind: application.type_name().unwrap_or("Application").to_owned(),
            message: error.failure().message.clone(),
            non_retryable: application.is_non_retryable(),
            details: application
                .raw_details()
                .and_then(|raw| first(raw).ok())
                .unwrap_or_default(),
        },
        IncomingError::Activity(activity) => match activity.cause() {
            Some(cause) => failure(cause),
            None => Failure::new("Activity", error.failure().message.clone()),
        },
        IncomingError::ChildWorkflowExecution(child) => match child.cause() {
            Some(cause) => failure(cause),
            None => Failure::new("ChildWorkflow", error.failure().message.clone()),
        },
        IncomingError::Timeout(_) => Failure::new("Timeout", error.failure().message.clone()),
        _ => Failure::new("Temporal", error.failure().message.clone()),
    }
}

/// How an activity ended, in our terms. The cluster does not tell the number of attempts.
pub(crate) fn activity_error(activity: &str, error: &ActivityExecutionError) -> ActivityError {
    let activity = activity.to_owned();
    if error.as_cancelled().is_some() {
        return ActivityError::Cancelled { activity };
    }
    if let Some(timeout) = error.as_timeout() {
        return ActivityError::TimedOut {
            activity,
            attempts: 0,
            timeout: match timeout.timeout_type() {
                TimeoutType::ScheduleToStart => TimeoutKind::ScheduleToStart,
                TimeoutType::ScheduleToClose => TimeoutKind::ScheduleToClose,
                TimeoutType::Heartbeat => TimeoutKind::Heartbeat,
                _ => TimeoutKind::StartToClose,
            },
            last_heartbeat: timeout
                .raw_last_heartbeat_details()
                .and_then(|raw| first(raw).ok())
                .unwrap_or_default(),
        };
    }
    match error.cause() {
        Some(IncomingError::Application(application))
            if application.type_name() == Some(Failure::CANCELLED) =>
        {
            ActivityError::Cancelled { activity }
        }
        Some(cause) => ActivityError::Failed {
            activity,
            attempts: 0,
            failure: failure(cause),
        },
        None => ActivityError::Invalid {
            activity,
            message: error.to_string(),
        },
    }
}

/// Why a child was not started, in our terms.
pub(crate) fn child_start_error(workflow_id: &str, error: &ChildWorkflowStartError) -> ChildError {
    let workflow_id = workflow_id.to_owned();
    match error {
        ChildWorkflowStartError::Cancelled(_) => ChildError::Cancelled { workflow_id },
        error => ChildError::NotStarted {
            workflow_id,
            message: error.to_string(),
        },
    }
}

/// How a child ended, in our terms.
pub(crate) fn child_error(workflow_id: &str, error: &ChildWorkflowExecutionError) -> ChildError {
    let workflow_id = workflow_id.to_owned();
    match error.cause() {
        Some(IncomingError::Cancelled(_)) => ChildError::Cancelled { workflow_id },
        Some(IncomingError::Terminated(_)) => ChildError::Terminated { workflow_id },
        Some(cause) => ChildError::Failed {
            workflow_id,
            failure: failure(cause),
        },
        None => ChildError::Invalid {
            workflow_id,
            message: error.to_string(),
        },
    }
}
