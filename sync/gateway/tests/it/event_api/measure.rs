//! Figures of the event API. Run with `--ignored --nocapture measure`.

#![allow(clippy::print_stderr, reason = "figures are for who asks for them")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use events::{EventLog, RandomIds, SystemClock};
use gateway::state::{MemoryBackend, State};
use logstore::{LogStore, LogStoreOptions, postgres::PostgresLog};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;

use super::support::{Replica, step};
use test_servers::postgres::Server;

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    eprintln!(
        "{name}: p50 {:?}, p99 {:?} of {}",
        at(0.5),
        at(0.99),
        times.len()
    );
}

async fn measure_over(name: &str, log: Arc<dyn EventLog>) {
    let state = State::open(Arc::new(MemoryBackend::default()))
        .await
        .expect("a state");
    let replica = Arc::new(Replica::over(Arc::clone(&log), state, "north").await);
    let mut stream = replica
        .stream("/v1/events/stream?type=session.step", None)
        .await;
    let mut times = Vec::new();
    for number in 0..1_000 {
        let event = step(number);
        let at = Instant::now();
        let publishing = {
            let replica = Arc::clone(&replica);
            tokio::spawn(async move { replica.append(&[event]).await })
        };
        stream.next().await;
        times.push(at.elapsed());
        publishing.await.expect("the task");
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    drop(stream);
    report(&format!("{name}: publish over HTTP to subscriber"), times);

    for over_http in [false, true] {
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..64 {
            let (log, replica) = (Arc::clone(&log), Arc::clone(&replica));
            tasks.push(tokio::spawn(async move {
                let mut times = Vec::new();
                while begun.elapsed() < Duration::from_secs(4) {
                    let event = step(1);
                    let at = Instant::now();
                    if over_http {
                        replica
                            .done("POST", "/v1/events", json!({ "events": [event] }))
                            .await;
                    } else {
                        log.append(vec![event]).await.expect("an append");
                    }
                    times.push(at.elapsed());
                }
                times
            }));
        }
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.expect("the task"));
        }
        let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
        let how = if over_http { "over HTTP" } else { "directly" };
        report(
            &format!("{name}: 64 publishers {how}, {rate:.0} events/s, ack"),
            times,
        );
    }
}

/// Memory of this process, which is both ends of every stream, in KiB.
fn memory_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

async fn measure_idle_subscribers() {
    let replica = Replica::in_memory().await;
    let before = memory_kib();
    let mut streams = Vec::new();
    for _ in 0..1_000 {
        streams.push(replica.stream("/v1/events/stream", None).await);
    }
    let opened = memory_kib() - before;
    let at = Instant::now();
    replica.append(&[step(1)]).await;
    for stream in &mut streams {
        stream.next().await;
    }
    eprintln!(
        "1,000 subscribers: {opened} KiB for both ends of all streams; one event reaches all in {:?}",
        at.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; run with --ignored --nocapture"]
async fn measure() {
    measure_idle_subscribers().await;
    let folder = tempfile::tempdir().expect("a folder");
    let base = SqliteConnectOptions::new()
        .filename(folder.path().join("log.sqlite"))
        .create_if_missing(true);
    let options = LogStoreOptions::new(Arc::new(SystemClock), Arc::new(RandomIds::default()));
    let log = LogStore::open(base, options.clone())
        .await
        .expect("a log store");
    measure_over("SQLite with ledger", Arc::new(log)).await;
    let server = Server::shared();
    let log = PostgresLog::open(&server.database().await, options)
        .await
        .expect("a log");
    measure_over("PostgreSQL with ledger", Arc::new(log)).await;
}
