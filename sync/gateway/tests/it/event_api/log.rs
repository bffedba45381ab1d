//! Appending, reading and following.

use events::{EventType, Timestamp};
use futures_util::StreamExt;
use gateway::{event_api::ROUTES, limits::events as limits};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{LONG, Replica, positions, step, steps};

#[tokio::test]
async fn appends_a_batch_in_order_and_each_event_once() {
    let replica = Replica::in_memory().await;
    let events = steps(3);
    assert_eq!(replica.append(&events).await, [1, 2, 3]);
    let mut again = events.clone();
    again.push(step(4));
    assert_eq!(
        replica.append(&again).await,
        [1, 2, 3, 4],
        "ids in the log keep their positions"
    );
    let page = replica.done("GET", "/v1/events", Value::Null).await;
    assert_eq!(positions(&page), [1, 2, 3, 4]);
    let read: Vec<events::RecordedEvent> =
        serde_json::from_value(page["events"].clone()).expect("events");
    assert_eq!(read[3].event, again[3], "an event comes back as it went in");
}

#[tokio::test]
async fn keeps_correlation_and_causation() {
    let replica = Replica::in_memory().await;
    let cause = step(1);
    let mut effect = step(2);
    effect.correlation_id = cause.correlation_id;
    effect.causation_id = Some(cause.event_id);
    replica
        .append(&[cause.clone(), step(9), effect.clone()])
        .await;
    let path = format!("/v1/events?correlation={}", cause.correlation_id);
    let page = replica.done("GET", &path, Value::Null).await;
    assert_eq!(positions(&page), [1, 3]);
    let last = &page["events"][1]["event"];
    assert_eq!(last["causation_id"], json!(cause.event_id));
}

/// One event that is not right keeps the whole batch out.
#[tokio::test]
async fn refuses_at_the_door_what_breaks_a_rule() {
    let replica = Replica::in_memory().await;
    let with = |change: &dyn Fn(&mut events::SystemEvent)| {
        let mut event = step(2);
        change(&mut event);
        json!({ "events": [step(1), event] })
    };
    let cases: Vec<(u16, &str, Value)> = vec![
        (
            422,
            "event.against_schema",
            with(&|e| e.data = json!({ "step": 5 })),
        ),
        (
            422,
            "event.against_schema",
            with(&|e| e.data = json!("Jane Doe")),
        ),
        (
            422,
            "event.unknown_schema",
            with(&|e| e.schema_version = 99),
        ),
        (
            422,
            "event.unknown_schema",
            with(&|e| e.event_type = EventType::new("made.up")),
        ),
        (
            422,
            "event.malformed",
            with(&|e| e.event_type = EventType::new("Made up")),
        ),
        (
            422,
            "event.malformed",
            with(&|e| e.event_id = Uuid::from_u128(7)),
        ),
        (
            422,
            "event.malformed",
            with(&|e| e.source_service = "a\0b".into()),
        ),
        (
            422,
            "event.too_large",
            with(&|e| e.data["step"] = "x".repeat(200_000).into()),
        ),
        (422, "event.too_many", json!({ "events": steps(501) })),
        (
            400,
            "body.malformed",
            json!({ "events": [{ "event_type": "session.step" }] }),
        ),
        (400, "body.malformed", json!({ "event": [] })),
        (
            413,
            "body.too_large",
            json!({ "events": ["x".repeat(limits::MAX_BATCH_BYTES)] }),
        ),
    ];
    for (status, code, body) in cases {
        let answer = replica.refused("POST", "/v1/events", body).await;
        assert_eq!(answer, (status, code.to_owned()));
    }
    let (_, answer) = replica
        .send(
            "POST",
            "/v1/events",
            with(&|e| e.data["state"] = "Jane Doe".into()),
        )
        .await;
    let detail = answer["detail"].as_str().expect("a detail");
    assert!(
        detail.contains("/state") && !detail.contains("Jane"),
        "where, never what: {detail}"
    );
    let end = replica.log.end().await.expect("the end");
    assert_eq!(end.0, 0, "nothing of any batch was appended");
}

