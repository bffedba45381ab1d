//! How services, nodes and checks are (`/v1/health`).

use std::collections::HashMap;

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use super::{
    Discovery, Fault,
    blocking::Asked,
    filter::Filter,
    model::{CHECKS, PlacedCheck, SERVICES, Status},
};

pub(crate) fn router() -> Router<Discovery> {
    Router::new()
        .route("/v1/health/service/{name}", get(service))
        .route("/v1/health/checks/{name}", get(of_service))
        .route("/v1/health/node/{node}", get(of_node))
        .route("/v1/health/state/{state}", get(of_state))
}

impl PlacedCheck {
    /// Whether it speaks of this service: its own, or the whole node's.
    fn concerns(&self, node: &str, service_id: &str) -> bool {
        let own = self.check.service_id.is_empty() || self.check.service_id == service_id;
        self.node == node && own
    }
}

async fn service(
    State(discovery): State<Discovery>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    let prefix = asked.key("");
    let headers = discovery
        .wait(&asked, &[(SERVICES, &prefix), (CHECKS, &prefix)])
        .await;
    let filter = Filter::of(&asked)?;
    let passing = asked
        .get("passing")
        .is_some_and(|value| value != "false" && value != "0");
    let checks = discovery.checks(&asked.site, None)?;
    let mut nodes: HashMap<String, Value> = HashMap::new();
    let mut shown = Vec::new();
    for placed in discovery.services(&asked.site, None)? {
        let tagged = asked
            .all("tag")
            .all(|tag| placed.service.tags.iter().any(|own| own == tag));
        if placed.service.name != name || !tagged {
            continue;
        }
        let own: Vec<_> = checks
            .iter()
            .filter(|check| check.concerns(&placed.node, &placed.service.id))
            .collect();
        if passing && own.iter().any(|one| one.check.status != Status::Passing) {
            continue;
        }
        let node = match nodes.get(&placed.node) {
            Some(node) => node.clone(),
            None => {
                let node = discovery.node_shown(&asked.site, &placed.node)?;
                nodes.insert(placed.node.clone(), node.clone());
                node
            }
        };
        let own: Vec<_> = own
            .iter()
            .map(|one| one.check.shown(&one.node, &one.item))
            .collect();
        let one = json!({
            "Node": node, "Service": placed.service.shown(&placed.item), "Checks": own,
        });
        if filter.takes(&one) {
            shown.push(one);
        }
    }
    Ok((headers, Json(shown)).into_response())
}

async fn checks_where(
    discovery: &Discovery,
    asked: &Asked,
    wanted: impl Fn(&PlacedCheck) -> bool,
) -> Result<Response, Fault> {
    let prefix = asked.key("");
    let headers = discovery.wait(asked, &[(CHECKS, &prefix)]).await;
    let filter = Filter::of(asked)?;
    let mut checks = discovery.checks(&asked.site, None)?;
    checks.retain(wanted);
    let mut shown: Vec<_> = checks
        .iter()
        .map(|placed| placed.check.shown(&placed.node, &placed.item))
        .collect();
    shown.retain(|check| filter.takes(check));
    Ok((headers, Json(shown)).into_response())
}

async fn of_service(
    State(discovery): State<Discovery>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    checks_where(&discovery, &asked, |placed| {
        placed.check.service_name == name
    })
    .await
}

async fn of_node(
    State(discovery): State<Discovery>,
    Path(node): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    checks_where(&discovery, &asked, |placed| placed.node == node).await
}

async fn of_state(
    State(discovery): State<Discovery>,
    Path(state): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    let wanted = match state.as_str() {
        "any" => None,
        text => Some(Status::parse(text).ok_or_else(|| Fault::request("Invalid state"))?),
    };
    checks_where(&discovery, &asked, |placed| {
        wanted.is_none_or(|status| placed.check.status == status)
    })
    .await
}
