//! Appending.

use axum::{Extension, Json, extract::State};
use events::{Position, SystemEvent, limits::MAX_DATA_BYTES};
use protocol::Principal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    EventApi,
    fault::{Answer, Body, of_log, unprocessable},
    query::is_type,
    schemas::UNKNOWN_SCHEMA,
};
use crate::{
    Failure,
    limits::events as limits,
    traces::{Context, Current, Kind},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    events: Vec<SystemEvent>,
}

#[derive(Debug, Serialize)]
pub(super) struct Appended {
    /// Of each event in turn; of one that was there already, the earlier one.
    positions: Vec<Position>,
}

pub(super) async fn append(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    current: Option<Extension<Current>>,
    Body(Batch { mut events }): Body<Batch>,
) -> Answer<Appended> {
    if events.len() > limits::MAX_BATCH_EVENTS {
        let detail = format!(
            "{} events, of at most {}",
            events.len(),
            limits::MAX_BATCH_EVENTS
        );
        return Err(unprocessable("event.too_many", detail));
    }
    let mut span = current.map(|Extension(current)| current.begin(Kind::Producer));
    if let Some(span) = &mut span {
        span.name(|| "publish events".to_owned());
        span.text("messaging.system", "neurascale");
        span.text("messaging.operation.type", "send");
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        span.number("messaging.batch.message_count", count);
    }
    for (index, event) in events.iter_mut().enumerate() {
        // Who handles it goes on with the trace of whoever published it, or else with this request's.
        event.traceparent = match &event.traceparent {
            None => span.as_ref().map(|span| span.context().to_string()),
            Some(given) => {
                let context = Context::parse(given.as_bytes()).ok_or_else(|| {
                    let detail = format!("event {index} is refused: its traceparent is malformed");
                    unprocessable("event.malformed", detail)
                })?;
                Some(context.to_string())
            }
        };
        // The site is the publisher's, who may say so and may not say another.
        let site = event.site.get_or_insert_with(|| principal.site.clone());
        if *site != principal.site {
            let detail = format!("event {index} is refused: it is of another site");
            return Err(unprocessable("event.site", detail));
        }
        let event = &*event;
        let mut checked = check(&api, event);
        if matches!(checked, Err((UNKNOWN_SCHEMA, _))) {
            // It may have been registered at another replica a moment ago.
            api.schemas.refresh(event).await;
            checked = check(&api, event);
        }
        checked.map_err(|(code, reason)| {
            unprocessable(code, format!("event {index} is refused: {reason}"))
        })?;
    }
    let positions = api.log().append(events).await;
    if let (Some(span), Err(_)) = (&mut span, &positions) {
        span.fail();
    }
    positions
        .map(|positions| Json(Appended { positions }))
        .map_err(|error: events::LogError| -> Failure { of_log(&error) })
}

fn check(api: &EventApi, event: &SystemEvent) -> Result<(), (&'static str, String)> {
    let malformed = |reason: &str| Err(("event.malformed", reason.to_owned()));
    if !is_type(event.event_type.as_str()) {
        return malformed("its type's name is malformed");
    }
    if event.source_service.is_empty()
        || event.source_service.len() > limits::MAX_SOURCE_BYTES
        || event.source_service.contains(char::is_control)
    {
        return malformed("its source's name is malformed");
    }
    // RFC 9562, section 5.7: ids sort by time.
    if event.event_id.get_version_num() != 7 {
        return malformed("its id is no UUID of version 7");
    }
    let bytes = event.data.to_string().len();
    if bytes > MAX_DATA_BYTES {
        let reason = format!("its data has {bytes} bytes, of at most {MAX_DATA_BYTES}");
        return Err(("event.too_large", reason));
    }
    api.schemas.check(event)
}
