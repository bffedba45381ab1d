//! Durable events while a recording is being written to the same disk.

use crate::figure::{Figure, Row};
use crate::limits::{BESIDE, PUBLISH_PAUSE, PUBLISHED};
use crate::measure::{Times, time};
use crate::{folders, rig};
use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use events::payloads::{SessionStep, StepState};
use events::{
    ConsumerOptions, EventType, Filter, From, Handler, HandlerError, RandomIds, RecordedEvent,
    SystemClock,
};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use store::keys::StationKey;
use store::{Store, StoreOptions};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

pub(crate) const ROWS: [Row; 1] = [Row {
    what: "durable event publish p99 while recording; publish to handler p99",
    bound: "10 ms; 50 ms",
    aim: "1 ms; 2 ms",
}];

/// Seconds: published, and handled.
const BOUNDS: (f64, f64) = (0.010, 0.050);
/// Syncs of the disk alone that are timed for comparison.
const SYNCS: usize = 500;

/// A runtime like the engine's.
pub(crate) fn runtime() -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start a runtime")
}

/// The engine's store, encrypted, in `folder`.
pub(crate) async fn store(folder: &Path) -> Result<Store> {
    let options = StoreOptions {
        folder: folder.to_owned(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds::default()),
    };
    Ok(Store::open(options, &StationKey::from_bytes([0x21; 32])).await?)
}

/// An ordinary event, numbered.
pub(crate) fn payload(number: u32) -> SessionStep {
    SessionStep {
        session_id: Uuid::from_u128(1),
        step: "collect".into(),
        state: StepState::Started,
        attempt: number,
        reason_code: None,
    }
}

/// Notes when each event came.
struct Timed {
    handled: Mutex<Vec<(u64, Instant)>>,
}

#[async_trait]
impl Handler for Timed {
    async fn handle(&self, event: &RecordedEvent) -> Result<(), HandlerError> {
        let number = event.event.data["attempt"].as_u64().unwrap_or(u64::MAX);
        let mut handled = self.handled.lock().unwrap_or_else(PoisonError::into_inner);
        handled.push((number, Instant::now()));
        Ok(())
    }
}

pub(crate) fn run() -> Result<Vec<Figure>> {
    let folder = folders::scratch()?;
    let alone = syncs(folder.path())?;
    // Recorded for longer than events are published, whatever a publish takes.
    let seconds = (PUBLISH_PAUSE.as_secs_f64() * f64::from(PUBLISHED) * 3.0) as u32 + 2;
    let device = rig::open(&rig::amplifier(BESIDE.0, BESIDE.1, seconds))?;
    let recording = folder.path().join("recording");
    let recorder = thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || rig::run(device, &recording))
        .context("cannot start the recording")?;
    // The first seconds of a recording open files and fill pools.
    thread::sleep(Duration::from_secs(1));
    let (published, handled) = runtime()?.block_on(publish(folder.path()))?;
    let still = !recorder.is_finished();
    let Ok(recorded) = recorder.join() else {
        bail!("the recording panicked")
    };
    let recorded = recorded?;
    let gaps = recorded
        .stats
        .streams
        .first()
        .map_or(0, |stream| stream.gaps);
    let met = published.p99() <= BOUNDS.0 && handled.p99() <= BOUNDS.1 && gaps == 0;
    let during = if still {
        ""
    } else {
        "; the recording ended before the last event"
    };
    Ok(vec![ROWS[0].measured(
        met,
        format!(
            "{}; {} (p50 {}; {}) of {} events beside {} channels × {} Hz with {gaps} gaps; a \
             sync of 4 KiB on this disk alone takes {} p50, {} p99{during}",
            time(published.p99()),
            time(handled.p99()),
            time(published.p50()),
            time(handled.p50()),
            published.len(),
            BESIDE.0,
            BESIDE.1,
            time(alone.p50()),
            time(alone.p99()),
        ),
    )])
}

async fn publish(folder: &Path) -> Result<(Times, Times)> {
    let store = store(folder).await?;
    let bus = store.bus();
    let handler = Arc::new(Timed {
        handled: Mutex::default(),
    });
    let filter = Filter::of_types([EventType::new("session.step")]);
    let taker = Arc::clone(&handler) as Arc<dyn Handler>;
    let options = ConsumerOptions::default();
    let consumer = bus
        .consume("bench", filter, From::End, options, taker)
        .await?;
    let publisher = bus.publisher("bench");
    let (mut published, mut sent) = (Times::default(), Vec::new());
    for number in 0..PUBLISHED {
        let begun = Instant::now();
        publisher.publish(&payload(number)).await?;
        published.push(begun.elapsed());
        sent.push(begun);
        tokio::time::sleep(PUBLISH_PAUSE).await;
    }
    let taken = || {
        handler
            .handled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    };
    let patience = Instant::now();
    while taken() < sent.len() {
        if patience.elapsed() > Duration::from_secs(10) {
            bail!("{} of {} events reached their handler", taken(), sent.len());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    consumer.stop().await;
    store.close().await;
    let mut handled = Times::default();
    for (number, at) in &*handler
        .handled
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
    {
        if let Some(begun) = sent.get(usize::try_from(*number)?) {
            handled.push(*at - *begun);
        }
    }
    Ok((published, handled))
}

/// What the disk takes for one small durable write, under nothing but this.
fn syncs(folder: &Path) -> Result<Times> {
    let mut file = File::create(folder.join("sync")).context("cannot make a file to sync")?;
    let page = [0x5a_u8; 4096];
    let mut times = Times::default();
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&page)
            .and_then(|()| file.sync_data())
            .context("cannot sync")?;
        times.push(begun.elapsed());
    }
    Ok(times)
}
