//! Clients and services of different versions of HTTP, and clients that go away.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Method, StatusCode, Version},
    response::{IntoResponse as _, Response},
    routing::any,
};
use gateway::edge::{Protocol, Rule};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::rig::{Front, client, client2, serve};

/// Says which version it is asked in, for which host and with which cookies.
fn telling() -> Router {
    Router::new().fallback(any(|request: Request| async move {
        let cookies: Vec<_> = request
            .headers()
            .get_all("cookie")
            .iter()
            .map(|cookie| cookie.to_str().unwrap().to_owned())
            .collect();
        let host = request
            .headers()
            .get("host")
            .map(|host| host.to_str().unwrap().to_owned());
        let host = host.or_else(|| Some(request.uri().authority()?.to_string()));
        format!(
            "{:?} {} {cookies:?}",
            request.version(),
            host.unwrap_or_default()
        )
    }))
}

async fn text(response: hyper::Response<hyper::body::Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_http1_understands_clients_of_http2_and_the_other_way_round() {
    let instance = serve(telling()).await;
    let front = Front::before(&[&instance], |_| ()).await;
    let outside = front.server.address;
    let request = Request::get(front.url("/svc/lab/"))
        .version(Version::HTTP_2)
        .header("cookie", "a=1")
        .header("cookie", "b=2; c=3")
        .body(Body::empty())
        .unwrap();
    let response = client2().request(request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(
        text(response).await,
        format!("HTTP/1.1 {outside} [\"a=1; b=2; c=3\"]")
    );
    let rule = Rule {
        host: None,
        prefix: "/two".to_owned(),
        service: "lab".to_owned(),
        strip_prefix: true,
        protocol: Protocol::Http2,
        keep_authorization: false,
    };
    front.proxy.set_rules(vec![rule]).unwrap();
    let response = client().request(front.get("/two/x")).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_11);
    assert_eq!(
        text(response).await,
        format!("HTTP/2.0 {} []", instance.address)
    );
    // HTTP/1.0 names no host.
    let answer = front.raw(b"GET /svc/lab/ HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    assert!(
        answer.ends_with(&format!("HTTP/1.1 {} []", instance.address)),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_stay_what_they_are() {
    let instance = serve(Router::new().fallback(any(|request: Request| async move {
        if request.uri().path() == "/same" {
            return ([("etag", "\"1\"")], StatusCode::NOT_MODIFIED).into_response();
        }
        // A service does not open the gateway to other origins.
        let open = [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
        ];
        (open, Response::new(Body::from("twelve bytes"))).into_response()
    })))
    .await;
    let front = Front::before(&[&instance], |_| ()).await;
    let request = Request::builder()
        .method(Method::HEAD)
        .uri(front.url("/svc/lab/"))
        .body(Body::empty())
        .unwrap();
    let response = client().request(request).await.unwrap();
    assert_eq!(response.headers()["content-length"], "12");
    let names = response.headers().keys();
    let open = names.filter(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(open.count(), 0);
    assert_eq!(text(response).await, "");
    let response = client().request(front.get("/svc/lab/same")).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(response.headers()["etag"], "\"1\"");
    assert_eq!(front.proxy.instances()[0].outstanding, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_keeps_no_instance_busy_and_no_probe_out() {
    let hanging = Router::new().fallback(any(|request: Request| async move {
        if request.uri().path() == "/bad" {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        if request.uri().path() == "/hang" {
            std::future::pending::<()>().await;
        }
        StatusCode::OK
    }));
    let instance = serve(hanging).await;
    let front = Front::before(&[&instance], |options| {
        options.breaker.recovery = Duration::from_millis(200);
    })
    .await;
    for _ in 0..5 {
        let bad = client().request(front.get("/svc/lab/bad")).await.unwrap();
        assert_eq!(bad.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    // More than there are probes: each takes one, and gives it back when it goes.
    for _ in 0..6 {
        let request = client().request(front.get("/svc/lab/hang"));
        assert!(timeout(Duration::from_millis(150), request).await.is_err());
        let free = async {
            while front.proxy.instances()[0].outstanding > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(5), free)
            .await
            .expect("it is let go");
    }
    let good = client().request(front.get("/svc/lab/")).await.unwrap();
    assert_eq!(good.status(), StatusCode::OK);
}
