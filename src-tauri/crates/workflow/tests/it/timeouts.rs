//! Every kind of time limit, on the engine's clock.

use serde_json::{Value, json};
use workflow::{
    ActivityContext, ActivityError, ActivityOptions, Context, Registry, RetryPolicy, StartOptions,
    TimeoutKind, Timestamp, WorkflowError,
};

use crate::common::{DAWN, config, engine, seconds, simulate};

/// Runs activity "slow" once under `options`; yields how it ended and when.
fn registry(options: ActivityOptions) -> Registry {
    let mut registry = Registry::new();
    registry.workflow_named("limits", move |ctx: Context, takes: u64| {
        let options = options.clone();
        async move {
            let ended = ctx.activity_named::<_, u32>("slow", takes, options).await;
            Ok::<_, WorkflowError>((ended.err(), ctx.now()))
        }
    });
    registry.activity_named("slow", |ctx: ActivityContext, takes: u64| async move {
        // Three heartbeats, a second apart, and then silence.
        for n in 1..=3 {
            tokio::time::sleep(seconds(1)).await;
            ctx.heartbeat(&n);
        }
        tokio::time::sleep(seconds(takes)).await;
        Ok(ctx.attempt())
    });
    registry
}

fn check(options: ActivityOptions, takes: u64, expected: Option<ActivityError>, after: u64) {
    simulate(|| async move {
        let engine = engine(registry(options));
        engine
            .start_named("limits", StartOptions::id("w"), json!(takes))
            .await
            .expect("starts");
        let (error, end): (Option<ActivityError>, Timestamp) =
            engine.result("w").await.expect("completes");
        assert_eq!(error, expected);
        assert_eq!(end.since(DAWN).as_secs(), after, "{error:?}");
    });
}

fn timed_out(timeout: TimeoutKind, attempts: u32, last_heartbeat: Value) -> Option<ActivityError> {
    Some(ActivityError::TimedOut {
        activity: "slow".into(),
        attempts,
        timeout,
        last_heartbeat,
    })
}

#[test]
fn start_to_close_limits_an_attempt_and_is_retried() {
    let options = ActivityOptions::start_to_close(seconds(10)).with_retry(RetryPolicy::attempts(2));
    // Two attempts of 10 s and a second between them.
    check(
        options.clone(),
        60,
        timed_out(TimeoutKind::StartToClose, 2, json!(3)),
        21,
    );
    check(options, 5, None, 8);
}

#[test]
fn heartbeat_limits_the_silence() {
    let options = ActivityOptions::heartbeat(seconds(4)).with_retry(RetryPolicy::never());
    check(
        options.clone(),
        60,
        timed_out(TimeoutKind::Heartbeat, 1, json!(3)),
        7,
    );
    check(options, 3, None, 6);
}

#[test]
fn schedule_to_close_limits_all_attempts_together() {
    let options = ActivityOptions::start_to_close(seconds(10)).with_schedule_to_close(seconds(17));
    check(
        options,
        60,
        timed_out(TimeoutKind::ScheduleToClose, 2, json!(3)),
        17,
    );
}

#[test]
fn schedule_to_start_limits_the_wait_for_a_worker_and_is_not_retried() {
    simulate(|| async {
        let options =
            ActivityOptions::start_to_close(seconds(100)).with_schedule_to_start(seconds(30));
        let mut config = config(
            std::sync::Arc::new(workflow::MemoryStore::new()),
            registry(options),
        );
        config.max_concurrent_activities = 1;
        let (engine, driver) = workflow::Engine::local(config).expect("an engine");
        tokio::task::spawn_local(driver);
        for (id, takes) in [("first", 17), ("second", 17), ("third", 1)] {
            engine
                .start_named("limits", StartOptions::id(id), json!(takes))
                .await
                .expect("starts");
        }
        type Ended = (Option<ActivityError>, Timestamp);
        let first: Ended = engine.result("first").await.expect("completes");
        let second: Ended = engine.result("second").await.expect("completes");
        let third: Ended = engine.result("third").await.expect("completes");
        assert_eq!((first.0, first.1.since(DAWN).as_secs()), (None, 20));
        assert_eq!(
            (second.0, second.1.since(DAWN).as_secs()),
            (None, 40),
            "waited for 20 s"
        );
        assert_eq!(
            third.0,
            timed_out(TimeoutKind::ScheduleToStart, 0, Value::Null)
        );
        assert_eq!(third.1.since(DAWN).as_secs(), 30);
    });
}

#[test]
fn options_without_a_limit_are_refused() {
    check(
        ActivityOptions::default(),
        1,
        Some(ActivityError::Invalid {
            activity: "slow".into(),
            message: "one of start_to_close, schedule_to_close and heartbeat must be set".into(),
        }),
        0,
    );
}

#[test]
fn a_timer_of_a_month_is_a_timer() {
    simulate(|| async {
        let mut registry = Registry::new();
        registry.workflow_named("month", |ctx: Context, (): ()| async move {
            ctx.timer(seconds(30 * 24 * 3600)).await?;
            Ok::<_, WorkflowError>(ctx.now())
        });
        let engine = engine(registry);
        engine
            .start_named("month", StartOptions::id("m"), json!(null))
            .await
            .expect("starts");
        let end: Timestamp = engine.result("m").await.expect("completes");
        assert_eq!(end, DAWN + seconds(30 * 24 * 3600));
    });
}