#[tokio::test]
async fn takes_events_of_a_registered_schema_only() {
    let replica = Replica::in_memory().await;
    let schema = json!({ "type": "object", "required": ["dose_mg"],
        "properties": { "dose_mg": { "type": "number", "minimum": 0 } } });
    let path = "/v1/schemas/pharmacy.dose_given/1";
    assert_eq!(replica.send("PUT", path, schema.clone()).await.0, 201);
    assert_eq!(
        replica.send("PUT", path, schema.clone()).await.0,
        200,
        "the same again"
    );
    assert_eq!(replica.done("GET", path, Value::Null).await, schema);
    let taken = (409, "schema.registered".to_owned());
    assert_eq!(
        replica
            .refused("PUT", path, json!({ "type": "object" }))
            .await,
        taken
    );
    let own = (409, "schema.built_in".to_owned());
    let built_in = "/v1/schemas/patient.viewed/1";
    assert_eq!(replica.refused("PUT", built_in, schema.clone()).await, own);
    for bad in [
        json!({ "type": 5 }),
        json!({ "$ref": "https://elsewhere.invalid/schema" }),
    ] {
        let refused = replica
            .refused("PUT", "/v1/schemas/pharmacy.other/1", bad)
            .await;
        assert_eq!(refused, (422, "schema.malformed".to_owned()));
    }
    let mut event = step(1);
    event.event_type = EventType::new("pharmacy.dose_given");
    event.data = json!({ "dose_mg": -1 });
    let bad = json!({ "events": [event] });
    let refused = (422, "event.against_schema".to_owned());
    assert_eq!(replica.refused("POST", "/v1/events", bad).await, refused);
    event.data = json!({ "dose_mg": 2.5 });
    assert_eq!(replica.append(&[event]).await, [1]);
    let listed = replica.done("GET", "/v1/schemas", Value::Null).await;
    let listed = listed.as_array().expect("a list");
    let of = |kind: &str| listed.iter().find(|schema| schema["type"] == kind).cloned();
    assert_eq!(of("pharmacy.dose_given").expect("it")["built_in"], false);
    assert_eq!(of("patient.viewed").expect("it")["built_in"], true);
}

#[tokio::test]
async fn reads_pages_by_position_time_and_type() {
    let replica = Replica::in_memory().await;
    let mut events = steps(250);
    for (index, event) in events.iter_mut().enumerate() {
        event.timestamp = Timestamp(1_700_000_000_000_000_000 + index as i64 * 1_000_000_000);
        if index % 50 == 0 {
            event.event_type = EventType::new("clock.stepped");
            event.data = json!({ "step_ms": 5 });
        }
    }
    replica.append(&events).await;
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let path = format!("/v1/events?after={after}&limit=70");
        let page = replica.done("GET", &path, Value::Null).await;
        all.extend(positions(&page));
        after = page["next"].as_u64().expect("a position");
        if page["next"] == page["end"] {
            break;
        }
    }
    assert!(all.iter().copied().eq(1..=250), "pages meet without a gap");
    let time = events[240].timestamp;
    let page = replica
        .done("GET", &format!("/v1/events?time={time}"), Value::Null)
        .await;
    assert!(positions(&page).iter().copied().eq(241..=250));
    let path = "/v1/events?type=clock.stepped,disk.space_low&after=60";
    let page = replica.done("GET", path, Value::Null).await;
    assert_eq!(positions(&page), [101, 151, 201]);
    assert_eq!(
        page["next"], 250,
        "what is not wanted is behind the next page"
    );
    for bad in [
        "after=x",
        "after=1&time=2020-01-01T00:00:00Z",
        "time=now",
        "type=A b",
        "x=1",
        "after=18446744073709551615",
    ] {
        let path = format!("/v1/events?{}", bad.replace(' ', "%20"));
        let refused = replica.refused("GET", &path, Value::Null).await;
        assert_eq!(refused, (400, "query.malformed".to_owned()), "{bad}");
    }
}

#[tokio::test]
async fn a_page_of_large_events_ends_early_and_misses_none() {
    let replica = Replica::in_memory().await;
    for _ in 0..4 {
        let mut events = steps(25);
        for event in &mut events {
            event.data["step"] = "x".repeat(100_000).into();
        }
        replica.append(&events).await;
    }
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let path = format!("/v1/events?after={after}&limit=500");
        let page = replica.done("GET", &path, Value::Null).await;
        let here = positions(&page);
        assert!(here.len() <= limits::PAGE_BYTES / 100_000 + 1);
        all.extend(here);
        after = page["next"].as_u64().expect("a position");
        if page["next"] == page["end"] {
            break;
        }
    }
    assert!(all.iter().copied().eq(1..=100));
}

