//! The one thing that workflow code may talk to.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::backend::{Backend, WorkflowInfo};
use crate::definition::{ActivityType, Signal, Workflow};
use crate::failure::{ActivityError, Cancelled, ChildError};
use crate::options::{ActivityOptions, ChildOptions};
use crate::scope::{CancelScope, Operation};
use crate::time::Timestamp;

/// An activity in progress. Dropping it does not end the activity; [`Operation::cancel`] does.
pub type ActivityFuture<T> = Operation<Result<T, ActivityError>>;
/// A timer in progress.
pub type TimerFuture = Operation<Result<(), Cancelled>>;
/// A child workflow in progress. Dropping it does not end the child.
pub type ChildFuture<T> = Operation<Result<T, ChildError>>;

/// A workflow's access to the world. Cheap to clone.
///
/// Everything that a workflow does or learns goes through here, is recorded, and comes out the
/// same when the history is replayed. Operations begin when their method is called, in the order
/// of the calls; awaiting only waits for their outcome.
#[derive(Clone)]
pub struct Context {
    backend: Rc<dyn Backend>,
    scope: CancelScope,
}

impl Context {
    pub(crate) fn new(backend: Rc<dyn Backend>, scope: CancelScope) -> Self {
        Self { backend, scope }
    }

    /// Who this run is.
    #[must_use]
    pub fn info(&self) -> &WorkflowInfo {
        self.backend.info()
    }

    /// The id under which this workflow was started.
    #[must_use]
    pub fn workflow_id(&self) -> &str {
        &self.info().workflow_id
    }

