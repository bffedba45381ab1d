//! A session in skeleton runs on the embedded engine and on a real Temporal development server:
//! the same code, the same outcome.

mod errors;
mod server;
mod session;

use std::sync::Arc;
use std::time::Duration;

use session::{Calls, Outcome, Session, SessionInput, Stop, registry};
use temporal::{TemporalClient, TemporalConfig, TemporalError, TemporalWorker};
use workflow::{Engine, EngineConfig, MemoryStore, StartOptions};

const QUEUE: &str = "sessions";

fn inputs() -> [(&'static str, SessionInput); 3] {
    let plain = SessionInput {
        session: 7,
        refuse: false,
        late_device: false,
    };
    [
        ("plain", plain.clone()),
        (
            "late device",
            SessionInput {
                late_device: true,
                ..plain.clone()
            },
        ),
        (
            "refused",
            SessionInput {
                refuse: true,
                ..plain
            },
        ),
    ]
}

/// How a session ended and what its activities were called with.
#[derive(Debug, PartialEq)]
struct Seen {
    outcome: Result<Outcome, String>,
    calls: Vec<String>,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn on_the_embedded_engine(id: &str, input: &SessionInput) -> Seen {
    let calls = Calls::default();
    let config = EngineConfig::new(Arc::new(MemoryStore::new()), registry(&calls));
    let engine = Engine::start(config).expect("an engine");
    let options = StartOptions::id(id).with_correlation("correlation");
    engine
        .start_workflow::<Session>(options, input)
        .await
        .expect("starts");
    let stop = async {
        while engine.query::<String>(id, "phase").await.ok().as_deref() != Some("collecting") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        engine
            .signal(
                id,
                &Stop {
                    by: "a clinician".into(),
                },
            )
            .await
            .expect("is taken");
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! {
        outcome = engine.result::<Outcome>(id) => outcome,
        () = stop => unreachable!("it waits for ever"),
    };
    engine.stop().await;
    let outcome = outcome.map_err(|error| match error {
        workflow::ResultError::Failed(failure) => failure.kind,
        other => panic!("an unexpected end: {other}"),
    });
    Seen {
        outcome,
        calls: calls.sorted(),
    }
}

async fn errors_on_the_embedded_engine() -> Vec<String> {
    let mut registry = workflow::Registry::new();
    errors::register(&mut registry);
    let config = EngineConfig::new(Arc::new(MemoryStore::new()), registry);
    let engine = Engine::start(config).expect("an engine");
    engine
        .start_workflow::<errors::Errors>(StartOptions::id("e"), &())
        .await
        .expect("starts");
    let seen = engine.result("e").await.expect("completes");
    engine.stop().await;
    seen
}

async fn on_the_cluster(
    client: &TemporalClient,
    calls: &Calls,
    id: &str,
    input: &SessionInput,
) -> Seen {
    calls.clear();
    let options = StartOptions::id(id).with_correlation("correlation");
    client
        .start_workflow::<Session>(options, input)
        .await
        .expect("starts");
    let stop = async {
        while client.query::<String>(id, "phase").await.ok().as_deref() != Some("collecting") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        client
            .signal(
                id,
                &Stop {
                    by: "a clinician".into(),
                },
            )
            .await
            .expect("is taken");
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! {
        outcome = client.result::<Outcome>(id) => outcome,
        () = stop => unreachable!("it waits for ever"),
    };
    let outcome = outcome.map_err(|error| match error {
        TemporalError::Failed(failure) => failure.kind,
        other => panic!("an unexpected end: {other:?}"),
    });
    Seen {
        outcome,
        calls: calls.sorted(),
    }
}

#[test]
fn the_same_code_has_the_same_outcome_on_both_engines() {
    let Some(server) = server::start() else {
        return;
    };
    runtime().block_on(async {
        let calls = Calls::default();
        let config = TemporalConfig::new(server.target(), QUEUE);
        let mut all = registry(&calls);
        errors::register(&mut all);
        let mut worker = TemporalWorker::connect(&config, &all)
            .await
            .expect("a worker");
        let stop = worker.stopper();
        let scenario = async {
            let client = config.connect().await.expect("a client");
            for (id, input) in inputs() {
                let embedded = on_the_embedded_engine(id, &input).await;
                let cluster = on_the_cluster(&client, &calls, id, &input).await;
                assert_eq!(embedded, cluster, "{id}");
                match &cluster.outcome {
                    Ok(outcome) => assert_eq!(outcome.stopped_by, "a clinician"),
                    Err(kind) => assert_eq!(kind, "NoConsent"),
                }
            }
            let embedded = errors_on_the_embedded_engine().await;
            let options = StartOptions::id("errors");
            client
                .start_workflow::<errors::Errors>(options, &())
                .await
                .expect("starts");
            let cluster: Vec<String> = client.result("errors").await.expect("completes");
            assert_eq!(embedded, cluster);
            // Cancelled from outside: the code cleans up and gives way.
            let (id, input) = ("cancelled", &inputs()[0].1);
            client
                .start_workflow::<Session>(StartOptions::id(id), input)
                .await
                .expect("starts");
            while client.query::<String>(id, "phase").await.ok().as_deref() != Some("collecting") {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            client.cancel(id, "changed plans").await.expect("is asked");
            let cancelled = client.result::<Outcome>(id).await;
            assert!(
                matches!(cancelled, Err(TemporalError::Cancelled)),
                "{cancelled:?}"
            );
            let phase: String = client.query(id, "phase").await.expect("answers");
            assert_eq!(phase, "cleaned up");
            stop();
        };
        let both = async { tokio::join!(worker.run(), scenario) };
        let (ran, ()) = tokio::time::timeout(Duration::from_secs(120), both)
            .await
            .expect("in time");
        ran.expect("the worker ends in order");
    });
}
