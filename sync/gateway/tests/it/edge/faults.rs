//! Instances that die, hang, break off and come back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
    routing::any,
};
use futures_util::stream;
use gateway::{
    discovery::{Discovery, Instances},
    edge::{BreakerState, Proxy, ProxyOptions},
    random::Random,
};
use http_body_util::BodyExt as _;
use tokio::io::AsyncReadExt as _;
use tower::ServiceExt as _;

use super::rig::{Front, client, serve, serve_raw};

type Hits = Arc<AtomicUsize>;

/// Answers as it is told and counts what it is asked.
fn counting(status: impl Fn() -> StatusCode + Clone + Send + Sync + 'static) -> (Router, Hits) {
    let hits = Hits::default();
    let counted = Arc::clone(&hits);
    let router = Router::new().fallback(any(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let status = status();
        async move { status }
    }));
    (router, hits)
}

/// Reads what it is sent and closes without a word.
async fn closing() -> (super::rig::Server, Hits) {
    let hits = Hits::default();
    let counted = Arc::clone(&hits);
    let server = serve_raw(move |mut stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
        }
    })
    .await;
    (server, hits)
}

async fn problem(
    response: hyper::Response<impl hyper::body::Body<Error: std::fmt::Debug>>,
) -> serde_json::Value {
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert!(!problem.to_string().contains("127.0.0.1"), "{problem}");
    problem
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_two_instances_the_death_of_one_fails_no_request_that_can_be_made_again() {
    let slowly = || {
        Router::new().fallback(any(|| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            "there"
        }))
    };
    let (first, second) = (serve(slowly()).await, serve(slowly()).await);
    let front = Arc::new(Front::before(&[&first, &second], |_| ()).await);
    let client = client();
    let done = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let (front, client, done) = (Arc::clone(&front), client.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                for round in 0..60 {
                    let (method, body) = if (worker + round) % 2 == 0 {
                        (Method::GET, Body::empty())
                    } else {
                        (Method::PUT, Body::from("a small body"))
                    };
                    let request = Request::builder()
                        .method(method)
                        .uri(front.url("/svc/lab/"))
                        .body(body)
                        .unwrap();
                    let response = client.request(request).await.unwrap();
                    assert_eq!(response.status(), StatusCode::OK, "{worker} {round}");
                    let whole = response.into_body().collect().await.unwrap().to_bytes();
                    assert_eq!(whole, "there");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while done.load(Ordering::Relaxed) < 100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(first);
    for worker in workers {
        worker.await.unwrap();
    }
    let reading = front.proxy.stats().read().remove(0).1;
    assert_eq!(reading.answers, [0, 480, 0, 0, 0]);
    assert!(reading.retries > 0, "{reading:?}");
    assert!(reading.breakers[1] > 0, "{reading:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_is_not_done_again() {
    let (broken, broken_hits) = closing().await;
    let (router, good_hits) = counting(|| StatusCode::OK);
    let good = serve(router).await;
    let front = Front::before(&[&broken, &good], |_| ()).await;
    let mut failed = 0;
    for _ in 0..12 {
        let before = broken_hits.load(Ordering::Relaxed) + good_hits.load(Ordering::Relaxed);
        let request = Request::post(front.url("/svc/lab/"))
            .body(Body::from("once"))
            .unwrap();
        let response = client().request(request).await.unwrap();
        let after = broken_hits.load(Ordering::Relaxed) + good_hits.load(Ordering::Relaxed);
        assert_eq!(after - before, 1);
        if response.status() != StatusCode::OK {
            assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
            assert_eq!(problem(response).await["code"], "service.unreachable");
            failed += 1;
        }
    }
    assert!(failed > 0);
    assert_eq!(front.proxy.stats().read()[0].1.retries, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_begun_is_not_begun_again() {
    let hits = Hits::default();
    let breaking = || {
        let hits = Arc::clone(&hits);
        Router::new().fallback(any(move || {
            hits.fetch_add(1, Ordering::Relaxed);
            let begun = stream::iter([Ok(Bytes::from_static(b"half"))]);
            let broken = stream::once(async {
                // The beginning is on its way by then.
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(std::io::Error::other("broken"))
            });
            let pieces = futures_util::StreamExt::chain(begun, broken);
            async move { Response::new(Body::from_stream(pieces)) }
        }))
    };
    let (first, second) = (serve(breaking()).await, serve(breaking()).await);
    let front = Front::before(&[&first, &second], |_| ()).await;
    let response = client().request(front.get("/svc/lab/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    // The client sees that it is not whole.
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(hits.load(Ordering::Relaxed), 1);
    let reading = front.proxy.stats().read().remove(0).1;
    assert_eq!((reading.retries, reading.broken_bodies), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_spares_what_cannot_serve_and_closes_when_it_can() {
    let well = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&well);
    let (router, hits) = counting(move || {
        if state.load(Ordering::Relaxed) {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        }
    });
    let instance = serve(router).await;
    let front = Front::before(&[&instance], |options| {
        options.breaker.recovery = Duration::from_millis(1_500);
    })
    .await;
    let ask = || client().request(front.get("/svc/lab/"));
    for _ in 0..5 {
        assert_eq!(
            ask().await.unwrap().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
    assert_eq!(hits.load(Ordering::Relaxed), 5);
    let refused = ask().await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(problem(refused).await["code"], "service.unavailable");
    assert_eq!(hits.load(Ordering::Relaxed), 5);
    assert_eq!(front.proxy.instances()[0].breaker, BreakerState::Open);
    well.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    for _ in 0..3 {
        assert_eq!(ask().await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(front.proxy.instances()[0].breaker, BreakerState::Closed);
    // Closed, opened, half-open: once each.
    assert_eq!(front.proxy.stats().read()[0].1.breakers, [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_errs_is_left_out_and_the_last_one_never() {
    let (bad, bad_hits) = counting(|| StatusCode::INTERNAL_SERVER_ERROR);
    let (good, good_hits) = counting(|| StatusCode::OK);
    let (bad, good) = (serve(bad).await, serve(good).await);
    let front = Front::before(&[&bad, &good], |_| ()).await;
    for _ in 0..100 {
        let response = client().request(front.get("/svc/lab/")).await.unwrap();
        let _ = response.into_body().collect().await;
    }
    assert_eq!(bad_hits.load(Ordering::Relaxed), 5);
    assert_eq!(good_hits.load(Ordering::Relaxed), 95);
    assert_eq!(front.proxy.stats().read()[0].1.ejections, 1);
    front.table.set("here", "lab", &[bad.address]);
    let alone = client().request(front.get("/svc/lab/")).await.unwrap();
    assert_eq!(alone.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(bad_hits.load(Ordering::Relaxed), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_end_where_their_budget_does() {
    // A breaker that never opens, so that the budget alone limits.
    let mut servers = Vec::new();
    let mut hits = Vec::new();
    for _ in 0..3 {
        let (server, counted) = closing().await;
        servers.push(server);
        hits.push(counted);
    }
    let all: Vec<_> = servers.iter().collect();
    let front = Front::before(&all, |options| {
        options.breaker.failures = u32::MAX;
        options.breaker.min_calls = u32::MAX;
    })
    .await;
    let client = client();
    for _ in 0..300 {
        let response = client.request(front.get("/svc/lab/")).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        let _ = response.into_body().collect().await;
    }
    let attempts: usize = hits.iter().map(|hits| hits.load(Ordering::Relaxed)).sum();
    let reading = front.proxy.stats().read().remove(0).1;
    assert_eq!(attempts as u64, 300 + reading.retries);
    // A fifth of 300 and ten a second; slow machines may see the window move on once.
    assert!((100..=320).contains(&reading.retries), "{reading:?}");
    assert!(reading.retries_refused > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_too_long_is_told_so() {
    let hanging = Router::new().fallback(any(|request: Request| async move {
        let whole = request.into_body().collect().await;
        if whole.is_ok() {
            std::future::pending::<()>().await;
        }
        StatusCode::OK
    }));
    let instance = serve(hanging).await;
    let front = Front::before(&[&instance], |options| {
        options.response_head = Duration::from_millis(400);
        options.request_idle = Duration::from_millis(200);
        options.max_body_bytes = 1_000;
    })
    .await;
    let begun = Instant::now();
    let late = client().request(front.get("/svc/lab/")).await.unwrap();
    assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(problem(late).await["code"], "service.timeout");
    assert!(begun.elapsed() < Duration::from_secs(3));

    let never = stream::pending::<Result<Bytes, std::io::Error>>();
    let request = Request::post(front.url("/svc/lab/"))
        .body(Body::from_stream(never))
        .unwrap();
    let slow = client().request(request).await.unwrap();
    assert_eq!(slow.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(problem(slow).await["code"], "request.timeout");

    // A small one, which is kept for another attempt, as well.
    let head = "PUT /svc/lab/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf";
    let small = front.raw(head.as_bytes()).await;
    assert!(small.starts_with("HTTP/1.1 408 "), "{small}");

    let long = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 600])));
    for body in [
        Body::from(vec![0; 1_001]),
        Body::from_stream(futures_util::StreamExt::take(long, 2)),
    ] {
        let request = Request::post(front.url("/svc/lab/")).body(body).unwrap();
        let large = client().request(request).await.unwrap();
        assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(problem(large).await["code"], "request.too_large");
    }
    // The client's faults are not held against the instance: it has failed once.
    let instances = front.proxy.instances();
    assert_eq!(
        (instances[0].breaker, instances[0].outstanding),
        (BreakerState::Closed, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_stalls_is_cut_off() {
    let stalling = Router::new().fallback(any(|| async {
        let pieces = futures_util::StreamExt::chain(
            stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"begun"))]),
            stream::pending(),
        );
        Response::new(Body::from_stream(pieces)).into_response()
    }));
    let instance = serve(stalling).await;
    let front = Front::before(&[&instance], |options| {
        options.response_idle = Duration::from_millis(200);
    })
    .await;
    let response = client().request(front.get("/svc/lab/")).await.unwrap();
    let whole = tokio::time::timeout(Duration::from_secs(5), response.into_body().collect());
    assert!(whole.await.unwrap().is_err());
    assert_eq!(front.proxy.instances()[0].outstanding, 0);
}

#[tokio::test]
async fn registered_services_are_found_until_they_leave() {
    let (router, hits) = counting(|| StatusCode::NO_CONTENT);
    let instance = serve(router).await;
    let ground = crate::rig::ground().await;
    let discovery = Discovery::new(ground.state, ground.clock, ground.ids, "here");
    let consul = discovery.clone().router();
    let proxy = Proxy::new(
        ProxyOptions::new("here"),
        Arc::new(Instances::new(discovery)),
        Random::from_seed(3),
    );
    let routes = proxy.router();
    let ask = || async {
        let request = Request::get("/svc/films/x").body(Body::empty()).unwrap();
        routes.clone().oneshot(request).await.unwrap().status()
    };
    let put = async |path: &'static str, body: String| {
        let request = Request::put(path).body(Body::from(body)).unwrap();
        let response = consul.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    };
    assert_eq!(ask().await, StatusCode::SERVICE_UNAVAILABLE);
    let definition = serde_json::json!({
        "Name": "films", "ID": "films-1", "Address": "127.0.0.1", "Port": instance.address.port(),
    });
    put("/v1/agent/service/register", definition.to_string()).await;
    assert_eq!(ask().await, StatusCode::NO_CONTENT);
    put("/v1/agent/service/deregister/films-1", String::new()).await;
    assert_eq!(ask().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(hits.load(Ordering::Relaxed), 1);
}
