//! The attempts that run now, and their heartbeats.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::AbortHandle;

use super::messages::Input;
use super::shared::Shared;
use crate::activity::{ActivityContext, ActivityInfo, CancelToken, HeartbeatSink};
use crate::clock::WorkflowClock;
use crate::execution::panic_failure;
use crate::limits;
use crate::time::Timestamp;

/// The attempts of one run that are under way, by activity.
#[derive(Default)]
pub(crate) struct Attempts {
    running: BTreeMap<u64, Attempt>,
}

/// One attempt under way. Dropping it breaks it off.
struct Attempt {
    number: u32,
    token: CancelToken,
    task: AbortHandle,
    beat: Arc<Beat>,
    /// When the last heartbeat was kept, and when the next one is to be.
    kept_at: Option<Timestamp>,
    keep_at: Option<Timestamp>,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.token.cancel();
        self.task.abort();
    }
}

impl Attempts {
    /// Runs one attempt on the engine's runtime. `permit` is held until it ends.
    pub(crate) fn spawn(
        &mut self,
        seq: u64,
        info: ActivityInfo,
        input: Value,
        permit: OwnedSemaphorePermit,
        shared: &Shared,
        sender: mpsc::Sender<Input>,
    ) {
        let token = CancelToken::new();
        let beat = Arc::new(Beat {
            seq,
            clock: shared.clock.clone(),
            sender: sender.clone(),
            state: Mutex::default(),
        });
        let (name, number) = (info.activity.clone(), info.attempt);
        let context = ActivityContext::new(info, beat.clone(), token.clone());
        let registry = shared.registry.clone();
        let task = shared.runtime.spawn(async move {
            let running = async move { registry.start_activity(&name, context, input).await };
            let result = AssertUnwindSafe(running).catch_unwind().await;
            drop(permit);
            let result = result.unwrap_or_else(|panic| Err(panic_failure(&*panic)));
            // A run that is gone has no use for the result; the attempt counts as interrupted.
            let _ = sender
                .send(Input::AttemptEnded {
                    seq,
                    attempt: number,
                    result,
                })
                .await;
        });
        let attempt = Attempt {
            number,
            token,
            task: task.abort_handle(),
            beat,
            kept_at: None,
            keep_at: None,
        };
        self.running.insert(seq, attempt);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Forgets attempt `number` at activity `seq` and yields its last heartbeat. `None` when it is
    /// not the one that runs: it was given up before, and its outcome does not count.
    pub(crate) fn end(&mut self, seq: u64, number: u32) -> Option<Option<Value>> {
        if self.running.get(&seq)?.number != number {
            return None;
        }
        self.running
            .remove(&seq)
            .map(|attempt| attempt.beat.state().details.take())
    }

    /// Breaks off whatever attempt runs at activity `seq`; yields its last heartbeat.
    pub(crate) fn abort(&mut self, seq: u64) -> Option<Value> {
        self.running.remove(&seq)?.beat.state().details.take()
    }

    /// Asks the attempt at activity `seq` to end.
    pub(crate) fn cancel(&self, seq: u64) {
        if let Some(attempt) = self.running.get(&seq) {
            attempt.token.cancel();
        }
    }

    /// Asks all attempts to end.
    pub(crate) fn cancel_all(&self) {
        for attempt in self.running.values() {
            attempt.token.cancel();
        }
    }

    /// When activity `seq` last sent a heartbeat.
    pub(crate) fn last_beat(&self, seq: u64) -> Option<Timestamp> {
        self.running.get(&seq)?.beat.state().at
    }

    /// What the last heartbeat of activity `seq` carried.
    pub(crate) fn details(&self, seq: u64) -> Option<Value> {
        self.running.get(&seq)?.beat.state().details.clone()
    }

    /// Notes that activity `seq` sent a heartbeat that is to be kept.
    pub(crate) fn beaten(&mut self, seq: u64, now: Timestamp) {
        if let Some(attempt) = self.running.get_mut(&seq) {
            let earliest = attempt
                .kept_at
                .map(|at| at + limits::HEARTBEAT_PERSIST_INTERVAL);
            attempt.keep_at = Some(earliest.map_or(now, |at| at.max(now)));
        }
    }

    /// When the next heartbeat is to be kept.
    pub(crate) fn keep_at(&self) -> Option<Timestamp> {
        self.running
            .values()
            .filter_map(|attempt| attempt.keep_at)
            .min()
    }

    /// The heartbeats to be kept now: activity, attempt, details.
    pub(crate) fn take_kept(&mut self, now: Timestamp) -> Vec<(u64, u32, Value)> {
        let mut kept = Vec::new();
        for (seq, attempt) in &mut self.running {
            if attempt.keep_at.is_none_or(|at| at > now) {
                continue;
            }
            attempt.keep_at = None;
            attempt.kept_at = Some(now);
            let mut state = attempt.beat.state();
            state.noted = false;
            if let Some(details) = &state.details {
                kept.push((*seq, attempt.number, details.clone()));
            }
        }
        kept
    }
}

/// The last heartbeat of an attempt, written by the activity and read by the run.
struct Beat {
    seq: u64,
    clock: Arc<dyn WorkflowClock>,
    sender: mpsc::Sender<Input>,
    state: Mutex<BeatState>,
}

#[derive(Default)]
struct BeatState {
    at: Option<Timestamp>,
    details: Option<Value>,
    /// The run knows that there is something to keep.
    noted: bool,
}

impl Beat {
    fn state(&self) -> MutexGuard<'_, BeatState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeartbeatSink for Beat {
    fn beat(&self, details: Value) {
        let now = self.clock.now();
        let mut state = self.state();
        state.at = Some(now);
        state.details = Some(details);
        if !state.noted {
            // A full queue only delays the keeping until the next heartbeat.
            state.noted = self
                .sender
                .try_send(Input::Heartbeat { seq: self.seq })
                .is_ok();
        }
    }
}
