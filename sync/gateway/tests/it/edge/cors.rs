//! Pages of other origins, as browsers ask for them.

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
    middleware,
    routing::get,
};
use gateway::edge::{Cors, cors};
use tower::ServiceExt as _;

/// A route whose service would let everybody read it.
fn router() -> Router {
    let origins = Cors::new(["https://films.example", "http://localhost:3000"]).unwrap();
    Router::new()
        .route(
            "/",
            get(|| async {
                (
                    [("access-control-allow-origin", "*"), ("vary", "accept")],
                    "read",
                )
            }),
        )
        .layer(middleware::from_fn_with_state(origins, cors))
}

async fn ask(
    method: Method,
    origin: Option<&str>,
    asks_for: Option<&str>,
) -> (StatusCode, HeaderMap) {
    let mut request = Request::builder().method(method).uri("/");
    if let Some(origin) = origin {
        request = request.header(header::ORIGIN, origin);
    }
    if let Some(method) = asks_for {
        request = request.header(header::ACCESS_CONTROL_REQUEST_METHOD, method);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = router().oneshot(request).await.unwrap();
    (response.status(), response.headers().clone())
}

#[tokio::test]
async fn a_configured_origin_may_call_with_credentials() {
    for origin in ["https://films.example", "http://localhost:3000"] {
        let (status, headers) = ask(Method::GET, Some(origin), None).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["access-control-allow-origin"], origin);
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert!(
            headers["access-control-expose-headers"]
                .to_str()
                .unwrap()
                .contains("retry-after")
        );
        let vary: Vec<_> = headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["accept", "origin"]);
        let (status, headers) = ask(Method::OPTIONS, Some(origin), Some("PUT")).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(headers["access-control-allow-origin"], origin);
        assert!(
            headers["access-control-allow-methods"]
                .to_str()
                .unwrap()
                .contains("PUT")
        );
        assert!(
            headers["access-control-allow-headers"]
                .to_str()
                .unwrap()
                .contains("authorization")
        );
        assert_eq!(headers["access-control-max-age"], "7200");
    }
}

#[tokio::test]
async fn no_other_may_whatever_it_looks_like() {
    for origin in [
        "https://evil.example",
        "http://films.example",
        "https://films.example.evil.example",
        "https://films.example:443",
        "https://FILMS.example",
        "https://films.example/",
        "null",
        "*",
        "",
    ] {
        for (method, asks_for) in [(Method::GET, None), (Method::OPTIONS, Some("PUT"))] {
            let (_, headers) = ask(method, Some(origin), asks_for).await;
            assert!(
                !headers.contains_key("access-control-allow-origin"),
                "{origin}"
            );
            assert!(
                !headers.contains_key("access-control-allow-credentials"),
                "{origin}"
            );
            assert!(
                headers
                    .get_all("vary")
                    .iter()
                    .any(|vary| vary.to_str().unwrap().contains("origin"))
            );
        }
    }
    let (status, headers) = ask(Method::GET, None, None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!headers.contains_key("access-control-allow-origin"));
    // An OPTIONS that is no preflight goes to its route.
    let (status, _) = ask(Method::OPTIONS, Some("https://films.example"), None).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn what_no_browser_sends_is_no_origin() {
    for wrong in [
        "*",
        "null",
        "https://",
        "https://Films.example",
        "https://films.example/",
        "ftp://films.example",
    ] {
        assert!(Cors::new([wrong]).is_err(), "{wrong}");
    }
}
