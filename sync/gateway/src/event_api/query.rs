//! Which events are wanted, from where.

use std::collections::BTreeSet;

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use events::{EventType, Filter, From, Position, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use super::fault::bad_request;
use crate::{Failure, limits::events as limits};

/// The query of a read or a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Types, with commas between.
    #[serde(default, rename = "type")]
    types: String,
    correlation: Option<Uuid>,
    after: Option<u64>,
    time: Option<String>,
    pub(super) limit: Option<usize>,
}

impl Wanted {
    pub(super) fn filter(&self, site: &str) -> Result<Filter, Failure> {
        let types = self.types.split(',').filter(|kind| !kind.is_empty());
        filter(site, types.map(str::to_owned), self.correlation)
    }

    /// Where to begin, if it is said.
    pub(super) fn start(&self) -> Result<Option<From>, Failure> {
        Self::start_at(self.after, self.time.as_deref())
    }

    pub(super) fn start_at(
        position: Option<u64>,
        time: Option<&str>,
    ) -> Result<Option<From>, Failure> {
        match (position, time) {
            (Some(_), Some(_)) => Err(bad_request(
                "query.malformed",
                "begin after a position or at a time, not both",
            )),
            (Some(position), None) => after(position).map(Some),
            (None, Some(time)) => time_of(time).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// A position that every log can count to.
pub(super) fn after(position: u64) -> Result<From, Failure> {
    if i64::try_from(position).is_err() {
        return Err(bad_request("query.malformed", "there is no such position"));
    }
    Ok(From::After(Position(position)))
}

pub(super) fn time_of(text: &str) -> Result<From, Failure> {
    let time: Result<Timestamp, _> = text.parse();
    time.map(From::Time)
        .map_err(|_| bad_request("query.malformed", "a time is due as RFC 3339 says it"))
}

/// What is wanted of the events of a site: nobody reads those of another.
pub(super) fn filter(
    site: &str,
    types: impl IntoIterator<Item = String>,
    correlation_id: Option<Uuid>,
) -> Result<Filter, Failure> {
    let mut event_types = BTreeSet::new();
    for kind in types {
        if !is_type(&kind) {
            return Err(bad_request("query.malformed", "a type's name is malformed"));
        }
        event_types.insert(EventType::from(kind));
        if event_types.len() > limits::MAX_FILTER_TYPES {
            let detail = format!("at most {} types", limits::MAX_FILTER_TYPES);
            return Err(bad_request("query.malformed", detail));
        }
    }
    Ok(Filter {
        event_types,
        correlation_id,
        site: Some(site.to_owned()),
    })
}

/// `area.what_happened`: words of small letters, digits and underscores, with dots between.
pub(super) fn is_type(name: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    name.len() <= limits::MAX_TYPE_BYTES && name.contains('.') && name.split('.').all(word)
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(wanted)| wanted).map_err(|_| {
            bad_request(
                "query.malformed",
                "known are type, correlation (a UUID), after (a position), time and limit",
            )
        })
    }
}
