//! The HTTP API as an OpenAPI 3.1 document: `openapi.json` beside this crate's manifest, and `/openapi.json`.
//!
//! Made from the code: which operations there are, and which action each is, comes from the tables of routes;
//! who may do it from the policies that the program brings; what bodies look like from the types that read
//! them; the rest is said beside each part, in its `describe.rs`. A route that nobody describes is an error,
//! as is a description without a route. Not a macro on each handler (utoipa): that would write every path
//! and method down a second time.
//!
//! What answers look like is said by their media type and in words alone; refusals have a schema.

mod operation;

use std::{collections::BTreeMap, sync::OnceLock};

use protocol::{PROBLEM_MEDIA_TYPE, Principal, Role};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

pub(crate) use operation::{Kind, Operation, delete, get, post, put, roles};

use crate::{
    access::{Access, PolicyError, Route},
    discovery, edge, event_api, service,
};

/// Methods that a route for any method stands for. `OPTIONS` is always a browser's question beforehand.
const ANY: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenApiError {
    /// A route without a description.
    #[error("{0} {1} is described nowhere: see the `describe.rs` of its part")]
    Undescribed(&'static str, &'static str),
    /// A description without a route.
    #[error("{0} {1} is described, and is no route")]
    NoRoute(&'static str, &'static str),
    /// The policies.
    #[error(transparent)]
    Policies(#[from] PolicyError),
    /// The document cannot be written.
    #[error("writing the document")]
    Json(#[from] serde_json::Error),
}

/// The document, with a line's end behind it.
pub fn document() -> Result<String, OpenApiError> {
    let mut described: BTreeMap<(&str, &str), Operation> = BTreeMap::new();
    let parts = [
        service::describe(),
        discovery::describe(),
        event_api::describe(),
        edge::describe(),
    ];
    for operation in parts.into_iter().flatten() {
        described.insert((operation.path, operation.method), operation);
    }
    let access = Access::brought()?;
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for (method, path, action) in service::routes() {
        let operation = described
            .remove(&(path, method))
            .ok_or(OpenApiError::Undescribed(method, path))?;
        let item = paths
            .entry(template(path))
            .or_insert_with(|| Value::Object(Map::new()));
        let methods: &[&str] = if method == "ANY" { &ANY } else { &[method] };
        for method in methods {
            let route = (*method, path, action);
            item[method.to_lowercase()] = shown(route, &operation, &access, &mut schemas);
        }
    }
    if let Some((_, extra)) = described.into_iter().next() {
        return Err(OpenApiError::NoRoute(extra.method, extra.path));
    }
    let mut components = schemas.take_definitions(true);
    components.insert("Problem".to_owned(), problem());
    let document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "NeuraScale gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Who is not refused may send `x-request-id`, and finds it in the answer. Who runs the \
                gateway names another site than their own in `x-neurascale-site`. Every refusal is a problem \
                (RFC 9457); one of a service behind `/svc/` is that service's own. Answers carry `RateLimit` and \
                `RateLimit-Policy`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": { "Problem": {
                "description": "Why it was refused or failed.",
                "content": {
                    PROBLEM_MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } },
                },
            } },
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "consul": {
                    "type": "apiKey", "in": "header", "name": "x-consul-token",
                    "description": "The same token, as Consul's clients bring it.",
                },
                "certificate": {
                    "type": "mutualTLS",
                    "description": "Of an enrolled device or service, from this gateway's authority.",
                },
            },
        },
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// The document, made once.
pub(crate) fn served() -> Result<&'static str, OpenApiError> {
    static MADE: OnceLock<String> = OnceLock::new();
    match MADE.get() {
        Some(made) => Ok(made),
        None => document().map(|made| MADE.get_or_init(|| made).as_str()),
    }
}

/// A path as OpenAPI writes it: it knows no rest of a path.
fn template(path: &str) -> String {
    path.replace("{*", "{")
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["status", "code"],
        "properties": {
            "status": { "type": "integer", "description": "HTTP status." },
            "code": {
                "type": "string",
                "description": "Short fixed name, `area.what`: what programs compare.",
            },
            "detail": { "type": "string", "description": "What happened and what to do, for people." },
            "request_id": { "type": "string" },
        },
    })
}

fn shown(
    (method, path, action): Route,
    operation: &Operation,
    access: &Access,
    schemas: &mut SchemaGenerator,
) -> Value {
    const SITE: &str = "site";
    let id: String = template(path)
        .chars()
        .filter(|c| !matches!(c, '{' | '}'))
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let may = |roles: Vec<Role>| {
        let principal = Principal {
            subject: "somebody".to_owned(),
            site: SITE.to_owned(),
            roles,
            consumer: "somebody".to_owned(),
        };
        access.decide(Some(&principal), action, SITE, None).allowed
    };
    let roles: Vec<Role> = Role::ALL
        .into_iter()
        .filter(|role| may(vec![*role]))
        .collect();
    let mut shown = json!({
        "operationId": format!("{}{id}", method.to_lowercase()),
        "summary": operation.summary,
        "tags": [operation.tag()],
        "x-neurascale-action": action,
        "x-neurascale-roles": roles,
        "parameters": operation.parameters(),
        "responses": operation.responses(),
    });
    shown["security"] = if access.decide(None, action, SITE, None).allowed {
        json!([])
    } else {
        json!([{ "bearer": [] }, { "consul": [] }, { "certificate": [] }])
    };
    if let Some(body) = operation.body(schemas) {
        shown["requestBody"] = body;
        shown["x-neurascale-max-body-bytes"] = operation.max_body_bytes.into();
    }
    shown
}
