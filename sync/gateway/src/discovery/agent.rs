//! What an agent is asked beside a service: registering, deregistering, reporting (`/v1/agent`).

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, put},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    DATACENTER, Discovery, Fault, NODE,
    blocking::Asked,
    model::{
        CHECKS, Check, CheckDefinition, DEADLINES, NODES, Node, Probe, SERVICES, Service,
        ServiceDefinition, Status, body, read, write,
    },
};
use crate::state::{Expect, Op, StateError};

pub(crate) fn router() -> Router<Discovery> {
    Router::new()
        .route("/v1/agent/self", get(own))
        .route("/v1/agent/services", get(services))
        .route("/v1/agent/service/{id}", get(service))
        .route("/v1/agent/checks", get(checks))
        .route("/v1/agent/service/register", put(register))
        .route("/v1/agent/service/deregister/{id}", put(deregister))
        .route("/v1/agent/service/maintenance/{id}", put(maintenance))
        .route("/v1/agent/check/register", put(register_check))
        .route("/v1/agent/check/deregister/{id}", put(deregister_check))
        .route("/v1/agent/check/pass/{id}", put(pass))
        .route("/v1/agent/check/warn/{id}", put(warn))
        .route("/v1/agent/check/fail/{id}", put(fail))
        .route("/v1/agent/check/update/{id}", put(update))
}

async fn own() -> Json<Value> {
    Json(json!({
        "Config": {
            "Datacenter": DATACENTER, "NodeName": NODE, "Server": true,
            "Version": env!("CARGO_PKG_VERSION"),
        },
        "Member": { "Name": NODE, "Status": 1 },
    }))
}

async fn services(State(discovery): State<Discovery>, asked: Asked) -> Result<Response, Fault> {
    let services = discovery.services(&asked.site, Some(NODE))?;
    let shown: Map<String, Value> = services
        .iter()
        .map(|placed| {
            (
                placed.service.id.clone(),
                placed.service.shown(&placed.item),
            )
        })
        .collect();
    Ok(Json(shown).into_response())
}

async fn service(
    State(discovery): State<Discovery>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    let key = asked.key(&format!("{NODE}/{id}"));
    let item = discovery
        .state
        .get(SERVICES, &key)
        .ok_or_else(|| unknown_service(&id))?;
    Ok(Json(read::<Service>(&item)?.shown(&item)).into_response())
}

async fn checks(State(discovery): State<Discovery>, asked: Asked) -> Result<Response, Fault> {
    let checks = discovery.checks(&asked.site, Some(NODE))?;
    let shown: Map<String, Value> = checks
        .iter()
        .map(|placed| {
            (
                placed.check.id.clone(),
                placed.check.shown(&placed.node, &placed.item),
            )
        })
        .collect();
    Ok(Json(shown).into_response())
}

fn unknown_service(id: &str) -> Fault {
    let text = format!(
        "Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name."
    );
    Fault::new(StatusCode::NOT_FOUND, text)
}

fn unknown_check(id: &str) -> Fault {
    let text =
        format!("Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name.");
    Fault::new(StatusCode::NOT_FOUND, text)
}

/// What enters the node that services register on, where it is not there yet.
pub(crate) fn node_ops(
    discovery: &Discovery,
    site: &str,
    name: &str,
    node: &Node,
) -> Result<Vec<Op>, Fault> {
    let key = format!("{site}/{name}");
    if discovery.state.get(NODES, &key).is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![Op::put(NODES, key, write(node)?)])
}

