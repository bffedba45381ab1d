//! What every [`EventLog`] must do. A failed demand panics: call it from a test.
#![allow(
    clippy::unwrap_used,
    reason = "a failing demand of the suite is a panic"
)]

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use crate::{
    EventLog, EventType, Filter, Ids, ParkedEvent, Position, RecordedEvent, SeededIds, SystemEvent,
    Timestamp,
};

const FIRST: EventType = EventType::new("conformance.first");
const SECOND: EventType = EventType::new("conformance.second");

/// Holds an empty log against the contract.
pub async fn event_log(log: Arc<dyn EventLog>) {
    let mut maker = Maker {
        ids: SeededIds::new(7),
        count: 0,
    };
    appends_in_order_and_once(&log, &mut maker).await;
    reads_by_position_type_and_correlation(&log, &mut maker).await;
    finds_positions_by_time(&log, &mut maker).await;
    announces_without_a_hole(&log, &mut maker).await;
    keeps_offsets_and_parked_events(&log).await;
    many_publishers_at_once(&log, &mut maker).await;
}

struct Maker {
    ids: SeededIds,
    count: i64,
}

impl Maker {
    fn event(&mut self, event_type: EventType, correlation_id: Option<Uuid>) -> SystemEvent {
        self.count += 1;
        // A second apart and no whole microsecond: coarser storage of times would be noticed.
        let timestamp = Timestamp(1_700_000_000_000_000_001 + self.count * 1_000_000_000);
        let event_id = self.ids.next(timestamp);
        SystemEvent {
            event_type,
            source_service: "conformance".into(),
            event_id,
            timestamp,
            schema_version: 3,
            data: json!({ "count": self.count, "text": "µV «quoted» \" \\", "list": [1.5, null, true] }),
            correlation_id: correlation_id.unwrap_or(event_id),
            causation_id: correlation_id,
            site: (self.count % 3 == 0).then(|| "north".to_owned()),
            traceparent: (self.count % 2 == 0)
                .then(|| "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        }
    }
}

/// All events of the suite; an implementation may interleave others, such as
/// `ledger.event_recorded`.
async fn ours(log: &Arc<dyn EventLog>, after: Position) -> Vec<RecordedEvent> {
    log.read(after, 100_000, &Filter::of_types([FIRST, SECOND]))
        .await
        .unwrap()
}

async fn appends_in_order_and_once(log: &Arc<dyn EventLog>, maker: &mut Maker) {
    assert_eq!(
        log.end().await.unwrap(),
        Position::START,
        "a new log is empty"
    );
    let events = vec![
        maker.event(FIRST, None),
        maker.event(SECOND, None),
        maker.event(FIRST, None),
    ];
    let positions = log.append(events.clone()).await.unwrap();
    assert_eq!(positions, [1, 2, 3].map(Position), "positions count from 1");
    let read = ours(log, Position::START).await;
    let expected: Vec<_> = positions
        .iter()
        .zip(&events)
        .map(|(&position, event)| RecordedEvent {
            position,
            event: event.clone(),
        })
        .collect();
    assert_eq!(read, expected, "events come back as they went in");

    let fresh = maker.event(SECOND, None);
    let before = log.end().await.unwrap();
    let again = log
        .append(vec![events[1].clone(), fresh.clone(), fresh.clone()])
        .await
        .unwrap();
    assert_eq!(again[0], positions[1], "a known event keeps its position");
    assert!(again[1] > before, "a new one is appended beside it");
    assert_eq!(
        again[1], again[2],
        "the same event twice in a batch is one event"
    );
    assert_eq!(ours(log, Position::START).await.len(), 4);
    assert_eq!(
        log.append(Vec::new()).await.unwrap(),
        [],
        "nothing to append is no failure"
    );
}

async fn reads_by_position_type_and_correlation(log: &Arc<dyn EventLog>, maker: &mut Maker) {
    let correlation = Uuid::from_u128(0xC0FFEE);
    let first = maker.event(FIRST, Some(correlation));
    let second = maker.event(SECOND, Some(correlation));
    let places = log
        .append(vec![first.clone(), second.clone()])
        .await
        .unwrap();

    let filter = Filter::of_types([SECOND]);
    let read = log.read(Position::START, 100, &filter).await.unwrap();
    assert!(read.len() >= 3 && read.iter().all(|e| e.event.event_type == SECOND));
    let read = log.read(Position::START, 2, &filter).await.unwrap();
    assert_eq!(read.len(), 2, "the limit counts wanted events");

    for site in ["north", "north ", "south"] {
        let here = Filter::of_types([FIRST, SECOND]).at_site(site);
        let read = log.read(Position::START, 100_000, &here).await.unwrap();
        let expected: Vec<_> = ours(log, Position::START)
            .await
            .into_iter()
            .filter(|recorded| here.wants(&recorded.event))
            .collect();
        assert_eq!(read, expected, "at {site:?}");
        assert_eq!(read.is_empty(), site != "north");
    }
    let all = Filter::all().correlated(correlation);
    let read = log.read(Position::START, 100, &all).await.unwrap();
    assert_eq!(read.iter().map(|e| e.position).collect::<Vec<_>>(), places);
    let both = filter.correlated(correlation);
    let read = log.read(Position::START, 100, &both).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].event, second);
    let end = log.end().await.unwrap();
    assert_eq!(
        log.read(end, 100, &Filter::all()).await.unwrap(),
        [],
        "nothing behind the end"
    );
}

