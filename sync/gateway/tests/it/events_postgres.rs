//! The event log on PostgreSQL: the contract, two replicas on one database, and its speed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use events::{
    Clock, EventLog, EventType, Filter, Ids, Position, RandomIds, RecordedEvent, SystemClock,
    SystemEvent, payloads::LedgerEventRecorded,
};
use gateway::state::{Op, PostgresBackend, State};
use ledger::{Digest, Draft, Tree};
use logstore::{LedgerStore as _, LogStoreOptions, postgres::PostgresLog};
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use test_servers::postgres::Server;

const LONG: Duration = Duration::from_secs(20);

/// Without ledger entries: positions are then those of the tests' own events.
async fn open(database: &PgConnectOptions) -> PostgresLog {
    let mut options = options();
    options.policy = |_| false;
    let opened = PostgresLog::open(database, options).await;
    opened.expect("a log")
}

fn options() -> LogStoreOptions {
    LogStoreOptions::new(Arc::new(SystemClock), Arc::new(RandomIds::default()))
}

fn event(ids: &RandomIds, number: usize) -> SystemEvent {
    let timestamp = SystemClock.now();
    let event_id = ids.next(timestamp);
    SystemEvent {
        event_type: EventType::new("test.counted"),
        source_service: "test".into(),
        event_id,
        timestamp,
        schema_version: 1,
        data: serde_json::json!({ "number": number, "state": "started" }),
        correlation_id: event_id,
        causation_id: None,
        site: None,
        traceparent: None,
    }
}