async fn register(
    State(discovery): State<Discovery>,
    asked: Asked,
    bytes: Bytes,
) -> Result<StatusCode, Fault> {
    let definition: ServiceDefinition = body(&bytes)?;
    let service = Service::from_definition(&definition)?;
    let now_ns = discovery.clock.now().0;
    let own = Node {
        address: "127.0.0.1".to_owned(),
        ..Node::default()
    };
    let mut ops = node_ops(&discovery, &asked.site, NODE, &own)?;
    let key = asked.key(&format!("{NODE}/{}", service.id));
    ops.push(Op::put(SERVICES, key, write(&service)?));
    let definitions: Vec<_> = definition.check.iter().chain(&definition.checks).collect();
    let replaces = asked.has("replace-existing-checks");
    let mut ids = Vec::new();
    for (number, one) in definitions.iter().enumerate() {
        let default_id = match definitions.len() {
            1 => format!("service:{}", service.id),
            _ => format!("service:{}:{}", service.id, number + 1),
        };
        let mut check = one.check(Some(&service), default_id, now_ns)?;
        let key = asked.key(&format!("{NODE}/{}", check.id));
        // Registered again, a check is as it was found to be, not as if nothing were known of it.
        if one.status.is_empty()
            && let Some(item) = discovery.state.get(CHECKS, &key)
        {
            let before: Check = read(&item)?;
            if before.probe == check.probe {
                check.status = before.status;
                check.output = before.output;
                check.critical_since_ns = before.critical_since_ns;
            }
        }
        ops.extend(check_ops(&discovery, key, &check)?);
        ids.push(check.id);
    }
    for placed in discovery.checks(&asked.site, Some(NODE))? {
        let obsolete = placed.check.service_id == service.id && !ids.contains(&placed.check.id);
        if obsolete && replaces {
            ops.push(Op::delete(CHECKS, placed.item.key.clone()));
        }
    }
    discovery.state.commit(ops).await?;
    Ok(StatusCode::OK)
}

/// What enters a check, and for how long what it reports is believed.
pub(crate) fn check_ops(
    discovery: &Discovery,
    key: String,
    check: &Check,
) -> Result<Vec<Op>, Fault> {
    let mut ops = Vec::new();
    if let Probe::Ttl { ttl_ms } = check.probe {
        ops.push(Op::put(DEADLINES, &key, deadline(discovery, ttl_ms)));
    }
    ops.push(Op::put(CHECKS, key, write(check)?));
    Ok(ops)
}

fn deadline(discovery: &Discovery, ttl_ms: u64) -> String {
    let nanos = i64::try_from(ttl_ms)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000);
    discovery.clock.now().0.saturating_add(nanos).to_string()
}

impl Discovery {
    /// Removes a service and its checks; whether it was there.
    pub(crate) async fn remove_service(
        &self,
        site: &str,
        node: &str,
        id: &str,
    ) -> Result<bool, Fault> {
        let key = format!("{site}/{node}/{id}");
        if self.state.get(SERVICES, &key).is_none() {
            return Ok(false);
        }
        let mut ops = vec![Op::delete(SERVICES, key)];
        for placed in self.checks(site, Some(node))? {
            if placed.check.service_id == id {
                ops.push(Op::delete(CHECKS, placed.item.key.clone()));
                ops.push(Op::delete(DEADLINES, placed.item.key.clone()));
            }
        }
        self.state.commit(ops).await?;
        Ok(true)
    }
}