async fn finds_positions_by_time(log: &Arc<dyn EventLog>, maker: &mut Maker) {
    let event = maker.event(FIRST, None);
    let position = log.append(vec![event.clone()]).await.unwrap()[0];
    let after = log.position_before(event.timestamp).await.unwrap();
    assert!(after < position, "the event itself is included");
    let next = log
        .read(after, 1, &Filter::of_types([FIRST, SECOND]))
        .await
        .unwrap();
    assert_eq!(next[0].event, event);
    let later = Timestamp(i64::MAX);
    assert_eq!(
        log.position_before(later).await.unwrap(),
        log.end().await.unwrap()
    );
    let earlier = Timestamp(0);
    assert_eq!(log.position_before(earlier).await.unwrap(), Position::START);
}

async fn announces_without_a_hole(log: &Arc<dyn EventLog>, maker: &mut Maker) {
    let mut live = log.committed();
    let before = log.end().await.unwrap();
    for _ in 0..5 {
        log.append(vec![maker.event(FIRST, None), maker.event(SECOND, None)])
            .await
            .unwrap();
    }
    let end = log.end().await.unwrap();
    let mut announced = Vec::new();
    while announced
        .last()
        .is_none_or(|last: &RecordedEvent| last.position < end)
    {
        announced.extend(live.recv().await.unwrap().iter().cloned());
    }
    let logged = log.read(before, 1_000, &Filter::all()).await.unwrap();
    assert_eq!(
        announced, logged,
        "what is announced is what is logged, in order"
    );
}

async fn keeps_offsets_and_parked_events(log: &Arc<dyn EventLog>) {
    assert_eq!(log.offset("a").await.unwrap(), None);
    log.save_offset("a", Position(4)).await.unwrap();
    log.save_offset("a", Position(5)).await.unwrap();
    assert_eq!(log.offset("a").await.unwrap(), Some(Position(5)));
    assert_eq!(log.offset("b").await.unwrap(), None);

    let parked = |consumer: &str, position| ParkedEvent {
        consumer: consumer.into(),
        position: Position(position),
        event_id: Uuid::from_u128(position.into()),
        attempts: 3,
        error: "the handler failed".into(),
        parked_at: Timestamp(1),
    };
    for (consumer, position) in [("a", 2), ("b", 1), ("a", 1)] {
        log.park(parked(consumer, position)).await.unwrap();
    }
    let again = ParkedEvent {
        attempts: 9,
        ..parked("a", 2)
    };
    log.park(again.clone()).await.unwrap();
    assert_eq!(
        log.parked(Some("a")).await.unwrap(),
        [parked("a", 1), again.clone()]
    );
    assert_eq!(
        log.parked(None).await.unwrap(),
        [parked("a", 1), again, parked("b", 1)]
    );
    assert!(log.unpark("a", Position(1)).await.unwrap());
    assert!(!log.unpark("a", Position(1)).await.unwrap());
    assert_eq!(log.parked(Some("a")).await.unwrap().len(), 1);
}

async fn many_publishers_at_once(log: &Arc<dyn EventLog>, maker: &mut Maker) {
    const PUBLISHERS: usize = 16;
    const EACH: usize = 20;
    let before = log.end().await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..PUBLISHERS {
        let events: Vec<_> = (0..EACH).map(|_| maker.event(FIRST, None)).collect();
        let log = Arc::clone(log);
        tasks.push(tokio::spawn(async move {
            let mut last = Position::START;
            for event in events {
                let position = log.append(vec![event]).await.unwrap()[0];
                assert!(position > last, "one publisher's events keep their order");
                last = position;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let read = ours(log, before).await;
    assert_eq!(read.len(), PUBLISHERS * EACH);
    assert!(
        read.windows(2)
            .all(|pair| pair[0].position < pair[1].position)
    );
}
