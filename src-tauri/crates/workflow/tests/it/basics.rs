//! Start, activities, signals, queries, results.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::json;
use workflow::{
    ActivityOptions, ActivityType, Context, Engine, EngineError, Failure, ListFilter, MemoryStore,
    Registry, ResultError, RetryPolicy, Signal, StartOptions, Timestamp, Workflow, WorkflowError,
    WorkflowStatus,
};

use crate::common::{DAWN, config, engine, engine_on, outline, seconds, simulate};

struct Double;

impl ActivityType for Double {
    const NAME: &'static str = "double";
    type Input = u64;
    type Output = u64;
}

#[derive(Debug, Serialize, Deserialize)]
struct Stop {
    by: String,
}

impl Signal for Stop {
    const NAME: &'static str = "stop";
}

/// Doubles its input, waits for a stop, waits a minute.
struct Sample;

impl Workflow for Sample {
    const NAME: &'static str = "sample";
    type Input = u64;
    type Output = (u64, String, Timestamp);

    async fn run(ctx: Context, input: u64) -> Result<Self::Output, WorkflowError> {
        ctx.set_query("phase", &"doubling");
        let doubled = ctx
            .activity::<Double>(input, ActivityOptions::start_to_close(seconds(5)))
            .await?;
        ctx.set_query("phase", &"waiting");
        let stop = ctx.wait_signal::<Stop>().await?;
        ctx.timer(seconds(60)).await?;
        ctx.set_query("phase", &"done");
        Ok((doubled, stop.by, ctx.now()))
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.workflow::<Sample>();
    registry.activity::<Double, _, _>(|_, input| async move { Ok(input * 2) });
    registry
}

#[test]
fn a_workflow_runs_from_start_to_result() {
    simulate(|| async {
        let engine = engine(registry());
        let options = StartOptions::id("w").with_correlation("session-1");
        let started = engine
            .start_workflow::<Sample>(options, &21)
            .await
            .expect("starts");
        assert!(started.new);
        tokio::time::sleep(seconds(10)).await;
        assert_eq!(
            engine.query::<String>("w", "phase").await.expect("answers"),
            "waiting"
        );
        let stop = Stop {
            by: "a clinician".into(),
        };
        engine.signal("w", &stop).await.expect("takes the signal");
        let (doubled, by, end): (u64, String, Timestamp) =
            engine.result("w").await.expect("completes");
        assert_eq!((doubled, by.as_str()), (42, "a clinician"));
        assert_eq!(end, DAWN + seconds(70));
        let history = engine.history("w").await.expect("has a history");
        assert_eq!(
            outline(&history),
            "workflow_started, activity_scheduled, activity_started, activity_completed, \
             signal_received, timer_started, timer_fired, workflow_completed"
        );
        let summary = engine.describe("w").await.expect("is described").summary;
        assert_eq!(summary.status, WorkflowStatus::Completed);
        assert_eq!(summary.correlation_id, "session-1");
        assert_eq!(summary.run_id, started.run_id);
        assert_eq!(
            engine.query::<String>("w", "phase").await.expect("answers"),
            "done"
        );
    });
}

#[test]
fn a_start_is_idempotent_by_id() {
    simulate(|| async {
        let mut registry = registry();
        registry.workflow_named("other", |_, (): ()| async { Ok::<_, WorkflowError>(()) });
        let engine = engine(registry);
        let first = engine
            .start_workflow::<Sample>(StartOptions::id("w"), &1)
            .await
            .expect("starts");
        let again = engine
            .start_workflow::<Sample>(StartOptions::id("w"), &2)
            .await
            .expect("is there");
        assert!(first.new && !again.new);
        assert_eq!(first.run_id, again.run_id);
        let other = engine
            .start_named("other", StartOptions::id("w"), json!(null))
            .await;
        assert!(
            matches!(other, Err(EngineError::Exists { .. })),
            "{other:?}"
        );
        engine
            .signal("w", &Stop { by: "x".into() })
            .await
            .expect("runs");
        engine
            .result::<serde_json::Value>("w")
            .await
            .expect("completes");
        let late = engine
            .start_workflow::<Sample>(StartOptions::id("w"), &3)
            .await
            .expect("is there");
        assert!(!late.new, "an ended workflow is not started again");
    });
}

#[test]
fn what_is_not_there_or_has_ended_says_so() {
    simulate(|| async {
        let engine = engine(registry());
        let nothing = engine.signal("none", &Stop { by: "x".into() }).await;
        assert!(
            matches!(nothing, Err(EngineError::NotFound(_))),
            "{nothing:?}"
        );
        let unknown = engine
            .start_named("nobody", StartOptions::id("n"), json!(1))
            .await;
        assert!(matches!(unknown, Err(EngineError::Code(_))), "{unknown:?}");
        assert!(matches!(
            engine.history("n").await,
            Err(EngineError::NotFound(_))
        ));
        engine
            .start_workflow::<Sample>(StartOptions::id("w"), &1)
            .await
            .expect("starts");
        let no_query = engine.query::<String>("w", "weather").await;
        assert!(
            matches!(no_query, Err(EngineError::NoQuery { .. })),
            "{no_query:?}"
        );
        engine.terminate("w", "over").await.expect("ends");
        let late = engine.signal("w", &Stop { by: "x".into() }).await;
        assert!(matches!(late, Err(EngineError::Closed(_))), "{late:?}");
        let result = engine.result::<u64>("w").await;
        assert!(matches!(result, Err(ResultError::Terminated(reason)) if reason == "over"));
        let open = engine.list(&ListFilter::running()).await.expect("lists");
        assert!(open.is_empty());
    });
}

#[test]
fn failures_are_retried_with_backoff_and_keep_their_type() {
    simulate(|| async {
        let mut registry = Registry::new();
        registry.workflow_named("flaky", |ctx: Context, limit: u32| async move {
            let options = ActivityOptions::start_to_close(seconds(5))
                .with_retry(RetryPolicy::attempts(limit));
            ctx.activity_named::<_, u32>("flaky", (), options).await?;
            Ok::<_, WorkflowError>(ctx.now())
        });
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        registry.activity_named("flaky", move |ctx: workflow::ActivityContext, (): ()| {
            let counted = counted.clone();
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                if ctx.attempt() < 4 {
                    Err(Failure::new("Busy", "not yet"))
                } else {
                    Ok(ctx.attempt())
                }
            }
        });
        let engine = engine(registry);
        engine
            .start_named("flaky", StartOptions::id("ok"), json!(0))
            .await
            .expect("starts");
        let end: Timestamp = engine.result("ok").await.expect("completes");
        // 1 s, 2 s and 4 s between four attempts.
        assert_eq!(end.since(DAWN).as_secs(), 7);
        assert_eq!(calls.load(Ordering::SeqCst), 4);
        engine
            .start_named("flaky", StartOptions::id("no"), json!(3))
            .await
            .expect("starts");
        let failed = engine.result::<Timestamp>("no").await;
        assert!(matches!(failed, Err(ResultError::Failed(failure)) if failure.kind == "Busy"));
    });
}

