//! Replay: the same code gives the same commands; other code is found out; kept histories of
//! earlier versions still replay.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{
    ActivityContext, ActivityOptions, Context, EngineError, EventKind, ExecutionError, Failure,
    HistoryEvent, HistoryStore, KeptHistory, MemoryStore, Registry, Replayer, ResultError,
    RetryPolicy, StartOptions, WorkflowError,
};

use crate::common::{count, engine, engine_on, outline, seconds, simulate};

fn options() -> ActivityOptions {
    ActivityOptions::start_to_close(seconds(60))
}

/// A registry with one workflow, "w", and activities "a" and "b".
fn registry<Fut>(run: impl Fn(Context) -> Fut + Send + Sync + Copy + 'static) -> Registry
where
    Fut: Future<Output = Result<u64, WorkflowError>> + 'static,
{
    let mut registry = Registry::new();
    registry.workflow_named("w", move |ctx: Context, (): ()| run(ctx));
    for name in ["a", "b"] {
        registry.activity_named(name, |_, input: u64| async move { Ok(input + 1) });
    }
    registry
}

/// The history that `registry`'s workflow leaves when nobody disturbs it for an hour.
fn history_of(registry: Registry) -> Vec<HistoryEvent> {
    let found = Rc::new(Cell::new(Vec::new()));
    let keep = found.clone();
    simulate(|| async move {
        let engine = engine(registry);
        engine
            .start_named("w", StartOptions::id("w"), json!(null))
            .await
            .expect("starts");
        tokio::time::sleep(seconds(3600)).await;
        keep.set(engine.history("w").await.expect("has a history"));
    });
    found.take()
}

async fn call(ctx: &Context, name: &str, input: u64) -> Result<u64, WorkflowError> {
    Ok(ctx.activity_named(name, input, options()).await?)
}

async fn a_then_b(ctx: Context) -> Result<u64, WorkflowError> {
    let first = call(&ctx, "a", 1).await?;
    ctx.timer(seconds(1)).await?;
    call(&ctx, "b", first).await
}

async fn b_then_a(ctx: Context) -> Result<u64, WorkflowError> {
    let first = call(&ctx, "b", 1).await?;
    ctx.timer(seconds(1)).await?;
    call(&ctx, "a", first).await
}

fn differs(history: &[HistoryEvent], registry: Registry, event: u64, expected: &str, found: &str) {
    match Replayer::new(registry).replay("w", history) {
        Err(ExecutionError::NonDeterminism {
            event_id,
            expected: e,
            found: f,
            ..
        }) => assert_eq!((event_id, e.as_str(), f.as_str()), (event, expected, found)),
        other => panic!("the difference is not found: {other:?}"),
    }
}

#[test]
fn reordered_code_is_found_out_and_the_event_named() {
    let history = history_of(registry(a_then_b));
    Replayer::new(registry(a_then_b))
        .replay("w", &history)
        .expect("the same code replays");
    differs(
        &history,
        registry(b_then_a),
        2,
        "activity 1 'a'",
        "activity 1 'b'",
    );
}

#[test]
fn missing_and_additional_commands_are_found_out() {
    let history = history_of(registry(a_then_b));
    let without_timer = registry(async |ctx: Context| {
        let first = call(&ctx, "a", 1).await?;
        call(&ctx, "b", first).await
    });
    differs(&history, without_timer, 5, "timer 2", "activity 2 'b'");
    let shorter = registry(async |ctx: Context| call(&ctx, "a", 1).await);
    differs(
        &history,
        shorter,
        5,
        "timer 2",
        "completion of the workflow",
    );
    let silent = registry(async |ctx: Context| {
        call(&ctx, "a", 1).await?;
        ctx.cancelled().await;
        Ok(0)
    });
    differs(&history, silent, 5, "timer 2", "nothing");
    let longer = registry(async |ctx: Context| {
        let result = a_then_b(ctx.clone()).await?;
        call(&ctx, "a", result).await
    });
    let end = history.last().expect("not empty").id;
    differs(
        &history,
        longer,
        end,
        "completion of the workflow",
        "activity 4 'a'",
    );
}

#[test]
fn a_patch_serves_old_and_new_runs() {
    let old = history_of(registry(a_then_b));
    let patched = registry(async |ctx: Context| {
        if ctx.patched("b first") {
            b_then_a(ctx).await
        } else {
            a_then_b(ctx).await
        }
    });
    Replayer::new(patched.clone())
        .replay("w", &old)
        .expect("old runs take the old side");
    let new = history_of(patched.clone());
    assert_eq!(
        count(&new, |kind| matches!(kind, EventKind::PatchMarked { .. })),
        1
    );
    assert!(
        matches!(&new[2].kind, EventKind::ActivityScheduled { activity, .. } if activity == "b")
    );
    Replayer::new(patched)
        .replay("w", &new)
        .expect("new runs take the new side");

    let deprecated = registry(async |ctx: Context| {
        ctx.deprecate_patch("b first");
        b_then_a(ctx).await
    });
    Replayer::new(deprecated.clone())
        .replay("w", &new)
        .expect("the patch may be deprecated");
    let newer = history_of(deprecated);
    differs(
        &new,
        registry(b_then_a),
        2,
        "patch 'b first'",
        "activity 1 'b'",
    );
    Replayer::new(registry(b_then_a))
        .replay("w", &newer)
        .expect("and then removed");
}

#[test]
fn broken_code_keeps_what_arrives_until_it_is_mended() {
    simulate(|| async {
        let store = Arc::new(MemoryStore::new());
        let waits = |ctx: Context, broken: bool| async move {
            if broken {
                call(&ctx, "b", 1).await?;
            } else {
                call(&ctx, "a", 1).await?;
            }
            let first: u64 = ctx.wait_signal_named("n").await?;
            let second: u64 = ctx.wait_signal_named("n").await?;
            Ok(first * 10 + second)
        };
        let make = |broken| {
            let mut registry = registry(a_then_b);
            registry.workflow_named("w", move |ctx: Context, (): ()| waits(ctx, broken));
            registry
        };
        let good = engine_on(store.clone(), make(false));
        good.start_named("w", StartOptions::id("w"), json!(null))
            .await
            .expect("starts");
        tokio::time::sleep(seconds(1)).await;
        good.stop().await;

        let bad = engine_on(store.clone(), make(true));
        bad.resume_all().await.expect("resumes what it can");
        let described = bad.describe("w").await.expect("is described");
        assert!(
            described
                .broken
                .is_some_and(|why| why.contains("activity 1 'a'"))
        );
        for n in [4, 2] {
            bad.signal_named("w", "n", json!(n)).await.expect("is kept");
        }
        let result = bad.result::<u64>("w").await;
        assert!(
            matches!(result, Err(ResultError::Engine(EngineError::Code(_)))),
            "{result:?}"
        );
        bad.stop().await;

        let mended = engine_on(store.clone(), make(false));
        mended.resume_all().await.expect("resumes");
        assert_eq!(mended.result::<u64>("w").await.expect("completes"), 42);
        let history = store.load("w", 0).await.expect("has a history");
        assert_eq!(
            outline(&history),
            "workflow_started, activity_scheduled, activity_started, activity_completed, \
             deferred, deferred, resumed, workflow_completed"
        );
        Replayer::new(make(false))
            .replay("w", &history)
            .expect("replays");
    });
}

#[test]
fn panicking_and_waiting_elsewhere_break_code_and_not_the_workflow() {
    simulate(|| async {
        let mut registry = registry(a_then_b);
        registry.workflow_named("panics", |ctx: Context, (): ()| async move {
            ctx.timer(seconds(1)).await?;
            if ctx.now().as_micros() > 0 {
                panic!("as asked");
            }
            Ok::<_, WorkflowError>(())
        });
        registry.workflow_named("spins", |ctx: Context, (): ()| async move {
            ctx.timer(seconds(1)).await?;
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                std::task::Poll::<()>::Pending
            })
            .await;
            Ok::<_, WorkflowError>(())
        });
        registry.workflow_named("sleeps", |ctx: Context, (): ()| async move {
            tokio::time::sleep(seconds(1)).await;
            ctx.timer(seconds(1)).await?;
            Ok::<_, WorkflowError>(())
        });
        let engine = engine(registry);
        for (name, why) in [
            ("panics", "panicked: as asked"),
            ("spins", "spins"),
            ("sleeps", "waits for something other than its context"),
        ] {
            engine
                .start_named(name, StartOptions::id(name), json!(null))
                .await
                .expect("starts");
            tokio::time::sleep(seconds(5)).await;
            if name == "sleeps" {
                engine
                    .signal_named(name, "wake", json!(null))
                    .await
                    .expect("is kept");
            }
            let described = engine.describe(name).await.expect("is described");
            assert!(
                described
                    .broken
                    .as_ref()
                    .is_some_and(|text| text.contains(why)),
                "{described:?}"
            );
        }
    });
}

