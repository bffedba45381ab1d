//! The [`Backend`] on the SDK's workflow context.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use serde_json::Value;
use temporalio_common::{UntypedActivity, UntypedWorkflow};
use temporalio_workflow::{TimerOptions, TimerResult, WorkflowCancellationToken, WorkflowContext};
use workflow::backend::{Backend, WorkflowInfo};
use workflow::{
    ActivityError, ActivityOptions, Cancel, Cancelled, ChildError, ChildOptions, Operation, Parent,
    Timestamp,
};

use crate::convert::{self, Meta};
use crate::workflows::Adapter;

pub(crate) struct TemporalBackend {
    ctx: WorkflowContext<Adapter>,
    info: WorkflowInfo,
    /// Numbers the operations as the embedded engine does, for the ids of children.
    next_seq: Cell<u64>,
}

impl TemporalBackend {
    pub(crate) fn new(ctx: WorkflowContext<Adapter>, info: WorkflowInfo) -> Self {
        Self {
            ctx,
            info,
            next_seq: Cell::new(1),
        }
    }

    fn next_seq(&self) -> u64 {
        self.next_seq.replace(self.next_seq.get() + 1)
    }

    fn meta(&self) -> Meta {
        Meta {
            correlation_id: Some(self.info.correlation_id.clone()),
            parent: None,
        }
    }
}

/// Cancels one operation through a token of its own: our scopes, not the SDK's, say what is
/// cancelled with what.
struct TokenCancel {
    token: WorkflowCancellationToken,
    finished: Rc<Cell<bool>>,
}

impl Cancel for TokenCancel {
    fn cancel(&self, reason: &str) {
        if !self.finished.get() {
            self.token.cancel_with_reason(reason);
        }
    }

    fn is_finished(&self) -> bool {
        self.finished.get() || self.token.is_cancelled()
    }
}

/// An operation whose command is given now: an SDK future that borrows its context gives it when
/// it is first polled, so it is polled once here.
fn begin<T: 'static>(
    token: WorkflowCancellationToken,
    future: impl Future<Output = T> + 'static,
) -> Operation<T> {
    let finished = Rc::new(Cell::new(false));
    let cancel = Rc::new(TokenCancel {
        token,
        finished: finished.clone(),
    });
    let mut future: Pin<Box<dyn Future<Output = T>>> = Box::pin(future);
    let mut early = match future
        .as_mut()
        .poll(&mut TaskContext::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => {
            finished.set(true);
            Some(output)
        }
        Poll::Pending => None,
    };
    let outcome = std::future::poll_fn(move |cx| {
        if let Some(output) = early.take() {
            return Poll::Ready(output);
        }
        let polled = future.as_mut().poll(cx);
        finished.set(finished.get() || polled.is_ready());
        polled
    });
    Operation::new(outcome, cancel)
}

impl Backend for TemporalBackend {
    fn info(&self) -> &WorkflowInfo {
        &self.info
    }

    fn now(&self) -> Timestamp {
        self.ctx
            .workflow_time()
            .map_or(Timestamp::EPOCH, Timestamp::from)
    }

    fn is_replaying(&self) -> bool {
        self.ctx.is_replaying()
    }

    fn random_u64(&self) -> u64 {
        self.ctx.random()
    }

    fn patched(&self, id: &str, deprecated: bool) -> bool {
        if deprecated {
            self.ctx.deprecate_patch(id)
        } else {
            self.ctx.patched(id)
        }
    }

    fn set_query(&self, name: &str, value: Value) {
        self.ctx.state(|adapter| adapter.set_query(name, value));
    }

    fn take_signal(&self, name: &str) -> Option<Value> {
        self.ctx.state(|adapter| adapter.take_signal(name))
    }

    fn start_activity(
        &self,
        name: &str,
        input: Value,
        options: ActivityOptions,
    ) -> Operation<Result<Value, ActivityError>> {
        self.next_seq();
        let token = WorkflowCancellationToken::new();
        let options = convert::activity_options(&options, token.clone());
        let arguments = convert::arguments(&input, &self.meta());
        let (ctx, activity) = (self.ctx.clone(), name.to_owned());
        begin(token, async move {
            let definition = UntypedActivity::new(&*activity);
            match ctx.execute_activity(definition, arguments, options).await {
                Ok(output) => convert::first(&output.payloads)
                    .map_err(|message| ActivityError::Invalid { activity, message }),
                Err(error) => Err(convert::activity_error(&activity, &error)),
            }
        })
    }

    fn start_timer(&self, duration: Duration) -> Operation<Result<(), Cancelled>> {
        self.next_seq();
        let token = WorkflowCancellationToken::new();
        let options = TimerOptions::builder(duration)
            .cancellation_token(token.clone())
            .build();
        let (ctx, cancelled_by) = (self.ctx.clone(), token.clone());
        begin(token, async move {
            match ctx.timer(options).await {
                TimerResult::Fired => Ok(()),
                TimerResult::Cancelled => Err(Cancelled {
                    reason: cancelled_by.reason().unwrap_or_default(),
                }),
            }
        })
    }

    fn start_child(
        &self,
        workflow_type: &str,
        input: Value,
        options: ChildOptions,
    ) -> Operation<Result<Value, ChildError>> {
        let seq = self.next_seq();
        let own_id = || format!("{}/{seq}", self.info.workflow_id);
        let workflow_id = options.workflow_id.clone().unwrap_or_else(own_id);
        let token = WorkflowCancellationToken::new();
        let options = convert::child_options(&options, &workflow_id, token.clone());
        let mut meta = self.meta();
        meta.parent = Some(Parent {
            workflow_id: self.info.workflow_id.clone(),
            run_id: self.info.run_id.clone(),
            seq,
        });
        let arguments = convert::arguments(&input, &meta);
        let (ctx, definition) = (self.ctx.clone(), UntypedWorkflow::new(workflow_type));
        begin(token, async move {
            let started = ctx
                .start_child_workflow(definition, arguments, options)
                .await
                .map_err(|error| convert::child_start_error(&workflow_id, &error))?;
            match started.result().await {
                Ok(output) => {
                    convert::first(&output.payloads).map_err(|message| ChildError::Invalid {
                        workflow_id,
                        message,
                    })
                }
                Err(error) => Err(convert::child_error(&workflow_id, &error)),
            }
        })
    }
}
