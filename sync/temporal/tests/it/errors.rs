//! Every way in which an operation can end, described in words that both engines must share.

use std::time::Duration;

use workflow::{
    ActivityContext, ActivityError, ActivityOptions, CancellationType, ChildError, ChildOptions,
    Context, Failure, Registry, RetryPolicy, Workflow, WorkflowError,
};

const SECOND: Duration = Duration::from_secs(1);

/// A child that fails, or waits until it is cancelled.
struct Child;

impl Workflow for Child {
    const NAME: &'static str = "child that ends badly";
    type Input = bool;
    type Output = ();

    async fn run(ctx: Context, fails: bool) -> Result<(), WorkflowError> {
        if fails {
            let failure = Failure::non_retryable("Unlucky", "as asked");
            return Err(failure.with_details(serde_json::json!({"n": 13})).into());
        }
        let reason = ctx.cancelled().await;
        Err(workflow::Cancelled { reason }.into())
    }
}

pub(crate) struct Errors;

impl Workflow for Errors {
    const NAME: &'static str = "errors";
    type Input = ();
    type Output = Vec<String>;

    async fn run(ctx: Context, (): ()) -> Result<Vec<String>, WorkflowError> {
        let start = ctx.now();
        let once = || ActivityOptions::start_to_close(30 * SECOND).with_retry(RetryPolicy::never());
        let mut seen = Vec::new();
        let named = RetryPolicy {
            non_retryable_error_types: vec!["Busy".into()],
            ..RetryPolicy::default()
        };
        for options in [
            once(),
            once().with_retry(named),
            once()
                .with_retry(RetryPolicy::default())
                .with_heartbeat(SECOND)
                .with_schedule_to_close(SECOND / 2),
            ActivityOptions::start_to_close(SECOND).with_retry(RetryPolicy::never()),
            ActivityOptions::heartbeat(SECOND).with_retry(RetryPolicy::never()),
        ] {
            let waits = seen.len() >= 2;
            let ended = ctx
                .activity_named::<_, ()>("ends badly", waits, options)
                .await;
            seen.push(describe(ended));
        }
        seen.push(describe(
            ctx.activity_named("ends badly", "no bool", once()).await,
        ));
        for cancellation in [CancellationType::TryCancel, CancellationType::WaitCompleted] {
            let (scoped, scope) = ctx.scope();
            let options = once()
                .with_heartbeat(10 * SECOND)
                .with_cancellation(cancellation);
            let running = scoped.activity_named::<_, ()>("gives way", (), options);
            let timer = scoped.timer(100 * SECOND);
            ctx.timer(SECOND / 5).await?;
            scope.cancel("enough");
            let (running, timer) = workflow::join!(running, timer);
            seen.push(format!("{} {:?}", describe(running), timer));
        }
        let child = ctx.child::<Child>(true, ChildOptions::default());
        seen.push(describe_child(child.await));
        let child = ctx.child::<Child>(false, ChildOptions::default());
        ctx.timer(SECOND / 5).await?;
        child.cancel("enough");
        seen.push(describe_child(child.await));
        seen.push(format!(
            "random differs: {}",
            ctx.random_u64() != ctx.random_u64()
        ));
        seen.push(format!("time passes: {}", ctx.now().since(start) >= SECOND));
        Ok(seen)
    }
}

/// Attempts are not told by a cluster, and the texts of conversions are each engine's own.
fn describe(ended: Result<(), ActivityError>) -> String {
    match ended {
        Ok(()) => "done".into(),
        Err(ActivityError::Failed { failure, .. }) if failure.kind == Failure::CONVERSION => {
            "conversion".into()
        }
        Err(ActivityError::Failed {
            activity, failure, ..
        }) => format!("{activity}: {failure:?}"),
        Err(ActivityError::TimedOut {
            activity,
            timeout,
            last_heartbeat,
            ..
        }) => {
            format!("{activity}: {timeout:?} {last_heartbeat}")
        }
        Err(ActivityError::Cancelled { activity }) => format!("{activity}: cancelled"),
        Err(ActivityError::Invalid { activity, .. }) => format!("{activity}: invalid"),
    }
}

fn describe_child(ended: Result<(), ChildError>) -> String {
    match ended {
        Err(ChildError::Failed { failure, .. }) => format!("child: {failure:?}"),
        Err(ChildError::Cancelled { .. }) => "child: cancelled".into(),
        other => format!("child: {other:?}"),
    }
}

pub(crate) fn register(registry: &mut Registry) {
    registry.workflow::<Errors>().workflow::<Child>();
    registry.activity_named(
        "ends badly",
        |ctx: ActivityContext, waits: bool| async move {
            if waits {
                ctx.heartbeat(&"alive");
                tokio::time::sleep(4 * SECOND).await;
                return Ok(());
            }
            Err(Failure::new("Busy", "not now").with_details(serde_json::json!({"port": 3})))
        },
    );
    registry.activity_named("gives way", |ctx: ActivityContext, (): ()| async move {
        while !ctx.is_cancelled() {
            ctx.heartbeat(&1);
            tokio::time::sleep(SECOND / 20).await;
        }
        Err::<(), _>(ctx.cancelled_failure())
    });
}