// --- kept histories ------------------------------------------------------------------------------

/// The code whose histories are kept under `tests/golden`: everything that a history can hold.
async fn golden(ctx: Context) -> Result<u64, WorkflowError> {
    let seed = ctx.random_u64() % 2;
    let first = call(&ctx, "a", seed).await?;
    let flaky: Result<u64, _> = ctx
        .activity_named("flaky", (), options().with_retry(RetryPolicy::attempts(2)))
        .await;
    assert!(flaky.is_err());
    let (scoped, scope) = ctx.scope();
    let dropped = scoped.timer(seconds(100));
    let unwanted = scoped.activity_named::<_, u64>("slow", (), options());
    let signalled: u64 = ctx.wait_signal_named("n").await?;
    scope.cancel("enough");
    let _ = workflow::join!(dropped, unwanted);
    if ctx.patched("children") {
        let child = ctx.child::<GoldenChild>(3, workflow::ChildOptions::default());
        assert_eq!(child.await?, 4);
    }
    ctx.set_query("signalled", &signalled);
    ctx.timer(seconds(1)).await?;
    Ok(first + signalled)
}

struct GoldenChild;

impl workflow::Workflow for GoldenChild {
    const NAME: &'static str = "golden child";
    type Input = u64;
    type Output = u64;

