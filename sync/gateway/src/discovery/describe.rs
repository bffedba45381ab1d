//! Consul's API, as the gateway's OpenAPI document describes it.

use super::{agent, catalog, model, sessions};
use crate::openapi::{Kind, Operation, delete, get, put};

pub(crate) fn describe() -> Vec<Operation> {
    let mut all = keys();
    all.extend(sessions_of());
    all.extend(agent_of());
    all.extend(catalog_of());
    all.extend(health());
    all
}

/// A query that can wait for a change.
fn blocking(operation: Operation) -> Operation {
    operation
        .with(
            "index",
            Kind::Whole,
            "Wait until the answer lies behind this index.",
        )
        .with("wait", Kind::Length, "How long at most.")
}

fn filtered(operation: Operation) -> Operation {
    blocking(operation).with("filter", Kind::Text, "A filter as Consul writes it.")
}

fn keys() -> Vec<Operation> {
    let read = |operation| {
        blocking(operation)
            .with("recurse", Kind::Flag, "Every key that begins so.")
            .with("keys", Kind::Flag, "Keys without values.")
            .with("separator", Kind::Text, "Keys up to this alone.")
            .with("raw", Kind::Flag, "The value alone.")
            .json(200, "Keys and values.")
    };
    let remove = |operation: Operation| {
        operation
            .with("recurse", Kind::Flag, "Every key that begins so.")
            .with(
                "cas",
                Kind::Whole,
                "Only if it was last changed by this index.",
            )
            .json(200, "Whether it is gone.")
    };
    let named = |operation: Operation| operation.with("key", Kind::Text, "The key.");
    vec![
        read(get("/v1/kv/", "Every key")),
        remove(delete("/v1/kv/", "Delete every key")),
        read(named(get("/v1/kv/{*key}", "A key"))),
        named(put("/v1/kv/{*key}", "Set a key"))
            .with("flags", Kind::Whole, "A number kept with it.")
            .with(
                "cas",
                Kind::Whole,
                "Only if it was last changed by this index.",
            )
            .with("acquire", Kind::Text, "Lock it for this session.")
            .with("release", Kind::Text, "Let go of it.")
            .takes_raw("application/octet-stream")
            .json(200, "Whether it is set."),
        remove(named(delete("/v1/kv/{*key}", "Delete a key"))),
    ]
}

fn sessions_of() -> Vec<Operation> {
    let of = |operation: Operation| operation.with("id", Kind::Text, "The session.");
    vec![
        put("/v1/session/create", "Begin a session that holds locks")
            .may_take::<sessions::Create>()
            .json(200, "Its id."),
        of(put("/v1/session/destroy/{id}", "End a session")).json(200, "It has ended."),
        blocking(of(get("/v1/session/info/{id}", "One session")))
            .json(200, "The session, or none."),
        blocking(get("/v1/session/node/{node}", "Sessions of a node"))
            .with("node", Kind::Text, "The node.")
            .json(200, "Sessions."),
        blocking(get("/v1/session/list", "Sessions")).json(200, "Sessions."),
        of(put("/v1/session/renew/{id}", "Keep a session on")).json(200, "The session."),
    ]
}

fn agent_of() -> Vec<Operation> {
    let service = |operation: Operation| operation.with("id", Kind::Text, "The service's id.");
    let check = |operation: Operation| operation.with("id", Kind::Text, "The check's id.");
    let report = |operation| {
        check(operation)
            .with("note", Kind::Text, "For people.")
            .empty(200, "It is noted.")
    };
    vec![
        get("/v1/agent/self", "What the gateway is, as an agent says it")
            .json(200, "Configuration."),
        get("/v1/agent/services", "Services that registered here").json(200, "Services."),
        service(get("/v1/agent/service/{id}", "One of them")).json(200, "The service."),
        get("/v1/agent/checks", "Their checks").json(200, "Checks."),
        put("/v1/agent/service/register", "Register a service")
            .with(
                "replace-existing-checks",
                Kind::Flag,
                "Checks that are not named go.",
            )
            .takes::<model::ServiceDefinition>()
            .empty(200, "It is registered."),
        service(put(
            "/v1/agent/service/deregister/{id}",
            "Deregister a service",
        ))
        .empty(200, "It is gone."),
        service(put(
            "/v1/agent/service/maintenance/{id}",
            "Take a service out, or in again",
        ))
        .with(
            "enable",
            Kind::Choice(&["true", "false"]),
            "Whether it is out.",
        )
        .with("reason", Kind::Text, "For people.")
        .empty(200, "It is done."),
        put("/v1/agent/check/register", "Register a check")
            .takes::<model::CheckDefinition>()
            .empty(200, "It is registered."),
        check(put("/v1/agent/check/deregister/{id}", "Deregister a check"))
            .empty(200, "It is gone."),
        report(put("/v1/agent/check/pass/{id}", "Say that it works")),
        report(put(
            "/v1/agent/check/warn/{id}",
            "Say that something is wrong",
        )),
        report(put(
            "/v1/agent/check/fail/{id}",
            "Say that it does not work",
        )),
        check(put("/v1/agent/check/update/{id}", "Say how it is"))
            .takes::<agent::Update>()
            .empty(200, "It is noted."),
    ]
}

fn catalog_of() -> Vec<Operation> {
    let node = |operation: Operation| operation.with("node", Kind::Text, "The node.");
    vec![
        get("/v1/catalog/datacenters", "The data centres").json(200, "One."),
        blocking(get("/v1/catalog/services", "Names and tags of services")).json(200, "Services."),
        filtered(get("/v1/catalog/service/{name}", "Where a service runs"))
            .with("name", Kind::Text, "The service's name.")
            .with("tag", Kind::Text, "With this tag only.")
            .json(200, "Instances."),
        filtered(get("/v1/catalog/nodes", "Nodes")).json(200, "Nodes."),
        blocking(node(get("/v1/catalog/node/{node}", "One node")))
            .json(200, "The node and its services."),
        put("/v1/catalog/register", "Enter what runs elsewhere")
            .takes::<catalog::Register>()
            .json(200, "It is entered."),
        put("/v1/catalog/deregister", "Remove what runs elsewhere")
            .takes::<catalog::Deregister>()
            .json(200, "It is gone."),
        get("/v1/status/leader", "Who leads, as Consul says it").json(200, "An address."),
        get("/v1/status/peers", "Who takes part, as Consul says it").json(200, "Addresses."),
    ]
}

fn health() -> Vec<Operation> {
    vec![
        filtered(get(
            "/v1/health/service/{name}",
            "Instances of a service, and how they are",
        ))
        .with("name", Kind::Text, "The service's name.")
        .with("tag", Kind::Text, "With this tag only.")
        .with("passing", Kind::Flag, "Those that work only.")
        .json(200, "Instances."),
        filtered(get("/v1/health/checks/{name}", "Checks of a service"))
            .with("name", Kind::Text, "The service's name.")
            .json(200, "Checks."),
        filtered(get("/v1/health/node/{node}", "Checks of a node"))
            .with("node", Kind::Text, "The node.")
            .json(200, "Checks."),
        filtered(get("/v1/health/state/{state}", "Checks that are so"))
            .with(
                "state",
                Kind::Choice(&["any", "passing", "warning", "critical"]),
                "How.",
            )
            .json(200, "Checks."),
    ]
}
