//! Bytes that no decent client sends.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body, extract::Request, http::StatusCode, routing::any};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::rig::{Front, client, serve, serve_raw};

/// Every request that arrived: method, path and body.
type Seen = Arc<Mutex<Vec<String>>>;

fn listening() -> (Router, Seen) {
    let seen = Seen::default();
    let list = Arc::clone(&seen);
    let router = Router::new().fallback(any(move |request: Request| {
        let list = Arc::clone(&list);
        async move {
            let what = format!("{} {}", request.method(), request.uri());
            let body = request.into_body().collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            let body = String::from_utf8_lossy(&body).into_owned();
            list.lock().unwrap().push(format!("{what} {body:?}"));
            "heard"
        }
    }));
    (router, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled_within_another() {
    let (router, seen) = listening();
    let instance = serve(router).await;
    let front = Front::before(&[&instance], |_| ()).await;
    let hidden = "GET /svc/lab/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let chunked = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    for lengths in [
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4, 5",
        "Content-Length: +4",
        "Content-Length: -1",
        "Content-Length: 0x4",
        "Content-Length : 4",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "X: y\rContent-Length: 4",
    ] {
        let head = format!("POST /svc/lab/outer HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n");
        let answer = front.raw(format!("{head}{chunked}").as_bytes()).await;
        let statuses = answer.matches("HTTP/1.1 ").count();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lengths:?}: {answer}");
        assert_eq!(statuses, 1, "{lengths:?}: {answer}");
    }
    assert_eq!(*seen.lock().unwrap(), Vec::<String>::new());
    // The very same bytes are a body where its length is said rightly, or said twice: then the chunks count, the
    // other length goes no further, and the connection is closed (RFC 9112, 6.1).
    for lengths in [
        "Transfer-Encoding: chunked",
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        // A line may end with LF alone (2.2).
        "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 4",
    ] {
        let head = format!("POST /svc/lab/outer HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n");
        let answer = front.raw(format!("{head}{chunked}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{lengths:?}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{lengths:?}: {answer}"
        );
        let closes = answer.contains("connection: close\r\n");
        assert_eq!(closes, lengths.contains("Length"), "{lengths:?}: {answer}");
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert_eq!(seen, [format!("POST /outer {hidden:?}")], "{lengths:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_connection_names_away_is_said_anew() {
    let (router, seen) = listening();
    let instance = serve(router).await;
    let front = Front::before(&[&instance], |_| ()).await;
    let body = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let request = format!(
        "POST /svc/lab/a HTTP/1.1\r\nHost: x\r\nConnection: content-length, host\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = front.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(*seen.lock().unwrap(), [format!("POST /a {body:?}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_methods_that_lead_astray_are_refused() {
    let (router, seen) = listening();
    let instance = serve(router).await;
    let front = Front::before(&[&instance], |_| ()).await;
    for (first, status) in [
        ("GET /svc/lab/../../etc HTTP/1.1", 400),
        ("GET /svc/lab/%2e%2e/x HTTP/1.1", 400),
        ("GET /svc/lab%2fx HTTP/1.1", 404),
        ("GET /svc/../svc/lab HTTP/1.1", 400),
        ("TRACE /svc/lab/ HTTP/1.1", 405),
        ("GET http://elsewhere/nowhere HTTP/1.1", 404),
        ("GET /svc/other/ HTTP/1.1", 503),
    ] {
        let answer = front
            .raw(format!("{first}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{first}: {answer}"
        );
    }
    assert_eq!(*seen.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_leads_back_to_the_gateway_makes_no_loop() {
    let front = Front::before(&[], |_| ()).await;
    front.table.set("here", "loop", &[front.server.address]);
    // Each passage takes one `/svc/loop` off.
    let path = format!("{}/", "/svc/loop".repeat(20));
    let response = client().request(front.get(&path)).await.unwrap();
    assert_eq!(response.status(), StatusCode::LOOP_DETECTED);
    let asked: u64 = front.proxy.stats().read()[0].1.answers.iter().sum();
    assert_eq!(asked, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_answers_is_not_believed_either() {
    for (answer, status) in [
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            502,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            502,
        ),
        ("HTTP/1.1 200 OK\r\nX: y\0z\r\n\r\n", 502),
        ("no protocol at all\r\n\r\n", 502),
        ("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", 204),
    ] {
        let instance = serve_raw(move |mut stream| async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let front = Front::before(&[&instance], |_| ()).await;
        let response = client().request(front.get("/svc/lab/")).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{answer}");
    }
    // A head without an end: it is not read beyond the limit.
    let instance = serve_raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
    })
    .await;
    let front = Front::before(&[&instance], |_| ()).await;
    let request = Request::get(front.url("/svc/lab/"))
        .body(Body::empty())
        .unwrap();
    let response = client().request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
}
