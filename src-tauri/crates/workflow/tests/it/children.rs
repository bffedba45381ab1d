//! Child workflows.

use std::sync::Arc;

use serde_json::json;
use workflow::{
    ChildError, ChildOptions, Context, MemoryStore, ParentClosePolicy, Registry, StartOptions,
    Workflow, WorkflowError, WorkflowStatus,
};

use crate::common::{engine, engine_on, seconds, simulate};

struct Child;

impl Workflow for Child {
    const NAME: &'static str = "child";
    type Input = u64;
    type Output = String;

    async fn run(ctx: Context, takes: u64) -> Result<String, WorkflowError> {
        ctx.timer(seconds(takes)).await?;
        if takes == 13 {
            return Err(WorkflowError::failed("Unlucky", "as asked"));
        }
        let parent = ctx
            .info()
            .parent
            .as_ref()
            .map(|parent| parent.workflow_id.clone());
        Ok(format!(
            "{} of {}",
            ctx.workflow_id(),
            parent.unwrap_or_default()
        ))
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.workflow::<Child>();
    registry.workflow_named("parent", |ctx: Context, (): ()| async move {
        let named = ChildOptions {
            workflow_id: Some("named".into()),
            ..ChildOptions::default()
        };
        let (first, second, third) = workflow::join!(
            ctx.child::<Child>(5, ChildOptions::default()),
            ctx.child::<Child>(3, named),
            ctx.child::<Child>(13, ChildOptions::default()),
        );
        Ok::<_, WorkflowError>((first?, second?, third.err()))
    });
    registry.workflow_named(
        "leaver",
        |ctx: Context, policy: ParentClosePolicy| async move {
            let options = ChildOptions {
                workflow_id: Some(format!("{policy:?}")),
                parent_close: policy,
                ..ChildOptions::default()
            };
            let _left = ctx.child::<Child>(100, options);
            ctx.timer(seconds(1)).await?;
            Ok::<_, WorkflowError>(())
        },
    );
    registry.workflow_named("canceller", |ctx: Context, (): ()| async move {
        let child = ctx.child::<Child>(100, ChildOptions::default());
        ctx.timer(seconds(1)).await?;
        child.cancel("enough");
        Ok::<_, WorkflowError>(child.await.err())
    });
    registry
}

type Ended = (String, String, Option<ChildError>);

fn check((first, second, third): Ended) {
    assert_eq!(
        (first.as_str(), second.as_str()),
        ("p/1 of p", "named of p")
    );
    assert!(
        matches!(&third, Some(ChildError::Failed { failure, .. }) if failure.kind == "Unlucky"),
        "{third:?}"
    );
}

#[test]
fn children_run_side_by_side_and_report_to_their_parent() {
    simulate(|| async {
        let engine = engine(registry());
        engine
            .start_named("parent", StartOptions::id("p"), json!(null))
            .await
            .expect("starts");
        check(engine.result("p").await.expect("completes"));
    });
}

#[test]
fn children_that_ended_while_the_engine_was_away_are_noticed() {
    simulate(|| async {
        let store = Arc::new(MemoryStore::new());
        let first = engine_on(store.clone(), registry());
        first
            .start_named("parent", StartOptions::id("p"), json!(null))
            .await
            .expect("starts");
        tokio::time::sleep(seconds(4)).await;
        first.stop().await;
        tokio::time::sleep(seconds(100)).await;
        let second = engine_on(store, registry());
        // Only the child is taken up at first, and ends before its parent is there.
        second.describe("p/1").await.expect("is there");
        let _: String = second.result("p/1").await.expect("completes");
        second.resume_all().await.expect("resumes");
        check(second.result("p").await.expect("completes"));
    });
}

#[test]
fn a_closing_parent_treats_its_children_as_agreed() {
    simulate(|| async {
        let engine = engine(registry());
        for (policy, status) in [
            (ParentClosePolicy::Terminate, WorkflowStatus::Terminated),
            (ParentClosePolicy::RequestCancel, WorkflowStatus::Cancelled),
            (ParentClosePolicy::Abandon, WorkflowStatus::Running),
        ] {
            let id = format!("leaver {policy:?}");
            engine
                .start_named("leaver", StartOptions::id(&id), json!(policy))
                .await
                .expect("starts");
            engine.result::<()>(&id).await.expect("completes");
            tokio::time::sleep(seconds(1)).await;
            let child = engine
                .describe(&format!("{policy:?}"))
                .await
                .expect("is described");
            assert_eq!(child.summary.status, status, "{policy:?}");
        }
    });
}

#[test]
fn cancelling_a_child_reaches_it() {
    simulate(|| async {
        let engine = engine(registry());
        engine
            .start_named("canceller", StartOptions::id("c"), json!(null))
            .await
            .expect("starts");
        let error: Option<ChildError> = engine.result("c").await.expect("completes");
        assert!(
            matches!(error, Some(ChildError::Cancelled { .. })),
            "{error:?}"
        );
        tokio::time::sleep(seconds(1)).await;
        let child = engine.describe("c/1").await.expect("is described");
        assert_eq!(child.summary.status, WorkflowStatus::Cancelled);
    });
}
