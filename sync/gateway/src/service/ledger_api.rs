//! Evidence over HTTP: what an auditor notes today and compares tomorrow.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use logstore::LogStoreError;
use serde::Deserialize;
use serde_json::json;

use super::Gateway;
use crate::{Failure, access::Route};

pub(crate) const ROUTES: &[Route] = &[
    ("GET", "/v1/audit/checkpoint", "audit.read"),
    ("GET", "/v1/audit/entries/{sequence}/proof", "audit.read"),
    ("GET", "/v1/audit/consistency", "audit.read"),
];

pub(crate) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/v1/audit/checkpoint", get(checkpoint))
        .route("/v1/audit/entries/{sequence}/proof", get(proof))
        .route("/v1/audit/consistency", get(consistency))
}

fn unreadable(error: LogStoreError) -> Failure {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Failure::new(status, "audit.unreadable", error.to_string())
}

fn none(what: String) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "audit.no_entry", what)
}

/// The ledger's state, signed now, and the key to check it with.
async fn checkpoint(State(gateway): State<Arc<Gateway>>) -> Result<Response, Failure> {
    let signed = gateway.ledger.checkpoint().await.map_err(unreadable)?;
    let state = signed.checkpoint();
    let body = json!({
        "checkpoint": signed.to_string(),
        "key": gateway.ledger.key().to_string(),
        "size": state.size,
        "root": state.root,
    });
    Ok(Json(body).into_response())
}

/// That an entry stands in the ledger: whole without the gateway (`neurascale ledger check-proof`).
async fn proof(
    State(gateway): State<Arc<Gateway>>,
    Path(sequence): Path<u64>,
) -> Result<Response, Failure> {
    let proof = gateway.ledger.prove(sequence).await.map_err(unreadable)?;
    let proof = proof.ok_or_else(|| none(format!("the ledger has no entry {sequence}")))?;
    Ok(Json(proof).into_response())
}

#[derive(Deserialize)]
struct Sizes {
    old: u64,
    new: u64,
}

/// That the ledger of `old` entries is the beginning of that of `new`.
async fn consistency(
    State(gateway): State<Arc<Gateway>>,
    Query(Sizes { old, new }): Query<Sizes>,
) -> Result<Response, Failure> {
    let proof = gateway.ledger.consistency(old, new).await;
    let proof = proof.map_err(unreadable)?.ok_or_else(|| {
        none(format!(
            "the ledger has no states of {old} and {new} entries"
        ))
    })?;
    Ok(Json(proof).into_response())
}
