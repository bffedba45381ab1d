//! The client before servers that fail, hang and refuse.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use client::{BreakerState, Call, Client, Error, Policy, ServiceTokens, TraceContext};
use reqwest::Url;

/// What a server does with its first requests (status, `retry-after`); then it answers 200.
struct Script {
    failing: u32,
    status: u16,
    retry_after: Option<&'static str>,
    hang: bool,
    seen: AtomicU32,
    headers: Mutex<Vec<HeaderMap>>,
}

async fn answer(State(script): State<Arc<Script>>, headers: HeaderMap) -> Response {
    script.headers.lock().unwrap().push(headers);
    if script.seen.fetch_add(1, Ordering::SeqCst) >= script.failing {
        return Json(7).into_response();
    }
    if script.hang {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let status = StatusCode::from_u16(script.status).unwrap();
    match script.retry_after {
        Some(after) => (status, [("retry-after", after)]).into_response(),
        None => status.into_response(),
    }
}

async fn serve(
    failing: u32,
    status: u16,
    retry_after: Option<&'static str>,
    hang: bool,
) -> (Url, Arc<Script>) {
    let script = Arc::new(Script {
        failing,
        status,
        retry_after,
        hang,
        seen: AtomicU32::new(0),
        headers: Mutex::default(),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/x", listener.local_addr().unwrap())).unwrap();
    let router = Router::new()
        .route("/x", any(answer))
        .with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, script)
}

fn client(policy: Policy) -> Client {
    // The second test finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(reqwest::Client::builder().no_proxy(), policy, 1).unwrap()
}

fn quick() -> Policy {
    Policy {
        backoff: Duration::from_millis(5),
        attempt: Duration::from_millis(200),
        deadline: Duration::from_secs(3),
        ..Policy::default()
    }
}

#[tokio::test]
async fn a_get_is_repeated_until_the_server_is_back() {
    let (url, script) = serve(2, 503, None, false).await;
    assert_eq!(
        client(quick())
            .get::<u32>(url, Call::default())
            .await
            .unwrap(),
        7
    );
    assert_eq!(script.seen.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_post_is_repeated_only_with_a_key_which_stays_the_same() {
    let (url, script) = serve(2, 503, None, false).await;
    let client = client(quick());
    let refused = client
        .post::<_, u32>(url.clone(), &1, Call::default())
        .await;
    assert!(matches!(refused, Err(Error::Refused(problem)) if problem.status == 503));
    assert_eq!(script.seen.load(Ordering::SeqCst), 1);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = TraceContext::parse(parent, Some("vendor=1")).unwrap();
    let call = Call {
        idempotency_key: Some("k1"),
        trace: Some(&trace),
        token: None,
    };
    assert_eq!(
        client.post::<_, u32>(url.clone(), &1, call).await.unwrap(),
        7
    );
    // The trace that the caller works for is carried on without being named.
    let get = client.get::<u32>(url, Call::default());
    assert_eq!(trace.scope(get).await.unwrap(), 7);
    let seen = script.headers.lock().unwrap();
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[3]["traceparent"], parent);
    assert_eq!(seen[3]["tracestate"], "vendor=1");
    for headers in &seen[1..3] {
        assert_eq!(headers["idempotency-key"], "k1");
        assert_eq!(headers["traceparent"], parent);
        assert_eq!(headers["tracestate"], "vendor=1");
    }
}

#[tokio::test]
async fn retry_after_is_waited_for_unless_it_lies_beyond_the_deadline() {
    let (url, _) = serve(1, 429, Some("1"), false).await;
    let start = Instant::now();
    assert_eq!(
        client(quick())
            .get::<u32>(url, Call::default())
            .await
            .unwrap(),
        7
    );
    assert!(start.elapsed() >= Duration::from_secs(1));

    let (url, script) = serve(1, 429, Some("3600"), false).await;
    let start = Instant::now();
    let refused = client(quick()).get::<u32>(url, Call::default()).await;
    assert!(matches!(refused, Err(Error::Refused(problem)) if problem.status == 429));
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(script.seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_hangs_costs_one_attempt_and_never_more_than_the_deadline() {
    let (url, _) = serve(1, 200, None, true).await;
    assert_eq!(
        client(quick())
            .get::<u32>(url, Call::default())
            .await
            .unwrap(),
        7
    );

    let (url, _) = serve(100, 200, None, true).await;
    let policy = Policy {
        attempts: 100,
        failures: 100,
        deadline: Duration::from_millis(500),
        ..quick()
    };
    let start = Instant::now();
    let late = client(policy).get::<u32>(url, Call::default()).await;
    assert!(matches!(late, Err(Error::Deadline)), "{late:?}");
    assert!(start.elapsed() < Duration::from_millis(1_500));
}

#[tokio::test]
async fn a_target_that_fails_is_left_alone_and_tried_again() {
    let (url, script) = serve(3, 500, None, false).await;
    let policy = Policy {
        failures: 3,
        open: Duration::from_millis(500),
        ..quick()
    };
    let client = client(policy);
    for _ in 0..3 {
        let failed = client.get::<u32>(url.clone(), Call::default()).await;
        assert!(matches!(failed, Err(Error::Refused(_))));
    }
    let target = url.origin().ascii_serialization();
    assert_eq!(client.breakers()[&target], BreakerState::Open);
    let open = client.get::<u32>(url.clone(), Call::default()).await;
    assert!(matches!(open, Err(Error::Open(_))));
    assert_eq!(script.seen.load(Ordering::SeqCst), 3);
    let counts = client.breaker_counts()[&target];
    assert_eq!((counts.failed, counts.opened, counts.refused), (3, 1, 1));
    tokio::time::sleep(Duration::from_millis(550)).await;
    assert_eq!(client.breakers()[&target], BreakerState::HalfOpen);
    assert_eq!(client.get::<u32>(url, Call::default()).await.unwrap(), 7);
    assert_eq!(client.breakers()[&target], BreakerState::Closed);
}

/// Serves tokens of this life, numbered; counts how many.
async fn issuer(life: u64) -> (ServiceTokens, Arc<AtomicU32>) {
    let issued = Arc::new(AtomicU32::new(0));
    let count = issued.clone();
    let issue = move || async move {
        let number = count.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        format!(r#"{{"access_token":"t{number}","expires_in":{life}}}"#)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/t", listener.local_addr().unwrap())).unwrap();
    let router = Router::new().route("/t", any(issue));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (ServiceTokens::new(client(quick()), url), issued)
}

#[tokio::test]
async fn many_callers_share_one_token_until_shortly_before_its_end() {
    let (tokens, issued) = issuer(300).await;
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let tokens = tokens.clone();
            tokio::spawn(async move { tokens.token().await.unwrap() })
        })
        .collect();
    for caller in callers {
        assert_eq!(&*caller.await.unwrap(), "t0");
    }
    assert_eq!(issued.load(Ordering::SeqCst), 1);

    // Twenty seconds before the end is the end: the second call asks again.
    let (tokens, _) = issuer(20).await;
    assert_eq!(&*tokens.token().await.unwrap(), "t0");
    assert_eq!(&*tokens.token().await.unwrap(), "t1");
}
