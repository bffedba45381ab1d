//! What the workflow engine adds to the work it orders.

use crate::beside_recording::{runtime, store};
use crate::figure::{Figure, Row};
use crate::folders;
use crate::limits::{COLLECT_S, SESSION_S, STEPS};
use crate::measure::{Times, digits, time};
use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use clinic::{
    Analysis, ClinicalSession, Collection, CollectionEnd, Conclusion, Exported, Outcome,
    Preparation, Report, SessionActivities, SessionInput, SessionRef, SessionResult, Validation,
    register_session,
};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use workflow::{
    ActivityContext, ActivityOptions, Context, Engine, EngineConfig, Failure, Registry,
    StartOptions, WorkflowError,
};

pub(crate) const ROWS: [Row; 1] = [Row {
    what: "workflow step p99; overhead on a 60 s session, (wall − critical path of \
           activities)/critical path",
    bound: "5 ms; 2 %",
    aim: "1 ms; 0.1 %",
}];

/// Seconds a step, and share of the critical path.
const BOUNDS: (f64, f64) = (0.005, 0.02);

pub(crate) fn run() -> Result<Vec<Figure>> {
    let folder = folders::scratch()?;
    let runtime = runtime()?;
    let steps = runtime.block_on(steps(folder.path()))?;
    let session = folders::scratch()?;
    let (wall_s, busy_s) = runtime.block_on(session_of(session.path()))?;
    // The engine's part does not grow with the collection but for a heartbeat now and then.
    let overhead = (wall_s - busy_s) / (busy_s - COLLECT_S + SESSION_S);
    Ok(vec![ROWS[0].measured(
        steps.p99() <= BOUNDS.0 && overhead <= BOUNDS.1,
        format!(
            "{}; {} % (step p50 {}, end of an activity to the start of the next, durable; the \
             ClinicalSession workflow took {} beyond its activities in a session of {COLLECT_S} s, \
             stated for {SESSION_S} s)",
            time(steps.p99()),
            digits(overhead * 100.0),
            time(steps.p50()),
            time(wall_s - busy_s),
        ),
    )])
}

/// From the end of one activity to the beginning of the next, through the encrypted store.
async fn steps(folder: &Path) -> Result<Times> {
    let store = store(folder).await?;
    let begun: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let mut registry = Registry::new();
    registry.workflow_named("steps", |ctx: Context, (): ()| async move {
        for number in 0..STEPS {
            let options = ActivityOptions::start_to_close(Duration::from_secs(60));
            ctx.activity_named::<_, usize>("step", number, options)
                .await?;
        }
        Ok::<_, WorkflowError>(())
    });
    let log = Arc::clone(&begun);
    registry.activity_named("step", move |_: ActivityContext, number: usize| {
        let log = Arc::clone(&log);
        async move {
            log.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Instant::now());
            Ok(number)
        }
    });
    let engine = Engine::start(EngineConfig::new(Arc::new(store.log().clone()), registry))?;
    engine
        .start_named("steps", StartOptions::id("steps"), serde_json::Value::Null)
        .await?;
    engine
        .result::<()>("steps")
        .await
        .context("the workflow failed")?;
    engine.stop().await;
    store.close().await;
    let begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
    let mut times = Times::default();
    for pair in begun.windows(2) {
        times.push(pair[1] - pair[0]);
    }
    if times.len() + 1 != STEPS {
        bail!("{} of {STEPS} steps were run", times.len() + 1);
    }
    Ok(times)
}

/// A whole session by the real workflow, its activities replaced by their lengths; the session's
/// length and that of its activities, which follow one another, s.
async fn session_of(folder: &Path) -> Result<(f64, f64)> {
    let store = store(folder).await?;
    let activities = Arc::new(Lengths {
        busy: Mutex::new(Duration::ZERO),
    });
    let mut registry = Registry::new();
    register_session(
        &mut registry,
        Arc::clone(&activities) as Arc<dyn SessionActivities>,
    );
    let engine = Engine::start(EngineConfig::new(Arc::new(store.log().clone()), registry))?;
    let input = SessionInput {
        session: "00000000-0000-7000-8000-000000000001".parse()?,
        duration_ms: Some((COLLECT_S * 1e3) as u64),
        start_now: false,
        export: true,
    };
    let begun = Instant::now();
    engine
        .start_workflow::<ClinicalSession>(StartOptions::id("session"), &input)
        .await?;
    let result: SessionResult = engine
        .result("session")
        .await
        .context("the session failed")?;
    let wall = begun.elapsed();
    engine.stop().await;
    store.close().await;
    if result.outcome != Outcome::Completed {
        bail!("the session did not complete");
    }
    let busy = *activities
        .busy
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Ok((wall.as_secs_f64(), busy.as_secs_f64()))
}

/// Activities that take their time and do nothing else.
struct Lengths {
    busy: Mutex<Duration>,
}

impl Lengths {
    async fn take<T>(
        &self,
        ctx: &ActivityContext,
        length: Duration,
        result: T,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        while let Some(left) = length
            .checked_sub(begun.elapsed())
            .filter(|left| !left.is_zero())
        {
            tokio::time::sleep(left.min(Duration::from_millis(500))).await;
            ctx.heartbeat(&begun.elapsed().as_millis());
        }
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) += begun.elapsed();
        Ok(result)
    }
}

/// Length of every activity but the collection.
const SHORT: Duration = Duration::from_millis(100);

#[async_trait]
impl SessionActivities for Lengths {
    async fn validate(&self, ctx: ActivityContext, _: SessionRef) -> Result<Validation, Failure> {
        self.take(&ctx, SHORT, Validation::default()).await
    }
    async fn prepare(&self, ctx: ActivityContext, _: SessionRef) -> Result<Preparation, Failure> {
        self.take(&ctx, SHORT, Preparation::default()).await
    }
    async fn collect(&self, ctx: ActivityContext, _: SessionRef) -> Result<Collection, Failure> {
        let collection = Collection {
            recording: "recording".into(),
            end: CollectionEnd::Completed,
            samples: 1,
            gaps: 0,
            notes: Vec::new(),
        };
        self.take(&ctx, Duration::from_secs_f64(COLLECT_S), collection)
            .await
    }
    async fn end_collection(&self, ctx: ActivityContext, _: SessionRef) -> Result<(), Failure> {
        self.take(&ctx, Duration::ZERO, ()).await
    }
    async fn note_emergency(&self, ctx: ActivityContext, _: SessionRef) -> Result<(), Failure> {
        self.take(&ctx, Duration::ZERO, ()).await
    }
    async fn conclude(&self, ctx: ActivityContext, _: SessionRef) -> Result<Conclusion, Failure> {
        self.take(&ctx, SHORT, Conclusion::default()).await
    }
    async fn analyse(&self, ctx: ActivityContext, _: SessionRef) -> Result<Analysis, Failure> {
        self.take(&ctx, SHORT, Analysis::default()).await
    }
    async fn make_report(&self, ctx: ActivityContext, _: SessionRef) -> Result<Report, Failure> {
        self.take(
            &ctx,
            SHORT,
            Report {
                report: "report".into(),
            },
        )
        .await
    }
    async fn export(&self, ctx: ActivityContext, _: SessionRef) -> Result<Exported, Failure> {
        self.take(
            &ctx,
            SHORT,
            Exported {
                files: 1,
                notes: Vec::new(),
            },
        )
        .await
    }
    async fn finish(&self, ctx: ActivityContext, _: SessionRef, _: Outcome) -> Result<(), Failure> {
        self.take(&ctx, Duration::ZERO, ()).await
    }
}
