//! What reaches a service and what comes back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Request, WebSocketUpgrade, ws::Message},
    http::{HeaderMap, HeaderValue, StatusCode, Version},
    response::{IntoResponse as _, Response},
    routing::any,
};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use gateway::edge::{Protocol, Rule};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use protocol::{Principal, Role};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;
use tower::ServiceExt as _;

use super::rig::{Front, client, client2, serve};

/// Answers with what it was sent.
fn mirror() -> Router {
    Router::new().fallback(any(|request: Request| async move {
        let headers: serde_json::Map<String, Value> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
            .collect();
        let (method, uri) = (request.method().to_string(), request.uri().to_string());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let said = json!({
            "method": method,
            "uri": uri,
            "headers": headers,
            "body": String::from_utf8_lossy(&body),
        });
        (
            [
                ("connection", "x-inner"),
                ("x-inner", "1"),
                ("x-outer", "2"),
            ],
            Json(said),
        )
            .into_response()
    }))
}

async fn said(response: hyper::Response<impl hyper::body::Body<Error: std::fmt::Debug>>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_arrives_with_what_the_gateway_knows_and_nothing_a_client_made_up() {
    let instance = serve(mirror()).await;
    let front = Front::before(&[&instance], |_| ()).await;
    let request = Request::post(front.url("/svc/lab/a%20b/c?d=e&f"))
        .header("connection", "x-secret, x-forwarded-proto")
        .header("x-secret", "1")
        .header("keep-alive", "timeout=9")
        .header("x-forwarded-for", "6.6.6.6")
        .header("forwarded", "for=6.6.6.6")
        .header("x-neurascale-subject", "root")
        .header("x-neurascale-roles", "super_admin")
        .header("authorization", "Bearer secret")
        .header("x-consul-token", "secret")
        .header("x-request-id", "id-1")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .header("tracestate", "a=b")
        .header("x-kept", "yes")
        .body(Body::from("what is sent"))
        .unwrap();
    let response = client().request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-outer"], "2");
    assert_eq!(response.headers()["x-request-id"], "id-1");
    assert!(!response.headers().contains_key("x-inner"));
    let said = said(response).await;
    let host = front.server.address.to_string();
    assert_eq!(said["method"], "POST");
    assert_eq!(said["uri"], "/a%20b/c?d=e&f");
    assert_eq!(said["body"], "what is sent");
    let headers = &said["headers"];
    for (name, value) in [
        ("host", host.as_str()),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", &host),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/svc/lab"),
        (
            "forwarded",
            &format!("for=127.0.0.1;host=\"{host}\";proto=https"),
        ),
        ("x-request-id", "id-1"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("tracestate", "a=b"),
        ("x-kept", "yes"),
        ("content-length", "12"),
        ("via", "1.1 neurascale-gateway"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    for name in [
        "connection",
        "keep-alive",
        "x-secret",
        "authorization",
        "x-consul-token",
        "x-neurascale-subject",
        "x-neurascale-roles",
    ] {
        assert!(headers.get(name).is_none(), "{name}: {headers}");
    }
}

#[tokio::test]
async fn a_service_learns_who_asks_and_is_looked_up_at_their_site() {
    let (here, there) = (serve(mirror()).await, serve(mirror()).await);
    let front = Front::before(&[&here], |_| ()).await;
    front.table.set("there", "only", &[there.address]);
    let ask = |site: &str| {
        let mut request = Request::get("/svc/only/x").body(Body::empty()).unwrap();
        request.extensions_mut().insert(Principal {
            subject: "42".to_owned(),
            site: site.to_owned(),
            roles: vec![Role::Clinician, Role::Researcher],
            consumer: "people".to_owned(),
        });
        front.proxy.router().oneshot(request)
    };
    let said = said(ask("there").await.unwrap()).await;
    for (name, value) in [
        ("x-neurascale-subject", "42"),
        ("x-neurascale-site", "there"),
        ("x-neurascale-roles", "clinician,researcher"),
        ("x-neurascale-consumer", "people"),
    ] {
        assert_eq!(said["headers"][name], value);
    }
    assert_eq!(said["headers"]["traceparent"].as_str().unwrap().len(), 55);
    assert_eq!(said["headers"]["x-request-id"].as_str().unwrap().len(), 32);
    let elsewhere = ask("here").await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        elsewhere.headers()["content-type"],
        "application/problem+json"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_flow_both_ways_at_once() {
    // Sends every piece back as it comes.
    let echo = Router::new().fallback(any(|request: Request| async move {
        Response::new(Body::from_stream(request.into_body().into_data_stream()))
    }));
    let instance = serve(echo).await;
    let front = Front::before(&[&instance], |_| ()).await;
    let (send, receive) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let pieces = stream::unfold(receive, |mut receive| async {
        let piece = receive.recv().await?;
        Some((piece, receive))
    });
    let request = Request::post(front.url("/svc/lab/"))
        .body(Body::from_stream(pieces))
        .unwrap();
    let response = client().request(request).await.unwrap();
    let mut back = response.into_body();
    for round in 0..20 {
        let piece = Bytes::from(format!("piece {round}"));
        send.send(Ok(piece.clone())).await.unwrap();
        let frame = timeout(Duration::from_secs(5), back.frame()).await.unwrap();
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), piece);
    }
    drop(send);
    assert!(back.frame().await.is_none());
    let (name, reading) = front.proxy.stats().read().remove(0);
    assert_eq!(
        (name.as_str(), reading.answers),
        ("here/lab", [0, 1, 0, 0, 0])
    );
    assert_eq!((reading.bytes_in, reading.bytes_out), (150, 150));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_makes_the_service_wait() {
    const PIECE: usize = 64 * 1024;
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let endless = Router::new().fallback(any(move || {
        let count = Arc::clone(&count);
        async move {
            let pieces = stream::repeat_with(move || {
                count.fetch_add(PIECE, Ordering::Relaxed);
                Ok::<_, std::io::Error>(Bytes::from_static(&[0; PIECE]))
            });
            Response::new(Body::from_stream(pieces))
        }
    }));
    let instance = serve(endless).await;
    let front = Front::before(&[&instance], |_| ()).await;
    let response = client().request(front.get("/svc/lab/")).await.unwrap();
    let mut before = 0;
    // Buffers of sockets fill, and then nothing moves.
    let still = async {
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let now = made.load(Ordering::Relaxed);
            if now == before {
                break now;
            }
            before = now;
        }
    };
    let held = timeout(Duration::from_secs(20), still).await.unwrap();
    assert!(held < 32 * 1024 * 1024, "{held} bytes");
    let read = response
        .into_body()
        .into_data_stream()
        .take(2_000)
        .count()
        .await;
    assert_eq!(read, 2_000);
    assert!(made.load(Ordering::Relaxed) > held);
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_goes_over_http2_with_its_trailers() {
    let grpc = Router::new().fallback(any(|request: Request| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        assert_eq!(request.headers()["te"], "trailers");
        let mut body = request.into_body();
        let frames = async_frames(move || async move {
            let frame = body.frame().await?.unwrap();
            Some((frame.into_data().unwrap(), body))
        });
        ([("content-type", "application/grpc")], Body::new(frames)).into_response()
    }));
    let instance = serve(grpc).await;
    let front = Front::before(&[&instance], |_| ()).await;
    let request = Request::post(front.url("/svc/lab/pkg.Lab/Echo"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(Body::from_stream(stream::iter([
            Ok::<_, std::io::Error>(Bytes::from_static(b"\0\0\0\0\x01a")),
            Ok(Bytes::from_static(b"\0\0\0\0\x01b")),
        ])))
        .unwrap();
    let response = client2().request(request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes(), &b"\0\0\0\0\x01a\0\0\0\0\x01b"[..]);
}

/// The pieces of a body, and trailers that say that all is well.
fn async_frames<F, Fut>(
    first: F,
) -> StreamBody<impl stream::Stream<Item = Result<Frame<Bytes>, std::convert::Infallible>>>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Option<(Bytes, Body)>> + Send,
{
    StreamBody::new(
        stream::once(first())
            .flat_map(|first| {
                let (bytes, body) = first.unwrap();
                let rest = body.into_data_stream().map(Result::unwrap);
                stream::once(async { bytes }).chain(rest)
            })
            .map(|bytes| Ok(Frame::data(bytes)))
            .chain(stream::once(async {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                Ok(Frame::trailers(trailers))
            })),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_talks_through() {
    let socket = Router::new().fallback(any(|upgrade: WebSocketUpgrade| async {
        upgrade
            .protocols(["echo"])
            .on_upgrade(|mut socket| async move {
                while let Some(Ok(message)) = socket.recv().await {
                    if let Message::Text(text) = message {
                        let text = format!("heard {text}");
                        socket.send(Message::Text(text.into())).await.unwrap();
                    }
                }
            })
    }));
    let instance = serve(socket).await;
    let front = Front::before(&[&instance], |options| {
        options.tunnel_idle = Duration::from_millis(500);
    })
    .await;
    let mut request = tungstenite::client::IntoClientRequest::into_client_request(
        front.url("/svc/lab/ws").replace("http:", "ws:"),
    )
    .unwrap();
    let echo = HeaderValue::from_static("echo");
    request.headers_mut().insert("sec-websocket-protocol", echo);
    let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "echo");
    for round in 0..10 {
        // Longer altogether than the silence that ends it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let text = tungstenite::Message::text(round.to_string());
        socket.send(text).await.unwrap();
        let heard = timeout(Duration::from_secs(5), socket.next())
            .await
            .unwrap();
        assert_eq!(
            heard.unwrap().unwrap().to_text().unwrap(),
            format!("heard {round}")
        );
    }
    assert_eq!(front.proxy.instances()[0].outstanding, 1);
    // And silence ends it.
    let ended = timeout(Duration::from_secs(5), socket.next())
        .await
        .unwrap();
    assert!(ended.is_none_or(|message| message.is_err()));
    assert_eq!(front.proxy.stats().read()[0].1.tunnels, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_change_without_a_connection_being_lost() {
    let (old, new) = (
        serve(Router::new().fallback(any(|| async { "old" }))).await,
        serve(Router::new().fallback(any(|request: Request| async move {
            format!("new {}", request.uri())
        })))
        .await,
    );
    let front = Front::before(&[&old], |_| ()).await;
    front.table.set("here", "new", &[new.address]);
    let rule = |service: &str| Rule {
        host: None,
        prefix: "/films".to_owned(),
        service: service.to_owned(),
        strip_prefix: true,
        protocol: Protocol::Http1,
        keep_authorization: false,
    };
    let stream = tokio::net::TcpStream::connect(front.server.address)
        .await
        .unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake::<_, Body>(io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut ask = async |path: &str| {
        let request = Request::get(path)
            .header("host", "x")
            .body(Body::empty())
            .unwrap();
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    };
    assert_eq!(ask("/films/a").await.0, StatusCode::NOT_FOUND);
    front.proxy.set_rules(vec![rule("lab")]).unwrap();
    assert_eq!(ask("/films/a").await.1, "old");
    front.proxy.set_rules(vec![rule("new")]).unwrap();
    assert_eq!(ask("/films/a?b").await.1, "new /a?b");
    // What is wrong is not taken over.
    assert!(
        front
            .proxy
            .set_rules(vec![rule("new"), rule("lab")])
            .is_err()
    );
    assert_eq!(ask("/films").await.1, "new /");
}
