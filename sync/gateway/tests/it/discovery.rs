//! Discovery and configuration as Consul's clients use it.

use std::{process::Stdio, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, net::TcpListener, process::Command, time::Instant};

use crate::program::{Caller, Program, problem, settle};

async fn text(caller: &Caller, method: Method, path: &str, body: &str) -> (u16, String) {
    let answer = caller
        .request(method, path)
        .body(body.to_owned())
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn put(caller: &Caller, path: &str, body: &str) -> String {
    let (status, text) = text(caller, Method::PUT, path, body).await;
    assert_eq!(status, 200, "{path}: {text}");
    text
}

async fn json(caller: &Caller, path: &str) -> Value {
    let answer = caller.get(path).await;
    let status = answer.status();
    assert_eq!(status, StatusCode::OK, "{path}");
    answer.json().await.unwrap()
}

fn index(answer: &reqwest::Response) -> u64 {
    answer.headers()["x-consul-index"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// A client that others wrote (py-consul), unchanged.
#[tokio::test(flavor = "multi_thread")]
async fn py_consul_works_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let environment = std::env::var_os("NEURASCALE_PYENV")
        .expect("NEURASCALE_PYENV names the virtual environment of the tests (xtask makes it)");
    let python = std::path::Path::new(&environment).join("bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/py_consul.py");
    let output = Command::new(python)
        .arg(script)
        .arg(gateway.port.to_string())
        .arg(gateway.folder.join("ca.pem"))
        .env("TOKEN", root.token.as_deref().unwrap())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{wrong}");
    assert!(said.ends_with("all held\n"), "{said}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_set_compared_listed_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    assert_eq!(put(&root, "/v1/kv/app/a?flags=7", "one").await, "true");
    put(&root, "/v1/kv/app/b/c", "two").await;
    put(&root, "/v1/kv/app/b/d", "").await;
    let entry = json(&root, "/v1/kv/app/a").await;
    assert_eq!(
        (&entry[0]["Value"], &entry[0]["Flags"]),
        (&json!("b25l"), &json!(7))
    );
    assert_eq!(
        text(&root, Method::GET, "/v1/kv/app/a?raw", "").await.1,
        "one"
    );
    assert_eq!(
        json(&root, "/v1/kv/app/?keys").await,
        json!(["app/a", "app/b/c", "app/b/d"])
    );
    assert_eq!(
        json(&root, "/v1/kv/app/?keys&separator=/").await,
        json!(["app/a", "app/b/"])
    );
    let all = json(&root, "/v1/kv/app?recurse").await;
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(all[2]["Value"], Value::Null, "no bytes are null");
    let modified = entry[0]["ModifyIndex"].as_u64().unwrap();
    assert_eq!(put(&root, "/v1/kv/app/a?cas=0", "x").await, "false");
    assert_eq!(
        put(&root, &format!("/v1/kv/app/a?cas={modified}"), "zwei").await,
        "true"
    );
    assert_eq!(
        put(&root, &format!("/v1/kv/app/a?cas={modified}"), "x").await,
        "false"
    );
    let missing = root.get("/v1/kv/none").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert!(index(&missing) >= 1);

    let now = index(&root.get("/v1/kv/app/a").await);
    let waiting = {
        let root = root.clone();
        tokio::spawn(async move {
            let begun = Instant::now();
            let answer = root
                .get(&format!("/v1/kv/app/a?index={now}&wait=20s"))
                .await;
            (begun.elapsed(), index(&answer))
        })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    put(&root, "/v1/kv/elsewhere", "x").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "another key wakes nobody");
    put(&root, "/v1/kv/app/a", "drei").await;
    let (waited, behind) = waiting.await.unwrap();
    assert!(
        waited < Duration::from_secs(10) && behind > now,
        "{waited:?}"
    );
    let begun = Instant::now();
    root.get(&format!("/v1/kv/app/a?index={behind}&wait=500ms"))
        .await;
    assert!(
        begun.elapsed() >= Duration::from_millis(500),
        "a query waits as long as it says"
    );

    let (_, deleted) = text(&root, Method::DELETE, "/v1/kv/app/b?recurse", "").await;
    assert_eq!(deleted, "true");
    assert_eq!(json(&root, "/v1/kv/app/?keys").await, json!(["app/a"]));
    for (method, path) in [
        (Method::GET, "/v1/kv/app/a?index=x"),
        (Method::GET, "/v1/kv/app/a?index=1&wait=soon"),
        (Method::PUT, "/v1/kv/app/a?cas=1&acquire=x"),
        (Method::PUT, "/v1/kv/app/a?flags=-1"),
        (Method::DELETE, "/v1/kv/app/a?cas=0"),
    ] {
        assert_eq!(text(&root, method, path, "").await.0, 400, "{path}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sites_do_not_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    put(&root, "/v1/kv/a", "here").await;
    let south = |method: Method, path: &str| {
        root.request(method, path)
            .header("x-neurascale-site", "south")
    };
    let there = south(Method::PUT, "/v1/kv/a")
        .body("there")
        .send()
        .await
        .unwrap();
    assert_eq!(there.status(), StatusCode::OK);
    assert_eq!(text(&root, Method::GET, "/v1/kv/a?raw", "").await.1, "here");
    let there = south(Method::GET, "/v1/kv/a?raw")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(there, "there");
    // No key leads out of a site, whatever it is written like.
    for key in ["../south/a", "..%2Fsouth%2Fa", "%2E%2E/south/a", "/south/a"] {
        let (status, _) = text(&root, Method::GET, &format!("/v1/kv/{key}?raw"), "").await;
        assert_eq!(status, 404, "{key}");
    }
    for site in ["", "default/a", "south/..", "Süd", "a b"] {
        let asked = root.get_as("/v1/kv/a", site).await;
        assert!(
            asked.is_none_or(|status| status == 400),
            "{site:?}: {asked:?}"
        );
    }
    put(&root, "/v1/agent/service/register", r#"{"Name": "web"}"#).await;
    let services = south(Method::GET, "/v1/catalog/services")
        .send()
        .await
        .unwrap();
    let services: Value = services.json().await.unwrap();
    assert_eq!(services, json!({ "consul": [] }));

    // Events: appended here, they are read here, by pages, consumers and streams.
    let id = uuid::Uuid::now_v7();
    let event = |site: Option<&str>| {
        let mut event = json!({
            "event_type": "system.health_check", "source_service": "test", "event_id": id,
            "timestamp": "2026-11-27T00:00:00Z", "schema_version": 1,
            "data": { "state": "healthy", "items": [] }, "correlation_id": id, "causation_id": null,
        });
        if let Some(site) = site {
            event["site"] = site.into();
        }
        json!({ "events": [event] })
    };
    let refused = south(Method::POST, "/v1/events")
        .json(&event(Some("default")))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(refused).await, (422, "event.site".to_owned()));
    let appended = south(Method::POST, "/v1/events").json(&event(None)).send();
    assert_eq!(appended.await.unwrap().status(), StatusCode::OK);
    let page = async |request: reqwest::RequestBuilder| -> Value {
        request.send().await.unwrap().json().await.unwrap()
    };
    let type_ = "/v1/events?type=system.health_check";
    let here = page(root.request(Method::GET, type_)).await;
    assert_eq!(here["events"], json!([]));
    let there = page(south(Method::GET, type_)).await;
    assert_eq!(there["events"][0]["event"]["site"], "south");
    for (site, expected) in [("default", 0), ("south", 1)] {
        let at = |method, path: &str| root.request(method, path).header("x-neurascale-site", site);
        let made = at(Method::PUT, "/v1/consumers/reader")
            .json(&json!({ "types": ["system.health_check"] }))
            .send();
        assert_eq!(made.await.unwrap().status(), StatusCode::CREATED);
        let fetched = page(at(Method::POST, "/v1/consumers/reader/fetch").json(&json!({}))).await;
        assert_eq!(
            fetched["events"].as_array().unwrap().len(),
            expected,
            "{site}"
        );
        let mut stream = at(Method::GET, "/v1/events/stream?after=0")
            .send()
            .await
            .unwrap();
        let mut seen = String::new();
        let until = tokio::time::Instant::now() + std::time::Duration::from_millis(700);
        while let Ok(Ok(Some(chunk))) = tokio::time::timeout_at(until, stream.chunk()).await {
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
        assert_eq!(
            seen.contains(&id.to_string()),
            expected == 1,
            "{site}: {seen}"
        );
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_has_one_holder_and_is_let_go_of_when_its_session_ends() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let session = async |body: &str| {
        let made: Value =
            serde_json::from_str(&put(&root, "/v1/session/create", body).await).unwrap();
        made["ID"].as_str().unwrap().to_owned()
    };
    let (one, two) = (session(r#"{"LockDelay": "0s"}"#).await, session("").await);
    assert_eq!(
        put(&root, &format!("/v1/kv/lock?acquire={one}"), "1").await,
        "true"
    );
    assert_eq!(
        put(&root, &format!("/v1/kv/lock?acquire={two}"), "2").await,
        "false"
    );
    assert_eq!(
        put(&root, &format!("/v1/kv/lock?acquire={one}"), "1b").await,
        "true"
    );
    let entry = json(&root, "/v1/kv/lock").await;
    assert_eq!(
        (&entry[0]["LockIndex"], &entry[0]["Session"]),
        (&json!(1), &json!(one))
    );
    assert_eq!(
        put(&root, &format!("/v1/kv/lock?release={two}"), "").await,
        "false"
    );
    put(&root, &format!("/v1/session/destroy/{one}"), "").await;
    assert_eq!(json(&root, "/v1/kv/lock").await[0].get("Session"), None);
    assert_eq!(
        put(&root, &format!("/v1/kv/lock?acquire={two}"), "2").await,
        "true"
    );
    assert_eq!(json(&root, "/v1/kv/lock").await[0]["LockIndex"], json!(2));
    put(&root, &format!("/v1/session/destroy/{two}"), "").await;
    let three = session("").await;
    let delayed = put(&root, &format!("/v1/kv/lock?acquire={three}"), "3").await;
    assert_eq!(
        delayed, "false",
        "for 15 s after its holder was invalidated nobody gets the lock"
    );
    let (status, _) = text(
        &root,
        Method::PUT,
        &format!("/v1/kv/lock?acquire={one}"),
        "x",
    )
    .await;
    assert_eq!(
        status, 400,
        "nothing has failed: Consul's 500 would be tried again"
    );
    let gone = session(r#"{"Behavior": "delete", "TTL": "10s"}"#).await;
    put(&root, &format!("/v1/kv/gone?acquire={gone}"), "x").await;
    put(&root, &format!("/v1/session/renew/{gone}"), "").await;
    put(&root, &format!("/v1/session/destroy/{gone}"), "").await;
    assert_eq!(
        root.get("/v1/kv/gone").await.status(),
        StatusCode::NOT_FOUND
    );
    // Many that want a lock at once: one gets it.
    let mut tasks = Vec::new();
    for _ in 0..16 {
        let id = session("").await;
        let root = root.clone();
        tasks.push(tokio::spawn(async move {
            put(&root, &format!("/v1/kv/race?acquire={id}"), "x").await == "true"
        }));
    }
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
    gateway.stop().await;
}

/// A service whose health is looked at over HTTP and over TCP, while it comes and goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_found_while_it_works() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(200));
    let status = std::sync::Arc::clone(&answer);
    let app = axum::Router::new().route(
        "/health",
        axum::routing::get(move || async move {
            let status = status.load(std::sync::atomic::Ordering::Relaxed);
            axum::http::StatusCode::from_u16(status).unwrap()
        }),
    );
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let body = json!({
        "ID": "web-1", "Name": "web", "Port": port, "Address": "127.0.0.1", "Tags": ["v1"],
        "Meta": { "version": "2" },
        "Checks": [
            { "HTTP": format!("http://127.0.0.1:{port}/health"), "Interval": "1s" },
            { "TCP": format!("127.0.0.1:{port}"), "Interval": "1s", "CheckID": "tcp" },
        ],
    });
    put(&root, "/v1/agent/service/register", &body.to_string()).await;
    let found = json(&root, "/v1/health/service/web?passing").await;
    assert_eq!(
        found,
        json!([]),
        "what was not looked at yet is not known to work"
    );
    let until = async |count: usize| {
        for _ in 0..100 {
            let found = json(&root, "/v1/health/service/web?passing").await;
            if found.as_array().unwrap().len() == count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "not {count} in 10 s: {}",
            json(&root, "/v1/health/service/web").await
        );
    };
    let found = until(1).await;
    assert_eq!(found[0]["Service"]["Port"], json!(port));
    assert_eq!(found[0]["Checks"].as_array().unwrap().len(), 2);
    for (filter, count) in [
        ("Service.Meta.version == \"2\"", 1),
        ("\"v2\" in Service.Tags", 0),
        ("Checks.Status == passing and Service.Port != 1", 1),
    ] {
        let filter: String = filter.bytes().map(|b| format!("%{b:02x}")).collect();
        let found = json(&root, &format!("/v1/health/service/web?filter={filter}")).await;
        assert_eq!(found.as_array().unwrap().len(), count);
    }
    assert_eq!(
        json(&root, "/v1/health/service/web?tag=v1&tag=v2").await,
        json!([])
    );
    answer.store(500, std::sync::atomic::Ordering::Relaxed);
    until(0).await;
    let critical = json(&root, "/v1/health/state/critical").await;
    assert_eq!(critical[0]["CheckID"], json!("service:web-1:1"));
    answer.store(200, std::sync::atomic::Ordering::Relaxed);
    until(1).await;
    put(
        &root,
        "/v1/agent/service/maintenance/web-1?enable=true&reason=x",
        "",
    )
    .await;
    until(0).await;
    put(
        &root,
        "/v1/agent/service/maintenance/web-1?enable=false",
        "",
    )
    .await;
    until(1).await;
    server.abort();
    let _ = server.await;
    until(0).await;
    settle(folder.path());
    gateway.stop().await;
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let services = json(&root, "/v1/agent/services").await;
    assert_eq!(
        services["web-1"]["Meta"]["version"], "2",
        "it is there after a restart"
    );
    put(&root, "/v1/agent/service/deregister/web-1", "").await;
    assert_eq!(
        json(&root, "/v1/agent/checks").await,
        json!({}),
        "its checks go with it"
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_report_is_critical_and_then_gone() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let body = json!({
        "Name": "job", "Check": { "TTL": "2s", "DeregisterCriticalServiceAfter": "3s" },
    });
    put(&root, "/v1/agent/service/register", &body.to_string()).await;
    let status = async || json(&root, "/v1/health/checks/job").await[0]["Status"].clone();
    assert_eq!(status().await, json!("critical"));
    put(&root, "/v1/agent/check/pass/service:job?note=fine", "").await;
    assert_eq!(status().await, json!("passing"));
    put(&root, "/v1/agent/check/warn/service:job", "").await;
    assert_eq!(status().await, json!("warning"));
    put(
        &root,
        "/v1/agent/check/update/service:job",
        r#"{"Status": "passing", "Output": "x"}"#,
    )
    .await;
    let begun = Instant::now();
    while status().await == json!("passing") {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        begun.elapsed() > Duration::from_millis(1_500),
        "it is believed for as long as it says"
    );
    while json(&root, "/v1/catalog/service/job").await != json!([]) {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (path, body, due) in [
        ("/v1/agent/check/pass/nothing", "", 404),
        ("/v1/agent/service/deregister/nothing", "", 404),
        ("/v1/agent/service/register", "{", 400),
        ("/v1/agent/service/register", r#"{"Name": ""}"#, 400),
        ("/v1/agent/service/register", r#"{"Name": "a/b"}"#, 400),
        (
            "/v1/agent/service/register",
            r#"{"Name": "a", "Check": {"HTTP": "file:///etc/passwd"}}"#,
            400,
        ),
        (
            "/v1/agent/service/register",
            r#"{"Name": "a", "Check": {"TTL": "soon"}}"#,
            400,
        ),
        ("/v1/health/state/odd", "", 405),
    ] {
        assert_eq!(
            text(&root, Method::PUT, path, body).await.0,
            due,
            "{path} {body}"
        );
    }
    gateway.stop().await;
}

/// gRPC's health protocol, answered by hand: what is serving passes, what is not is critical.
#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_server_is_asked_for_its_health() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                // Not a gRPC server at all: it takes what comes and says nothing.
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
            });
        }
    });
    let body = json!({
        "Name": "mute", "Check": {
            "GRPC": format!("127.0.0.1:{port}/some.Service"), "Interval": "1s", "Timeout": "500ms",
        },
    });
    put(&root, "/v1/agent/service/register", &body.to_string()).await;
    let begun = Instant::now();
    loop {
        let checks = json(&root, "/v1/health/checks/mute").await;
        assert_eq!(checks[0]["Status"], "critical");
        if checks[0]["Output"]
            .as_str()
            .unwrap()
            .contains("no answer within")
        {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{checks}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    gateway.stop().await;
}
