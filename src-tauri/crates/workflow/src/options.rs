//! Options of activities, children and workflow starts, with Temporal's names and defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::limits;

/// How an activity is retried. Names and defaults are Temporal's
/// (<https://docs.temporal.io/encyclopedia/retry-policies>).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// Wait before the first retry.
    pub initial_interval: Duration,
    /// Each wait is the one before times this; at least 1.
    pub backoff_coefficient: f64,
    /// Longest wait; 100 × `initial_interval` when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_interval: Option<Duration>,
    /// Attempts in all, the first included; 0 is unlimited.
    pub maximum_attempts: u32,
    /// Failure types that are not retried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub non_retryable_error_types: Vec<String>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial_interval: limits::RETRY_INITIAL_INTERVAL,
            backoff_coefficient: limits::RETRY_BACKOFF_COEFFICIENT,
            maximum_interval: None,
            maximum_attempts: 0,
            non_retryable_error_types: Vec::new(),
        }
    }
}

impl RetryPolicy {
    /// One attempt and no retry.
    #[must_use]
    pub fn never() -> Self {
        Self {
            maximum_attempts: 1,
            ..Self::default()
        }
    }

    /// At most `attempts` attempts, the first included.
    #[must_use]
    pub fn attempts(attempts: u32) -> Self {
        Self {
            maximum_attempts: attempts,
            ..Self::default()
        }
    }

    /// The wait after attempt number `attempt` (from 1) failed, were it retried.
    #[must_use]
    pub fn backoff(&self, attempt: u32) -> Duration {
        let longest = self
            .maximum_interval
            .unwrap_or(self.initial_interval * limits::RETRY_MAXIMUM_INTERVAL_FACTOR);
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let factor = self.backoff_coefficient.max(1.0).powi(exponent);
        let seconds = self.initial_interval.as_secs_f64() * factor;
        // The power may be infinite; `min` on the float keeps the conversion in range.
        Duration::from_secs_f64(seconds.min(longest.as_secs_f64()))
    }

    /// Whether a further attempt is allowed after `attempt` attempts, the last ending in `failure`. An
    /// attempt that a crash of the engine cut short says little against the activity: where there may
    /// be a second attempt, such are repeated up to [`limits::INTERRUPTED_ATTEMPTS`].
    #[must_use]
    pub fn allows_retry(&self, attempt: u32, failure: Option<&Failure>) -> bool {
        let interrupted = failure.is_some_and(|failure| failure.kind == Failure::INTERRUPTED);
        let most = match self.maximum_attempts {
            most if most > 1 && interrupted => most.max(limits::INTERRUPTED_ATTEMPTS),
            most => most,
        };
        // Zero is unlimited.
        if most != 0 && attempt >= most {
            return false;
        }
        failure.is_none_or(|failure| {
            !failure.non_retryable && !self.non_retryable_error_types.contains(&failure.kind)
        })
    }
}

/// What cancelling an activity or child means to the workflow that waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancellationType {
    /// Ask for cancellation and go on at once (Temporal's default).
    #[default]
    TryCancel,
    /// Ask for cancellation and wait for how the activity ends; it may still succeed.
    WaitCompleted,
    /// Do not tell the activity; go on at once.
    Abandon,
}

/// Time limits and retries of one activity. Names are Temporal's.
///
/// At least one of `start_to_close`, `schedule_to_close` and `heartbeat` must be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ActivityOptions {
    /// Longest time from scheduling until an attempt starts. Not retried when it runs out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_to_start: Option<Duration>,
    /// Longest time of one attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_to_close: Option<Duration>,
    /// Longest time of all attempts and the waits between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_to_close: Option<Duration>,
    /// Longest silence between two heartbeats of an attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Duration>,
    /// How failures are retried.
    pub retry: RetryPolicy,
    /// What cancelling means to the workflow.
    pub cancellation: CancellationType,
}