#[tokio::test]
async fn a_stream_follows_and_resumes_where_it_was_broken_off() {
    let replica = Replica::in_memory().await;
    replica.append(&steps(3)).await;
    let mut live = replica.stream("/v1/events/stream", None).await;
    let mut replayed = replica.stream("/v1/events/stream?after=1", None).await;
    for due in [2, 3] {
        assert_eq!(replayed.next().await.0, due);
    }
    let sent = step(4);
    replica.append(std::slice::from_ref(&sent)).await;
    let (id, data) = live.next().await;
    assert_eq!(
        (id, &data["event"]),
        (4, &json!(sent)),
        "begins with the next event"
    );
    assert_eq!(replayed.next().await.0, 4, "a replay goes on live");
    drop(live);
    replica.append(&steps(2)).await;
    // As a browser does: the old address, and the id it saw last.
    let mut resumed = replica.stream("/v1/events/stream?after=1", Some(4)).await;
    replica.append(&steps(1)).await;
    for due in 5..=7 {
        assert_eq!(resumed.next().await.0, due, "no gap and no repetition");
    }
    let answer = replica
        .open("GET", "/v1/events/stream", &[("last-event-id", "x")], "")
        .await;
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn a_stream_is_filtered() {
    let replica = Replica::in_memory().await;
    let wanted = step(2);
    let path = format!("/v1/events/stream?correlation={}", wanted.correlation_id);
    let mut by_correlation = replica.stream(&path, None).await;
    let mut by_type = replica
        .stream("/v1/events/stream?type=clock.stepped", None)
        .await;
    let mut stepped = step(3);
    stepped.event_type = EventType::new("clock.stepped");
    stepped.data = json!({ "step_ms": 5 });
    replica.append(&[step(1), wanted, stepped, step(4)]).await;
    assert_eq!(by_correlation.next().await.0, 2);
    assert_eq!(by_type.next().await.0, 3);
}

#[tokio::test]
async fn a_web_socket_follows_like_a_stream() {
    let replica = Replica::in_memory().await;
    replica.append(&steps(2)).await;
    let address = format!("ws://{}/v1/events/ws?after=1", replica.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(address)
        .await
        .expect("a socket");
    replica.append(&steps(1)).await;
    for due in [2, 3] {
        let message = tokio::time::timeout(LONG, socket.next())
            .await
            .expect("in time");
        let text = message
            .expect("no end")
            .expect("a message")
            .into_text()
            .expect("a text");
        let event: Value = serde_json::from_str(&text).expect("an event");
        assert_eq!(event["position"], due);
        assert_eq!(event["event"]["event_type"], "session.step");
    }
    socket.close(None).await.expect("closing");
}

/// Who does not read is behind, holds nobody up, and misses nothing in the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_costs_others_nothing() {
    const BATCHES: u64 = 60;
    let replica = Replica::in_memory().await;
    let mut slow = replica.stream("/v1/events/stream", None).await;
    let mut quick = replica.stream("/v1/events/stream", None).await;
    for _ in 0..BATCHES {
        let mut events = steps(50);
        for event in &mut events {
            event.data["step"] = "x".repeat(4_000).into();
        }
        replica.append(&events).await;
    }
    for due in 1..=BATCHES * 50 {
        assert_eq!(quick.next().await.0, due);
    }
    for due in 1..=BATCHES * 50 {
        assert_eq!(slow.next().await.0, due);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_closes_lets_streams_and_fetches_go() {
    let replica = std::sync::Arc::new(Replica::in_memory().await);
    replica
        .done("PUT", "/v1/consumers/waiting", json!({}))
        .await;
    let stream = replica.stream("/v1/events/stream", None).await;
    let fetching = {
        let replica = std::sync::Arc::clone(&replica);
        tokio::spawn(async move {
            let wish = json!({ "wait_ms": 60_000 });
            replica
                .done("POST", "/v1/consumers/waiting/fetch", wish)
                .await
        })
    };
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    replica.api.close();
    assert!(stream.ends().await);
    let fetched = tokio::time::timeout(LONG, fetching).await.expect("in time");
    assert_eq!(positions(&fetched.expect("the task")), [0_u64; 0]);
    let late = replica
        .refused("GET", "/v1/events/stream", Value::Null)
        .await;
    assert_eq!(late, (503, "events.too_many_streams".to_owned()));
}

#[tokio::test]
async fn every_listed_route_is_there() {
    let replica = Replica::in_memory().await;
    for (method, path, _) in ROUTES {
        let path = path
            .replace("{type}", "made.up")
            .replace("{version}", "1")
            .replace("{name}", "nobody")
            .replace("{position}", "1");
        let answer = replica.open(method, &path, &[], "").await;
        let status = answer.status().as_u16();
        let described = answer.headers().contains_key("content-type") || status < 300;
        assert!(
            status != 405 && status < 500 && described,
            "{method} {path}: {status}"
        );
    }
}
