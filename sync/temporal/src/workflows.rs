//! Our workflows as the SDK's: one implementation that serves every registered type.

use std::any::Any;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::task::Poll;

use futures_util::future::LocalBoxFuture;
use serde_json::Value;
use temporalio_common::data_converters::{PayloadConverter, RawValue};
use temporalio_common::protos::temporal::api::common::v1::Payloads;
use temporalio_common::{QueryDefinition, SignalDefinition, WorkflowDefinition};
use temporalio_workflow::workflow_interceptors::WorkflowOutputValue;
use temporalio_workflow::workflows::{
    WorkflowDefinitionDescriptor, WorkflowError, WorkflowImplementation,
};
use temporalio_workflow::{
    WaitConditionOptions, WorkflowCancellationToken, WorkflowContext, WorkflowContextView,
    WorkflowTermination,
};
use workflow::Registry;
use workflow::backend::{Driver, WorkflowInfo};

use crate::backend::TemporalBackend;
use crate::convert;

thread_local! {
    /// The type that is being registered. The SDK asks the Rust type for its workflow's name and
    /// keeps the answer; ours has one Rust type for all names.
    static REGISTERING: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Calls `register` while [`Adapter`] goes by the name `workflow_type`.
pub(crate) fn registering<T>(workflow_type: &str, register: impl FnOnce() -> T) -> T {
    REGISTERING.set(workflow_type.to_owned());
    register()
}

/// The state of one run on the cluster.
pub(crate) struct Adapter {
    workflow_type: String,
    registry: Registry,
    signals: RefCell<HashMap<String, VecDeque<Value>>>,
    queries: RefCell<HashMap<String, Value>>,
    /// Signals received so far; the main routine waits for it to grow.
    received: u64,
}

impl Adapter {
    pub(crate) fn new(workflow_type: String, registry: Registry) -> Self {
        Self {
            workflow_type,
            registry,
            signals: RefCell::default(),
            queries: RefCell::default(),
            received: 0,
        }
    }

    pub(crate) fn set_query(&self, name: &str, value: Value) {
        self.queries.borrow_mut().insert(name.to_owned(), value);
    }

    pub(crate) fn take_signal(&self, name: &str) -> Option<Value> {
        self.signals.borrow_mut().get_mut(name)?.pop_front()
    }
}

/// The signature of every workflow of ours: JSON in, JSON out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run;

impl WorkflowDefinition for Run {
    type Input = RawValue;
    type Output = RawValue;

    fn name(&self) -> &str {
        Adapter::name()
    }
}

async fn run(
    ctx: WorkflowContext<Adapter>,
    input: RawValue,
) -> Result<RawValue, WorkflowTermination> {
    let (workflow_type, registry) =
        ctx.state(|adapter| (adapter.workflow_type.clone(), adapter.registry.clone()));
    let meta = convert::meta(&input.payloads);
    let argument = convert::first(&input.payloads).map_err(invalid)?;
    let info = WorkflowInfo {
        workflow_id: ctx.workflow_id().to_owned(),
        run_id: ctx.run_id().to_owned(),
        workflow_type: workflow_type.clone(),
        correlation_id: meta
            .correlation_id
            .unwrap_or_else(|| ctx.workflow_id().to_owned()),
        parent: meta.parent,
    };
    let (context, driver) = Driver::new(Rc::new(TemporalBackend::new(ctx.clone(), info)));
    let Some(mut code) = registry.start_workflow(&workflow_type, context, argument) else {
        return Err(invalid(format!(
            "no workflow of type '{workflow_type}' is registered"
        )));
    };
    let mut cancelled: LocalBoxFuture<'static, String> = {
        let ctx = ctx.clone();
        Box::pin(async move { ctx.cancelled().await.unwrap_or_default() })
    };
    let mut was_cancelled = false;
    let mut signalled = next_signal(&ctx);
    let outcome = std::future::poll_fn(|cx| {
        if !was_cancelled && let Poll::Ready(reason) = cancelled.as_mut().poll(cx) {
            was_cancelled = true;
            driver.cancel(&reason);
        }
        // Registers our waker with the SDK; what came is taken by the code itself.
        while signalled.as_mut().poll(cx).is_ready() {
            signalled = next_signal(&ctx);
        }
        match driver.poll(code.as_mut(), cx, &|| false) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(outcome)) => Poll::Ready(outcome),
            Err(spinning) => Poll::Ready(Err(workflow::WorkflowError::failed(
                "Spinning",
                spinning.to_string(),
            ))),
        }
    })
    .await;
    match outcome {
        Ok(result) => Ok(RawValue::new(vec![convert::payload(&result)])),
        Err(error) if was_cancelled && error.is_cancelled() => {
            Err(WorkflowTermination::cancelled())
        }
        Err(error) => {
            let failure = convert::application_failure(&error.to_failure());
            Err(WorkflowTermination::failed_application(failure))
        }
    }
}

fn invalid(message: String) -> WorkflowTermination {
    let failure = workflow::Failure::non_retryable(workflow::Failure::CONVERSION, message);
    WorkflowTermination::failed_application(convert::application_failure(&failure))
}

