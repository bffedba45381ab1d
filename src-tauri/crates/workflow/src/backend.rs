//! What an engine provides below [`crate::Context`]. Workflow code never sees it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use serde_json::Value;

use crate::context::Context;
use crate::failure::{ActivityError, Cancelled, ChildError};
use crate::history::Parent;
use crate::limits;
use crate::options::{ActivityOptions, ChildOptions};
use crate::scope::{CancelScope, Operation, Repoll};
use crate::time::Timestamp;

/// Who a workflow run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowInfo {
    /// Chosen by whoever started it.
    pub workflow_id: String,
    /// The run's own id.
    pub run_id: String,
    /// The name of its code.
    pub workflow_type: String,
    /// Ties it to the events of the same undertaking.
    pub correlation_id: String,
    /// Set for a child workflow.
    pub parent: Option<Parent>,
}

/// The operations that an engine offers to workflow code. Implemented by the embedded engine and
/// by the adapter for Temporal.
///
/// All effects are asked for when a method is called, not when its future is first polled, so that
/// their order is the order of the code.
pub trait Backend {
    /// Who this run is.
    fn info(&self) -> &WorkflowInfo;
    /// The time of the event that is being handled; the same in every replay.
    fn now(&self) -> Timestamp;
    /// True while recorded events are handled again. For logging only.
    fn is_replaying(&self) -> bool;
    /// The next number of the run's seeded sequence.
    fn random_u64(&self) -> u64;
    /// See [`Context::patched`] and [`Context::deprecate_patch`].
    fn patched(&self, id: &str, deprecated: bool) -> bool;
    /// Sets what a query by this name is answered with.
    fn set_query(&self, name: &str, value: Value);
    /// Takes the oldest signal of this name that was not taken yet.
    fn take_signal(&self, name: &str) -> Option<Value>;
    /// Starts an activity.
    fn start_activity(
        &self,
        name: &str,
        input: Value,
        options: ActivityOptions,
    ) -> Operation<Result<Value, ActivityError>>;
    /// Starts a timer.
    fn start_timer(&self, duration: Duration) -> Operation<Result<(), Cancelled>>;
    /// Starts a child workflow.
    fn start_child(
        &self,
        workflow_type: &str,
        input: Value,
        options: ChildOptions,
    ) -> Operation<Result<Value, ChildError>>;
}

/// The engine's hold on a workflow's code: cancels it and polls it.
#[derive(Debug)]
pub struct Driver {
    scope: CancelScope,
    repoll: Repoll,
}

/// Workflow code kept asking to be polled again without ever waiting for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "workflow code spins: {} polls without waiting for an event",
    limits::MAX_POLLS_PER_TURN
)]
pub struct Spinning;

impl Driver {
    /// The context for a run on `backend`, and the engine's hold on it.
    #[must_use]
    pub fn new(backend: Rc<dyn Backend>) -> (Context, Self) {
        let repoll = Repoll::default();
        let scope = CancelScope::new(repoll.clone());
        let context = Context::new(backend, scope.clone());
        (context, Self { scope, repoll })
    }

    /// Hands the code a request to cancel.
    pub fn cancel(&self, reason: &str) {
        self.scope.cancel(reason);
    }

    /// Polls `future` until it waits for an event. `woken` says whether the future's waker was
    /// called since it was last asked.
    ///
    /// # Errors
    /// [`Spinning`] when the code never comes to wait.
    pub fn poll<T>(
        &self,
        mut future: Pin<&mut (dyn Future<Output = T> + '_)>,
        cx: &mut TaskContext<'_>,
        woken: &dyn Fn() -> bool,
    ) -> Result<Poll<T>, Spinning> {
        for _ in 0..limits::MAX_POLLS_PER_TURN {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Ok(Poll::Ready(output));
            }
            let again = self.repoll.take();
            if !(woken() || again) {
                return Ok(Poll::Pending);
            }
        }
        Err(Spinning)
    }
}

impl fmt::Debug for dyn Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("info", self.info())
            .finish_non_exhaustive()
    }
}