    /// The run's own id.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.info().run_id
    }

    /// The id that ties this run to the events of the same undertaking.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        &self.info().correlation_id
    }

    /// The time of the event that is being handled. It stands still between awaits.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.backend.now()
    }

    /// True while recorded events are handled again. Decide nothing by it; it is for logging.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.backend.is_replaying()
    }

    /// A random number from the run's recorded seed.
    #[must_use]
    pub fn random_u64(&self) -> u64 {
        self.backend.random_u64()
    }

    /// A random UUID (version 4) from the run's recorded seed.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let (high, low) = (self.random_u64(), self.random_u64());
        uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
            .into_uuid()
    }

    /// True when this run takes the new side of the change `id`: always for runs that reach this
    /// point for the first time, and on replay if they did so when it was recorded. Runs recorded
    /// before the change keep taking the old side.
    #[must_use]
    pub fn patched(&self, id: &str) -> bool {
        self.backend.patched(id, false)
    }

    /// Stands where [`Self::patched`] stood, once no run on the old side is left. After the runs
    /// that passed here have ended too, the call can be removed.
    pub fn deprecate_patch(&self, id: &str) {
        let _ = self.backend.patched(id, true);
    }

    /// Sets what queries by `name` are answered with from now on. Readable from outside at any
    /// time, also after the end.
    pub fn set_query<T: Serialize>(&self, name: &str, value: &T) {
        match serde_json::to_value(value) {
            Ok(value) => self.backend.set_query(name, value),
            Err(error) => tracing::warn!(query = name, %error, "query value not serialisable"),
        }
    }

    /// Starts activity `A`.
    pub fn activity<A: ActivityType>(
        &self,
        input: A::Input,
        options: ActivityOptions,
    ) -> ActivityFuture<A::Output> {
        self.activity_named(A::NAME, input, options)
    }

    /// Starts the activity called `name`.
    pub fn activity_named<I: Serialize, O: DeserializeOwned + 'static>(
        &self,
        name: &str,
        input: I,
        options: ActivityOptions,
    ) -> ActivityFuture<O> {
        let invalid = |message: String| ActivityError::Invalid {
            activity: name.to_owned(),
            message,
        };
        if self.scope.is_cancelled() {
            return Operation::ready(Err(ActivityError::Cancelled {
                activity: name.to_owned(),
            }));
        }
        if let Err(message) = options.check() {
            return Operation::ready(Err(invalid(message)));
        }
        let input = match serde_json::to_value(&input) {
            Ok(input) => input,
            Err(error) => return Operation::ready(Err(invalid(format!("input: {error}")))),
        };
        let activity = name.to_owned();
        self.start(self.backend.start_activity(name, input, options))
            .map(move |outcome| {
                serde_json::from_value(outcome?).map_err(|error| ActivityError::Invalid {
                    activity,
                    message: format!("output: {error}"),
                })
            })
    }

    /// Starts a timer.
    pub fn timer(&self, duration: Duration) -> TimerFuture {
        match self.scope.reason() {
            Some(reason) => Operation::ready(Err(Cancelled { reason })),
            None => self.start(self.backend.start_timer(duration)),
        }
    }

    /// Starts `W` as a child workflow.
    pub fn child<W: Workflow>(
        &self,
        input: W::Input,
        options: ChildOptions,
    ) -> ChildFuture<W::Output> {
        let workflow_id = options
            .workflow_id
            .clone()
            .unwrap_or_else(|| W::NAME.to_owned());
        if self.scope.is_cancelled() {
            return Operation::ready(Err(ChildError::Cancelled { workflow_id }));
        }
        let invalid = |workflow_id, message| ChildError::Invalid {
            workflow_id,
            message,
        };
        match serde_json::to_value(&input) {
            Ok(input) => self
                .start(self.backend.start_child(W::NAME, input, options))
                .map(move |outcome| {
                    serde_json::from_value(outcome?)
                        .map_err(|error| invalid(workflow_id, format!("result: {error}")))
                }),
            Err(error) => Operation::ready(Err(invalid(workflow_id, format!("input: {error}")))),
        }
    }

    /// Waits for the next signal `S`. Signals wait in the order they came until code takes them;
    /// one whose payload does not fit `S` is dropped with a warning.
    ///
    /// # Errors
    /// [`Cancelled`] when the scope is cancelled and no signal waits.
    pub fn wait_signal<S: Signal>(&self) -> SignalFuture<S> {
        self.wait_signal_named(S::NAME)
    }

    /// Waits for the next signal called `name`, as [`Self::wait_signal`].
    pub fn wait_signal_named<T: DeserializeOwned>(&self, name: &str) -> SignalFuture<T> {
        SignalFuture {
            context: self.clone(),
            name: name.to_owned(),
            payload: PhantomData,
        }
    }

    /// Takes a signal `S` if one waits.
    #[must_use]
    pub fn try_signal<S: Signal>(&self) -> Option<S> {
        self.take_signal(S::NAME)
    }

    fn take_signal<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        loop {
            match serde_json::from_value(self.backend.take_signal(name)?) {
                Ok(signal) => return Some(signal),
                Err(error) => tracing::warn!(
                    workflow_id = self.workflow_id(),
                    signal = name,
                    %error,
                    "signal dropped: its payload does not fit"
                ),
            }
        }
    }

    /// True once the workflow, or the scope of this context, was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.scope.is_cancelled()
    }

    /// Waits until the workflow, or the scope of this context, is cancelled; yields the reason.
    pub fn cancelled(&self) -> CancelledFuture {
        CancelledFuture {
            scope: self.scope.clone(),
        }
    }

    /// A context whose operations can be cancelled together, through the scope returned with it,
    /// and are cancelled with this one.
    #[must_use]
    pub fn scope(&self) -> (Self, CancelScope) {
        let scope = self.scope.child();
        (Self::new(self.backend.clone(), scope.clone()), scope)
    }

    /// A context that cancelling the workflow does not reach: for cleaning up after it.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self::new(self.backend.clone(), self.scope.detached())
    }

    fn start<T: 'static>(&self, operation: Operation<T>) -> Operation<T> {
        if let Some(cancel) = operation.canceller() {
            self.scope.add(cancel);
        }
        operation
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("info", self.info())
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Waits for a signal; see [`Context::wait_signal`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct SignalFuture<T> {
    context: Context,
    name: String,
    payload: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Future for SignalFuture<T> {
    type Output = Result<T, Cancelled>;

    fn poll(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Self::Output> {
        if let Some(signal) = self.context.take_signal(&self.name) {
            return Poll::Ready(Ok(signal));
        }
        match self.context.scope.reason() {
            Some(reason) => Poll::Ready(Err(Cancelled { reason })),
            None => Poll::Pending,
        }
    }
}

/// Waits for cancellation; see [`Context::cancelled`].
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct CancelledFuture {
    scope: CancelScope,
}

impl Future for CancelledFuture {
    type Output = String;

    fn poll(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<String> {
        self.scope.reason().map_or(Poll::Pending, Poll::Ready)
    }
}

/// A value that ended up in a history or a query, decoded.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("{what}: {error}"))
}
