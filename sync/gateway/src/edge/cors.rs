//! Which pages elsewhere may call the gateway from a browser (the Fetch standard, "CORS protocol").

use std::{collections::HashSet, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::limits::edge as limits;

/// What such pages may send: with credentials the standard knows no `*`.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, if-match, if-none-match, last-event-id, traceparent, tracestate, \
     x-neurascale-site, x-request-id",
);
/// What they may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, location, ratelimit, ratelimit-policy, retry-after, x-consul-index, x-ratelimit-limit, \
     x-ratelimit-remaining, x-ratelimit-reset, x-request-id",
);
/// Answers to the same address differ by these.
const PREFLIGHT_VARY: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-method, access-control-request-headers",
);
const VARY: HeaderValue = HeaderValue::from_static("origin");

/// Fields that the gateway alone says, whatever a service behind it answered.
const OWN: [HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
];

/// State of [`cors`]: the origins that may call, with credentials.
#[derive(Debug)]
pub struct Cors {
    origins: HashSet<HeaderValue>,
}

/// An origin that no browser would send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no origin: a scheme, a host and perhaps a port are due, in lower case")]
pub struct OriginError(pub String);

impl Cors {
    /// Lets these origins call, each as browsers write it: `https://films.example:8443`.
    pub fn new<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Arc<Self>, OriginError> {
        let origin = |text: &str| {
            let host = text
                .strip_prefix("https://")
                .or_else(|| text.strip_prefix("http://"))
                .unwrap_or_default();
            let sound =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]".contains(c);
            let value = HeaderValue::from_str(text).ok();
            value
                .filter(|_| !host.is_empty() && host.chars().all(sound))
                .ok_or_else(|| OriginError(text.to_owned()))
        };
        let origins = origins.into_iter().map(origin).collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { origins }))
    }

    /// The origin of a request, if it may call.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut all = headers.get_all(header::ORIGIN).iter();
        let origin = all.next().filter(|_| all.next().is_none())?;
        // Byte by byte: an origin that only looks alike is another (`null` is one, too).
        self.origins.get(origin).cloned()
    }
}

/// Middleware: answers preflights, and lets the pages of configured origins read answers.
///
/// It belongs outside of whatever asks who is there: a preflight brings no credentials.
pub async fn cors(State(cors): State<Arc<Cors>>, request: Request, next: Next) -> Response {
    let origin = cors.allowed(request.headers());
    let preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if preflight {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::VARY, PREFLIGHT_VARY);
        // To who may not call nothing is said: the browser refuses.
        if let Some(origin) = origin {
            allow(headers, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            headers.insert(
                header::ACCESS_CONTROL_MAX_AGE,
                limits::PREFLIGHT_FOR_S.into(),
            );
        }
        return response;
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for name in &OWN {
        headers.remove(name);
    }
    headers.append(header::VARY, VARY);
    if let Some(origin) = origin {
        allow(headers, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    response
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let yes = HeaderValue::from_static("true");
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
}
