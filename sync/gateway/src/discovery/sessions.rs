//! Sessions and the locks that they hold (`/v1/session`).

use std::time::Duration;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, put},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Discovery, Fault, NODE,
    blocking::Asked,
    durations,
    kv::{KV, encode, kept},
};
use crate::{
    limits::discovery as limits,
    state::{Expect, Item, Op, Space, StateError},
};

/// Sessions, by site and id.
pub(crate) const SESSIONS: Space = "sessions";
/// Until when a session lives, ns after 1970: apart, so that renewing it wakes nobody.
const DEADLINES: Space = "session_deadlines";
/// Until when a key cannot be locked again, ns after 1970.
pub(crate) const LOCK_DELAYS: Space = "lock_delays";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    name: String,
    node: String,
    lock_delay_ms: u64,
    /// Whether keys are deleted when it ends, not merely let go of.
    deletes: bool,
    ttl_s: Option<u64>,
}

/// Names in both spellings: Go reads them whatever their capitals, and some clients rely on it.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "PascalCase")]
#[schemars(rename = "SessionCreate")]
pub(super) struct Create {
    #[serde(alias = "lockdelay", alias = "lock_delay")]
    #[schemars(with = "Option<String>")]
    lock_delay: Option<Value>,
    #[serde(alias = "name")]
    name: String,
    #[serde(alias = "node")]
    node: String,
    #[serde(alias = "behavior")]
    behavior: String,
    #[serde(rename = "TTL", alias = "ttl")]
    ttl: String,
}

pub(crate) fn router() -> Router<Discovery> {
    Router::new()
        .route("/v1/session/create", put(create))
        .route("/v1/session/destroy/{id}", put(destroy))
        .route("/v1/session/info/{id}", get(info))
        .route("/v1/session/node/{node}", get(of_node))
        .route("/v1/session/list", get(list))
        .route("/v1/session/renew/{id}", put(renew))
}

fn read(item: &Item) -> Result<Kept, Fault> {
    serde_json::from_slice(&item.value).map_err(|error| {
        tracing::error!(%error, "a session cannot be read");
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "the session is damaged")
    })
}

fn shown(site: &str, item: &Item) -> Result<Value, Fault> {
    let kept = read(item)?;
    Ok(json!({
        "ID": &item.key[site.len() + 1..], "Name": kept.name, "Node": kept.node,
        "LockDelay": kept.lock_delay_ms.saturating_mul(1_000_000),
        "Behavior": if kept.deletes { "delete" } else { "release" },
        "TTL": kept.ttl_s.map_or(String::new(), |s| durations::render(Duration::from_secs(s))),
        "Checks": [], "NodeChecks": [], "ServiceChecks": null,
        "CreateIndex": item.created, "ModifyIndex": item.modified,
    }))
}

/// A length as a text, or as a number of nanoseconds as Go's programs send it.
fn length(value: &Value) -> Option<Duration> {
    match value {
        Value::String(text) => durations::parse(text),
        Value::Number(nanos) => nanos.as_u64().map(|value| {
            // Consul takes a small number for seconds.
            if value < 1_000 {
                Duration::from_secs(value)
            } else {
                Duration::from_nanos(value)
            }
        }),
        _ => None,
    }
}

async fn create(
    State(discovery): State<Discovery>,
    asked: Asked,
    body: Bytes,
) -> Result<Response, Fault> {
    let request: Create = if body.is_empty() {
        Create::default()
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| Fault::request(format!("Request decode failed: {error}")))?
    };
    let lock_delay = match &request.lock_delay {
        None => limits::LOCK_DELAY,
        Some(value) => length(value).ok_or_else(|| Fault::request("Invalid LockDelay"))?,
    };
    let ttl = if request.ttl.is_empty() {
        None
    } else {
        let (least, most) = limits::SESSION_TTL;
        let ttl = durations::parse(&request.ttl)
            .filter(|ttl| (least..=most).contains(ttl))
            .ok_or_else(|| Fault::request("Invalid Session TTL: between 10s and 24h is due"))?;
        Some(ttl)
    };
    let deletes = match request.behavior.as_str() {
        "" | "release" => false,
        "delete" => true,
        other => {
            return Err(Fault::request(format!(
                "Invalid Behavior setting '{other}'"
            )));
        }
    };
    let kept = Kept {
        name: request.name,
        node: if request.node.is_empty() {
            NODE.to_owned()
        } else {
            request.node
        },
        lock_delay_ms: u64::try_from(lock_delay.min(limits::LOCK_DELAY_AT_MOST).as_millis())
            .unwrap_or(0),
        deletes,
        ttl_s: ttl.map(|ttl| ttl.as_secs()),
    };
    let id = discovery.ids.next(discovery.clock.now()).to_string();
    let key = asked.key(&id);
    let value = serde_json::to_vec(&kept).map_err(|error| Fault::request(error.to_string()))?;
    let mut ops = vec![Op::put(SESSIONS, &key, value)];
    ops.extend(ttl.map(|ttl| Op::put(DEADLINES, &key, discovery.deadline(ttl))));
    discovery.state.commit(ops).await?;
    Ok(Json(json!({ "ID": id })).into_response())
}

