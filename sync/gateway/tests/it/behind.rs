//! Services behind the whole gateway: registered, called, counted, limited.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command};

use crate::program::{Caller, Program, problem};

/// Registers a service of this test that answers with what it was asked.
pub(crate) async fn echo(root: &Caller, id: &str) -> tokio::task::JoinHandle<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = id.to_owned();
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| async move {
        let headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    value.to_str().unwrap_or_default().to_owned(),
                )
            })
            .collect();
        axum::Json(json!({
            "instance": own, "method": request.method().as_str(), "uri": request.uri().to_string(),
            "headers": headers,
        }))
    });
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let body = json!({
        "ID": id, "Name": "echo", "Address": "127.0.0.1", "Port": port,
        "Check": { "TCP": format!("127.0.0.1:{port}"), "Interval": "1s", "Status": "passing" },
    });
    let made = root
        .request(Method::PUT, "/v1/agent/service/register")
        .json(&body)
        .send()
        .await;
    assert_eq!(made.unwrap().status(), StatusCode::OK);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_itself_at_work_with_one_command() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let output = Command::new(env!("CARGO_BIN_EXE_neurascale-gateway"))
        .args(["try-out", "--url"])
        .arg(format!("https://localhost:{}", gateway.port))
        .arg("--ca")
        .arg(folder.path().join("ca.pem"))
        .args(["--code", gateway.code.as_deref().unwrap()])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.contains("GET /svc/hello/greeting: Hello from behind the gateway."),
        "{said}"
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_reaches_a_healthy_instance_and_never_with_the_callers_token() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "rules=[{ prefix = \"/imaging\", service = \"echo\", strip_prefix = true }]";
    let gateway = Program::start_with(folder.path(), &["--set", rules]).await;
    let root = gateway.first_person().await;
    let one = echo(&root, "echo-1").await;
    let two = echo(&root, "echo-2").await;
    let call = async |path: &str| root.get(path).await;
    let answer: Value = call("/svc/echo/a/b?c=d").await.json().await.unwrap();
    assert_eq!(
        (&answer["uri"], &answer["method"]),
        (&json!("/a/b?c=d"), &json!("GET"))
    );
    let headers = answer["headers"].to_string();
    let token = root.token.clone().unwrap();
    assert!(
        !headers.contains(&token) && headers.contains("x-forwarded-for"),
        "{headers}"
    );
    assert!(headers.contains("x-request-id"), "{headers}");
    let ruled: Value = call("/imaging/x").await.json().await.unwrap();
    assert_eq!(ruled["uri"], "/x");
    let nobody = gateway.client(None).get("/imaging/x").await;
    assert_eq!(problem(nobody).await, (401, "auth.required".to_owned()));
    let patient = root
        .somebody("pat", "patient")
        .await
        .get("/svc/echo/")
        .await;
    assert_eq!(problem(patient).await, (403, "access.denied".to_owned()));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let answer: Value = call("/svc/echo/").await.json().await.unwrap();
        seen.insert(answer["instance"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen.len(), 2, "both are asked");
    // One of them dies: no call that can be repeated fails.
    one.abort();
    let _ = one.await;
    for _ in 0..100 {
        let answer = call("/svc/echo/").await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let metrics = call("/metrics").await.text().await.unwrap();
    assert!(
        metrics.contains("neurascale_edge_answers_total{service=\"default/echo\",class=\"2xx\"}"),
        "{metrics}"
    );
    assert!(metrics.contains(
        "neurascale_requests_total{route=\"/svc/{service}/\",method=\"GET\",consumer=\"person\",code=\"200\"}"
    ));
    let map: Value = call("/v1/map").await.json().await.unwrap();
    let one = &map["dependencies"][0];
    assert_eq!(
        (
            &one["service"],
            map["dependencies"].as_array().unwrap().len()
        ),
        (&json!("default/echo"), 1)
    );
    assert!(
        one["calls"].as_u64().unwrap() >= 150
            && one["caller"].as_str().unwrap().starts_with("own:")
    );
    let picture = call("/v1/map.svg").await;
    assert_eq!(picture.headers()["content-type"], "image/svg+xml");
    assert!(picture.text().await.unwrap().contains("default/echo"));
    two.abort();
    let _ = two.await;
    let nowhere = problem(call("/svc/none/").await).await;
    assert_eq!(nowhere.0, 503);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_much_waits_and_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start_with(folder.path(), &["--set", "limits.per_minute=30"]).await;
    let root = gateway.first_person().await;
    let ada = root.somebody("ada", "clinician").await;
    let mut refused = None;
    for _ in 0..40 {
        let answer = ada.get("/v1/me").await;
        assert!(
            answer.headers().contains_key("ratelimit"),
            "everybody is told where they stand"
        );
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a limit of 30 a minute");
    let wait: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=120).contains(&wait), "{wait}");
    assert_eq!(problem(refused).await, (429, "rate.exceeded".to_owned()));
    assert_eq!(
        root.get("/v1/me").await.status(),
        StatusCode::OK,
        "others are not held up"
    );
    // Refusals are counted as well: nobody guesses tokens at leisure.
    let stranger = gateway.client(None).with_token("e30.e30.AA");
    let mut last = 0;
    for _ in 0..40 {
        last = stranger.get("/v1/me").await.status().as_u16();
    }
    assert_eq!(last, 429);
    tokio::time::sleep(Duration::from_millis(10)).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_configured_origins_alone_may_call() {
    let folder = tempfile::tempdir().unwrap();
    let origins = "cors_origins=[\"https://portal.hospital.test\"]";
    let gateway = Program::start_with(folder.path(), &["--set", origins]).await;
    let root = gateway.first_person().await;
    let nobody = gateway.client(None);
    let ask = async |origin: &str| {
        let asked = nobody
            .request(Method::OPTIONS, "/v1/me")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization");
        asked.send().await.unwrap().headers().clone()
    };
    let known = ask("https://portal.hospital.test").await;
    assert_eq!(
        known["access-control-allow-origin"],
        "https://portal.hospital.test"
    );
    assert_eq!(known["access-control-allow-credentials"], "true");
    assert_eq!(known["access-control-allow-headers"], "authorization");
    for origin in [
        "https://evil.test",
        "http://portal.hospital.test",
        "https://portal.hospital.test.evil.test",
        "https://portal.hospital.test:8443",
        "null",
    ] {
        let headers = ask(origin).await;
        assert!(
            !headers.contains_key("access-control-allow-origin"),
            "{origin}"
        );
        let called = root
            .request(Method::GET, "/v1/me")
            .header("origin", origin)
            .send()
            .await;
        let called = called.unwrap();
        assert!(
            !called.headers().contains_key("access-control-allow-origin"),
            "{origin}"
        );
    }
    let called = root
        .request(Method::GET, "/v1/me")
        .header("origin", "https://portal.hospital.test");
    let called = called.send().await.unwrap();
    assert_eq!(
        called.headers()["access-control-allow-origin"],
        "https://portal.hospital.test"
    );
    assert!(
        called.headers()["vary"]
            .to_str()
            .unwrap()
            .to_lowercase()
            .contains("origin")
    );
    gateway.stop().await;
}

/// What a hostile client sends byte by byte: each is bounded, and others are served meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn slow_and_oversized_requests_hold_nobody_up() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let folder = tempfile::tempdir().unwrap();
    let gateway = Program::start(folder.path()).await;
    let root = gateway.first_person().await;
    let connect = async || gateway.raw().await;
    // Hundreds of connections that never finish their head, and as many that never finish their handshake.
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut stream = connect().await;
        stream
            .write_all(format!("GET /healthz HTTP/1.1\r\nx-n: {n}").as_bytes())
            .await
            .unwrap();
        slow.push(stream);
    }
    let mut mute = Vec::new();
    for _ in 0..200 {
        mute.push(
            tokio::net::TcpStream::connect(("127.0.0.1", gateway.port))
                .await
                .unwrap(),
        );
    }
    for _ in 0..20 {
        assert_eq!(root.get("/v1/me").await.status(), StatusCode::OK);
    }
    // A head beyond its limit, and one without end.
    let mut bomb = connect().await;
    bomb.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n")
        .await
        .unwrap();
    let line = format!("x-a: {}\r\n", "a".repeat(1_000));
    let mut answer = Vec::new();
    for _ in 0..1_000 {
        if bomb.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let _ = tokio::time::timeout(Duration::from_secs(20), bomb.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    // A body beyond its limit, and two lengths that contradict each other.
    let large = root
        .request(Method::POST, "/v1/people")
        .header("content-type", "application/json");
    let large = large.body(vec![b' '; 2 << 20]).send().await.unwrap();
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    for head in [
        "POST /auth/sign-in HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "POST /auth/sign-in HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET http://[::1 HTTP/1.1\r\nhost: a\r\n\r\n",
        "\u{0}\u{1}\u{2}\u{3}\r\n\r\n",
    ] {
        let mut stream = connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ =
            tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{head:?}: {answer}"
        );
    }
    // Those that were slow are gone once their time is up.
    let mut first = slow.remove(0);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(25), first.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a head that does not end is cut off");
    assert_eq!(root.get("/v1/me").await.status(), StatusCode::OK);
    drop((slow, mute));
    gateway.stop().await;
}