    async fn run(ctx: Context, n: u64) -> Result<u64, WorkflowError> {
        ctx.timer(seconds(1)).await?;
        Ok(n + 1)
    }
}

fn golden_registry() -> Registry {
    let mut registry = registry(golden);
    registry.workflow::<GoldenChild>();
    registry.activity_named("flaky", |_, (): ()| async {
        Err::<u64, _>(Failure::new("Busy", "always").with_details(json!({"port": 3})))
    });
    registry.activity_named("slow", |ctx: ActivityContext, (): ()| async move {
        ctx.cancelled().await;
        Err::<u64, _>(ctx.cancelled_failure())
    });
    registry
}

fn golden_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join("golden")
}

/// Today's history of the golden workflow.
fn golden_history() -> KeptHistory {
    let found = Rc::new(Cell::new(Vec::new()));
    let keep = found.clone();
    simulate(|| async move {
        let engine = engine(golden_registry());
        engine
            .start_named("w", StartOptions::id("w"), json!(null))
            .await
            .expect("starts");
        tokio::time::sleep(seconds(10)).await;
        engine
            .signal_named("w", "n", json!(7))
            .await
            .expect("is taken");
        engine.result::<u64>("w").await.expect("completes");
        keep.set(engine.history("w").await.expect("has a history"));
    });
    KeptHistory::new("w", found.take())
}

#[test]
fn kept_histories_of_every_version_replay() {
    let mut seen = 0;
    for entry in std::fs::read_dir(golden_folder()).expect("the golden folder is there") {
        let path = entry.expect("readable").path();
        let text = std::fs::read_to_string(&path).expect("readable");
        let kept: KeptHistory = serde_json::from_str(&text).expect("a kept history");
        let replayed = Replayer::new(golden_registry())
            .replay_kept(&kept)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(replayed.is_closed());
        assert_eq!(replayed.query("signalled"), Some(json!(7)));
        let written = serde_json::to_value(&kept).expect("serialises");
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            written,
            read,
            "{}: what was read is written the same",
            path.display()
        );
        seen += 1;
    }
    assert!(seen >= 1);
}

/// What this version writes is what it wrote when its golden file was made. To make the file of a
/// new format version: run with `NEURASCALE_WRITE_GOLDEN=1`, and keep the old files.
#[test]
fn todays_history_is_the_golden_one() {
    let path = golden_folder().join(format!("v{}.json", workflow::FORMAT_VERSION));
    let today = golden_history();
    if std::env::var_os("NEURASCALE_WRITE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&today).expect("serialises");
        std::fs::write(&path, text + "\n").expect("written");
    }
    let text = std::fs::read_to_string(&path).expect("the golden file is there");
    let kept: KeptHistory = serde_json::from_str(&text).expect("a kept history");
    assert_eq!(outline(&today.events), outline(&kept.events));
    assert_eq!(today, kept);
}

#[test]
fn a_history_of_a_newer_format_is_refused() {
    let mut kept = golden_history();
    kept.format += 1;
    let refused = Replayer::new(golden_registry()).replay_kept(&kept);
    assert!(
        matches!(refused, Err(ExecutionError::History { .. })),
        "{refused:?}"
    );
    kept.format -= 1;
    if let EventKind::WorkflowStarted { format, .. } = &mut kept.events[0].kind {
        *format += 1;
    }
    let refused = Replayer::new(golden_registry()).replay_kept(&kept);
    assert!(
        matches!(refused, Err(ExecutionError::History { .. })),
        "{refused:?}"
    );
}

// --- random workflows ----------------------------------------------------------------------------

/// A program for the interpreting workflow below.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Step {
    Activity { millis: u64, fails: u32 },
    Timer { millis: u64 },
    Signal,
    Random,
    Patch,
    Both(Vec<Step>, Vec<Step>),
    Race(Vec<Step>, Vec<Step>),
    Scoped(Vec<Step>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        (0..5_000_u64, 0..3_u32).prop_map(|(millis, fails)| Step::Activity { millis, fails }),
        (0..5_000_u64).prop_map(|millis| Step::Timer { millis }),
        Just(Step::Signal),
        Just(Step::Random),
        Just(Step::Patch),
    ];
    let step = leaf.prop_recursive(3, 24, 4, |inner| {
        let some = prop::collection::vec(inner, 0..4);
        prop_oneof![
            (some.clone(), some.clone()).prop_map(|(a, b)| Step::Both(a, b)),
            (some.clone(), some.clone()).prop_map(|(a, b)| Step::Race(a, b)),
            some.prop_map(Step::Scoped),
        ]
    });
    prop::collection::vec(step, 0..6)
}

