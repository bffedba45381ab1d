//! What is seen of every request: its span, its figures, its line in the log. None of them names anybody.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context as Polling, Poll, ready},
    time::Instant,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::HeaderValue,
    middleware::Next,
    response::Response,
};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use protocol::{Principal, Role};
use tracing::Instrument as _;

use super::{
    Gateway,
    metrics::{RouteSeries, known},
};
use crate::traces::{Context, Kind, TRACEPARENT, TRACESTATE};

/// Requests that no route is for.
const UNMATCHED: &str = "unmatched";

/// What the guard has found out about a request: an extension of its answer.
#[derive(Debug, Clone)]
struct Seen {
    route: &'static str,
    consumer: String,
}

/// Tells what a request was and who asked.
pub(super) fn seen(
    mut response: Response,
    route: &'static str,
    who: Option<&Principal>,
) -> Response {
    let consumer = consumer(who);
    response.extensions_mut().insert(Seen { route, consumer });
    response
}

/// Whose request it is, as figures and spans tell it: an issuer by the name that the configuration gives it,
/// anybody else by what they are. Ids of people, devices and services would be as many labels, and say who.
fn consumer(who: Option<&Principal>) -> String {
    let Some(who) = who else {
        return "nobody".to_owned();
    };
    // The gateway's own consumers have a colon in their names, and an issuer's has none.
    if !who.consumer.contains(':') {
        return format!("issuer {}", who.consumer);
    }
    let kind = [Role::Device, Role::Service]
        .into_iter()
        .find(|role| who.has(*role));
    kind.map_or("person", Role::as_str).to_owned()
}

/// Begins the request's span, from its client's context where there is one, and counts what comes of it. Outside the
/// guard, so that what that refuses is seen as well.
pub(crate) async fn observe(
    State(gateway): State<Arc<Gateway>>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let method = known(request.method().as_str());
    let parent = Context::of(request.headers());
    if parent.is_none() {
        request.headers_mut().remove(TRACESTATE);
    }
    let mut span = gateway.tracer.begin(parent, Kind::Server);
    // Until more is known, or where the client goes away before.
    span.name(|| method.to_owned());
    let context = span.context();
    if let Ok(context) = HeaderValue::try_from(context.to_string()) {
        request.headers_mut().insert(TRACEPARENT, context);
    }
    request.extensions_mut().insert(span.current());
    // An error's span is enabled whatever is logged, so that each line has its trace.
    let logged = tracing::error_span!("request", trace_id = %context.trace_id());
    let received = Arc::new(Received::default());
    let request = request.map(|body| counted(body, Tally::Received(Arc::clone(&received))));
    let mut response = next.run(request).instrument(logged.clone()).await;
    let status = response.status();
    let seen = response.extensions_mut().remove::<Seen>();
    let (route, consumer) = seen.map_or_else(
        || (UNMATCHED, consumer(None)),
        |seen| (seen.route, seen.consumer),
    );
    span.name(|| format!("{method} {route}"));
    span.text("http.request.method", method);
    span.text("http.route", route);
    span.text("neurascale.consumer.kind", &consumer);
    span.number("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.fail();
    }
    let took = begun.elapsed();
    logged.in_scope(|| {
        tracing::debug!(
            route,
            method,
            status = status.as_u16(),
            consumer,
            ms = took.as_secs_f64() * 1e3,
            "answered"
        );
    });
    let series = gateway.metrics.series(route, method, &consumer);
    series.count(status.as_u16(), took);
    let _ = received.of.set(Arc::clone(&series));
    response.map(|body| counted(body, Tally::Sent(series)))
}

/// Bytes of a request, whose route is known only when its body may have been read: they are counted when both the
/// request and its body are done.
#[derive(Default)]
struct Received {
    bytes: AtomicU64,
    of: OnceLock<Arc<RouteSeries>>,
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some(series) = self.of.get() {
            series.received(*self.bytes.get_mut());
        }
    }
}

/// Whose bytes a body's are.
enum Tally {
    Received(Arc<Received>),
    Sent(Arc<RouteSeries>),
}

impl Tally {
    fn add(&self, bytes: u64) {
        match self {
            Self::Received(received) => {
                received.bytes.fetch_add(bytes, Relaxed);
            }
            Self::Sent(series) => series.sent(bytes),
        }
    }
}

fn counted(inner: Body, tally: Tally) -> Body {
    if inner.is_end_stream() {
        return inner;
    }
    Body::new(Counted { inner, tally })
}

/// A body whose bytes are counted as they pass.
struct Counted {
    inner: Body,
    tally: Tally,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Polling<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.tally
                .add(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
