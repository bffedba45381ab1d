//! Events over HTTP, as the gateway's OpenAPI document describes them.

use serde_json::Value;

use super::{consumers, publish};
use crate::{
    limits::events as limits,
    openapi::{Kind, Operation, delete, get, post, put},
};

pub(crate) fn describe() -> Vec<Operation> {
    let mut all = log();
    all.extend(schemas());
    all.extend(consumer());
    all
}

/// What every way of reading the log can be asked for.
fn wanted(operation: Operation) -> Operation {
    operation
        .with("type", Kind::Text, "Types, with commas between.")
        .with("correlation", Kind::Uuid, "Of this correlation only.")
        .with("after", Kind::Whole, "Behind this position.")
        .with("time", Kind::Time, "What happened then or later.")
}

fn log() -> Vec<Operation> {
    vec![
        post(
            "/v1/events",
            "Append events: all or none, each once for ever by its id",
        )
        .takes::<publish::Batch>()
        .at_most(limits::MAX_BATCH_BYTES as u64)
        .json(200, "The position of each."),
        wanted(get("/v1/events", "A page of the log"))
            .with("limit", Kind::Whole, "How many at most.")
            .json(200, "Events, and where the next page begins."),
        wanted(get(
            "/v1/events/stream",
            "Follow the log as server-sent events",
        ))
        .header(
            "last-event-id",
            Kind::Whole,
            "Resumes behind this position.",
        )
        .gives(200, Some("text/event-stream"), "Events, and on."),
        wanted(get("/v1/events/ws", "Follow the log over WebSocket")).empty(101, "Events, and on."),
        post(
            "/neurascale.events.v1.Events/Subscribe",
            "Follow the log over gRPC: see events.proto",
        )
        .takes_raw("application/grpc")
        .at_most(limits::MAX_BODY_BYTES as u64)
        .gives(
            200,
            Some("application/grpc"),
            "Events, and on; a refusal is gRPC's own status.",
        ),
    ]
}

fn schemas() -> Vec<Operation> {
    let of = |operation: Operation| {
        operation
            .with("type", Kind::Text, "The type, `area.what_happened`.")
            .with("version", Kind::Whole, "From 1.")
    };
    vec![
        get("/v1/schemas", "Schemas that events are checked with").json(200, "Types and versions."),
        of(get("/v1/schemas/{type}/{version}", "One schema")).json(200, "A JSON Schema."),
        of(put(
            "/v1/schemas/{type}/{version}",
            "Register a schema, once",
        ))
        .takes::<Value>()
        .at_most(limits::MAX_BODY_BYTES as u64)
        .empty(200, "It was registered already.")
        .empty(201, "It is registered."),
    ]
}

fn consumer() -> Vec<Operation> {
    let of = |operation: Operation| {
        operation
            .with("name", Kind::Text, "The consumer.")
            .at_most(limits::MAX_BODY_BYTES as u64)
    };
    let letter = |operation: Operation| of(operation).with("position", Kind::Whole, "The event.");
    vec![
        get("/v1/consumers", "Durable consumers of the site").json(200, "Their names."),
        of(get("/v1/consumers/{name}", "One consumer")).json(200, "Settings and progress."),
        of(put("/v1/consumers/{name}", "Make or change a consumer"))
            .takes::<consumers::Wish>()
            .json(200, "It is changed.")
            .json(201, "It is made."),
        of(delete("/v1/consumers/{name}", "Remove a consumer")).empty(204, "It is gone."),
        of(post(
            "/v1/consumers/{name}/fetch",
            "Fetch events under a lease",
        ))
        .takes::<consumers::FetchWish>()
        .json(200, "Events, and their lease."),
        of(post("/v1/consumers/{name}/ack", "Acknowledge events"))
            .takes::<consumers::Ack>()
            .json(200, "Which were taken."),
        of(post("/v1/consumers/{name}/nack", "Give events back"))
            .takes::<consumers::Nack>()
            .json(200, "Which were taken."),
        of(get("/v1/consumers/{name}/dead", "Dead letters"))
            .with("after", Kind::Whole, "Behind this position.")
            .with("limit", Kind::Whole, "How many at most.")
            .json(200, "Dead letters."),
        letter(post(
            "/v1/consumers/{name}/dead/{position}/retry",
            "Deliver a dead letter again",
        ))
        .empty(204, "It is in flight."),
        letter(delete(
            "/v1/consumers/{name}/dead/{position}",
            "Discard a dead letter",
        ))
        .empty(204, "It is gone."),
    ]
}