impl ActivityOptions {
    /// Options for an activity whose attempts are limited to `limit`.
    #[must_use]
    pub fn start_to_close(limit: Duration) -> Self {
        Self {
            start_to_close: Some(limit),
            ..Self::default()
        }
    }

    /// Options for an activity without a time limit, alive as long as it sends a heartbeat at
    /// least every `silence`.
    #[must_use]
    pub fn heartbeat(silence: Duration) -> Self {
        Self {
            heartbeat: Some(silence),
            ..Self::default()
        }
    }

    /// The same options with `silence` as the heartbeat timeout.
    #[must_use]
    pub fn with_heartbeat(mut self, silence: Duration) -> Self {
        self.heartbeat = Some(silence);
        self
    }

    /// The same options with `limit` on all attempts together.
    #[must_use]
    pub fn with_schedule_to_close(mut self, limit: Duration) -> Self {
        self.schedule_to_close = Some(limit);
        self
    }

    /// The same options with `limit` on the wait for a free worker.
    #[must_use]
    pub fn with_schedule_to_start(mut self, limit: Duration) -> Self {
        self.schedule_to_start = Some(limit);
        self
    }

    /// The same options with `retry`.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The same options with `cancellation`.
    #[must_use]
    pub fn with_cancellation(mut self, cancellation: CancellationType) -> Self {
        self.cancellation = cancellation;
        self
    }

    /// Why these options cannot be used, if they cannot.
    pub fn check(&self) -> Result<(), String> {
        if self.start_to_close.is_none()
            && self.schedule_to_close.is_none()
            && self.heartbeat.is_none()
        {
            return Err(
                "one of start_to_close, schedule_to_close and heartbeat must be set".into(),
            );
        }
        if !self.retry.backoff_coefficient.is_finite() || self.retry.backoff_coefficient < 1.0 {
            return Err("backoff_coefficient must be a number of at least 1".into());
        }
        Ok(())
    }
}

/// What happens to a running child when its parent closes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentClosePolicy {
    /// The child is ended without asking its code (Temporal's default).
    #[default]
    Terminate,
    /// The child goes on.
    Abandon,
    /// The child is asked to cancel.
    RequestCancel,
}

/// Options of a child workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChildOptions {
    /// The child's id; made from the parent's id and a sequence number when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<String>,
    /// What happens to the child when its parent closes.
    pub parent_close: ParentClosePolicy,
    /// What cancelling the child means to the parent; by Temporal's default it waits.
    pub cancellation: CancellationType,
}

impl Default for ChildOptions {
    fn default() -> Self {
        Self {
            workflow_id: None,
            parent_close: ParentClosePolicy::default(),
            cancellation: CancellationType::WaitCompleted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_temporals() {
        let policy = RetryPolicy::default();
        let waits: Vec<u64> = [1, 2, 3, 7, 8, 1000]
            .map(|n| policy.backoff(n).as_secs())
            .into();
        assert_eq!(waits, [1, 2, 4, 64, 100, 100]);
        assert!(policy.allows_retry(u32::MAX, None));
    }

    #[test]
    fn retries_stop_at_the_maximum_and_for_named_types() {
        let policy = RetryPolicy {
            maximum_attempts: 3,
            non_retryable_error_types: vec!["NoConsent".into()],
            ..RetryPolicy::default()
        };
        assert!(policy.allows_retry(2, Some(&Failure::new("Io", ""))));
        assert!(!policy.allows_retry(3, Some(&Failure::new("Io", ""))));
        assert!(!policy.allows_retry(1, Some(&Failure::new("NoConsent", ""))));
        assert!(!policy.allows_retry(1, Some(&Failure::non_retryable("Io", ""))));
    }

    #[test]
    fn options_without_any_limit_are_refused() {
        assert!(ActivityOptions::default().check().is_err());
        assert!(
            ActivityOptions::heartbeat(Duration::from_secs(5))
                .check()
                .is_ok()
        );
    }
}
