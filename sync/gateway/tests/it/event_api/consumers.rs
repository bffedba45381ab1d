//! Durable consumers.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use events::{RandomIds, SystemClock};
use gateway::state::{MemoryBackend, PostgresBackend, SqliteBackend, State};
use logstore::{LogStore, LogStoreOptions, postgres::PostgresLog};
use serde_json::{Value, json};
use sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use super::support::{LONG, Replica, positions, steps};
use test_servers::postgres::Server;

const CONSUMER: &str = "/v1/consumers/billing";

async fn fetch(replica: &Replica, max: usize, wait_ms: u64) -> Value {
    let path = format!("{CONSUMER}/fetch");
    replica
        .done("POST", &path, json!({ "max": max, "wait_ms": wait_ms }))
        .await
}

async fn answer(replica: &Replica, what: &str, delivery: &Value, places: &[u64]) -> Value {
    let body = json!({ "lease": delivery["lease"], "positions": places });
    replica
        .done("POST", &format!("{CONSUMER}/{what}"), body)
        .await
}

fn attempts(delivery: &Value) -> Vec<u64> {
    let events = delivery["events"].as_array().expect("events");
    events
        .iter()
        .map(|event| event["attempt"].as_u64().expect("a number"))
        .collect()
}

#[tokio::test]
async fn delivers_in_order_and_goes_on_behind_what_is_acknowledged() {
    let replica = Replica::in_memory().await;
    replica.append(&steps(5)).await;
    let made = replica
        .send("PUT", CONSUMER, json!({ "start": { "after": 1 } }))
        .await;
    assert_eq!(made.0, 201);
    let first = fetch(&replica, 2, 0).await;
    assert_eq!(positions(&first), [2, 3]);
    let second = fetch(&replica, 100, 0).await;
    assert_eq!(
        positions(&second),
        [4, 5],
        "what is under a lease is nobody else's"
    );
    assert_ne!(first["lease"], second["lease"]);
    assert_eq!(
        answer(&replica, "ack", &first, &[2, 3]).await["done"],
        json!([2, 3])
    );
    let again = answer(&replica, "ack", &first, &[2, 3]).await;
    assert_eq!(again["done"], json!([2, 3]), "an answer may be repeated");
    let shown = replica.done("GET", CONSUMER, Value::Null).await;
    assert_eq!(
        (&shown["cursor"], &shown["in_flight"]),
        (&json!(5), &json!(2))
    );
    assert_eq!(positions(&fetch(&replica, 100, 0).await), [0_u64; 0]);
    let again = replica
        .send("PUT", CONSUMER, json!({ "max_in_flight": 3 }))
        .await;
    assert_eq!(again.0, 200, "other settings, the same place");
    replica.append(&steps(5)).await;
    assert_eq!(
        positions(&fetch(&replica, 100, 0).await),
        [6],
        "no more than may be in flight"
    );
}

