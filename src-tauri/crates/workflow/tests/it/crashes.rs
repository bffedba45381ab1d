//! The engine dies after every single append of a session, and the outcome is the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde_json::json;
use workflow::{
    ActivityContext, ActivityOptions, CancelToken, ChildOptions, Context, Engine, EventKind,
    Failure, Heartbeat, HistoryEvent, HistoryStore, ListFilter, MemoryStore, Registry, RetryPolicy,
    StartOptions, StoreError, Workflow, WorkflowError, WorkflowSummary,
};

use crate::common::{EffectLog, config, count, engine_on, seconds};

/// A store whose process dies: after `left` further appends it does nothing any more.
#[derive(Debug)]
struct Mortal {
    inner: Arc<MemoryStore>,
    left: AtomicU64,
    dead: CancelToken,
}

impl Mortal {
    fn new(inner: Arc<MemoryStore>, appends: u64) -> Arc<Self> {
        Arc::new(Self {
            inner,
            left: AtomicU64::new(appends),
            dead: CancelToken::new(),
        })
    }

    /// Never returns once the process is dead.
    async fn alive(&self) {
        if self.dead.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl HistoryStore for Mortal {
    async fn append(
        &self,
        workflow_id: &str,
        expected_len: u64,
        events: &[HistoryEvent],
    ) -> Result<(), StoreError> {
        self.alive().await;
        if self.left.load(Ordering::SeqCst) == 0 {
            self.dead.cancel();
            self.alive().await;
        }
        self.inner.append(workflow_id, expected_len, events).await?;
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            // The append is durable, and the process dies before it learns so.
            self.dead.cancel();
            self.alive().await;
        }
        Ok(())
    }

    async fn load(&self, workflow_id: &str, after: u64) -> Result<Vec<HistoryEvent>, StoreError> {
        self.alive().await;
        self.inner.load(workflow_id, after).await
    }

    async fn summary(&self, workflow_id: &str) -> Result<Option<WorkflowSummary>, StoreError> {
        self.inner.summary(workflow_id).await
    }

    async fn list(&self, filter: &ListFilter) -> Result<Vec<WorkflowSummary>, StoreError> {
        self.inner.list(filter).await
    }

    async fn save_heartbeat(&self, id: &str, heartbeat: &Heartbeat) -> Result<(), StoreError> {
        self.alive().await;
        self.inner.save_heartbeat(id, heartbeat).await
    }

    async fn load_heartbeats(&self, id: &str) -> Result<Vec<Heartbeat>, StoreError> {
        self.inner.load_heartbeats(id).await
    }
}

fn options() -> ActivityOptions {
    ActivityOptions::start_to_close(seconds(30))
}

struct Analysis;

impl Workflow for Analysis {
    const NAME: &'static str = "analysis";
    type Input = String;
    type Output = String;

    async fn run(ctx: Context, of: String) -> Result<String, WorkflowError> {
        ctx.timer(seconds(2)).await?;
        Ok(ctx
            .activity_named("effect", format!("analyse {of}"), options())
            .await?)
    }
}

/// A session in miniature: everything that a workflow can do, in one.
struct Session;

impl Workflow for Session {
    const NAME: &'static str = "session";
    type Input = ();
    type Output = Vec<String>;