async fn deregister(
    State(discovery): State<Discovery>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<StatusCode, Fault> {
    if discovery.remove_service(&asked.site, NODE, &id).await? {
        Ok(StatusCode::OK)
    } else {
        Err(unknown_service(&id))
    }
}

async fn maintenance(
    State(discovery): State<Discovery>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<StatusCode, Fault> {
    let on = match asked.get("enable") {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(Fault::request("Missing value for enable")),
    };
    let key = asked.key(&format!("{NODE}/{id}"));
    let item = discovery
        .state
        .get(SERVICES, &key)
        .ok_or_else(|| unknown_service(&id))?;
    let service: Service = read(&item)?;
    let check_id = format!("_service_maintenance:{id}");
    let check_key = asked.key(&format!("{NODE}/{check_id}"));
    if !on {
        discovery
            .state
            .commit(vec![Op::delete(CHECKS, check_key)])
            .await?;
        return Ok(StatusCode::OK);
    }
    let definition = CheckDefinition {
        name: "Service Maintenance Mode".to_owned(),
        notes: asked
            .get("reason")
            .unwrap_or("Maintenance mode is on")
            .to_owned(),
        status: "critical".to_owned(),
        ..CheckDefinition::default()
    };
    let check = definition.check(Some(&service), check_id, discovery.clock.now().0)?;
    discovery
        .state
        .commit(vec![
            Op::require(SERVICES, key, Expect::Present),
            Op::put(CHECKS, check_key, write(&check)?),
        ])
        .await?;
    Ok(StatusCode::OK)
}

async fn register_check(
    State(discovery): State<Discovery>,
    asked: Asked,
    bytes: Bytes,
) -> Result<StatusCode, Fault> {
    let definition: CheckDefinition = body(&bytes)?;
    let service = if definition.service_id.is_empty() {
        None
    } else {
        let key = asked.key(&format!("{NODE}/{}", definition.service_id));
        let item = discovery
            .state
            .get(SERVICES, &key)
            .ok_or_else(|| unknown_service(&definition.service_id))?;
        Some(read::<Service>(&item)?)
    };
    if definition.name.is_empty() && definition.id.is_empty() {
        return Err(Fault::request("Missing check name"));
    }
    let check = definition.check(
        service.as_ref(),
        definition.name.clone(),
        discovery.clock.now().0,
    )?;
    if check.id.contains('/') {
        return Err(Fault::request("A check's id has no slash"));
    }
    let key = asked.key(&format!("{NODE}/{}", check.id));
    discovery
        .state
        .commit(check_ops(&discovery, key, &check)?)
        .await?;
    Ok(StatusCode::OK)
}

async fn deregister_check(
    State(discovery): State<Discovery>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<StatusCode, Fault> {
    let key = asked.key(&format!("{NODE}/{id}"));
    if discovery.state.get(CHECKS, &key).is_none() {
        return Err(unknown_check(&id));
    }
    discovery
        .state
        .commit(vec![Op::delete(CHECKS, &key), Op::delete(DEADLINES, key)])
        .await?;
    Ok(StatusCode::OK)
}

async fn pass(
    state: State<Discovery>,
    id: Path<String>,
    asked: Asked,
) -> Result<StatusCode, Fault> {
    report(state, id, asked, Status::Passing).await
}

async fn warn(
    state: State<Discovery>,
    id: Path<String>,
    asked: Asked,
) -> Result<StatusCode, Fault> {
    report(state, id, asked, Status::Warning).await
}

async fn fail(
    state: State<Discovery>,
    id: Path<String>,
    asked: Asked,
) -> Result<StatusCode, Fault> {
    report(state, id, asked, Status::Critical).await
}

async fn report(
    State(discovery): State<Discovery>,
    Path(id): Path<String>,
    asked: Asked,
    status: Status,
) -> Result<StatusCode, Fault> {
    let note = asked.get("note").unwrap_or_default();
    discovery.reported(&asked.site, &id, status, note).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "CheckUpdate")]
pub(super) struct Update {
    #[serde(default)]
    status: String,
    #[serde(default)]
    output: String,
}

async fn update(
    State(discovery): State<Discovery>,
    Path(id): Path<String>,
    asked: Asked,
    bytes: Bytes,
) -> Result<StatusCode, Fault> {
    let update: Update = body(&bytes)?;
    let status = match update.status.as_str() {
        "" => Status::Passing,
        text => Status::parse(text)
            .ok_or_else(|| Fault::request(format!("Invalid check status: '{text}'")))?,
    };
    discovery
        .reported(&asked.site, &id, status, &update.output)
        .await
}

impl Discovery {
    /// Takes over what a check that reports by itself says.
    async fn reported(
        &self,
        site: &str,
        id: &str,
        status: Status,
        output: &str,
    ) -> Result<StatusCode, Fault> {
        let key = format!("{site}/{NODE}/{id}");
        loop {
            let item = self
                .state
                .get(CHECKS, &key)
                .ok_or_else(|| unknown_check(id))?;
            let mut check: Check = read(&item)?;
            let Probe::Ttl { ttl_ms } = check.probe else {
                let text = format!("CheckID {id:?} does not have associated TTL");
                return Err(Fault::new(StatusCode::NOT_FOUND, text));
            };
            check.set(status, output, self.clock.now().0);
            let written = self
                .state
                .commit(vec![
                    Op::require(CHECKS, &key, Expect::Modified(item.modified)),
                    Op::put(DEADLINES, &key, deadline(self, ttl_ms)),
                    Op::put(CHECKS, &key, write(&check)?),
                ])
                .await;
            match written {
                Ok(_) => return Ok(StatusCode::OK),
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
