//! How long a step takes: from the end of one activity to the beginning of the next, through the
//! run's turn, the append and the start on the runtime. In real time, on two threads.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use workflow::{
    ActivityOptions, Context, Engine, EngineConfig, MemoryStore, Registry, StartOptions,
    WorkflowError,
};

const STEPS: usize = 1000;
/// The bound for the 99th percentile. The median is what is asserted, since other programs
/// share the machine that runs the tests; the benchmarks hold the percentile to the bound.
const BOUND: Duration = Duration::from_millis(5);

#[test]
fn a_step_takes_less_than_its_bound() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let times = Arc::new(Mutex::new(Vec::new()));
    let mut registry = Registry::new();
    registry.workflow_named("steps", |ctx: Context, (): ()| async move {
        for n in 0..STEPS {
            let options = ActivityOptions::start_to_close(Duration::from_secs(60));
            ctx.activity_named::<_, usize>("step", n, options).await?;
        }
        Ok::<_, WorkflowError>(())
    });
    let log = times.clone();
    registry.activity_named("step", move |_, n: usize| {
        let log = log.clone();
        async move {
            log.lock().expect("not poisoned").push(Instant::now());
            Ok(n)
        }
    });
    runtime.block_on(async {
        let config = EngineConfig::new(Arc::new(MemoryStore::new()), registry);
        let replayer = workflow::Replayer::new(config.registry.clone());
        let engine = Engine::start(config).expect("an engine");
        engine
            .start_named("steps", StartOptions::id("w"), json!(null))
            .await
            .expect("starts");
        engine.result::<()>("w").await.expect("completes");
        let history = engine.history("w").await.expect("has a history");
        assert_eq!(history.len(), 2 + 3 * STEPS);
        engine.stop().await;
        let begun = Instant::now();
        replayer.replay("w", &history).expect("replays");
        eprintln!("replay of {} events: {:?}", history.len(), begun.elapsed());
    });
    let times = times.lock().expect("not poisoned");
    let mut steps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(steps.len(), STEPS - 1);
    steps.sort_unstable();
    let at = |percent: usize| steps[steps.len() * percent / 100];
    eprintln!("workflow step: median {:?}, p99 {:?}", at(50), at(99));
    assert!(at(50) < BOUND, "median {:?}", at(50));
}
