//! Our activities as the SDK's: one implementation that serves every registered name.

use std::cell::RefCell;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;
use temporalio_common::ActivityDefinition;
use temporalio_common::data_converters::RawValue;
use temporalio_sdk::activities::{
    ActivityContext, ActivityDefinitions, ActivityError, ActivityImplementer, ExecutableActivity,
};
use tokio::sync::watch;
use workflow::{ActivityInfo, CancelToken, Failure, HeartbeatSink, Registry};

use crate::convert;

thread_local! {
    /// The activity that is being registered; the SDK asks the Rust type for its name and keeps
    /// the answer.
    static REGISTERING: RefCell<String> = const { RefCell::new(String::new()) };
}

/// All activities of a registry, as one set of the SDK's.
pub(crate) struct Activities(pub(crate) Registry);

impl ActivityImplementer for Activities {
    fn register_all(self: Arc<Self>, definitions: &mut ActivityDefinitions) {
        for name in self.0.activity_names() {
            REGISTERING.set(name.to_owned());
            definitions.register_activity::<Named>(self.clone());
        }
    }
}

/// An activity by name: JSON in, JSON out.
pub(crate) struct Named(String);

impl ActivityDefinition for Named {
    type Input = RawValue;
    type Output = RawValue;

    fn name(&self) -> &str {
        &self.0
    }
}

impl ExecutableActivity for Named {
    type Implementer = Activities;
    const REQUIRES_INSTANCE: bool = true;

    fn definition() -> Self {
        Self(REGISTERING.with_borrow(Clone::clone))
    }

    fn execute(
        receiver: Option<Arc<Activities>>,
        ctx: ActivityContext,
        input: RawValue,
    ) -> BoxFuture<'static, Result<RawValue, ActivityError>> {
        Box::pin(async move {
            let Some(activities) = receiver else {
                return Err(ActivityError::from(std::io::Error::other("no activities")));
            };
            execute(&activities.0, ctx, &input).await
        })
    }
}

/// Keeps the last heartbeat for whoever passes it on.
struct Pump(watch::Sender<Option<Value>>);

impl HeartbeatSink for Pump {
    fn beat(&self, details: Value) {
        self.0.send_replace(Some(details));
    }
}

async fn execute(
    registry: &Registry,
    ctx: ActivityContext,
    input: &RawValue,
) -> Result<RawValue, ActivityError> {
    let info = ctx.info();
    let (workflow_id, run_id) = (
        info.workflow_id.clone().unwrap_or_default(),
        info.workflow_run_id.clone(),
    );
    let ours = ActivityInfo {
        activity: info.activity_type.clone(),
        activity_id: info.activity_id.clone(),
        correlation_id: convert::meta(&input.payloads)
            .correlation_id
            .unwrap_or_else(|| workflow_id.clone()),
        workflow_id,
        run_id: run_id.unwrap_or_default(),
        attempt: info.attempt,
        last_heartbeat: convert::first(ctx.heartbeat_details().raw()).unwrap_or_default(),
    };
    let argument = convert::first(&input.payloads)
        .map_err(|message| failed(&Failure::non_retryable(Failure::CONVERSION, message)))?;
    let (beats, mut beaten) = watch::channel(None);
    let token = CancelToken::new();
    let name = ours.activity.clone();
    let context = workflow::ActivityContext::new(ours, Arc::new(Pump(beats)), token.clone());
    let mut running = registry.start_activity(&name, context, argument);
    loop {
        tokio::select! {
            ended = &mut running => return match ended {
                Ok(output) => Ok(RawValue::new(vec![convert::payload(&output)])),
                Err(failure) if failure.kind == Failure::CANCELLED && token.is_cancelled() => {
                    Err(ActivityError::cancelled())
                }
                Err(failure) => Err(failed(&failure)),
            },
            () = ctx.cancelled(), if !token.is_cancelled() => token.cancel(),
            Ok(()) = beaten.changed() => {
                let details = beaten.borrow_and_update().clone().unwrap_or_default();
                let details = RawValue::new(vec![convert::payload(&details)]);
                if let Err(error) = ctx.record_heartbeat(details).await {
                    tracing::warn!(activity = name, %error, "heartbeat not passed on");
                }
            }
        }
    }
}

fn failed(failure: &Failure) -> ActivityError {
    ActivityError::application(convert::application_failure(failure))
}