    async fn run(ctx: Context, (): ()) -> Result<Vec<String>, WorkflowError> {
        let mut done: Vec<String> = Vec::new();
        done.push(ctx.activity_named("effect", "validate", options()).await?);
        done.push(
            ctx.activity_named("flaky effect", "set up", options())
                .await?,
        );
        let mut collecting =
            ctx.activity_named::<_, String>("collect", (), ActivityOptions::heartbeat(seconds(5)));
        let (collected, monitored) = workflow::join!(
            async {
                workflow::select! {
                    ended = &mut collecting => Ok::<_, WorkflowError>(ended?),
                    never = ctx.wait_signal_named::<()>("never") => {
                        never?;
                        Ok(collecting.await?)
                    },
                }
            },
            async {
                let mut checks = 0_u32;
                for _ in 0..3 {
                    ctx.timer(seconds(2)).await?;
                    if ctx.patched("monitor") {
                        checks += 1;
                    }
                }
                Ok::<_, WorkflowError>(checks)
            },
        );
        done.push(collected?);
        done.push(format!("{} checks", monitored?));
        let child = ctx.child::<Analysis>("recording".into(), ChildOptions::default());
        done.push(child.await?);
        done.push(ctx.activity_named("effect", "report", options()).await?);
        ctx.set_query("done", &done);
        Ok(done)
    }
}

fn registry(effects: &EffectLog) -> Registry {
    let mut registry = Registry::new();
    registry.workflow::<Session>().workflow::<Analysis>();
    let log = effects.clone();
    registry.activity_named("effect", move |ctx: ActivityContext, what: String| {
        let log = log.clone();
        async move {
            log.apply(ctx.idempotency_key(), &what);
            Ok(what)
        }
    });
    let log = effects.clone();
    registry.activity_named("flaky effect", move |ctx: ActivityContext, what: String| {
        let log = log.clone();
        async move {
            if ctx.attempt() == 1 {
                return Err(Failure::new("Busy", "first attempt"));
            }
            log.apply(ctx.idempotency_key(), &what);
            Ok(what)
        }
    });
    let log = effects.clone();
    registry.activity_named("collect", move |ctx: ActivityContext, (): ()| {
        let log = log.clone();
        async move {
            // Goes on from where the attempt before had come to.
            let done: u32 = ctx.last_heartbeat().unwrap_or(0);
            for second in done..6 {
                tokio::time::sleep(seconds(1)).await;
                ctx.heartbeat(&(second + 1));
            }
            log.apply(ctx.idempotency_key(), "collect");
            Ok("collected".to_owned())
        }
    });
    registry
}

/// Runs the session on `store`; `None` when the engine died before the end. A run that begins on a
/// history goes on with it.
fn run(
    store: Arc<dyn HistoryStore>,
    dead: Option<CancelToken>,
    effects: &EffectLog,
) -> Option<Vec<String>> {
    let registry = registry(effects);
    let mut outcome = None;
    // Not `simulate`: the LocalSet and the runtime go down with the engine, mid-flight.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let engine = engine_on(store, registry);
        let session = async {
            engine.resume_all().await.expect("resumes");
            let options = StartOptions::id("s");
            engine
                .start_workflow::<Session>(options, &())
                .await
                .expect("is there");
            engine.result::<Vec<String>>("s").await.expect("completes")
        };
        let death = async {
            match &dead {
                Some(dead) => dead.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            done = session => outcome = Some(done),
            () = death => {}
        }
    });
    outcome
}

const DONE: [&str; 6] = [
    "validate",
    "set up",
    "collected",
    "3 checks",
    "analyse recording",
    "report",
];

fn sorted_effects(effects: &EffectLog) -> Vec<String> {
    let mut all = effects.effects();
    all.sort();
    all
}

#[test]
fn killed_after_each_append_it_resumes_without_a_second_effect() {
    let whole = EffectLog::default();
    let memory = Arc::new(MemoryStore::new());
    let mortal = Mortal::new(memory, u64::MAX);
    let done = run(mortal.clone(), None, &whole).expect("completes");
    assert_eq!(done, DONE);
    let appends = u64::MAX - mortal.left.load(Ordering::SeqCst);
    assert!(appends >= 12, "{appends} appends make too small a session");

    for kill_after in 0..=appends {
        let effects = EffectLog::default();
        let memory = Arc::new(MemoryStore::new());
        let mortal = Mortal::new(memory.clone(), kill_after);
        run(mortal.clone(), Some(mortal.dead.clone()), &effects);
        let done = run(memory, None, &effects);
        assert_eq!(
            done.as_deref(),
            Some(&DONE.map(String::from)[..]),
            "killed after {kill_after}"
        );
        assert_eq!(
            sorted_effects(&effects),
            sorted_effects(&whole),
            "killed after {kill_after}"
        );
    }
}

