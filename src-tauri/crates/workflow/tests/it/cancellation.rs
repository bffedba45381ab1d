//! Cancellation of workflows, scopes and single operations.

use serde_json::json;
use workflow::{
    ActivityContext, ActivityError, ActivityOptions, CancellationType, Context, Registry,
    ResultError, StartOptions, Timestamp, WorkflowError, WorkflowStatus,
};

use crate::common::{DAWN, engine, outline, seconds, simulate};

/// An activity that gives way two seconds after it is asked to, with what it has.
fn patient(registry: &mut Registry) {
    registry.activity_named("patient", |ctx: ActivityContext, (): ()| async move {
        ctx.cancelled().await;
        tokio::time::sleep(seconds(2)).await;
        Ok("all that was collected".to_owned())
    });
    registry.activity_named("yielding", |ctx: ActivityContext, (): ()| async move {
        ctx.cancelled().await;
        Err::<String, _>(ctx.cancelled_failure())
    });
    registry.activity_named("clean up", |_, (): ()| async { Ok("cleaned".to_owned()) });
}

fn unlimited() -> ActivityOptions {
    ActivityOptions::start_to_close(seconds(3600))
}

#[test]
fn a_cancelled_workflow_cleans_up_and_ends_as_cancelled() {
    simulate(|| async {
        let mut registry = Registry::new();
        patient(&mut registry);
        registry.workflow_named("w", |ctx: Context, (): ()| async move {
            let ended = ctx
                .activity_named::<_, String>("yielding", (), unlimited())
                .await;
            assert!(ctx.is_cancelled());
            let cleaned: String = ctx
                .detached()
                .activity_named("clean up", (), unlimited())
                .await?;
            ctx.set_query("cleaned", &cleaned);
            Ok::<_, WorkflowError>(ended?)
        });
        let engine = engine(registry);
        engine
            .start_named("w", StartOptions::id("w"), json!(null))
            .await
            .expect("starts");
        tokio::time::sleep(seconds(1)).await;
        engine.cancel("w", "changed plans").await.expect("is asked");
        let result = engine.result::<String>("w").await;
        assert!(
            matches!(&result, Err(ResultError::Cancelled(why)) if why == "changed plans"),
            "{result:?}"
        );
        assert_eq!(
            engine
                .query::<String>("w", "cleaned")
                .await
                .expect("answers"),
            "cleaned"
        );
        let summary = engine.describe("w").await.expect("is described").summary;
        assert_eq!(summary.status, WorkflowStatus::Cancelled);
    });
}

#[test]
fn an_activity_that_is_waited_for_may_still_succeed() {
    simulate(|| async {
        let mut registry = Registry::new();
        patient(&mut registry);
        registry.workflow_named("w", |ctx: Context, (): ()| async move {
            let options = unlimited().with_cancellation(CancellationType::WaitCompleted);
            let mut collecting = ctx.activity_named::<_, String>("patient", (), options);
            workflow::select! {
                ended = &mut collecting => Ok((ended?, ctx.now())),
                stop = ctx.wait_signal_named::<()>("stop") => {
                    stop?;
                    collecting.cancel("stopped");
                    Ok::<_, WorkflowError>((collecting.await?, ctx.now()))
                },
            }
        });
        let engine = engine(registry);
        engine
            .start_named("w", StartOptions::id("w"), json!(null))
            .await
            .expect("starts");
        tokio::time::sleep(seconds(5)).await;
        engine
            .signal_named("w", "stop", json!(null))
            .await
            .expect("is taken");
        let (collected, end): (String, Timestamp) = engine.result("w").await.expect("completes");
        assert_eq!(collected, "all that was collected");
        assert_eq!(end.since(DAWN).as_secs(), 7);
    });
}

#[test]
fn each_cancellation_type_keeps_its_word() {
    for (cancellation, waits) in [
        (CancellationType::TryCancel, 1),
        (CancellationType::WaitCompleted, 3),
        (CancellationType::Abandon, 1),
    ] {
        simulate(|| async move {
            let mut registry = Registry::new();
            patient(&mut registry);
            registry.workflow_named("w", move |ctx: Context, (): ()| async move {
                let (scoped, scope) = ctx.scope();
                let options = unlimited().with_cancellation(cancellation);
                let running = scoped.activity_named::<_, String>("patient", (), options);
                ctx.timer(seconds(1)).await?;
                scope.cancel("enough");
                let ended: Result<String, ActivityError> = running.await;
                Ok::<_, WorkflowError>((ended.is_ok(), ctx.now()))
            });
            let engine = engine(registry);
            engine
                .start_named("w", StartOptions::id("w"), json!(null))
                .await
                .expect("starts");
            let (succeeded, end): (bool, Timestamp) = engine.result("w").await.expect("completes");
            assert_eq!(succeeded, cancellation == CancellationType::WaitCompleted);
            assert_eq!(end.since(DAWN).as_secs(), waits, "{cancellation:?}");
        });
    }
}

#[test]
fn a_scope_ends_its_timers_and_what_is_started_in_it_later() {
    simulate(|| async {
        let mut registry = Registry::new();
        registry.workflow_named("w", |ctx: Context, (): ()| async move {
            let (outer, scope) = ctx.scope();
            let (inner, _) = outer.scope();
            let timer = inner.timer(seconds(100));
            let (ended, ()) = workflow::join!(timer, async { scope.cancel("enough") });
            let late = inner.timer(seconds(100)).await;
            let signal = inner.wait_signal_named::<()>("none").await;
            assert!(
                !ctx.is_cancelled(),
                "a scope does not cancel what is around it"
            );
            let reasons = [ended, late, signal].map(|end| end.err().map(|why| why.reason));
            Ok::<_, WorkflowError>((reasons, ctx.now()))
        });
        let engine = engine(registry);
        engine
            .start_named("w", StartOptions::id("w"), json!(null))
            .await
            .expect("starts");
        let (reasons, end): (Vec<Option<String>>, Timestamp) =
            engine.result("w").await.expect("completes");
        assert_eq!(reasons, vec![Some("enough".to_owned()); 3]);
        assert_eq!(end, DAWN);
        assert_eq!(
            outline(&engine.history("w").await.expect("has a history")),
            "workflow_started, timer_started, timer_canceled, workflow_completed"
        );
    });
}

#[test]
fn stopping_the_engine_lets_activities_give_way_and_loses_nothing() {
    simulate(|| async {
        let mut registry = Registry::new();
        patient(&mut registry);
        registry.workflow_named("w", |ctx: Context, (): ()| async move {
            let collected: String = ctx.activity_named("patient", (), unlimited()).await?;
            ctx.timer(seconds(1)).await?;
            Ok::<_, WorkflowError>(collected)
        });
        let store = std::sync::Arc::new(workflow::MemoryStore::new());
        let first = crate::common::engine_on(store.clone(), registry.clone());
        first
            .start_named("w", StartOptions::id("w"), json!(null))
            .await
            .expect("starts");
        tokio::time::sleep(seconds(1)).await;
        first.stop().await;
        let second = crate::common::engine_on(store, registry);
        second.resume_all().await.expect("resumes");
        let collected: String = second.result("w").await.expect("completes");
        assert_eq!(collected, "all that was collected");
        let history = second.history("w").await.expect("has a history");
        assert_eq!(
            outline(&history),
            "workflow_started, activity_scheduled, activity_started, activity_completed, \
             timer_started, timer_fired, workflow_completed"
        );
    });
}