/// Done when a signal comes after this call.
fn next_signal(ctx: &WorkflowContext<Adapter>) -> LocalBoxFuture<'static, ()> {
    let seen = ctx.state(|adapter| adapter.received);
    let ctx = ctx.clone();
    Box::pin(async move {
        let mut options = WaitConditionOptions::default();
        // A cancelled workflow still takes signals.
        options.cancellation_token = Some(WorkflowCancellationToken::new());
        let grown =
            ctx.wait_condition_with_options(move |adapter| adapter.received > seen, options);
        // It fails only when its token is cancelled, and nobody holds that token.
        let _ = grown.await;
    })
}

/// Keeps a signal's or query's payloads with the name they came under.
fn raw(payloads: &Payloads) -> Option<Box<dyn Any>> {
    Some(Box::new(RawValue::new(payloads.payloads.clone())))
}

impl WorkflowImplementation for Adapter {
    type Run = Run;
    const HAS_INIT: bool = false;
    const INIT_TAKES_INPUT: bool = false;

    fn name() -> &'static str {
        "workflow"
    }

    fn definition() -> WorkflowDefinitionDescriptor {
        WorkflowDefinitionDescriptor {
            workflow_type: REGISTERING.with_borrow(Clone::clone),
            has_init: Self::HAS_INIT,
            init_takes_input: Self::INIT_TAKES_INPUT,
            signals: Vec::new(),
            queries: Vec::new(),
            updates: Vec::new(),
        }
    }

    fn init(_: WorkflowContextView, _: Option<RawValue>) -> Self {
        // Runs are made by the factory they were registered with; see `worker`.
        Self::new(String::new(), Registry::new())
    }

    fn run(
        ctx: WorkflowContext<Self>,
        input: Option<RawValue>,
    ) -> LocalBoxFuture<'static, Result<Box<dyn WorkflowOutputValue>, WorkflowTermination>> {
        Box::pin(async move {
            let output = run(ctx, input.unwrap_or_default()).await?;
            Ok(Box::new(output) as Box<dyn WorkflowOutputValue>)
        })
    }

    fn decode_signal_input(
        _: &str,
        payloads: Payloads,
        _: &PayloadConverter,
    ) -> Result<Option<Box<dyn Any>>, WorkflowError> {
        Ok(raw(&payloads))
    }

    fn dispatch_signal(
        ctx: WorkflowContext<Self>,
        name: &str,
        input: Box<dyn Any>,
    ) -> LocalBoxFuture<'static, Result<(), WorkflowError>> {
        let decoded = input
            .downcast::<RawValue>()
            .map_err(|_| "a signal of an unknown kind".to_owned())
            .and_then(|raw| convert::first(&raw.payloads));
        let name = name.to_owned();
        // An async block, so that the SDK sees the state change while it polls a handler.
        Box::pin(async move {
            match decoded {
                Ok(value) => ctx.state_mut(|adapter| {
                    adapter
                        .signals
                        .get_mut()
                        .entry(name)
                        .or_default()
                        .push_back(value);
                    adapter.received += 1;
                }),
                Err(error) => {
                    tracing::warn!(
                        workflow_id = ctx.workflow_id(),
                        signal = name,
                        error,
                        "signal dropped"
                    );
                }
            }
            Ok(())
        })
    }

    fn decode_query_input(
        _: &str,
        payloads: &Payloads,
        _: &PayloadConverter,
    ) -> Result<Option<Box<dyn Any>>, WorkflowError> {
        Ok(raw(payloads))
    }

    fn dispatch_query(
        &self,
        _: WorkflowContextView,
        name: &str,
        _: Box<dyn Any>,
    ) -> Result<Box<dyn WorkflowOutputValue>, WorkflowError> {
        match self.queries.borrow().get(name) {
            Some(value) => Ok(Box::new(RawValue::new(vec![convert::payload(value)]))),
            None => Err(WorkflowError::Execution(
                format!("no query '{name}'").into(),
            )),
        }
    }

    fn dispatch_update(
        _: WorkflowContext<Self>,
        name: &str,
        _: Box<dyn Any>,
    ) -> LocalBoxFuture<'static, Result<Box<dyn WorkflowOutputValue>, WorkflowError>> {
        let error = WorkflowError::Execution(format!("no update '{name}'").into());
        Box::pin(std::future::ready(Err(error)))
    }

    fn validate_update(
        &self,
        _: WorkflowContextView,
        name: &str,
        _: Box<dyn Any>,
    ) -> Result<(), WorkflowError> {
        Err(WorkflowError::Execution(
            format!("no update '{name}'").into(),
        ))
    }
}

/// A signal of ours, for the client.
pub(crate) struct NamedSignal(pub(crate) String);

impl SignalDefinition for NamedSignal {
    type Workflow = temporalio_common::UntypedWorkflow;
    type Input = RawValue;

    fn name(&self) -> &str {
        &self.0
    }
}

/// A query of ours, for the client.
pub(crate) struct NamedQuery(pub(crate) String);

impl QueryDefinition for NamedQuery {
    type Workflow = temporalio_common::UntypedWorkflow;
    type Input = RawValue;
    type Output = RawValue;

    fn name(&self) -> &str {
        &self.0
    }
}