#[test]
fn killed_after_every_append_in_turn_it_still_comes_to_its_end() {
    let effects = EffectLog::default();
    let memory = Arc::new(MemoryStore::new());
    let mut lives = 0;
    let done = loop {
        lives += 1;
        assert!(lives < 1000, "no progress");
        // Two appends a life: the one that notes the interruption, and one of progress.
        let mortal = Mortal::new(memory.clone(), 2);
        if let Some(done) = run(mortal.clone(), Some(mortal.dead.clone()), &effects) {
            break done;
        }
    };
    assert_eq!(done, DONE);
    assert_eq!(effects.effects().len(), 5);
    assert!(lives > 5, "{lives} lives");
}

#[test]
fn an_interrupted_activity_goes_on_from_its_last_heartbeat() {
    let effects = EffectLog::default();
    let memory = Arc::new(MemoryStore::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let engine = engine_on(memory.clone(), registry(&effects));
        engine
            .start_workflow::<Session>(StartOptions::id("s"), &())
            .await
            .expect("starts");
        // Validation, a failed and a good set-up, and three seconds of collection.
        tokio::time::sleep(seconds(1) + std::time::Duration::from_millis(3500)).await;
    });
    drop(runtime);
    let done = run(memory.clone(), None, &effects).expect("completes");
    assert_eq!(done, DONE);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let history = runtime
        .block_on(memory.load("s", 0))
        .expect("has a history");
    let interrupted = count(
        &history,
        |kind| matches!(kind, EventKind::ActivityRetried { failure, .. } if failure.kind == Failure::INTERRUPTED),
    );
    assert_eq!(interrupted, 1);
    let beats = runtime
        .block_on(memory.load_heartbeats("s"))
        .expect("loads");
    assert_eq!(beats.first().map(|beat| beat.attempt), Some(2));
    // Collection took three seconds before and three after: had it begun anew, the second life
    // alone would have taken six.
    let times: Vec<_> = history
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::ActivityStarted { seq: 3, attempt: 2 } => Some(event.time),
            EventKind::ActivityCompleted { seq: 3, .. } => Some(event.time),
            _ => None,
        })
        .collect();
    assert_eq!((times[1] - times[0]).as_secs(), 3);
}

#[test]
fn an_attempt_that_may_not_be_repeated_is_not() {
    let effects = EffectLog::default();
    let memory = Arc::new(MemoryStore::new());
    let make = |effects: &EffectLog| {
        let mut registry = Registry::new();
        registry.workflow_named("once", |ctx: Context, (): ()| async move {
            let options =
                ActivityOptions::start_to_close(seconds(60)).with_retry(RetryPolicy::never());
            let ended = ctx.activity_named::<_, ()>("long", (), options).await;
            Ok::<_, WorkflowError>(ended.is_err())
        });
        let log = effects.clone();
        registry.activity_named("long", move |ctx: ActivityContext, (): ()| {
            log.apply(
                format!("{}:{}", ctx.idempotency_key(), ctx.attempt()),
                "begun",
            );
            async {
                tokio::time::sleep(seconds(30)).await;
                Ok(())
            }
        });
        registry
    };
    for life in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let engine = engine_on(memory.clone(), make(&effects));
            engine.resume_all().await.expect("resumes");
            if life == 0 {
                engine
                    .start_named("once", StartOptions::id("o"), json!(null))
                    .await
                    .expect("starts");
                tokio::time::sleep(seconds(5)).await;
            } else {
                assert!(engine.result::<bool>("o").await.expect("completes"));
            }
        });
    }
    assert_eq!(effects.attempts(), 1);
}

