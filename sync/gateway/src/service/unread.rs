//! What of a request nobody has read. Over HTTP/1.1 a connection whose request was answered before its body had
//! come is closed behind the answer, which says nothing of it: the client's next request on it is lost. So a short
//! rest is taken before the answer is given.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{Version, header},
    middleware::Next,
    response::Response,
};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

use crate::limits::service as limits;

/// A body of which one end stays with us.
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Body) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

/// Takes what is left of a request before its answer is given, unless somebody still reads it.
pub(super) async fn take_rest(request: Request, next: Next) -> Response {
    // Who asks beforehand has sent nothing, and would be told to.
    let asks_first = request.headers().contains_key(header::EXPECT);
    if request.version() >= Version::HTTP_2 || asks_first || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let body = Arc::new(Mutex::new(body));
    let request = Request::from_parts(parts, Body::new(Shared(Arc::clone(&body))));
    let response = next.run(request).await;
    if let Some(body) = Arc::into_inner(body) {
        drain(body.into_inner().unwrap_or_else(PoisonError::into_inner)).await;
    }
    response
}

/// As far as it is short and comes soon; the connection ends behind anything longer.
async fn drain(mut body: Body) {
    let until = Instant::now() + limits::REST_WITHIN;
    let mut bytes = 0;
    while bytes <= limits::REST_BYTES && !body.is_end_stream() {
        let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await else {
            return;
        };
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
}