async fn destroy(
    State(discovery): State<Discovery>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    discovery.end_session(&asked.site, &id).await?;
    Ok(Json(true).into_response())
}

async fn info(
    State(discovery): State<Discovery>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    let key = asked.key(&id);
    let headers = discovery.wait(&asked, &[(SESSIONS, &key)]).await;
    let found = discovery.state.get(SESSIONS, &key);
    let shown: Result<Vec<_>, _> = found.iter().map(|item| shown(&asked.site, item)).collect();
    Ok((headers, Json(shown?)).into_response())
}

async fn of_node(
    State(discovery): State<Discovery>,
    Path(node): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    all(&discovery, &asked, Some(&node)).await
}

async fn list(State(discovery): State<Discovery>, asked: Asked) -> Result<Response, Fault> {
    all(&discovery, &asked, None).await
}

async fn all(discovery: &Discovery, asked: &Asked, node: Option<&str>) -> Result<Response, Fault> {
    let prefix = asked.key("");
    let headers = discovery.wait(asked, &[(SESSIONS, &prefix)]).await;
    let items = discovery.state.list(SESSIONS, &prefix);
    let mut shown: Vec<Value> = items
        .iter()
        .map(|item| shown(&asked.site, item))
        .collect::<Result<_, _>>()?;
    shown.retain(|session| node.is_none_or(|node| session["Node"] == node));
    Ok((headers, Json(shown)).into_response())
}

async fn renew(
    State(discovery): State<Discovery>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    let key = asked.key(&id);
    let unknown = || {
        Fault::new(
            StatusCode::NOT_FOUND,
            format!("Session id '{id}' not found"),
        )
    };
    let item = discovery.state.get(SESSIONS, &key).ok_or_else(unknown)?;
    if let Some(ttl_s) = read(&item)?.ttl_s {
        let renewed = discovery
            .state
            .commit(vec![
                Op::require(SESSIONS, &key, Expect::Present),
                Op::put(
                    DEADLINES,
                    &key,
                    discovery.deadline(Duration::from_secs(ttl_s)),
                ),
            ])
            .await;
        match renewed {
            Ok(_) => {}
            Err(StateError::Conflict { .. }) => return Err(unknown()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Json([shown(&asked.site, &item)?]).into_response())
}

impl Discovery {
    /// A session ends at twice its time to live, as in Consul: a renewal that is late is not too late.
    fn deadline(&self, ttl: Duration) -> String {
        let nanos = i64::try_from((ttl * 2).as_nanos()).unwrap_or(i64::MAX);
        self.clock.now().0.saturating_add(nanos).to_string()
    }

    /// Ends a session and lets go of what it holds.
    pub(crate) async fn end_session(&self, site: &str, id: &str) -> Result<(), Fault> {
        let key = format!("{site}/{id}");
        let Some(item) = self.state.get(SESSIONS, &key) else {
            return Ok(());
        };
        let session = read(&item)?;
        // First the session: from then on no key can be locked with it.
        self.state
            .commit(vec![
                Op::delete(SESSIONS, &key),
                Op::delete(DEADLINES, &key),
            ])
            .await?;
        let delay = i64::try_from(session.lock_delay_ms)
            .unwrap_or(0)
            .saturating_mul(1_000_000);
        let until = self.clock.now().0.saturating_add(delay).to_string();
        for item in self.state.list(KV, &format!("{site}/")) {
            // Who changes the key meanwhile leaves its holder as it was: then it is let go of once more.
            let mut current = Some(item);
            while let Some(item) = current.take() {
                let mut held = kept(&item)?;
                if held.session.as_deref() != Some(id) {
                    break;
                }
                held.session = None;
                let mut ops = vec![Op::require(KV, &item.key, Expect::Modified(item.modified))];
                ops.push(if session.deletes {
                    Op::delete(KV, &item.key)
                } else {
                    Op::put(KV, &item.key, encode(&held)?)
                });
                if delay > 0 {
                    ops.push(Op::put(LOCK_DELAYS, &item.key, until.clone()));
                }
                match self.state.commit(ops).await {
                    Ok(_) => {}
                    Err(StateError::Conflict { .. }) => current = self.state.get(KV, &item.key),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Ends sessions that were not renewed, and forgets delays that are over.
    pub(crate) async fn sweep_sessions(&self) -> Result<(), Fault> {
        let now = self.clock.now().0;
        let over = |item: &Item| {
            String::from_utf8_lossy(&item.value)
                .parse::<i64>()
                .map_or(true, |until| until <= now)
        };
        for item in self.state.list(DEADLINES, "") {
            if over(&item)
                && let Some((site, id)) = item.key.split_once('/')
            {
                self.end_session(site, id).await?;
            }
        }
        for item in self.state.list(LOCK_DELAYS, "") {
            if over(&item) {
                self.state
                    .commit(vec![Op::delete(LOCK_DELAYS, &item.key)])
                    .await?;
            }
        }
        Ok(())
    }
}