#[test]
fn a_second_engine_takes_over_and_the_first_gives_up() {
    crate::common::simulate(|| async {
        let effects = EffectLog::default();
        let memory = Arc::new(MemoryStore::new());
        let first = engine_on(memory.clone(), registry(&effects));
        first
            .start_workflow::<Session>(StartOptions::id("s"), &())
            .await
            .expect("starts");
        tokio::time::sleep(seconds(3)).await;
        let second = engine_on(memory.clone(), registry(&effects));
        second.resume_all().await.expect("resumes");
        let done: Vec<String> = second.result("s").await.expect("completes");
        assert_eq!(done, DONE);
        assert_eq!(effects.effects().len(), 5, "every effect once");
        let seen: Vec<String> = first.result("s").await.expect("reads the other's history");
        assert_eq!(seen, DONE);
    });
}

/// Fails the first appends as a locked database does.
#[derive(Debug)]
struct Locked {
    inner: MemoryStore,
    failures: AtomicU64,
}

#[async_trait]
impl HistoryStore for Locked {
    async fn append(
        &self,
        id: &str,
        length: u64,
        events: &[HistoryEvent],
    ) -> Result<(), StoreError> {
        let left = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left.is_ok() {
            return Err(StoreError::unavailable("append", "database is locked"));
        }
        self.inner.append(id, length, events).await
    }

    async fn load(&self, id: &str, after: u64) -> Result<Vec<HistoryEvent>, StoreError> {
        self.inner.load(id, after).await
    }

    async fn summary(&self, id: &str) -> Result<Option<WorkflowSummary>, StoreError> {
        self.inner.summary(id).await
    }

    async fn list(&self, filter: &ListFilter) -> Result<Vec<WorkflowSummary>, StoreError> {
        self.inner.list(filter).await
    }

    async fn save_heartbeat(&self, _: &str, _: &Heartbeat) -> Result<(), StoreError> {
        Err(StoreError::unavailable(
            "save heartbeat",
            "database is locked",
        ))
    }

    async fn load_heartbeats(&self, id: &str) -> Result<Vec<Heartbeat>, StoreError> {
        self.inner.load_heartbeats(id).await
    }
}

#[test]
fn a_locked_store_delays_a_workflow_and_does_not_fail_it() {
    crate::common::simulate(|| async {
        let effects = EffectLog::default();
        let store = Arc::new(Locked {
            inner: MemoryStore::new(),
            failures: AtomicU64::new(20),
        });
        let (engine, driver) = Engine::local(config(store, registry(&effects))).expect("an engine");
        tokio::task::spawn_local(driver);
        engine
            .start_workflow::<Session>(StartOptions::id("s"), &())
            .await
            .expect("starts");
        let done: Vec<String> = engine.result("s").await.expect("completes");
        assert_eq!(done, DONE);
        assert_eq!(effects.attempts(), 5);
    });
}

#[test]
fn a_clock_set_back_does_not_stretch_a_timer() {
    crate::common::simulate(|| async {
        let mut registry = Registry::new();
        registry.workflow_named("waits", |ctx: Context, (): ()| async move {
            ctx.timer(seconds(10)).await?;
            ctx.timer(seconds(10)).await?;
            Ok::<_, WorkflowError>(())
        });
        let store = Arc::new(MemoryStore::new());
        let begun = tokio::time::Instant::now();
        let first = engine_on(store.clone(), registry.clone());
        first
            .start_named("waits", StartOptions::id("w"), json!(null))
            .await
            .expect("starts");
        tokio::time::sleep(seconds(14)).await;
        first.stop().await;
        let set_back =
            workflow::SystemClock::starting_at(crate::common::DAWN.earlier(seconds(3600)));
        let config = config(store.clone(), registry).with_clock(Arc::new(set_back));
        let (second, driver) = Engine::local(config).expect("an engine");
        tokio::task::spawn_local(driver);
        second.resume_all().await.expect("resumes");
        second.result::<()>("w").await.expect("completes");
        // The last event before the stop is from second 10, and the stopped time counts for
        // nothing: no clock that can be trusted tells how long it was.
        assert!(begun.elapsed() <= seconds(25), "{:?}", begun.elapsed());
        let history = store.load("w", 0).await.expect("has a history");
        assert!(history.windows(2).all(|pair| pair[0].time <= pair[1].time));
    });
}
