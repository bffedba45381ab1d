//! Blocking queries: an answer that waits until what it tells of has changed.

use std::{collections::HashMap, time::Duration};

use axum::{
    extract::{FromRequestParts, Query},
    http::{HeaderMap, HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};
use protocol::Principal;

use super::{Discovery, Fault, durations};
use crate::{limits::discovery as limits, state::Space};

/// What every request of Consul's clients may bring: the site of who asks, and its parameters.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) site: String,
    pub(crate) parameters: Vec<(String, String)>,
    index: u64,
    wait: Duration,
}

impl Asked {
    /// Whether a parameter is there, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let of_name = self
            .parameters
            .iter()
            .filter(move |(known, _)| known == name);
        of_name.map(|(_, value)| value.as_str())
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        self.get(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| Fault::request(format!("Invalid {name}")))
            })
            .transpose()
    }

    /// A key of the state that belongs to the site.
    pub(crate) fn key(&self, rest: &str) -> String {
        format!("{}/{rest}", self.site)
    }
}

impl FromRequestParts<Discovery> for Asked {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, discovery: &Discovery) -> Result<Self, Fault> {
        let site = parts
            .extensions
            .get::<Principal>()
            .map(|principal| principal.site.clone());
        let Query(parameters) = Query::<Vec<(String, String)>>::from_request_parts(parts, &())
            .await
            .map_err(|_| Fault::request("Invalid query"))?;
        let first: HashMap<&str, &str> = parameters
            .iter()
            .rev()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let index = match first.get("index") {
            None | Some(&"") => 0,
            Some(text) => text.parse().map_err(|_| Fault::request("Invalid index"))?,
        };
        let wait = match first.get("wait") {
            None | Some(&"") => limits::WAIT,
            Some(text) => {
                durations::parse(text).ok_or_else(|| Fault::request("Invalid wait time"))?
            }
        };
        Ok(Self {
            site: site.unwrap_or_else(|| discovery.site.to_string()),
            wait: wait.min(limits::WAIT_AT_MOST),
            index,
            parameters,
        })
    }
}

impl Discovery {
    /// Waits as the query asks; the headers of the answer, which is to be read from the state after this.
    pub(crate) async fn wait(&self, asked: &Asked, watched: &[(Space, &str)]) -> HeaderMap {
        let index = || {
            watched
                .iter()
                .map(|(space, prefix)| self.state.index(space, prefix))
                .max()
                .unwrap_or(0)
                // A query that waits behind 0 would not wait at all.
                .max(1)
        };
        if asked.index > 0 && index() <= asked.index {
            // A part of the wait that follows from the moment: enough to keep many from ending at once.
            let spread = u128::from(self.clock.now().unix_millis() % 997);
            let longest = asked.wait / limits::WAIT_JITTER_PART;
            let jitter =
                Duration::from_nanos(u64::try_from(longest.as_nanos() * spread / 997).unwrap_or(0));
            let mut closing = self.closing.subscribe();
            tokio::select! {
                _ = self.state.wait(watched, asked.index, asked.wait + jitter) => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        }
        headers(index())
    }
}

/// What Consul's clients read of an answer.
pub(crate) fn headers(index: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-consul-index", HeaderValue::from(index));
    headers.insert("x-consul-knownleader", HeaderValue::from_static("true"));
    headers.insert("x-consul-lastcontact", HeaderValue::from_static("0"));
    headers
}

/// An answer for what is not there; its index can be waited behind.
pub(crate) fn absent(headers: HeaderMap) -> Response {
    (headers, Fault::new(StatusCode::NOT_FOUND, "No such key")).into_response()
}