#[test]
fn a_panicking_activity_is_a_failure_and_an_unknown_one_waits() {
    simulate(|| async {
        let mut registry = Registry::new();
        registry.workflow_named("calls", |ctx: Context, name: String| async move {
            let options =
                ActivityOptions::start_to_close(seconds(5)).with_retry(RetryPolicy::attempts(2));
            ctx.activity_named::<_, ()>(&name, (), options).await?;
            Ok::<_, WorkflowError>(())
        });
        registry.activity_named("panics", |_, (): ()| async move {
            if true {
                panic!("as asked");
            }
            Ok(())
        });
        let engine = engine(registry);
        for (name, kind) in [("panics", "Panic"), ("unheard of", "UnknownActivity")] {
            engine
                .start_named("calls", StartOptions::id(name), json!(name))
                .await
                .expect("starts");
            let failed = engine.result::<()>(name).await;
            assert!(
                matches!(&failed, Err(ResultError::Failed(failure)) if failure.kind == kind),
                "{failed:?}"
            );
        }
    });
}

#[test]
fn signals_wait_in_order_and_bad_ones_are_dropped() {
    simulate(|| async {
        let mut registry = Registry::new();
        registry.workflow_named("reader", |ctx: Context, (): ()| async move {
            ctx.timer(seconds(1)).await?;
            let mut read = Vec::new();
            for _ in 0..3 {
                read.push(ctx.wait_signal::<Stop>().await?.by);
            }
            Ok::<_, WorkflowError>((read, ctx.try_signal::<Stop>().is_some()))
        });
        let engine = engine(registry);
        engine
            .start_named("reader", StartOptions::id("r"), json!(null))
            .await
            .expect("starts");
        engine
            .signal_named("r", "stop", json!("no stop"))
            .await
            .expect("is taken");
        for by in ["a", "b", "c"] {
            engine
                .signal("r", &Stop { by: by.into() })
                .await
                .expect("is taken");
        }
        let (read, more): (Vec<String>, bool) = engine.result("r").await.expect("completes");
        assert_eq!(read, ["a", "b", "c"]);
        assert!(!more);
    });
}

#[test]
fn randomness_is_seeded_and_recorded() {
    simulate(|| async {
        let mut registry = Registry::new();
        registry.workflow_named("dice", |ctx: Context, (): ()| async move {
            let thrown = (ctx.random_u64(), ctx.uuid());
            ctx.timer(seconds(1)).await?;
            Ok::<_, WorkflowError>((thrown, ctx.uuid()))
        });
        let store = Arc::new(MemoryStore::new());
        let engine = engine_on(store.clone(), registry.clone());
        for id in ["a", "b"] {
            engine
                .start_named("dice", StartOptions::id(id), json!(null))
                .await
                .expect("starts");
        }
        let a: serde_json::Value = engine.result("a").await.expect("completes");
        let b: serde_json::Value = engine.result("b").await.expect("completes");
        assert_ne!(a, b, "each run has a seed of its own");
        let history = engine.history("a").await.expect("has a history");
        workflow::Replayer::new(registry)
            .replay("a", &history)
            .expect("replays");
    });
}

#[test]
fn an_engine_on_its_own_thread_works_the_same() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let engine =
            Engine::start(config(Arc::new(MemoryStore::new()), registry())).expect("starts");
        let mut ids = Vec::new();
        for n in 0..50_u64 {
            let id = format!("w{n}");
            engine
                .start_workflow::<Sample>(StartOptions::id(&id), &n)
                .await
                .expect("starts");
            ids.push(id);
        }
        for id in &ids {
            engine.terminate(id, "enough").await.expect("ends");
        }
        engine.stop().await;
        let stopped = engine.query::<String>("w1", "phase").await;
        assert!(matches!(stopped, Err(EngineError::Stopped)), "{stopped:?}");
    });
}
