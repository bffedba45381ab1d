//! The catalogue: what is registered, wherever it runs (`/v1/catalog`, `/v1/status`).

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    DATACENTER, Discovery, Fault,
    blocking::Asked,
    filter::Filter,
    model::{
        CHECKS, CheckDefinition, NODES, Node, Placed, SERVICES, Service, ServiceDefinition, body,
        write,
    },
};
use crate::state::Op;

pub(crate) fn router() -> Router<Discovery> {
    Router::new()
        .route(
            "/v1/catalog/datacenters",
            get(|| async { Json([DATACENTER]) }),
        )
        .route("/v1/catalog/services", get(services))
        .route("/v1/catalog/service/{name}", get(service))
        .route("/v1/catalog/nodes", get(nodes))
        .route("/v1/catalog/node/{node}", get(node))
        .route("/v1/catalog/register", put(register))
        .route("/v1/catalog/deregister", put(deregister))
        .route(
            "/v1/status/leader",
            get(|| async { Json("127.0.0.1:8300") }),
        )
        .route(
            "/v1/status/peers",
            get(|| async { Json(["127.0.0.1:8300"]) }),
        )
}

async fn services(State(discovery): State<Discovery>, asked: Asked) -> Result<Response, Fault> {
    let prefix = asked.key("");
    let headers = discovery.wait(&asked, &[(SERVICES, &prefix)]).await;
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for placed in discovery.services(&asked.site, None)? {
        names
            .entry(placed.service.name)
            .or_default()
            .extend(placed.service.tags);
    }
    // Consul's own service, which some clients take for the sign that it runs.
    names.entry("consul".to_owned()).or_default();
    Ok((headers, Json(names)).into_response())
}

fn placed_shown(placed: &Placed, node: &Value) -> Value {
    let service = &placed.service;
    json!({
        "ID": "", "Node": placed.node, "Address": node["Address"], "Datacenter": DATACENTER,
        "TaggedAddresses": null, "NodeMeta": node["Meta"],
        "ServiceID": service.id, "ServiceName": service.name, "ServiceTags": service.tags,
        "ServiceAddress": service.address, "ServicePort": service.port, "ServiceMeta": service.meta,
        "ServiceWeights": { "Passing": service.weights.0, "Warning": service.weights.1 },
        "ServiceEnableTagOverride": false,
        "CreateIndex": placed.item.created, "ModifyIndex": placed.item.modified,
    })
}

async fn service(
    State(discovery): State<Discovery>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    let prefix = asked.key("");
    let headers = discovery.wait(&asked, &[(SERVICES, &prefix)]).await;
    let filter = Filter::of(&asked)?;
    let mut shown = Vec::new();
    for placed in discovery.services(&asked.site, None)? {
        let tagged = asked
            .all("tag")
            .all(|tag| placed.service.tags.iter().any(|own| own == tag));
        if placed.service.name != name || !tagged {
            continue;
        }
        let node = discovery.node_shown(&asked.site, &placed.node)?;
        let one = placed_shown(&placed, &node);
        if filter.takes(&one) {
            shown.push(one);
        }
    }
    Ok((headers, Json(shown)).into_response())
}

async fn nodes(State(discovery): State<Discovery>, asked: Asked) -> Result<Response, Fault> {
    let prefix = asked.key("");
    let headers = discovery.wait(&asked, &[(NODES, &prefix)]).await;
    let filter = Filter::of(&asked)?;
    let mut shown = Vec::new();
    for item in discovery.state.list(NODES, &prefix) {
        let node = discovery.node_shown(&asked.site, &item.key[prefix.len()..])?;
        if filter.takes(&node) {
            shown.push(node);
        }
    }
    Ok((headers, Json(shown)).into_response())
}

async fn node(
    State(discovery): State<Discovery>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    let prefix = asked.key(&format!("{name}/"));
    let headers = discovery
        .wait(&asked, &[(SERVICES, &prefix), (NODES, &asked.key(&name))])
        .await;
    if discovery.state.get(NODES, &asked.key(&name)).is_none() {
        return Ok((headers, Json(Value::Null)).into_response());
    }
    let services: Map<String, Value> = discovery
        .services(&asked.site, Some(&name))?
        .iter()
        .map(|placed| {
            (
                placed.service.id.clone(),
                placed.service.shown(&placed.item),
            )
        })
        .collect();
    let node = discovery.node_shown(&asked.site, &name)?;
    Ok((headers, Json(json!({ "Node": node, "Services": services }))).into_response())
}

