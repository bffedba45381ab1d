//! The calls, one module a subject: wire types in, the façade, wire types out.

mod auth;
mod bedside;
mod device;
mod evidence;
mod patient;
mod recording;
mod report;
mod session;
mod settings;
mod system;
pub(crate) mod view;
mod worklist;

use crate::rpc::Calls;
use crate::serve::Shared;
use axum::Router;
use axum::routing::post;
use std::str::FromStr;
use ui_types::{ApiError, ErrorCode};
use workstation::{Error, ErrorKind};

/// Every route of the socket.
pub(crate) fn router(shared: Shared) -> Router {
    let calls = calls();
    let life = shared.life.clone();
    calls
        .into_router()
        .route(&crate::rpc::path("feed"), post(crate::feed::feed))
        .route(&crate::rpc::path("page"), post(crate::feed::page))
        .route_layer(axum::middleware::from_fn_with_state(
            shared.clone(),
            crate::access::check,
        ))
        .layer(axum::middleware::from_fn(
            move |request, next: axum::middleware::Next| {
                life.touch();
                next.run(request)
            },
        ))
        .with_state(shared)
}

fn calls() -> Calls<Shared> {
    let calls = Calls::new();
    let calls = auth::add(calls);
    let calls = patient::add(calls);
    let calls = session::add(calls);
    let calls = bedside::add(calls);
    let calls = device::add(calls);
    let calls = recording::add(calls);
    let calls = evidence::add(calls);
    let calls = view::add(calls);
    let calls = report::add(calls);
    let calls = settings::add(calls);
    let calls = worklist::add(calls);
    system::add(calls)
}

/// The wire's code of a façade's error.
pub(crate) const fn code(kind: ErrorKind) -> ErrorCode {
    match kind {
        ErrorKind::Invalid => ErrorCode::Invalid,
        ErrorKind::NotFound => ErrorCode::NotFound,
        ErrorKind::Conflict => ErrorCode::Conflict,
        ErrorKind::Refused => ErrorCode::Refused,
        ErrorKind::Device => ErrorCode::Device,
        ErrorKind::Store => ErrorCode::Store,
        ErrorKind::NotAllowed => ErrorCode::NotAllowed,
        ErrorKind::DiskFull => ErrorCode::DiskFull,
        ErrorKind::Integrity => ErrorCode::Integrity,
        ErrorKind::Internal => ErrorCode::Internal,
    }
}

pub(crate) fn wire(error: Error) -> ApiError {
    ApiError::new(code(error.kind()), error.to_string(), error.remedy())
}

/// Reads an id, saying which one is malformed.
pub(crate) fn id<T: FromStr>(what: &str, text: &str) -> Result<T, ApiError> {
    text.trim().parse().map_err(|_| {
        ApiError::new(
            ErrorCode::Invalid,
            format!("'{text}' is no id of a {what}"),
            format!("'neurascale {what} list' shows ids."),
        )
    })
}

/// A word of an enumeration as its JSON says it.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_call_says_who_may_make_it() {
        let mut served = super::calls().names();
        served.extend(["feed", "page"]);
        for name in served {
            assert!(
                crate::access::is_listed(name),
                "'{name}' stands in no row of the table of access"
            );
        }
    }
}
