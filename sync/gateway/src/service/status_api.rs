//! How the gateway is: for load balancers, for Prometheus, for people; and its evidence.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use axum::{
    Extension, Json, Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use protocol::Principal;
use serde::Deserialize;
use serde_json::json;

use super::{Gateway, map::picture};
use crate::{Failure, access::Route, limits::service as limits, openapi};

pub(crate) const ROUTES: &[Route] = &[
    ("GET", "/healthz", "status.read"),
    ("GET", "/readyz", "status.read"),
    ("GET", "/status", "status.read"),
    ("GET", "/metrics", "metrics.read"),
    ("GET", "/openapi.json", "status.read"),
    ("GET", "/v1/audit/entries", "audit.read"),
    ("GET", "/v1/map", "map.read"),
    ("GET", "/v1/map.svg", "map.read"),
];

pub(crate) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route(
            "/healthz",
            get(|| async { Json(json!({ "status": "ok" })) }),
        )
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(document))
        .route("/v1/audit/entries", get(entries))
        .route("/v1/map", get(map))
        .route("/v1/map.svg", get(map_picture))
}

/// Whether the state can be written: the one thing that every answer depends on.
async fn writable(gateway: &Gateway) -> Result<(), String> {
    let flushed = tokio::time::timeout(limits::READY_WITHIN, gateway.log.enter(Vec::new()));
    match flushed.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the database does not answer".to_owned()),
    }
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    if gateway.draining.load(Relaxed) {
        let detail = "the gateway is about to end; ask another";
        return Failure::new(StatusCode::SERVICE_UNAVAILABLE, "status.draining", detail)
            .into_response();
    }
    match writable(&gateway).await {
        Ok(()) => Json(json!({ "status": "ready" })).into_response(),
        Err(reason) => Failure::new(StatusCode::SERVICE_UNAVAILABLE, "status.not_ready", reason)
            .into_response(),
    }
}

/// Whether the event log can be read.
async fn readable(gateway: &Gateway) -> Result<(), String> {
    let log = gateway.log.event_log();
    match tokio::time::timeout(limits::READY_WITHIN, log.end()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the event log does not answer".to_owned()),
    }
}

async fn status(State(gateway): State<Arc<Gateway>>) -> Response {
    let (database, log) = tokio::join!(writable(&gateway), readable(&gateway));
    let needed = |name: &str, found: &Result<(), String>| json!({ "name": name, "healthy": found.is_ok(), "needed": true, "reason": found.as_ref().err() });
    let mut dependencies = vec![needed("database", &database), needed("event_log", &log)];
    if let Some(reading) = gateway.tracer.read() {
        // Nobody's request waits for it: a receiver that is away degrades nothing but the traces.
        dependencies.push(json!({
            "name": "otlp", "healthy": reading.healthy, "needed": false,
            "reason": (!reading.healthy).then_some("the receiver of traces takes none"),
            "waiting": reading.waiting, "exported": reading.exported, "dropped": reading.dropped,
        }));
    }
    let healthy = database.is_ok() && log.is_ok();
    let body = json!({
        "status": if healthy { "ok" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "index": gateway.state.last_index(),
        "draining": gateway.draining.load(Relaxed),
        "dependencies": dependencies,
    });
    let code = if healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(body)).into_response()
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    // An index is far below 2^53, where a double stops counting.
    let index = gateway.state.last_index() as f64;
    let position = gateway.log.end_position().await.0 as f64;
    let gauges = [
        (
            "neurascale_state_index",
            "Index of the last commit of the state.",
            index,
        ),
        (
            "neurascale_event_position",
            "Position of the last event.",
            position,
        ),
    ];
    let traces = gateway.tracer.read();
    let text = gateway
        .metrics
        .render(&gauges, &gateway.proxy, traces.as_ref());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn document() -> Result<Response, Failure> {
    let document = openapi::served().map_err(|error| {
        tracing::error!(%error, "there is no OpenAPI document");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Failure::new(status, "openapi.unavailable", error.to_string())
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    from: u64,
    #[serde(default)]
    limit: Option<u32>,
}

/// Entries of the ledger, from a sequence on.
async fn entries(
    State(gateway): State<Arc<Gateway>>,
    Query(page): Query<Page>,
) -> Result<Response, Failure> {
    let limit = page
        .limit
        .unwrap_or(limits::AUDIT_PAGE)
        .min(limits::AUDIT_PAGE);
    let entries = gateway
        .log
        .ledger()
        .ledger_entries(page.from..page.from.saturating_add(limit.into()))
        .await
        .map_err(|error| {
            Failure::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "audit.unreadable",
                error.to_string(),
            )
        })?;
    Ok(Json(json!({ "entries": entries })).into_response())
}

/// Who calls whom, with how many instances of each service are healthy.
async fn map(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
) -> Response {
    let dependencies = gateway.map.read(&principal.site);
    let mut services: Vec<_> = dependencies.iter().map(|one| one.service.clone()).collect();
    services.sort();
    services.dedup();
    let services: Vec<_> = services
        .iter()
        .map(|service| json!({ "service": service, "healthy_instances": healthy(&gateway, service) }))
        .collect();
    Json(json!({ "dependencies": dependencies, "services": services })).into_response()
}

fn healthy(gateway: &Gateway, service: &str) -> usize {
    let named = service.split_once('/');
    named.map_or(0, |(site, name)| {
        gateway.instances.healthy(site, name).len()
    })
}

async fn map_picture(
    State(gateway): State<Arc<Gateway>>,
    Extension(principal): Extension<Principal>,
) -> Response {
    let dependencies = gateway.map.read(&principal.site);
    let svg = picture(&dependencies, &|service| healthy(&gateway, service));
    ([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response()
}
