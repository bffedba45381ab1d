//! What an activity's code is given.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;

use crate::failure::Failure;

/// Which attempt at which activity this is.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityInfo {
    /// The activity's name.
    pub activity: String,
    /// The activity's id within its run; the same for all attempts.
    pub activity_id: String,
    /// The workflow that asked for it.
    pub workflow_id: String,
    /// The run that asked for it.
    pub run_id: String,
    /// The workflow's correlation id.
    pub correlation_id: String,
    /// Number of this attempt, from 1. Attempts that a crash cut short count.
    pub attempt: u32,
    /// What the last heartbeat of the attempts before carried; null when there was none.
    pub last_heartbeat: Value,
}

/// Where heartbeats go. Implemented by the engines.
pub trait HeartbeatSink: Send + Sync {
    /// Takes note that the activity is alive and how far it came.
    fn beat(&self, details: Value);
}

/// An activity's access to the engine. Cheap to clone.
#[derive(Clone)]
pub struct ActivityContext {
    info: Arc<ActivityInfo>,
    sink: Arc<dyn HeartbeatSink>,
    cancel: CancelToken,
}

impl ActivityContext {
    /// The context of one attempt. For engines, and for tests of activities.
    #[must_use]
    pub fn new(info: ActivityInfo, sink: Arc<dyn HeartbeatSink>, cancel: CancelToken) -> Self {
        Self {
            info: Arc::new(info),
            sink,
            cancel,
        }
    }

    /// Which attempt at which activity this is.
    #[must_use]
    pub fn info(&self) -> &ActivityInfo {
        &self.info
    }

    /// The workflow that asked for this activity.
    #[must_use]
    pub fn workflow_id(&self) -> &str {
        &self.info.workflow_id
    }

    /// The id to put on events that this activity publishes.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        &self.info.correlation_id
    }

    /// Number of this attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.info.attempt
    }

    /// Names this activity's effect, the same in all attempts. An activity runs at least once: a
    /// crash after its effect and before its result is kept runs it again. An effect that must
    /// happen once is stored together with this key, and skipped where the key is already stored.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!(
            "{}/{}/{}",
            self.info.workflow_id, self.info.run_id, self.info.activity_id
        )
    }

    /// Says that the activity is alive and how far it came. Cheap; call it as often as convenient.
    /// The last details reach the next attempt, should there be one.
    pub fn heartbeat<T: Serialize>(&self, details: &T) {
        match serde_json::to_value(details) {
            Ok(details) => self.sink.beat(details),
            Err(error) => {
                tracing::warn!(activity = self.info.activity, %error, "heartbeat not serialisable");
                self.sink.beat(Value::Null);
            }
        }
    }

    /// The details of the last heartbeat before this attempt, if there was one of this shape.
    #[must_use]
    pub fn last_heartbeat<T: DeserializeOwned>(&self) -> Option<T> {
        if self.info.last_heartbeat.is_null() {
            return None;
        }
        serde_json::from_value(self.info.last_heartbeat.clone()).ok()
    }

    /// Cancelled when the workflow asks for it, when an attempt ran out of time, and when the
    /// engine stops.
    #[must_use]
    pub fn cancel_token(&self) -> &CancelToken {
        &self.cancel
    }

    /// True once the activity should end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits until the activity should end.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// The failure to return on giving way to a cancellation.
    #[must_use]
    pub fn cancelled_failure(&self) -> Failure {
        Failure::non_retryable(Failure::CANCELLED, "the activity was cancelled")
    }
}

impl fmt::Debug for ActivityContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityContext")
            .field("info", &self.info)
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// Tells code in any thread that it should end. Cheap to clone; all clones are one token.
#[derive(Clone, Debug)]
pub struct CancelToken {
    sender: Arc<watch::Sender<bool>>,
}

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sender: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Cancels it, for good.
    pub fn cancel(&self) {
        self.sender.send_replace(true);
    }

    /// True once it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.sender.borrow()
    }

    /// Waits until it is cancelled.
    pub async fn cancelled(&self) {
        let mut receiver = self.sender.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|cancelled| *cancelled).await;
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}
