//! Figures of the log store. Run with `--release -- --ignored --nocapture measure`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use events::{
    Bus, ConsumerOptions, Filter, From, Handler, HandlerError, RandomIds, RecordedEvent,
    SystemClock,
    payloads::{SessionStep, StepState},
};
use logstore::LedgerStore as _;
use uuid::Uuid;

use crate::support::open;

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    eprintln!(
        "{name}: p50 {:?}, p99 {:?}, max {:?} of {}",
        percentile(&times, 0.5),
        percentile(&times, 0.99),
        times[times.len() - 1],
        times.len()
    );
}

fn payload(attempt: u32) -> SessionStep {
    SessionStep {
        session_id: Uuid::from_u128(1),
        step: "collect".into(),
        state: StepState::Started,
        attempt,
        reason_code: None,
    }
}

struct Timed {
    begun: Instant,
    handled: std::sync::Mutex<Vec<Duration>>,
    count: AtomicUsize,
}

#[async_trait]
impl Handler for Timed {
    async fn handle(&self, _: &RecordedEvent) -> Result<(), HandlerError> {
        self.handled.lock().unwrap().push(self.begun.elapsed());
        self.count.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; run in release"]
async fn measure() {
    // On the disk by default; in memory, the figures leave the disk out.
    let place = std::env::var("MEASURE_FOLDER").unwrap_or(env!("CARGO_TARGET_TMPDIR").to_owned());
    let folder = tempfile::tempdir_in(place).unwrap();
    let store = open(folder.path()).await;
    let bus = Bus::new(
        Arc::new(store.clone()),
        Arc::new(SystemClock),
        Arc::new(RandomIds::default()),
    );
    let publisher = bus.publisher("measure");

    // Alone, with a consumer that sees each event.
    let handler = Arc::new(Timed {
        begun: Instant::now(),
        handled: std::sync::Mutex::default(),
        count: AtomicUsize::new(0),
    });
    let filter = Filter::of_types([events::EventType::new("session.step")]);
    let options = ConsumerOptions::default();
    let consumer = bus
        .consume(
            "timed",
            filter,
            From::End,
            options,
            Arc::clone(&handler) as _,
        )
        .await
        .unwrap();
    let (mut alone, mut sent) = (Vec::new(), Vec::new());
    for attempt in 0..2_000 {
        let at = Instant::now();
        sent.push(handler.begun.elapsed());
        publisher.publish(&payload(attempt)).await.unwrap();
        alone.push(at.elapsed());
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    while handler.count.load(Ordering::Acquire) < sent.len() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    consumer.stop().await;
    report("publish alone", alone);
    let handled = handler.handled.lock().unwrap().clone();
    report(
        "publish to handler",
        handled.iter().zip(&sent).map(|(h, s)| *h - *s).collect(),
    );

    for each in [1, 16] {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let publisher = publisher.clone();
                tokio::spawn(async move {
                    let mut times = Vec::new();
                    while begun.elapsed() < Duration::from_secs(5) {
                        let at = Instant::now();
                        // `each` publishes under way at a time.
                        let under_way: Vec<_> = (0..each)
                            .map(|i| {
                                let publisher = publisher.clone();
                                tokio::spawn(async move {
                                    publisher.publish(&payload(i)).await.unwrap();
                                    at.elapsed()
                                })
                            })
                            .collect();
                        for task in under_way {
                            times.push(task.await.unwrap());
                        }
                    }
                    times
                })
            })
            .collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.unwrap());
        }
        let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
        eprintln!("64 publishers, {each} under way each: {rate:.0} events/s");
        report("  ack", times);
    }
    let at = Instant::now();
    let key = ledger::NoteSigner::from_seed("m", ledger::KeyKind::Ed25519, &[1; 32]).unwrap();
    let verified = store
        .verify_ledger(key.verifier(), &mut |_| ())
        .await
        .unwrap();
    eprintln!(
        "verified {} entries in {:?}",
        verified.entries,
        at.elapsed()
    );
    assert!(verified.is_sound());
    store.close().await;
}
