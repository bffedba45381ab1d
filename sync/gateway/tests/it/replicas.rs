//! Two replicas of the program on one PostgreSQL database.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use test_servers::{line::Line, postgres::Server};
use uuid::Uuid;

use crate::program::{Caller, PASSWORD, Program, settle};

const LONG: Duration = Duration::from_secs(30);

/// Replicas go by names of their own, and are one gateway all the same.
const OTHER_NAMES: &str = "names=[\"127.0.0.1\", \"localhost\"]";

/// A second data folder with the first one's key: replicas share what the key seals.
fn twin(folder: &std::path::Path) -> tempfile::TempDir {
    let other = tempfile::tempdir().unwrap();
    let key = other.path().join("gateway.key");
    fs::copy(folder.join("gateway.key"), &key).unwrap();
    settle(other.path());
    other
}

fn event(n: u64) -> Value {
    let id = Uuid::now_v7();
    json!({
        "event_type": "system.health_check", "source_service": "test", "event_id": id,
        "timestamp": "2026-11-27T00:00:00Z", "schema_version": 1,
        "data": { "state": "healthy", "items": [{ "name": format!("part {n}"), "state": "healthy" }] },
        "correlation_id": id, "causation_id": null,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_are_one_gateway() {
    let server = Server::shared();
    let database = server.database().await;
    let storage = format!("storage={}", server.address(&database));
    let folder = tempfile::tempdir().unwrap();
    let one = Program::start_with(folder.path(), &["--set", &storage]).await;
    let root = one.first_person().await;
    let other_folder = twin(folder.path());
    let two = Program::start_with(
        other_folder.path(),
        &["--set", &storage, "--set", OTHER_NAMES],
    )
    .await;
    assert_eq!(
        fs::read(folder.path().join("ca.pem")).unwrap(),
        fs::read(other_folder.path().join("ca.pem")).unwrap(),
        "one authority"
    );
    // A token of the one holds at the other, until the session ends at either.
    let at_two = two.client(None).with_token(root.token.as_deref().unwrap());
    assert_eq!(at_two.get("/v1/me").await.status(), StatusCode::OK);
    // A change at the one wakes who waits at the other.
    let index = at_two.get("/v1/kv/a").await.headers()["x-consul-index"]
        .to_str()
        .unwrap()
        .to_owned();
    let waiting = {
        let at_two = at_two.clone();
        tokio::spawn(async move {
            let answer = at_two
                .get(&format!("/v1/kv/a?index={index}&wait=20s"))
                .await;
            answer.json::<Value>().await.unwrap()
        })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    root.request(Method::PUT, "/v1/kv/a")
        .body("x")
        .send()
        .await
        .unwrap();
    let woken = tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(woken[0]["Value"], "eA==");
    // An event of the one is read at the other.
    let sent = root
        .post("/v1/events", &json!({ "events": [event(1)] }))
        .await;
    assert_eq!(
        sent.status(),
        StatusCode::OK,
        "{}",
        sent.text().await.unwrap()
    );
    let page: Value = at_two
        .get("/v1/events?type=system.health_check")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(page["events"].as_array().unwrap().len(), 1);
    assert_eq!(
        at_two.post("/auth/sign-out", &json!({})).await.status(),
        StatusCode::NO_CONTENT
    );
    let mut left = 50;
    while root.get("/v1/me").await.status() == StatusCode::OK {
        left -= 1;
        assert!(left > 0, "signed out at the one is signed out at the other");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    one.stop().await;
    two.stop().await;
}

/// One of two replicas is killed while both append; what either acknowledged is there once, and the other
/// goes on without a failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_loses_nothing_that_was_acknowledged() {
    let server = Server::shared();
    let database = server.database().await;
    let storage = format!("storage={}", server.address(&database));
    let folder = tempfile::tempdir().unwrap();
    let one = Program::start_with(folder.path(), &["--set", &storage]).await;
    let root = one.first_person().await;
    let other_folder = twin(folder.path());
    let two = Program::start_with(
        other_folder.path(),
        &["--set", &storage, "--set", OTHER_NAMES],
    )
    .await;
    let at_two = two.client(None).signed_in("root", PASSWORD).await;
    let append = async |caller: Caller, must: bool, until: tokio::time::Instant| {
        let mut acknowledged = Vec::new();
        let mut n = 0;
        while tokio::time::Instant::now() < until {
            n += 1;
            let event = event(n);
            let body = json!({ "events": [event] });
            let sent = caller
                .request(Method::POST, "/v1/events")
                .json(&body)
                .send()
                .await;
            match sent {
                Ok(answer) if answer.status() == StatusCode::OK => {
                    acknowledged.push(event["event_id"].as_str().unwrap().to_owned());
                }
                other => {
                    assert!(!must, "the replica that lives fails: {other:?}");
                    break;
                }
            }
        }
        acknowledged
    };
    let until = tokio::time::Instant::now() + Duration::from_secs(3);
    let one = Arc::new(one);
    let kill = async {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        Arc::into_inner(one)
            .expect("nobody else holds it")
            .kill()
            .await;
    };
    let (dying, living, ()) = tokio::join!(
        append(root, false, until),
        append(at_two.clone(), true, until),
        kill
    );
    assert!(
        dying.len() > 5 && living.len() > 5,
        "{} and {}",
        dying.len(),
        living.len()
    );
    let found = all_events(&at_two).await;
    for id in dying.iter().chain(&living) {
        let times = found.iter().filter(|known| *known == id).count();
        assert_eq!(times, 1, "{id}");
    }
    two.stop().await;
}

/// Ids of all events, as a replica reads them.
async fn all_events(at: &Caller) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut after = 0;
    loop {
        let page: Value = at
            .get(&format!("/v1/events?after={after}"))
            .await
            .json()
            .await
            .unwrap();
        let events = page["events"].as_array().unwrap();
        let Some(last) = events.last() else {
            return found;
        };
        after = last["position"].as_u64().unwrap();
        let ids = events
            .iter()
            .filter_map(|one| one["event"]["event_id"].as_str());
        found.extend(ids.map(str::to_owned));
    }
}

/// Of three replicas under load one is killed and one is cut off from the database. The third goes on without a
/// failure; the one that is cut off says so, refuses what it cannot keep, and is whole again when the line is
/// mended; what any of them acknowledged is there once.
#[tokio::test(flavor = "multi_thread")]
async fn of_three_replicas_one_killed_and_one_cut_off_nothing_is_lost() {
    let server = Server::shared();
    let database = server.database().await;
    let storage = format!("storage={}", server.address(&database));
    let line = Line::to(server.port());
    let by_line = format!("storage={}", server.address_by(&database, line.port()));
    let folder = tempfile::tempdir().unwrap();
    let one = Program::start_with(folder.path(), &["--set", &storage]).await;
    let root = one.first_person().await;
    let (second, third) = (twin(folder.path()), twin(folder.path()));
    let two = Program::start_with(second.path(), &["--set", &storage]).await;
    let three = Program::start_with(third.path(), &["--set", &by_line]).await;
    let token = root.token.clone().unwrap();
    let callers = [
        root.clone(),
        two.client(None).with_token(&token),
        three.client(None).with_token(&token),
    ];
    let over = Arc::new(AtomicBool::new(false));
    let work: Vec<_> = callers
        .iter()
        .enumerate()
        .map(|(replica, caller)| {
            let (caller, over) = (caller.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut acknowledged, mut failed, mut keys) = (Vec::new(), 0, Vec::new());
                let mut n = 0;
                while !over.load(Ordering::SeqCst) {
                    n += 1;
                    let event = event(n);
                    let id = event["event_id"].as_str().unwrap().to_owned();
                    let body = json!({ "events": [event] });
                    let sent = caller
                        .request(Method::POST, "/v1/events")
                        .json(&body)
                        .send();
                    match sent.await {
                        Ok(answer) if answer.status() == StatusCode::OK => acknowledged.push(id),
                        // A failure is said to be one: no other answer.
                        Ok(answer) => {
                            assert!(answer.status().is_server_error(), "{answer:?}");
                            failed += 1;
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                        Err(_) => {
                            failed += 1;
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                    let key = format!("/v1/kv/{replica}-{n}");
                    let put = caller.request(Method::PUT, &key).body("x").send();
                    if let Ok(answer) = put.await
                        && answer.status() == StatusCode::OK
                    {
                        keys.push(key);
                    }
                }
                (acknowledged, failed, keys)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(800)).await;
    line.cut();
    two.kill().await;
    // It notices, and a load balancer leaves it alone.
    let begun = tokio::time::Instant::now();
    while callers[2].get("/readyz").await.status() == StatusCode::OK {
        assert!(begun.elapsed() < LONG, "cut off, and says that it is ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(callers[0].get("/readyz").await.status(), StatusCode::OK);
    tokio::time::sleep(Duration::from_millis(500)).await;
    line.mend();
    let begun = tokio::time::Instant::now();
    while callers[2].get("/readyz").await.status() != StatusCode::OK {
        assert!(begun.elapsed() < LONG, "mended, and not ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(800)).await;
    over.store(true, Ordering::SeqCst);
    let mut seen = Vec::new();
    for task in work {
        seen.push(task.await.unwrap());
    }
    assert_eq!(
        seen[0].1, 0,
        "the one that lives and is not cut off never fails"
    );
    assert!(seen[2].1 > 0, "the one that was cut off refused something");
    let found = all_events(&callers[2]).await;
    assert_eq!(found, all_events(&callers[0]).await, "both read the same");
    for (acknowledged, _, keys) in &seen {
        assert!(acknowledged.len() > 5 && keys.len() > 5, "it worked before");
        for id in acknowledged {
            let times = found.iter().filter(|known| *known == id).count();
            assert_eq!(times, 1, "{id}");
        }
        for key in keys {
            for caller in [&callers[0], &callers[2]] {
                assert_eq!(caller.get(key).await.status(), StatusCode::OK, "{key}");
            }
        }
    }
    one.stop().await;
    three.stop().await;
}