/// Everything announced up to a position.
async fn announced(
    live: &mut tokio::sync::broadcast::Receiver<events::Committed>,
    end: Position,
) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    while events
        .last()
        .is_none_or(|last: &RecordedEvent| last.position < end)
    {
        let batch = tokio::time::timeout(LONG, live.recv()).await;
        events.extend(batch.expect("in time").expect("a batch").iter().cloned());
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_an_event_log() {
    let server = Server::shared();
    let log = open(&server.database().await).await;
    events::conformance::event_log(Arc::new(log)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_count_without_a_gap_and_announce_the_same() {
    const EACH: usize = 200;
    let server = Server::shared();
    let options = server.database().await;
    let logs = [open(&options).await, open(&options).await];
    let mut live = [logs[0].committed(), logs[1].committed()];
    let ids = Arc::new(RandomIds::default());
    let mut tasks = Vec::new();
    for publisher in 0..8 {
        let (log, ids) = (logs[publisher % 2].clone(), Arc::clone(&ids));
        tasks.push(tokio::spawn(async move {
            let mut last = Position::START;
            for number in 0..EACH {
                let position = log
                    .append(vec![event(&ids, number)])
                    .await
                    .expect("an append");
                assert!(
                    position[0] > last,
                    "one publisher's events keep their order"
                );
                last = position[0];
            }
        }));
    }
    // A reader that goes by position alone misses nothing while others write.
    let reading = {
        let log = logs[1].clone();
        tokio::spawn(async move {
            let mut next = Position::START;
            let mut places = Vec::new();
            while places.len() < 8 * EACH {
                let read = log.read(next, 50, &Filter::all()).await.expect("a page");
                places.extend(read.iter().map(|recorded| recorded.position.0));
                next = read.last().map_or(next, |last| last.position);
            }
            places
        })
    };
    for task in tasks {
        task.await.expect("the task");
    }
    let places = reading.await.expect("the reader");
    assert!(
        places.iter().copied().eq(1..=8 * EACH as u64),
        "gapless and in order"
    );
    let end = logs[0].end().await.expect("the end");
    let all = logs[0]
        .read(Position::START, 10_000, &Filter::all())
        .await
        .expect("all");
    for live in &mut live {
        assert_eq!(
            announced(live, end).await,
            all,
            "every replica announces all, in order"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_in_the_log_once_whoever_appends_it() {
    let server = Server::shared();
    let options = server.database().await;
    let logs = [open(&options).await, open(&options).await];
    let ids = RandomIds::default();
    let events: Vec<_> = (0..20).map(|number| event(&ids, number)).collect();
    let mut tasks = Vec::new();
    for n in 0..8 {
        let (log, mut events) = (logs[n % 2].clone(), events.clone());
        if n > 3 {
            events.reverse();
        }
        tasks.push(tokio::spawn(async move {
            let positions = log.append(events.clone()).await.expect("an append");
            let ids = events.into_iter().map(|event| event.event_id);
            ids.zip(positions)
                .collect::<std::collections::BTreeMap<_, _>>()
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("the task"));
    }
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "all are told the same"
    );
    let all = logs[0]
        .read(Position::START, 1_000, &Filter::all())
        .await
        .expect("all");
    assert_eq!(all.len(), events.len());
    for recorded in all {
        assert_eq!(answers[0][&recorded.event.event_id], recorded.position);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_connections_lose_and_repeat_nothing() {
    let server = Server::shared();
    let options = server.database().await;
    let logs = [open(&options).await, open(&options).await];
    let mut live = logs[1].committed();
    let ids = Arc::new(RandomIds::default());
    let appending = {
        let log = logs[0].clone();
        tokio::spawn(async move {
            let mut places = Vec::new();
            for number in 0..300 {
                // Who is told of a failure tries again, as a client does.
                let event = event(&ids, number);
                let begun = Instant::now();
                loop {
                    match log.append(vec![event.clone()]).await {
                        Ok(position) => break places.push(position[0].0),
                        Err(error) => assert!(begun.elapsed() < LONG, "{error}"),
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            places
        })
    };
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.disconnect_all(&options).await;
    }
    let places = appending.await.expect("the task");
    assert!(
        places.iter().copied().eq(1..=300),
        "each event once, none lost"
    );
    let announced = announced(&mut live, Position(300)).await;
    assert!(
        announced
            .iter()
            .map(|recorded| recorded.position.0)
            .eq(1..=300)
    );
}

/// What was acknowledged, here and in the state, is there after the server was killed, and once.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_loses_nothing_acknowledged() {
    const EVENTS: usize = 400;
    let server = Server::start();
    let database = server.database().await;
    let mut options = options();
    options.policy = logstore::ledger_all;
    let log = PostgresLog::open(&database, options).await.expect("a log");
    let backend = PostgresBackend::open(&database, Uuid::now_v7()).await;
    let state = State::open(Arc::new(backend.expect("a backend"))).await;
    let state = state.expect("a state");
    let ids = Arc::new(RandomIds::default());
    let mut tasks = Vec::new();
    for publisher in 0..4 {
        let (log, state, ids) = (log.clone(), state.clone(), Arc::clone(&ids));
        tasks.push(tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0..EVENTS / 4 {
                let event = event(&ids, number);
                let key = format!("{publisher}/{number}");
                let begun = Instant::now();
                while let Err(error) = log.append(vec![event.clone()]).await {
                    assert!(begun.elapsed() < LONG, "{error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                while let Err(error) = state.commit(vec![Op::put("test", key.clone(), "x")]).await {
                    assert!(begun.elapsed() < LONG, "{error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                acknowledged.push((event.event_id, key));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            acknowledged
        }));
    }
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let server = &server;
        server.crash();
    }
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.expect("the task"));
    }
    let all = log
        .read(Position::START, 10_000, &Filter::all())
        .await
        .expect("all");
    assert!(
        all.iter()
            .map(|recorded| recorded.position.0)
            .eq(1..=all.len() as u64)
    );
    let own: Vec<_> = all
        .iter()
        .filter(|recorded| recorded.event.event_type.as_str() == "test.counted")
        .collect();
    assert_eq!(own.len(), EVENTS, "each event once");
    let entries = log.ledger_entries(0..10_000).await.expect("entries");
    assert_eq!(entries.len(), EVENTS, "and one entry for each");
    let backend = PostgresBackend::open(&database, Uuid::now_v7()).await;
    let reopened = State::open(Arc::new(backend.expect("a backend"))).await;
    let reopened = reopened.expect("a state");
    for (id, key) in acknowledged {
        assert!(own.iter().any(|recorded| recorded.event.event_id == id));
        assert_eq!(reopened.get("test", &key), state.get("test", &key), "{key}");
        assert!(reopened.get("test", &key).is_some(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_the_database_cannot_hold_fails_nobody_else() {
    let server = Server::shared();
    let log = open(&server.database().await).await;
    let ids = RandomIds::default();
    let mut bad = event(&ids, 1);
    bad.source_service = "a\0b".into();
    let mut nulls = event(&ids, 2);
    nulls.data = serde_json::json!({ "text": "a\0b" });
    let (refused, good) = tokio::join!(log.append(vec![bad]), log.append(vec![nulls.clone()]));
    assert!(
        matches!(refused, Err(events::LogError::Refused { .. })),
        "{refused:?}"
    );
    let place = good.expect("an append")[0];
    let read = log
        .read(Position(place.0 - 1), 1, &Filter::all())
        .await
        .expect("a page");
    assert_eq!(
        read[0].event, nulls,
        "a null within the data is text like any other"
    );
}

/// Every event has one entry, in the transaction that appended it, whoever appended it how often; each
/// transaction's announcement says where the chain and the tree stand behind it.
#[tokio::test(flavor = "multi_thread")]
async fn events_and_their_entries_are_one_chain_over_all_replicas() {
    const EACH: usize = 60;
    let server = Server::shared();
    let database = server.database().await;
    let mut logs = Vec::new();
    for _ in 0..2 {
        let opened = PostgresLog::open(&database, options()).await;
        logs.push(opened.expect("a log"));
    }
    let mut live = logs[0].committed();
    let ids = Arc::new(RandomIds::default());
    let mut tasks = Vec::new();
    for publisher in 0..6 {
        let (log, other) = (
            logs[publisher % 2].clone(),
            logs[(publisher + 1) % 2].clone(),
        );
        let ids = Arc::clone(&ids);
        tasks.push(tokio::spawn(async move {
            for number in 0..EACH {
                let event = event(&ids, number);
                // The same event at two replicas at once.
                let (one, two) =
                    tokio::join!(log.append(vec![event.clone()]), other.append(vec![event]));
                assert_eq!(one.expect("an append"), two.expect("an append"));
            }
            let draft = Draft {
                kind: "audit.done".into(),
                time_ns: 1,
                actor: "someone".into(),
                payload: ledger::CanonicalJson::from_value(&serde_json::json!({}))
                    .expect("a payload"),
            };
            log.enter(vec![draft]).await.expect("an entry");
        }));
    }
    for task in tasks {
        task.await.expect("the task");
    }
    let entries = logs[0].ledger_entries(0..10_000).await.expect("entries");
    assert_eq!(
        entries.len(),
        6 * EACH + 6,
        "one for each event, and those of their own"
    );
    let (mut previous, mut tree, mut roots) = (Digest::ZERO, Tree::new(), Vec::new());
    for (sequence, entry) in (0..).zip(&entries) {
        entry.check(sequence, previous).expect("an unbroken chain");
        previous = entry.hash;
        tree.push(entry.leaf_hash());
        roots.push(tree.root().to_string());
    }
    let all = logs[1]
        .read(Position::START, 10_000, &Filter::all())
        .await
        .expect("all");
    let (told, own): (Vec<_>, Vec<_>) = all
        .iter()
        .partition(|recorded| recorded.event.event_type.as_str() == "ledger.event_recorded");
    assert_eq!(own.len(), 6 * EACH);
    let mut size = 0;
    for recorded in told {
        let told: LedgerEventRecorded = recorded.event.payload().expect("an announcement");
        assert_eq!(
            told.first_sequence, size,
            "announcements meet without a gap"
        );
        size += told.entries;
        assert_eq!(told.tree_size, size);
        assert_eq!(told.root_hash, roots[size as usize - 1]);
    }
    assert_eq!(size, entries.len() as u64);
    let end = logs[0].end().await.expect("the end");
    assert_eq!(announced(&mut live, end).await, all);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; run with --ignored --nocapture"]
async fn measure() {
    let server = Server::shared();
    for (what, policy) in [
        ("without ledger", (|_| false) as logstore::LedgerPolicy),
        ("with ledger", logstore::ledger_all),
    ] {
        let mut options = options();
        options.policy = policy;
        let log = PostgresLog::open(&server.database().await, options).await;
        measure_one(what, log.expect("a log")).await;
    }
}

#[allow(clippy::print_stderr, reason = "figures are for who asks for them")]
async fn measure_one(what: &str, log: PostgresLog) {
    let ids = Arc::new(RandomIds::default());
    for publishers in [1, 64] {
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..publishers {
            let (log, ids) = (log.clone(), Arc::clone(&ids));
            tasks.push(tokio::spawn(async move {
                let mut times = Vec::new();
                while begun.elapsed() < Duration::from_secs(5) {
                    let at = Instant::now();
                    log.append(vec![event(&ids, times.len())])
                        .await
                        .expect("an append");
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
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        eprintln!(
            "PostgreSQL {what}, {publishers} publishers: {rate:.0} events/s, ack p50 {:?}, p99 {:?}",
            at(0.5),
            at(0.99)
        );
    }
}