/// A service within a registration names itself `Service`, not `Name`.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "CatalogRegister")]
pub(super) struct Register {
    node: String,
    address: String,
    #[serde(default)]
    node_meta: Option<BTreeMap<String, String>>,
    #[serde(default)]
    #[schemars(with = "Option<ServiceDefinition>")]
    service: Option<Value>,
    #[serde(default)]
    check: Option<CheckDefinition>,
    #[serde(default)]
    checks: Option<Vec<CheckDefinition>>,
}

async fn register(
    State(discovery): State<Discovery>,
    asked: Asked,
    bytes: Bytes,
) -> Result<Response, Fault> {
    let request: Register = body(&bytes)?;
    if request.node.is_empty() || request.address.is_empty() || request.node.contains('/') {
        return Err(Fault::request("Must provide node and address"));
    }
    let node = Node {
        address: request.address,
        meta: request.node_meta.unwrap_or_default(),
    };
    let mut ops = vec![Op::put(NODES, asked.key(&request.node), write(&node)?)];
    let mut services = discovery.services(&asked.site, Some(&request.node))?;
    let mut own: Option<Service> = None;
    if let Some(mut value) = request.service {
        if let (None, Some(name)) = (value.get("Name"), value.get("Service").cloned()) {
            value["Name"] = name;
        }
        let definition: ServiceDefinition = serde_json::from_value(value)
            .map_err(|error| Fault::request(format!("Request decode failed: {error}")))?;
        let service = Service::from_definition(&definition)?;
        let key = asked.key(&format!("{}/{}", request.node, service.id));
        ops.push(Op::put(SERVICES, key, write(&service)?));
        own = Some(service);
    }
    let definitions = request
        .check
        .into_iter()
        .chain(request.checks.unwrap_or_default());
    for definition in definitions {
        let known = services
            .iter()
            .position(|placed| placed.service.id == definition.service_id);
        let known = known.map(|at| services.swap_remove(at).service);
        let of = own
            .as_ref()
            .filter(|service| service.id == definition.service_id)
            .or(known.as_ref());
        if of.is_none() && !definition.service_id.is_empty() {
            return Err(Fault::request("The check's service is not registered"));
        }
        let check = definition.check(of, definition.name.clone(), discovery.clock.now().0)?;
        if check.id.is_empty() || check.id.contains('/') {
            return Err(Fault::request("Must provide a check id without a slash"));
        }
        let key = asked.key(&format!("{}/{}", request.node, check.id));
        ops.push(Op::put(CHECKS, key, write(&check)?));
    }
    discovery.state.commit(ops).await?;
    Ok(Json(true).into_response())
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "CatalogDeregister")]
pub(super) struct Deregister {
    #[serde(rename = "Node")]
    node: String,
    #[serde(rename = "ServiceID", default)]
    service_id: String,
    #[serde(rename = "CheckID", default)]
    check_id: String,
}

async fn deregister(
    State(discovery): State<Discovery>,
    asked: Asked,
    bytes: Bytes,
) -> Result<Response, Fault> {
    let request: Deregister = body(&bytes)?;
    if request.node.is_empty() {
        return Err(Fault::request("Must provide node"));
    }
    if !request.service_id.is_empty() {
        discovery
            .remove_service(&asked.site, &request.node, &request.service_id)
            .await?;
    } else if !request.check_id.is_empty() {
        let key = asked.key(&format!("{}/{}", request.node, request.check_id));
        discovery
            .state
            .commit(vec![Op::delete(CHECKS, key)])
            .await?;
    } else {
        let prefix = asked.key(&format!("{}/", request.node));
        discovery
            .state
            .commit(vec![
                Op::delete(NODES, asked.key(&request.node)),
                Op::delete_tree(SERVICES, prefix.clone()),
                Op::delete_tree(CHECKS, prefix),
            ])
            .await?;
    }
    Ok(Json(true).into_response())
}
