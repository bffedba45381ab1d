//! What a history leaves open: a pure fold over its events. The engine keeps one beside each run
//! and acts on it; after a restart the same fold says what to take up again.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::failure::Failure;
use crate::history::{EventKind, HistoryEvent, WorkflowStatus};
use crate::options::{ActivityOptions, ChildOptions};
use crate::time::Timestamp;

/// An activity that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct PendingActivity {
    pub(crate) name: String,
    pub(crate) input: Value,
    pub(crate) options: ActivityOptions,
    pub(crate) scheduled_at: Timestamp,
    pub(crate) cancel_requested: bool,
    pub(crate) last_failure: Option<Failure>,
    pub(crate) state: AttemptState,
}

impl PendingActivity {
    /// When the limit on all attempts together is reached.
    pub(crate) fn closes_at(&self) -> Option<Timestamp> {
        self.options
            .schedule_to_close
            .map(|limit| self.scheduled_at + limit)
    }

    /// Attempts begun so far.
    pub(crate) fn attempts(&self) -> u32 {
        match self.state {
            AttemptState::Scheduled => 0,
            AttemptState::Started { attempt, .. } | AttemptState::Waiting { attempt, .. } => {
                attempt
            }
        }
    }
}

/// Where an activity's attempts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptState {
    /// No attempt yet.
    Scheduled,
    /// Attempt `attempt` began at `at`.
    Started { attempt: u32, at: Timestamp },
    /// Attempt `attempt` failed; the next one is due at `retry_at`.
    Waiting { attempt: u32, retry_at: Timestamp },
}

/// A child that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct PendingChild {
    pub(crate) workflow_type: String,
    pub(crate) workflow_id: String,
    pub(crate) input: Value,
    pub(crate) options: ChildOptions,
    pub(crate) cancel: Option<String>,
}

/// Everything that a history leaves open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    pub(crate) activities: BTreeMap<u64, PendingActivity>,
    /// When each timer runs out.
    pub(crate) timers: BTreeMap<u64, Timestamp>,
    pub(crate) children: BTreeMap<u64, PendingChild>,
    pub(crate) deferred: bool,
    pub(crate) closed: Option<WorkflowStatus>,
}

impl Pending {
    /// What `events`, a whole history, leave open.
    pub(crate) fn of(events: &[HistoryEvent]) -> Self {
        let mut pending = Self::default();
        for event in events {
            pending.apply(event);
        }
        pending
    }

    /// Takes in one further event.
    pub(crate) fn apply(&mut self, event: &HistoryEvent) {
        if let Some(status) = event.kind.closing_status() {
            self.closed = Some(status);
        }
        self.apply_kind(&event.kind, event.time);
    }

    fn apply_kind(&mut self, kind: &EventKind, time: Timestamp) {
        match kind {
            EventKind::ActivityScheduled {
                seq,
                activity,
                input,
                options,
            } => {
                let pending = PendingActivity {
                    name: activity.clone(),
                    input: input.clone(),
                    options: options.clone(),
                    scheduled_at: time,
                    cancel_requested: false,
                    last_failure: None,
                    state: AttemptState::Scheduled,
                };
                self.activities.insert(*seq, pending);
            }
            EventKind::ActivityStarted { seq, attempt } => self.attempt(*seq, |activity| {
                activity.state = AttemptState::Started {
                    attempt: *attempt,
                    at: time,
                };
            }),
            EventKind::ActivityRetried {
                seq,
                attempt,
                failure,
                retry_at,
            } => self.attempt(*seq, |activity| {
                activity.last_failure = Some(failure.clone());
                activity.state = AttemptState::Waiting {
                    attempt: *attempt,
                    retry_at: *retry_at,
                };
            }),
            EventKind::ActivityCancelRequested { seq } => {
                self.attempt(*seq, |activity| activity.cancel_requested = true);
            }
            EventKind::ActivityCompleted { seq, .. } | EventKind::ActivityFailed { seq, .. } => {
                self.activities.remove(seq);
            }
            EventKind::TimerStarted { seq, duration } => {
                self.timers.insert(*seq, time + *duration);
            }
            EventKind::TimerCanceled { seq } | EventKind::TimerFired { seq } => {
                self.timers.remove(seq);
            }
            EventKind::ChildScheduled {
                seq,
                workflow_type,
                workflow_id,
                input,
                options,
            } => {
                let child = PendingChild {
                    workflow_type: workflow_type.clone(),
                    workflow_id: workflow_id.clone(),
                    input: input.clone(),
                    options: options.clone(),
                    cancel: None,
                };
                self.children.insert(*seq, child);
            }
            EventKind::ChildCancelRequested { seq, reason } => {
                if let Some(child) = self.children.get_mut(seq) {
                    child.cancel = Some(reason.clone());
                }
            }
            EventKind::ChildCompleted { seq, .. } | EventKind::ChildFailed { seq, .. } => {
                self.children.remove(seq);
            }
            EventKind::Deferred { arrival } => {
                self.deferred = true;
                self.apply_kind(arrival, time);
            }
            EventKind::Resumed => self.deferred = false,
            _ => {}
        }
    }

    fn attempt(&mut self, seq: u64, change: impl FnOnce(&mut PendingActivity)) {
        if let Some(activity) = self.activities.get_mut(&seq) {
            change(activity);
        }
    }
}
