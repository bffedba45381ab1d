//! What is refused, and what an orderly end does to those who wait.

use std::time::{Duration, Instant};

use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::program::{Caller, PASSWORD, Program, problem};

async fn sent(caller: &Caller, method: Method, path: &str, media: &str, body: &str) -> Response {
    caller
        .request(method, path)
        .header("content-type", media)
        .body(body.to_owned())
        .send()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let large = " ".repeat(2 << 20);
    let json = "application/json";
    for (method, path, media, body, due) in [
        ("POST", "/v1/people", json, "{", "400 request.malformed"),
        ("POST", "/v1/people", json, "[]", "422 body.unfit"),
        (
            "POST",
            "/v1/people",
            "text/plain",
            "{}",
            "415 body.media_type",
        ),
        ("POST", "/v1/people", json, &large, "413 body.too_large"),
        ("PUT", "/v1/kv/a", "", &large, "413 body.too_large"),
        (
            "PUT",
            "/v1/agent/service/register",
            "",
            "{",
            "400 discovery.refused",
        ),
        ("POST", "/v1/events", json, "{", "400 body.malformed"),
        (
            "GET",
            "/v1/people/somebody",
            "",
            "",
            "400 request.malformed",
        ),
        ("GET", "/v1/people/%ff", "", "", "400 request.malformed"),
        (
            "GET",
            "/v1/audit/entries?from=x",
            "",
            "",
            "400 request.malformed",
        ),
        (
            "GET",
            "/v1/consumers/a/dead?limit=x",
            "",
            "",
            "400 query.malformed",
        ),
        ("GET", "/v1/kv/a?index=x", "", "", "400 discovery.refused"),
        ("GET", "/v1/kv/nothing", "", "", "404 discovery.unknown"),
        (
            "PUT",
            "/v1/kv/a?acquire=nobody",
            "",
            "",
            "400 discovery.refused",
        ),
        ("GET", "/v1/events/ws", "", "", "400 events.upgrade"),
        ("GET", "/v1/nothing", "", "", "404 route.unknown"),
        ("PATCH", "/v1/me/second-factor", "", "", "405 route.method"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = sent(&root, method.clone(), path, media, body).await;
        let allow = answer.headers().get("allow").cloned();
        let (status, code) = problem(answer).await;
        assert_eq!(format!("{status} {code}"), due, "{method} {path}");
        // RFC 9110, 15.5.6.
        let methods = (status == 405).then_some("DELETE, POST, PUT");
        assert_eq!(allow.as_ref().map(|allow| allow.to_str().unwrap()), methods);
    }
    let missing = root.get("/v1/kv/nothing").await;
    assert!(
        missing.headers().contains_key("x-consul-index"),
        "who waits for a key to appear is told from where"
    );
    gateway.stop().await;
}

/// What the state does not keep is the asker's doing, not the gateway's failure.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_to_be_kept_or_has_no_place_in_a_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let long = "x".repeat(600 * 1024);
    let person = json!({
        "login": "ada", "display_name": long, "roles": ["clinician"], "password": PASSWORD,
    });
    let refused = problem(root.post("/v1/people", &person).await).await;
    assert_eq!(refused, (422, "people.refused".to_owned()));
    let code = json!({ "kind": "device", "name": long });
    let refused = problem(root.post("/v1/enrolment-codes", &code).await).await;
    assert_eq!(refused, (422, "enrolment.refused".to_owned()));
    let name = json!({ "Name": "a\u{0}b" });
    for (path, body) in [
        ("/v1/kv/a%00b", json!("")),
        ("/v1/agent/service/register", name),
    ] {
        let refused = problem(root.put(path, &body).await).await;
        assert_eq!(refused, (413, "discovery.too_large".to_owned()), "{path}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_what_there_is_not_is_counted_like_others() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start_with(folder.path(), &["--set", "limits.per_minute=20"]).await;
    let root = gateway.first_person().await;
    // Each by somebody of their own: who uses up a limit has none left for the next.
    for (login, method, path, site, due) in [
        (
            "ada",
            "GET",
            "/v1/nothing",
            "default",
            StatusCode::NOT_FOUND,
        ),
        (
            "ben",
            "DELETE",
            "/healthz",
            "default",
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        ("cyd", "GET", "/healthz", "No Site", StatusCode::BAD_REQUEST),
    ] {
        let somebody = root.somebody(login, "clinician").await;
        let mut last = None;
        for asked in 0..40 {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = somebody.request(method, path);
            let answer = request
                .header("x-neurascale-site", site)
                .send()
                .await
                .unwrap();
            let status = answer.status();
            assert!(answer.headers().contains_key("ratelimit"), "{path}");
            assert!(asked > 0 || status == due, "{path}: {status}");
            last = Some(answer);
            if status == StatusCode::TOO_MANY_REQUESTS {
                break;
            }
        }
        assert_eq!(
            problem(last.unwrap()).await,
            (429, "rate.exceeded".to_owned()),
            "{path}"
        );
    }
    // Nobody in particular is their address.
    let nobody = gateway.client(None);
    let mut last = StatusCode::OK;
    for _ in 0..40 {
        last = nobody.get("/v1/nothing").await.status();
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    gateway.stop().await;
}

/// Queries that wait, a fetch that waits and a stream: all would go on for a minute and more.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_answered_at_once_when_the_gateway_ends() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let made = root
        .put("/v1/consumers/one", &json!({ "start": "end" }))
        .await;
    assert_eq!(made.status(), StatusCode::CREATED);
    let token = root.token.clone().unwrap();
    let body = json!({ "wait_ms": 60_000 }).to_string();
    let mut waiting = Vec::new();
    for (line, body) in [
        ("GET /v1/kv/a?index=1000000000&wait=5m", ""),
        ("GET /v1/health/service/a?index=1000000000&wait=5m", ""),
        ("POST /v1/consumers/one/fetch", &body),
        ("GET /v1/events/stream", ""),
    ] {
        let head = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = gateway.raw().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        waiting.push((line, stream));
    }
    // The stream's head says that what was sent before it on a connection of its own has been read, as far as
    // anything can; a query that was not is answered as soon as it is.
    let mut first = [0; 12];
    waiting[3].1.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    assert_eq!(root.get("/healthz").await.status(), StatusCode::OK);
    let begun = Instant::now();
    let stopping = tokio::spawn(gateway.stop());
    for (line, mut stream) in waiting {
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer));
        assert!(ended.await.is_ok(), "{line} goes on");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let due = match line {
            "GET /v1/kv/a?index=1000000000&wait=5m" => "HTTP/1.1 404",
            "GET /v1/events/stream" => " OK",
            _ => "HTTP/1.1 200",
        };
        assert!(answer.starts_with(due), "{line}: {answer}");
    }
    stopping.await.unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}
