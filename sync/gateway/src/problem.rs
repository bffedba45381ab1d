//! Errors on their way out.

use axum::{
    http::{HeaderValue, StatusCode, header},
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
