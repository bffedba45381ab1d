//! The limit on requests, as a client meets it.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode},
    middleware,
    routing::get,
};
use gateway::edge::{RateLimit, RateOptions, rate_limit};
use protocol::{Principal, Role};
use tower::ServiceExt as _;

fn principal(consumer: &str) -> Principal {
    Principal {
        subject: "7".to_owned(),
        site: "a".to_owned(),
        roles: vec![Role::Service],
        consumer: consumer.to_owned(),
    }
}

fn router(per_minute: u32, per_hour: u32) -> Router {
    let limit = RateLimit::new(RateOptions {
        per_minute,
        per_hour,
    });
    Router::new()
        .route("/", get(|| async { "there" }))
        .layer(middleware::from_fn_with_state(limit, rate_limit))
}

async fn ask(router: &Router, who: impl FnOnce(&mut Request<Body>)) -> (StatusCode, HeaderMap) {
    let mut request = Request::new(Body::empty());
    who(&mut request);
    let response = router.clone().oneshot(request).await.unwrap();
    (response.status(), response.headers().clone())
}

fn of<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).unwrap().to_str().unwrap()
}

#[tokio::test]
async fn the_fourth_of_three_is_refused_and_everybody_is_told_where_they_stand() {
    let router = router(3, 100);
    let ask_as = |who: &'static str| {
        ask(&router, move |request| {
            request.extensions_mut().insert(principal(who));
        })
    };
    for left in [2, 1, 0] {
        let (status, headers) = ask_as("a").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(of(&headers, "x-ratelimit-limit"), "3");
        assert_eq!(of(&headers, "x-ratelimit-remaining"), left.to_string());
        assert_eq!(
            of(&headers, "ratelimit-policy"),
            "\"minute\";q=3;w=60, \"hour\";q=100;w=3600"
        );
        let standing = of(&headers, "ratelimit");
        let begins = format!("\"minute\";r={left};t=6");
        assert!(standing.starts_with(&begins), "{standing}");
        assert!(
            standing.contains(&format!("\"hour\";r={}", 97 + left)),
            "{standing}"
        );
    }
    let (status, headers) = ask_as("a").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(of(&headers, "content-type"), "application/problem+json");
    let wait: u64 = of(&headers, "retry-after").parse().unwrap();
    assert!((59..=61).contains(&wait), "{wait}");
    assert_eq!(of(&headers, "x-ratelimit-reset"), wait.to_string());
    assert_eq!(ask_as("b").await.0, StatusCode::OK);
}

#[tokio::test]
async fn who_is_not_known_is_counted_by_address_and_who_has_none_is_refused() {
    let router = router(1, 10);
    let ask_from = |from: &str| {
        let from: SocketAddr = from.parse().unwrap();
        ask(&router, move |request| {
            request.extensions_mut().insert(ConnectInfo(from));
        })
    };
    assert_eq!(ask_from("192.0.2.1:1").await.0, StatusCode::OK);
    assert_eq!(
        ask_from("192.0.2.1:2").await.0,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(ask_from("192.0.2.2:1").await.0, StatusCode::OK);
    assert_eq!(
        ask(&router, |_| ()).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}
