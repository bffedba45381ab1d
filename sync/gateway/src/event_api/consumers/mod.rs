//! Durable consumers: who handles events as they can, and misses none.
//!
//! A fetch delivers events under a lease. What is not acknowledged within the consumer's time, or is
//! given back, is delivered again with its attempts counted; after the last of them it becomes a dead
//! letter, which a person retries or discards. Several workers, at several replicas, may share a
//! consumer: an event is under one lease at a time, as long as the replicas' clocks agree to well within
//! the time for acknowledging. Delivery is at least once: who must not handle an event twice remembers its
//! `event_id`.

mod fetch;
mod record;

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use events::{Filter, Position, RecordedEvent};
use protocol::Principal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    EventApi,
    fault::{Answer, Body, bad_request, conflict, not_found, of_log, of_state},
    page, query,
};
use crate::{
    Failure,
    limits::events as limits,
    state::{Expect, Op, StateError},
};
use fetch::{Delivery, Fetch};
use record::{
    DeadLetter, InFlight, Key, Record, SPACE, Seen, Settings, change, decode, encode, find,
    missing, refresh, site_prefix,
};

/// Where a new consumer begins; an existing one goes on where it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Start {
    /// With the first event ever.
    #[default]
    Beginning,
    /// With the next event.
    End,
    /// Behind a position.
    After(u64),
    /// With what happened at a time or later.
    Time(String),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerSettings")]
pub(super) struct Wish {
    #[serde(default)]
    start: Start,
    #[serde(flatten)]
    #[schemars(with = "Settings")]
    settings: serde_json::Map<String, serde_json::Value>,
}

/// A consumer as others see it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    name: String,
    settings: Settings,
    /// Everything up to here was delivered or is not wanted.
    cursor: Position,
    /// Where the log ends.
    end: Position,
    /// Delivered and not acknowledged.
    in_flight: usize,
    dead: usize,
}

async fn shown(api: &EventApi, key: &Key, name: String, seen: Seen) -> Result<Shown, Failure> {
    let end = api.log().end().await.map_err(|error| of_log(&error))?;
    Ok(Shown {
        name,
        cursor: seen.record.cursor,
        end,
        in_flight: seen.record.in_flight.len(),
        dead: api.state.list(SPACE, &key.dead_prefix()).len(),
        settings: seen.record.settings,
    })
}

pub(super) async fn list(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
) -> Json<Vec<String>> {
    let prefix = site_prefix(&principal.site);
    let items = api.state.list(SPACE, &prefix);
    let names = items.iter().filter_map(|item| {
        let name = item.key.strip_prefix(&prefix)?.strip_suffix("/progress")?;
        Some(name.to_owned())
    });
    Json(names.collect())
}

pub(super) async fn get(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
) -> Answer<Shown> {
    let key = Key::new(&principal.site, &name)?;
    let seen = find(&api.state, &key).await?;
    shown(&api, &key, name, seen).await.map(Json)
}

pub(super) async fn put(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
    Body(wish): Body<Wish>,
) -> Result<(StatusCode, Json<Shown>), Failure> {
    let key = Key::new(&principal.site, &name)?;
    let settings: Settings = serde_json::from_value(wish.settings.into()).map_err(|_| {
        bad_request(
            "consumer.malformed",
            "known are start, types, correlation, ack_wait_ms, max_attempts and max_in_flight",
        )
    })?;
    settings.check()?;
    let status = match create(&api, &key, &principal.site, wish.start, settings.clone()).await? {
        true => StatusCode::CREATED,
        false => {
            change(&api.state, &key, |record| {
                record.settings = settings.clone();
                Ok(((), Vec::new()))
            })
            .await?;
            StatusCode::OK
        }
    };
    let seen = find(&api.state, &key).await?;
    let shown = shown(&api, &key, name, seen).await?;
    Ok((status, Json(shown)))
}