type Running = std::pin::Pin<Box<dyn Future<Output = Vec<String>>>>;

fn interpret(ctx: Context, program: Vec<Step>) -> Running {
    Box::pin(async move {
        let mut log = Vec::new();
        for step in program {
            match step {
                Step::Activity { millis, fails } => {
                    let retry = RetryPolicy::attempts(2);
                    let options = options().with_retry(retry);
                    let ended: Result<u64, _> =
                        ctx.activity_named("step", (millis, fails), options).await;
                    log.push(format!("activity {:?} at {}", ended.ok(), ctx.now()));
                }
                Step::Timer { millis } => {
                    let ended = ctx.timer(std::time::Duration::from_millis(millis)).await;
                    log.push(format!("timer {} at {}", ended.is_ok(), ctx.now()));
                }
                Step::Signal => {
                    let got: Result<u64, _> = ctx.wait_signal_named("n").await;
                    log.push(format!("signal {:?}", got.ok()));
                }
                Step::Random => log.push(format!("random {} {}", ctx.random_u64(), ctx.uuid())),
                Step::Patch => log.push(format!("patched {}", ctx.patched("p"))),
                Step::Both(a, b) => {
                    let (a, b) =
                        workflow::join!(interpret(ctx.clone(), a), interpret(ctx.clone(), b));
                    log.extend(a.into_iter().chain(b));
                }
                Step::Race(a, b) => workflow::select! {
                    a = interpret(ctx.clone(), a) => log.extend(a),
                    b = interpret(ctx.clone(), b) => log.extend(b),
                },
                Step::Scoped(inner) => {
                    let (scoped, scope) = ctx.scope();
                    let (inner, ()) = workflow::join!(interpret(scoped, inner), async {
                        let _ = ctx.timer(seconds(3)).await;
                        scope.cancel("time is up");
                    });
                    log.extend(inner);
                }
            }
            ctx.set_query("log", &log);
        }
        log
    })
}

fn interpreter() -> Registry {
    let mut registry = Registry::new();
    registry.workflow_named("program", |ctx: Context, program: Vec<Step>| async move {
        Ok::<_, WorkflowError>(interpret(ctx, program).await)
    });
    registry.activity_named(
        "step",
        |ctx: ActivityContext, (millis, fails): (u64, u32)| async move {
            tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
            if ctx.attempt() <= fails {
                Err(Failure::new("Asked", ""))
            } else {
                Ok(millis)
            }
        },
    );
    registry
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a workflow does, each beginning of its history replays, and the whole of it to the
    /// same end; and an engine that takes it over half way comes to an end as well.
    #[test]
    fn random_workflows_replay_identically(
        program in steps(),
        signals in prop::collection::vec(0..10_000_u64, 0..12),
        handover in 0..8_000_u64,
    ) {
        simulate(|| async move {
            let store = Arc::new(MemoryStore::new());
            let mut engine = engine_on(store.clone(), interpreter());
            engine.start_named("program", StartOptions::id("w"), json!(program)).await.expect("starts");
            tokio::time::sleep(std::time::Duration::from_millis(handover)).await;
            engine.stop().await;
            engine = engine_on(store.clone(), interpreter());
            engine.resume_all().await.expect("resumes");
            let mut sorted = signals;
            sorted.sort_unstable();
            for (n, at) in sorted.iter().enumerate() {
                tokio::time::sleep(std::time::Duration::from_millis(*at / 4)).await;
                // It may have ended already.
                let _ = engine.signal_named("w", "n", json!(n)).await;
            }
            // Whoever still waits for a signal gets one.
            while engine.signal_named("w", "n", json!(99)).await.is_ok() {
                tokio::time::sleep(seconds(10)).await;
            }
            let result: Vec<String> = engine.result("w").await.expect("completes");
            let history = store.load("w", 0).await.expect("has a history");
            let replayer = Replayer::new(interpreter());
            let replayed = replayer.replay("w", &history).expect("the whole replays");
            assert!(replayed.is_closed());
            if !result.is_empty() {
                assert!(replayed.query("log").is_some());
            }
            match &history.last().expect("not empty").kind {
                EventKind::WorkflowCompleted { result: kept } => assert_eq!(*kept, json!(result)),
                other => panic!("an unexpected end: {other:?}"),
            }
        });
    }
}
