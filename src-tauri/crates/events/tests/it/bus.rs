//! The bus over the log in memory.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use events::{
    Bus, Clock, ConsumerOptions, EventContext, Filter, From, Handler, HandlerError, MemoryLog,
    Payload, Position, Publisher, RecordedEvent, SeededIds, Timestamp,
    payloads::{ClockStepped, HealthCheck, HealthState, SessionStarted},
};
use uuid::Uuid;

#[derive(Debug, Default)]
struct Ticking(std::sync::atomic::AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000_000 * self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn bus_over(log: Arc<MemoryLog>) -> Bus {
    Bus::new(
        log,
        Arc::new(Ticking::default()),
        Arc::new(SeededIds::new(1)),
    )
}

fn bus() -> Bus {
    bus_over(Arc::new(MemoryLog::new()))
}

fn health() -> HealthCheck {
    HealthCheck {
        state: HealthState::Healthy,
        items: Vec::new(),
    }
}

/// Keeps what it was given; fails as often as told.
#[derive(Default)]
struct Probe {
    seen: Mutex<Vec<Position>>,
    failures_left: AtomicU32,
    panics_left: AtomicU32,
    answer_with: Option<Publisher>,
}

impl Probe {
    fn seen(&self) -> Vec<u64> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .map(|position| position.0)
            .collect()
    }

    async fn until_seen(&self, count: usize) {
        while self.seen.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn take_one(counter: &AtomicU32) -> bool {
    counter
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
        .is_ok()
}

#[async_trait]
impl Handler for Probe {
    async fn handle(&self, event: &RecordedEvent) -> Result<(), HandlerError> {
        if let Some(publisher) = &self.answer_with {
            publisher.publish(&health()).await?;
        }
        assert!(!take_one(&self.panics_left), "told to panic");
        if take_one(&self.failures_left) {
            return Err("told to fail".into());
        }
        self.seen.lock().unwrap().push(event.position);
        Ok(())
    }
}

async fn consume(bus: &Bus, filter: Filter, probe: &Arc<Probe>) -> events::Consumer {
    let options = ConsumerOptions::default();
    bus.consume(
        "probe",
        filter,
        From::Start,
        options,
        Arc::clone(probe) as _,
    )
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_log_conforms() {
    events::conformance::event_log(Arc::new(MemoryLog::new())).await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_gets_past_and_live_events_once_and_in_order() {
    let bus = bus();
    let publisher = bus.publisher("test");
    publisher.publish(&health()).await.unwrap();
    publisher
        .publish(&ClockStepped { step_ms: 5 })
        .await
        .unwrap();
    let probe = Arc::new(Probe::default());
    let consumer = consume(&bus, Filter::of_types([HealthCheck::EVENT_TYPE]), &probe).await;
    publisher
        .publish(&ClockStepped { step_ms: 6 })
        .await
        .unwrap();
    publisher.publish(&health()).await.unwrap();
    probe.until_seen(2).await;
    assert_eq!(probe.seen(), [1, 4]);

    // It goes on where it left off.
    consumer.stop().await;
    publisher.publish(&health()).await.unwrap();
    let consumer = consume(&bus, Filter::all(), &probe).await;
    probe.until_seen(3).await;
    assert_eq!(probe.seen(), [1, 4, 5]);
    consumer.stop().await;
    assert_eq!(bus.log().offset("probe").await.unwrap(), Some(Position(5)));
}

#[tokio::test(start_paused = true)]
async fn a_failing_handler_is_retried_and_a_panic_is_a_failure() {
    let bus = bus();
    let probe = Arc::new(Probe::default());
    probe.failures_left.store(2, Ordering::SeqCst);
    probe.panics_left.store(1, Ordering::SeqCst);
    let consumer = consume(&bus, Filter::all(), &probe).await;
    bus.publisher("test").publish(&health()).await.unwrap();
    probe.until_seen(1).await;
    consumer.stop().await;
    assert!(bus.parked(None).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_keeps_failing_is_parked_and_can_be_handled_later() {
    let bus = bus();
    let probe = Arc::new(Probe::default());
    probe
        .failures_left
        .store(events::limits::HANDLER_ATTEMPTS + 1, Ordering::SeqCst);
    let consumer = consume(&bus, Filter::all(), &probe).await;
    let publisher = bus.publisher("test");
    let bad = publisher.publish(&health()).await.unwrap();
    while bus.parked(None).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let parked = bus.parked(Some("probe")).await.unwrap();
    assert_eq!(parked[0].event_id, bad.event_id);
    assert_eq!(parked[0].attempts, events::limits::HANDLER_ATTEMPTS);
    assert!(
        parked[0].error.contains("told to fail"),
        "{}",
        parked[0].error
    );

    bus.retry_parked("probe", bad.position).await.unwrap_err();
    assert_eq!(
        bus.parked(None).await.unwrap().len(),
        1,
        "still failing, still parked"
    );
    bus.retry_parked("probe", bad.position).await.unwrap();
    assert!(bus.parked(None).await.unwrap().is_empty());

    publisher.publish(&health()).await.unwrap();
    probe.until_seen(2).await;
    assert_eq!(
        probe.seen(),
        [1, 2],
        "the events behind it were not held up"
    );
    consumer.stop().await;
    assert!(
        bus.retry_parked("probe", bad.position).await.is_err(),
        "no consumer runs"
    );
}

#[tokio::test(start_paused = true)]
async fn correlation_and_causation_are_carried_and_a_second_run_publishes_nothing_new() {
    let bus = bus();
    let session = Uuid::from_u128(9);
    let probe = Arc::new(Probe {
        answer_with: Some(bus.publisher("answerer")),
        // The first attempt fails after it has published.
        failures_left: AtomicU32::new(1),
        ..Probe::default()
    });
    let filter = Filter::of_types([SessionStarted::EVENT_TYPE]);
    let consumer = consume(&bus, filter, &probe).await;
    let started = SessionStarted {
        session_id: session,
        patient_id: Uuid::from_u128(8),
        protocol: "routine".into(),
        training: true,
        start_now: false,
        by_user_id: None,
    };
    let publisher = bus.publisher("test");
    let root = publisher
        .publish_in(EventContext::root(session), &started)
        .await
        .unwrap();
    probe.until_seen(1).await;
    consumer.stop().await;

    let filter = Filter::all().correlated(session);
    let all = bus.log().read(Position::START, 10, &filter).await.unwrap();
    assert_eq!(
        all.len(),
        2,
        "the answer of the repeated attempt is the same event"
    );
    assert_eq!(all[0].event.payload::<SessionStarted>().unwrap(), started);
    let answer = &all[1].event;
    assert_eq!(answer.causation_id, Some(root.event_id));
    assert_eq!(answer.source_service, "answerer");
    assert_eq!(answer.event_id.get_version_num(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_lags_reads_the_log_instead() {
    let bus = bus();
    let mut subscription = bus.subscribe(Filter::all(), From::End).await.unwrap();
    let publisher = bus.publisher("test");
    let count = events::limits::LIVE_BATCHES as u64 * 2 + 7;
    for _ in 0..count {
        publisher.publish(&health()).await.unwrap();
    }
    for due in 1..=count {
        let event = subscription.next().await.unwrap().unwrap();
        assert_eq!(event.position, Position(due));
    }
    publisher.publish(&health()).await.unwrap();
    assert_eq!(
        subscription.next().await.unwrap().unwrap().position,
        Position(count + 1)
    );
}

#[tokio::test(start_paused = true)]
async fn replay_begins_anywhere_and_ends() {
    let bus = bus();
    let publisher = bus.publisher("test");
    let mut times = Vec::new();
    for step_ms in 0..10 {
        let event = publisher.event(&ClockStepped { step_ms }).unwrap();
        times.push(event.timestamp);
        publisher.send(event).await.unwrap();
    }
    for (start, due) in [
        (From::Start, 10),
        (From::End, 0),
        (From::After(Position(4)), 6),
        (From::Time(times[7]), 3),
        (From::Time(Timestamp(times[7].0 + 1)), 2),
    ] {
        let mut replay = bus.replay(Filter::all(), start).await.unwrap();
        let mut count = 0;
        while replay.next().await.unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, due, "{start:?}");
    }
}

#[tokio::test]
async fn refuses_other_types_newer_versions_and_oversized_data() {
    let bus = bus();
    let publisher = bus.publisher("test");
    let mut event = publisher.event(&ClockStepped { step_ms: 1 }).unwrap();
    assert!(event.payload::<HealthCheck>().is_err());
    event.schema_version += 1;
    let error = event.payload::<ClockStepped>().unwrap_err();
    assert!(error.to_string().contains("newer"), "{error}");
    event.data = "x".repeat(events::limits::MAX_DATA_BYTES).into();
    assert!(publisher.send(event).await.is_err());
}

#[test]
fn an_event_survives_its_json() {
    let bus = bus();
    let event = bus
        .publisher("test")
        .event(&ClockStepped { step_ms: -3 })
        .unwrap();
    let text = serde_json::to_string(&event).unwrap();
    assert_eq!(
        serde_json::from_str::<events::SystemEvent>(&text).unwrap(),
        event
    );
    for text in ["1970-01-01T00:00:00Z", "2026-11-23T19:02:03.123456789Z"] {
        let time: Timestamp = text.parse().unwrap();
        assert_eq!(time.to_string(), text);
    }
    assert!("9999-01-01T00:00:00Z".parse::<Timestamp>().is_err());
    for extreme in [i64::MIN, i64::MAX] {
        let time = Timestamp(extreme);
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
    }
}