/// Whether there was none.
async fn create(
    api: &EventApi,
    key: &Key,
    site: &str,
    start: Start,
    settings: Settings,
) -> Result<bool, Failure> {
    if api.state.get(SPACE, &key.progress()).is_some() {
        return Ok(false);
    }
    let here = api.state.list(SPACE, &site_prefix(site));
    let here = here.iter().filter(|item| item.key.ends_with("/progress"));
    if here.count() >= limits::MAX_CONSUMERS {
        return Err(conflict(
            "consumer.too_many",
            "the site has too many consumers",
        ));
    }
    let start = match start {
        Start::Beginning => events::From::Start,
        Start::End => events::From::End,
        Start::After(position) => query::after(position)?,
        Start::Time(time) => query::time_of(&time)?,
    };
    let cursor = page::resolve(api.log().as_ref(), start).await;
    let record = Record {
        settings,
        cursor: cursor.map_err(|error| of_log(&error))?,
        in_flight: Vec::new(),
        deliveries: 0,
    };
    let ops = vec![
        Op::require(SPACE, key.progress(), Expect::Absent),
        Op::put(SPACE, key.progress(), encode(&record)?),
    ];
    match api.state.commit(ops).await {
        Ok(_) => Ok(true),
        Err(StateError::Conflict { .. }) => Ok(false),
        Err(error) => Err(of_state(&error)),
    }
}

