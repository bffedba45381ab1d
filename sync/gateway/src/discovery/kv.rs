//! Keys and values (`/v1/kv`).

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Discovery, Fault,
    blocking::{Asked, absent},
    sessions::{LOCK_DELAYS, SESSIONS},
};
use crate::state::{Expect, Item, Op, Space, StateError};

/// Values, by site and key.
pub(crate) const KV: Space = "kv";

/// A value as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Base64.
    value: String,
    #[serde(default)]
    flags: u64,
    #[serde(default)]
    lock_index: u64,
    /// The session that holds it as a lock.
    #[serde(default)]
    pub(crate) session: Option<String>,
}

pub(crate) fn router() -> Router<Discovery> {
    Router::new()
        .route("/v1/kv/", get(read_all).delete(delete_all))
        .route("/v1/kv/{*key}", get(read).put(write).delete(delete))
}

pub(crate) fn kept(item: &Item) -> Result<Kept, Fault> {
    serde_json::from_slice(&item.value).map_err(|error| {
        tracing::error!(%error, "a value cannot be read");
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "the value is damaged")
    })
}

pub(crate) fn encode(kept: &Kept) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(kept)
        .map_err(|error| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn shown(site: &str, item: &Item) -> Result<Value, Fault> {
    let kept = kept(item)?;
    // A value of no bytes is null in Consul's JSON.
    let value = (!kept.value.is_empty()).then_some(kept.value);
    let mut shown = json!({
        "LockIndex": kept.lock_index, "Key": &item.key[site.len() + 1..], "Flags": kept.flags,
        "Value": value, "CreateIndex": item.created, "ModifyIndex": item.modified,
    });
    if let Some(session) = kept.session {
        shown["Session"] = session.into();
    }
    Ok(shown)
}

async fn read_all(state: State<Discovery>, asked: Asked) -> Result<Response, Fault> {
    look(state, asked, "").await
}

async fn read(
    state: State<Discovery>,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    look(state, asked, &key).await
}

async fn look(
    State(discovery): State<Discovery>,
    asked: Asked,
    key: &str,
) -> Result<Response, Fault> {
    let full = asked.key(key);
    let headers = discovery.wait(&asked, &[(KV, &full)]).await;
    if asked.has("keys") {
        let separator = asked.get("separator").unwrap_or_default();
        let mut keys: Vec<String> = Vec::new();
        for item in discovery.state.list(KV, &full) {
            let whole = &item.key[asked.site.len() + 1..];
            let rest = &whole[key.len()..];
            let end = if separator.is_empty() {
                None
            } else {
                rest.find(separator)
            };
            let shown = end.map_or(whole, |at| &whole[..key.len() + at + separator.len()]);
            if keys.last().is_none_or(|last| last != shown) {
                keys.push(shown.to_owned());
            }
        }
        if keys.is_empty() {
            return Ok(absent(headers));
        }
        return Ok((headers, Json(keys)).into_response());
    }
    if asked.has("recurse") {
        let items = discovery.state.list(KV, &full);
        if items.is_empty() {
            return Ok(absent(headers));
        }
        let items: Result<Vec<_>, _> = items.iter().map(|item| shown(&asked.site, item)).collect();
        return Ok((headers, Json(items?)).into_response());
    }
    if key.is_empty() {
        return Err(Fault::request("Missing key name"));
    }
    let Some(item) = discovery.state.get(KV, &full) else {
        return Ok(absent(headers));
    };
    if asked.has("raw") {
        let value = BASE64_STANDARD
            .decode(kept(&item)?.value)
            .map_err(|_| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "the value is damaged"))?;
        let raw = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            // A value is nobody's page: it runs nothing where a browser shows it.
            (header::CONTENT_SECURITY_POLICY, "sandbox"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        return Ok((headers, raw, value).into_response());
    }
    Ok((headers, Json([shown(&asked.site, &item)?])).into_response())
}

async fn write(
    State(discovery): State<Discovery>,
    Path(key): Path<String>,
    asked: Asked,
    body: Bytes,
) -> Result<Response, Fault> {
    let full = asked.key(&key);
    let flags = asked.number("flags")?.unwrap_or(0);
    let cas = asked.number("cas")?;
    let (acquire, release) = (asked.get("acquire"), asked.get("release"));
    if [cas.is_some(), acquire.is_some(), release.is_some()]
        .iter()
        .filter(|x| **x)
        .count()
        > 1
    {
        return Err(Fault::request(
            "Conflicting flags: cas, acquire and release exclude each other",
        ));
    }
    // Somebody else may change the key between reading and writing it: then what was decided is decided anew.
    loop {
        let before = discovery.state.get(KV, &full);
        let old = before.as_deref().map(kept).transpose()?;
        let mut new = Kept {
            value: BASE64_STANDARD.encode(&body),
            flags,
            ..old.clone().unwrap_or_default()
        };
        let mut ops = vec![match &before {
            Some(item) => Op::require(KV, &full, Expect::Modified(item.modified)),
            None => Op::require(KV, &full, Expect::Absent),
        }];
        if let Some(cas) = cas {
            if before.as_ref().map_or(0, |item| item.modified) != cas {
                return Ok(Json(false).into_response());
            }
        } else if let Some(session) = acquire {
            let held = asked.key(session);
            if discovery.state.get(SESSIONS, &held).is_none() {
                // Consul says 500; but nothing has failed, and trying again does not help.
                return Err(Fault::request(format!("invalid session {session:?}")));
            }
            match &new.session {
                Some(holder) if holder != session => return Ok(Json(false).into_response()),
                Some(_) => {}
                None => {
                    if discovery.is_delayed(&full) {
                        return Ok(Json(false).into_response());
                    }
                    new.session = Some(session.to_owned());
                    new.lock_index += 1;
                }
            }
            // Ended meanwhile, it holds nothing.
            ops.push(Op::require(SESSIONS, held, Expect::Present));
        } else if let Some(session) = release {
            if new.session.as_deref() != Some(session) {
                return Ok(Json(false).into_response());
            }
            new.session = None;
        }
        ops.push(Op::put(KV, &full, encode(&new)?));
        match discovery.state.commit(ops).await {
            Ok(_) => return Ok(Json(true).into_response()),
            Err(StateError::Conflict { .. }) if cas.is_some() => {
                return Ok(Json(false).into_response());
            }
            Err(StateError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn delete_all(state: State<Discovery>, asked: Asked) -> Result<Response, Fault> {
    remove(state, asked, "").await
}

async fn delete(
    state: State<Discovery>,
    Path(key): Path<String>,
    asked: Asked,
) -> Result<Response, Fault> {
    remove(state, asked, &key).await
}

async fn remove(
    State(discovery): State<Discovery>,
    asked: Asked,
    key: &str,
) -> Result<Response, Fault> {
    let full = asked.key(key);
    let op = if asked.has("recurse") {
        vec![Op::delete_tree(KV, full)]
    } else if key.is_empty() {
        return Err(Fault::request("Missing key name"));
    } else if let Some(cas) = asked.number("cas")? {
        if cas == 0 {
            return Err(Fault::request("cas=0 cannot be used with DELETE"));
        }
        vec![
            Op::require(KV, &full, Expect::Modified(cas)),
            Op::delete(KV, full),
        ]
    } else {
        vec![Op::delete(KV, full)]
    };
    match discovery.state.commit(op).await {
        Ok(_) => Ok(Json(true).into_response()),
        Err(StateError::Conflict { .. }) => Ok(Json(false).into_response()),
        Err(error) => Err(error.into()),
    }
}

impl Discovery {
    /// Whether a key was held by a session that was invalidated a short while ago.
    fn is_delayed(&self, full: &str) -> bool {
        let Some(item) = self.state.get(LOCK_DELAYS, full) else {
            return false;
        };
        let until = String::from_utf8_lossy(&item.value)
            .parse()
            .unwrap_or(0_i64);
        self.clock.now().0 < until
    }
}
