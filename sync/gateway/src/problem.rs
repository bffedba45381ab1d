//! Errors on their way out.

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use protocol::{PROBLEM_MEDIA_TYPE, Problem};

/// A [`Problem`] as an answer. Handlers return `Result<T, Failure>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub Problem);

impl Failure {
    /// An answer of this status, code and sentence.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self(Problem::new(status.as_u16(), code, detail))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self.0)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(PROBLEM_MEDIA_TYPE),
        );
        response
    }
}

/// Middleware that makes a problem of every refusal that is none: those of extractors, which are plain text
/// (RFC 9110 leaves it open what a refusal looks like; clients read one form only).
///
/// What is JSON already is an answer of its own, such as a status that says what is wrong. Headers stay.
pub(crate) async fn plain_to_problem(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let refused = status.is_client_error() || status.is_server_error();
    let media = response.headers().get(header::CONTENT_TYPE);
    let plain = media.is_none_or(|media| media.as_bytes().starts_with(b"text/plain"));
    if !refused || !plain {
        return response;
    }
    let (code, detail) = said_of(status);
    let mut problem = Failure::new(status, code, detail).into_response();
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    problem.headers_mut().extend(parts.headers);
    problem
}

/// What is said instead of an extractor's own words, which repeat values of the request.
fn said_of(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => (
            "request.malformed",
            "a part of the path, of the query or of the body is malformed",
        ),
        StatusCode::NOT_FOUND => ("route.unknown", "there is nothing at this path"),
        StatusCode::METHOD_NOT_ALLOWED => ("route.method", "this path has no such method"),
        StatusCode::PAYLOAD_TOO_LARGE => ("body.too_large", "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "body.media_type",
            "a body of another media type is due, mostly application/json",
        ),
        StatusCode::UNPROCESSABLE_ENTITY => (
            "body.unfit",
            "the body is JSON, and not what is due here: see /openapi.json",
        ),
        status if status.is_client_error() => ("request.refused", "the request is refused"),
        _ => ("gateway.failed", "the gateway failed; its log says why"),
    }
}
