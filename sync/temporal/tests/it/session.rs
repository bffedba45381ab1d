//! The skeleton of a session: validate, set up, collect with a monitor beside it, report.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use workflow::{
    ActivityContext, ActivityError, ActivityOptions, ActivityType, CancellationType, Context,
    Failure, Registry, RetryPolicy, Signal, Workflow, WorkflowError,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SessionInput {
    pub(crate) session: u64,
    pub(crate) refuse: bool,
    pub(crate) late_device: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) stopped_by: String,
    pub(crate) collected: String,
    pub(crate) checks: u32,
    pub(crate) patched: bool,
    pub(crate) report: String,
    pub(crate) correlation: String,
    /// What the child returned.
    pub(crate) child: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stop {
    pub(crate) by: String,
}

impl Signal for Stop {
    const NAME: &'static str = "stop";
}

macro_rules! activity {
    ($type:ident, $name:literal) => {
        struct $type;
        impl ActivityType for $type {
            const NAME: &'static str = $name;
            type Input = SessionInput;
            type Output = String;
        }
    };
}

activity!(Validate, "validate");
activity!(SetUp, "set up");
activity!(Collect, "collect");
activity!(Report, "report");
activity!(CleanUp, "clean up");

/// What activities were called with, in no particular order across those that run side by side.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    fn note(&self, ctx: &ActivityContext) {
        let info = ctx.info();
        let call = format!("{} {} {}", info.activity, info.attempt, info.correlation_id);
        self.0.lock().expect("not poisoned").push(call);
    }

    pub(crate) fn clear(&self) {
        self.0.lock().expect("not poisoned").clear();
    }

    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut calls = self.0.lock().expect("not poisoned").clone();
        calls.sort();
        calls
    }
}

/// A child that analyses what was collected.
pub(crate) struct Analysis;

impl Workflow for Analysis {
    const NAME: &'static str = "analysis";
    type Input = String;
    type Output = String;

    async fn run(ctx: Context, of: String) -> Result<String, WorkflowError> {
        ctx.timer(Duration::from_millis(50)).await?;
        // The number of the operation depends on how often the monitor came to check.
        let known = ctx.info().parent.as_ref().is_some_and(|parent| {
            ctx.workflow_id() == format!("{}/{}", parent.workflow_id, parent.seq)
        });
        Ok(format!("analysed {of}, parent known: {known}"))
    }
}

pub(crate) struct Session;

impl Workflow for Session {
    const NAME: &'static str = "session";
    type Input = SessionInput;
    type Output = Outcome;

    async fn run(ctx: Context, input: SessionInput) -> Result<Outcome, WorkflowError> {
        let short = || ActivityOptions::start_to_close(Duration::from_secs(20));
        ctx.activity::<Validate>(input.clone(), short()).await?;
        let retry = RetryPolicy {
            initial_interval: Duration::from_millis(100),
            ..RetryPolicy::default()
        };
        ctx.activity::<SetUp>(input.clone(), short().with_retry(retry))
            .await?;
        let ended = collect(&ctx, &input).await;
        let (stopped_by, collected, checks) = match ended {
            Err(error) if ctx.is_cancelled() => {
                ctx.detached().activity::<CleanUp>(input, short()).await?;
                ctx.set_query("phase", &"cleaned up");
                return Err(error);
            }
            ended => ended?,
        };
        ctx.set_query("phase", &"analysing");
        let child = ctx.child::<Analysis>(collected.clone(), workflow::ChildOptions::default());
        let child = child.await?;
        let patched = ctx.patched("report in colour");
        let report = ctx.activity::<Report>(input, short()).await?;
        Ok(Outcome {
            stopped_by,
            collected,
            checks: checks.min(1),
            patched,
            report,
            correlation: ctx.correlation_id().to_owned(),
            child,
        })
    }
}

/// Collects until a stop, with a monitor that checks every 100 ms.
async fn collect(
    ctx: &Context,
    input: &SessionInput,
) -> Result<(String, String, u32), WorkflowError> {
    let options = ActivityOptions::heartbeat(Duration::from_secs(10))
        .with_cancellation(CancellationType::WaitCompleted);
    let (collection, collection_scope) = ctx.scope();
    let mut collecting = collection.activity::<Collect>(input.clone(), options);
    let (monitor, monitor_scope) = ctx.scope();
    let safety = async {
        let mut checks = 0;
        while monitor.timer(Duration::from_millis(100)).await.is_ok() {
            checks += 1;
        }
        checks
    };
    let collection = async {
        ctx.set_query("phase", &"collecting");
        let mut stopped_by = String::from("nobody");
        let collected: Result<String, ActivityError> = workflow::select! {
            ended = &mut collecting => ended,
            stop = ctx.wait_signal::<Stop>() => {
                if let Ok(stop) = stop {
                    stopped_by = stop.by;
                    // A moment for the last samples, which the monitor outlasts.
                    let _ = ctx.timer(Duration::from_millis(250)).await;
                }
                collection_scope.cancel("stopped");
                collecting.await
            },
        };
        monitor_scope.cancel("collection ended");
        collected.map(|collected| (stopped_by, collected))
    };
    let (ended, checks) = workflow::join!(collection, safety);
    let (stopped_by, collected) = ended?;
    // An activity that gives way keeps what it has; the workflow's own cancellation still counts.
    if ctx.is_cancelled() {
        let reason = ctx.cancelled().await;
        return Err(workflow::Cancelled { reason }.into());
    }
    Ok((stopped_by, collected, checks))
}

pub(crate) fn registry(calls: &Calls) -> Registry {
    let mut registry = Registry::new();
    registry.workflow::<Session>().workflow::<Analysis>();
    let log = calls.clone();
    registry.activity::<Validate, _, _>(move |ctx, input| {
        log.note(&ctx);
        async move {
            if input.refuse {
                return Err(Failure::non_retryable("NoConsent", "consent was refused"));
            }
            Ok("valid".to_owned())
        }
    });
    let log = calls.clone();
    registry.activity::<SetUp, _, _>(move |ctx, input| {
        log.note(&ctx);
        async move {
            if input.late_device && ctx.attempt() < 3 {
                return Err(Failure::new("NoDevice", "the device is not there yet"));
            }
            Ok("ready".to_owned())
        }
    });
    let log = calls.clone();
    registry.activity::<Collect, _, _>(move |ctx, input| {
        log.note(&ctx);
        async move {
            let mut samples = 0_u64;
            while !ctx.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                samples += 5;
                ctx.heartbeat(&samples);
            }
            assert!(samples > 0, "it collects before it gives way");
            Ok(format!("recording of session {}", input.session))
        }
    });
    let log = calls.clone();
    registry.activity::<Report, _, _>(move |ctx, _| {
        log.note(&ctx);
        async move { Ok("report".to_owned()) }
    });
    let log = calls.clone();
    registry.activity::<CleanUp, _, _>(move |ctx, _| {
        log.note(&ctx);
        async move { Ok("clean".to_owned()) }
    });
    registry
}