pub(super) async fn delete(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
) -> Result<StatusCode, Failure> {
    let key = Key::new(&principal.site, &name)?;
    let ops = vec![
        Op::require(SPACE, key.progress(), Expect::Present),
        Op::delete_tree(SPACE, key.all()),
    ];
    match api.state.commit(ops).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(StateError::Conflict { .. }) => Err(missing()),
        Err(error) => Err(of_state(&error)),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FetchWish {
    #[serde(default = "page_events")]
    max: usize,
    #[serde(default)]
    wait_ms: u64,
}

fn page_events() -> usize {
    limits::PAGE_EVENTS
}

pub(super) async fn fetch(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
    Body(wish): Body<FetchWish>,
) -> Answer<Delivery> {
    let key = Key::new(&principal.site, &name)?;
    let max = wish.max.clamp(1, limits::MAX_PAGE_EVENTS);
    let wait = Duration::from_millis(wish.wait_ms).min(limits::MAX_FETCH_WAIT);
    Fetch::new(&api, &key, max, wait).run().await.map(Json)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ack {
    lease: u64,
    positions: Vec<Position>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nack {
    lease: u64,
    positions: Vec<Position>,
    /// Wait before they are delivered again.
    #[serde(default)]
    delay_ms: u64,
    /// Why, for who looks at dead letters. Holds no identifier of a patient.
    #[serde(default)]
    error: String,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Taken {
    /// No longer in flight, by this request or before it.
    done: Vec<Position>,
    /// Under another lease by now: they were delivered again, and the answer is that delivery's.
    stale: Vec<Position>,
}

/// Splits what is in flight into what this lease gives an answer for and the rest.
fn answered(record: &mut Record, lease: u64, positions: &[Position]) -> (Vec<InFlight>, Taken) {
    let mut taken = Taken::default();
    let mut own = Vec::new();
    for &position in positions {
        let found = record
            .in_flight
            .iter()
            .position(|entry| entry.position == position);
        match found {
            Some(at) if record.in_flight[at].lease == lease => {
                own.push(record.in_flight.remove(at));
                taken.done.push(position);
            }
            Some(_) => taken.stale.push(position),
            None => taken.done.push(position),
        }
    }
    (own, taken)
}

fn check_count(positions: &[Position]) -> Result<(), Failure> {
    if positions.len() > limits::MAX_PAGE_EVENTS {
        let detail = format!("at most {} positions", limits::MAX_PAGE_EVENTS);
        return Err(bad_request("consumer.malformed", detail));
    }
    Ok(())
}

pub(super) async fn ack(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
    Body(ack): Body<Ack>,
) -> Answer<Taken> {
    let key = Key::new(&principal.site, &name)?;
    check_count(&ack.positions)?;
    change(&api.state, &key, |record| {
        let (_, taken) = answered(record, ack.lease, &ack.positions);
        Ok((taken, Vec::new()))
    })
    .await
    .map(Json)
}

pub(super) async fn nack(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
    Body(nack): Body<Nack>,
) -> Answer<Taken> {
    let key = Key::new(&principal.site, &name)?;
    check_count(&nack.positions)?;
    if nack.error.len() > limits::MAX_ERROR_BYTES {
        let detail = format!(
            "an error's text has at most {} bytes",
            limits::MAX_ERROR_BYTES
        );
        return Err(bad_request("consumer.malformed", detail));
    }
    let now = api.clock.now();
    let delay = Duration::from_millis(nack.delay_ms).min(limits::MAX_NACK_DELAY);
    let delay = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
    let reason = match nack.error.as_str() {
        "" => "its consumer gave it back",
        error => error,
    };
    change(&api.state, &key, |record| {
        let (own, taken) = answered(record, nack.lease, &nack.positions);
        let dead = api.state.list(SPACE, &key.dead_prefix()).len();
        let mut more = Vec::new();
        for mut entry in own {
            let last = entry.attempts >= record.settings.max_attempts;
            let room = dead + more.len() < limits::MAX_DEAD
                && more.len() + 2 < crate::limits::state::MAX_OPERATIONS;
            if last && room {
                more.push(Record::bury(&key, &entry, reason, now)?);
            } else {
                // What finds no room among the dead letters stays in flight until there is.
                entry.lease = 0;
                entry.due_ns = now.as_nanos().saturating_add(delay);
                record.in_flight.push(entry);
            }
        }
        record.in_flight.sort_by_key(|entry| entry.position);
        Ok((taken, more))
    })
    .await
    .map(Json)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Dead {
    #[serde(flatten)]
    letter: DeadLetter,
    event: Option<events::SystemEvent>,
}

pub(super) async fn dead(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
    query: Result<Query<DeadQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer<Vec<Dead>> {
    let key = Key::new(&principal.site, &name)?;
    let Query(query) = query
        .map_err(|_| bad_request("query.malformed", "known are after (a position) and limit"))?;
    refresh(&api.state, &key).await?;
    let limit = query.limit.unwrap_or(limits::PAGE_EVENTS);
    let limit = limit.clamp(1, limits::READ_EVENTS);
    let mut letters = Vec::new();
    for item in api.state.list(SPACE, &key.dead_prefix()) {
        let letter: DeadLetter = decode(&item)?;
        if letter.position.0 <= query.after {
            continue;
        }
        if letters.len() >= limit {
            break;
        }
        let before = Position(letter.position.0.saturating_sub(1));
        let read = api.log().read(before, 1, &Filter::all()).await;
        let read: Vec<RecordedEvent> = read.map_err(|error| of_log(&error))?;
        let event = read
            .into_iter()
            .find(|found| found.position == letter.position);
        letters.push(Dead {
            letter,
            event: event.map(|found| found.event),
        });
    }
    Ok(Json(letters))
}

fn no_letter() -> Failure {
    not_found("consumer.no_dead_letter", "there is no such dead letter")
}

pub(super) async fn retry(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    Path((name, position)): Path<(String, u64)>,
) -> Result<StatusCode, Failure> {
    let key = Key::new(&principal.site, &name)?;
    let position = Position(position);
    refresh(&api.state, &key).await?;
    let now = api.clock.now();
    change(&api.state, &key, |record| {
        let item = api
            .state
            .get(SPACE, &key.dead(position))
            .ok_or_else(no_letter)?;
        let most = limits::MAX_IN_FLIGHT + limits::MAX_PAGE_EVENTS;
        if record.in_flight.len() >= most {
            let detail = "too many events are in flight; try again when some are done";
            return Err(conflict("consumer.full", detail));
        }
        record.in_flight.retain(|entry| entry.position != position);
        record.in_flight.push(InFlight {
            position,
            attempts: 0,
            lease: 0,
            due_ns: now.as_nanos(),
        });
        record.in_flight.sort_by_key(|entry| entry.position);
        let more = vec![
            Op::require(SPACE, key.dead(position), Expect::Modified(item.modified)),
            Op::delete(SPACE, key.dead(position)),
        ];
        Ok(((), more))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn discard(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    Path((name, position)): Path<(String, u64)>,
) -> Result<StatusCode, Failure> {
    let key = Key::new(&principal.site, &name)?;
    let dead = key.dead(Position(position));
    let ops = vec![
        Op::require(SPACE, dead.clone(), Expect::Present),
        Op::delete(SPACE, dead),
    ];
    match api.state.commit(ops).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(StateError::Conflict { .. }) => Err(no_letter()),
        Err(error) => Err(of_state(&error)),
    }
}