#[tokio::test]
async fn a_fetch_waits_for_what_is_wanted() {
    let replica = Arc::new(Replica::in_memory().await);
    let wanted = json!({ "types": ["session.step"] });
    replica.done("PUT", CONSUMER, wanted).await;
    let waiting = {
        let replica = Arc::clone(&replica);
        tokio::spawn(async move { fetch(&replica, 10, 20_000).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    let mut other = steps(1);
    other[0].event_type = events::EventType::new("clock.stepped");
    other[0].data = json!({ "step_ms": 1 });
    replica.append(&other).await;
    replica.append(&steps(1)).await;
    assert_eq!(positions(&waiting.await.expect("the task")), [2]);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "woken, not timed out"
    );
    assert_eq!(
        positions(&fetch(&replica, 10, 50).await),
        [0_u64; 0],
        "or it waits as long as it was told"
    );
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_and_ends_as_a_dead_letter() {
    let replica = Replica::in_memory().await;
    replica.append(&steps(2)).await;
    let settings = json!({ "ack_wait_ms": 150, "max_attempts": 2 });
    replica.done("PUT", CONSUMER, settings).await;
    let first = fetch(&replica, 10, 0).await;
    answer(&replica, "ack", &first, &[1]).await;
    // The wait ends when the lease does.
    let second = fetch(&replica, 10, 20_000).await;
    assert_eq!((positions(&second), attempts(&second)), (vec![2], vec![2]));
    let late = answer(&replica, "ack", &first, &[2]).await;
    assert_eq!(late["stale"], json!([2]), "it is another delivery's by now");
    assert_eq!(
        positions(&fetch(&replica, 10, 400).await),
        [0_u64; 0],
        "two deliveries, no third"
    );
    let dead = replica
        .done("GET", &format!("{CONSUMER}/dead"), Value::Null)
        .await;
    assert_eq!(
        (&dead[0]["position"], &dead[0]["attempts"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(dead[0]["event"]["event_type"], "session.step");

    replica
        .done("POST", &format!("{CONSUMER}/dead/2/retry"), Value::Null)
        .await;
    let third = fetch(&replica, 10, 0).await;
    assert_eq!(
        (positions(&third), attempts(&third)),
        (vec![2], vec![1]),
        "counted anew"
    );
    answer(&replica, "ack", &third, &[2]).await;
    let dead = replica
        .done("GET", &format!("{CONSUMER}/dead"), Value::Null)
        .await;
    assert_eq!(dead, json!([]));
    let gone = replica
        .refused("POST", &format!("{CONSUMER}/dead/2/retry"), Value::Null)
        .await;
    assert_eq!(gone, (404, "consumer.no_dead_letter".to_owned()));
}

#[tokio::test]
async fn what_is_given_back_comes_again_after_its_delay() {
    let replica = Replica::in_memory().await;
    replica.append(&steps(2)).await;
    replica
        .done("PUT", CONSUMER, json!({ "max_attempts": 2 }))
        .await;
    let first = fetch(&replica, 10, 0).await;
    let path = format!("{CONSUMER}/nack");
    let given = json!({ "lease": first["lease"], "positions": [1], "delay_ms": 200 });
    let begun = Instant::now();
    replica.done("POST", &path, given).await;
    let second = fetch(&replica, 10, 20_000).await;
    assert_eq!((positions(&second), attempts(&second)), (vec![1], vec![2]));
    assert!(
        begun.elapsed() >= Duration::from_millis(200),
        "not before its time"
    );
    let given = json!({ "lease": second["lease"], "positions": [1], "error": "no such account" });
    replica.done("POST", &path, given).await;
    let dead = replica
        .done("GET", &format!("{CONSUMER}/dead"), Value::Null)
        .await;
    assert_eq!(
        (&dead[0]["position"], &dead[0]["error"]),
        (&json!(1), &json!("no such account"))
    );
    replica
        .done("DELETE", &format!("{CONSUMER}/dead/1"), Value::Null)
        .await;
    assert_eq!(replica.done("GET", CONSUMER, Value::Null).await["dead"], 0);
}

#[tokio::test]
async fn consumers_belong_to_their_site() {
    let log: Arc<dyn events::EventLog> = Arc::new(events::MemoryLog::new());
    let state = State::open(Arc::new(MemoryBackend::default()))
        .await
        .expect("a state");
    let north = Replica::over(Arc::clone(&log), state.clone(), "north").await;
    let south = Replica::over(log, state, "north/billing").await;
    north.done("PUT", CONSUMER, json!({})).await;
    let none = (404, "consumer.not_found".to_owned());
    assert_eq!(south.refused("GET", CONSUMER, Value::Null).await, none);
    assert_eq!(
        south.done("GET", "/v1/consumers", Value::Null).await,
        json!([])
    );
    assert_eq!(
        north.done("GET", "/v1/consumers", Value::Null).await,
        json!(["billing"])
    );
    south.done("PUT", CONSUMER, json!({})).await;
    assert_eq!(south.send("DELETE", CONSUMER, Value::Null).await.0, 204);
    north.done("GET", CONSUMER, Value::Null).await;
    for (path, body) in [
        ("/v1/consumers/a%20b", json!({})),
        (CONSUMER, json!({ "ack_wait_ms": 1 })),
        (CONSUMER, json!({ "max_attempts": 0 })),
        (CONSUMER, json!({ "max_in_flight": 100_000 })),
        (CONSUMER, json!({ "types": ["Not a type"] })),
        (CONSUMER, json!({ "unknown": 1 })),
    ] {
        assert_eq!(
            north.refused("PUT", path, body.clone()).await.0,
            400,
            "{path} {body}"
        );
    }
}

async fn sqlite(file: &Path) -> (LogStore, Replica) {
    let base = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true);
    let mut connection = logstore::connect(&base).await.expect("a connection");
    SqliteBackend::migrate(&mut connection)
        .await
        .expect("the tables");
    let mut options = LogStoreOptions::new(Arc::new(SystemClock), Arc::new(RandomIds::default()));
    options.policy = |_| false;
    let log = LogStore::open(base, options).await.expect("a log store");
    let state = State::open(Arc::new(SqliteBackend::new(log.clone()))).await;
    let replica = Replica::over(Arc::new(log.clone()), state.expect("a state"), "north").await;
    (log, replica)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gateway.sqlite");
    let (log, replica) = sqlite(&file).await;
    replica.append(&steps(4)).await;
    replica
        .done("PUT", CONSUMER, json!({ "ack_wait_ms": 300 }))
        .await;
    let first = fetch(&replica, 3, 0).await;
    answer(&replica, "ack", &first, &[1, 3]).await;
    drop(replica);
    log.close().await;
    let (_log, replica) = sqlite(&file).await;
    let mut seen = BTreeMap::new();
    let begun = Instant::now();
    while seen.len() < 2 && begun.elapsed() < LONG {
        let delivery = fetch(&replica, 10, 1_000).await;
        seen.extend(positions(&delivery).into_iter().zip(attempts(&delivery)));
    }
    assert_eq!(
        seen,
        BTreeMap::from([(2, 2), (4, 1)]),
        "the open one again, the done ones not"
    );
}

async fn on_postgres(options: &PgConnectOptions) -> Replica {
    let backend = PostgresBackend::open(options, Uuid::now_v7())
        .await
        .expect("a backend");
    let state = State::open(Arc::new(backend)).await.expect("a state");
    let mut without_ledger =
        LogStoreOptions::new(Arc::new(SystemClock), Arc::new(RandomIds::default()));
    without_ledger.policy = |_| false;
    let log = PostgresLog::open(options, without_ledger)
        .await
        .expect("a log");
    Replica::over(Arc::new(log), state, "north").await
}

/// Four workers at two replicas share a consumer: nothing is delivered twice, nothing left out; an
/// answer given at one replica counts at the other.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_serve_one_consumer() {
    const EVENTS: usize = 400;
    let server = Server::shared();
    let options = server.database().await;
    let replicas = [on_postgres(&options).await, on_postgres(&options).await].map(Arc::new);
    replicas[0].done("PUT", CONSUMER, json!({})).await;
    let seen = Arc::new(std::sync::Mutex::new(Vec::<u64>::new()));
    let mut workers = Vec::new();
    for worker in 0..4 {
        let fetching = Arc::clone(&replicas[worker % 2]);
        let acking = Arc::clone(&replicas[(worker + worker / 2) % 2]);
        let seen = Arc::clone(&seen);
        workers.push(tokio::spawn(async move {
            let begun = Instant::now();
            while seen.lock().expect("a list").len() < EVENTS && begun.elapsed() < LONG {
                let delivery = fetch(&fetching, 7, 100).await;
                let places = positions(&delivery);
                if places.is_empty() {
                    continue;
                }
                assert!(attempts(&delivery).iter().all(|attempt| *attempt == 1));
                seen.lock().expect("a list").extend(&places);
                // A change under the lock first reads what others wrote, so that this finds the lease.
                let taken = answer(&acking, "ack", &delivery, &places).await;
                assert_eq!(taken["stale"], json!([]));
            }
        }));
    }
    for chunk in steps(EVENTS as u64).chunks(20) {
        replicas[0].append(chunk).await;
    }
    for worker in workers {
        worker.await.expect("the task");
    }
    let mut seen = seen.lock().expect("a list").clone();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(1..=EVENTS as u64), "each once");
    for replica in &replicas {
        // A change that changes nothing is one as well: it reads what the other replica wrote.
        replica.done("PUT", CONSUMER, json!({})).await;
        let shown = replica.done("GET", CONSUMER, Value::Null).await;
        assert_eq!(shown["in_flight"], 0, "no answer was lost");
    }
}

/// What is written at one replica is known at the other with the next request.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_follow_another_at_the_other_replica() {
    let server = Server::shared();
    let options = server.database().await;
    let replicas = [on_postgres(&options).await, on_postgres(&options).await];
    for round in 0..10 {
        let (one, other) = (&replicas[round % 2], &replicas[(round + 1) % 2]);
        let schema = format!("/v1/schemas/round.number_{round}/1");
        one.done("PUT", &schema, json!({ "type": "object" })).await;
        let mut event = steps(1).remove(0);
        event.event_type = events::EventType::from(format!("round.number_{round}"));
        let place = other.append(&[event]).await;
        let name = format!("/v1/consumers/round_{round}");
        let start = json!({ "start": { "after": place[0] - 1 }, "max_attempts": 1 });
        one.done("PUT", &name, start).await;
        let wish = json!({ "max": 1 });
        let delivery = other.done("POST", &format!("{name}/fetch"), wish).await;
        assert_eq!(positions(&delivery), place);
        let given = json!({ "lease": delivery["lease"], "positions": place, "error": "no" });
        one.done("POST", &format!("{name}/nack"), given).await;
        let retry = format!("{name}/dead/{}/retry", place[0]);
        other.done("POST", &retry, Value::Null).await;
        assert_eq!(one.send("DELETE", &name, Value::Null).await.0, 204);
    }
}
