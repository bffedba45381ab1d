//! A page of the log.

use axum::{Extension, Json, extract::State};
use events::{EventLog, Filter, From, LogError, Position, RecordedEvent};
use protocol::Principal;
use serde::Serialize;

use super::{
    EventApi,
    fault::{Answer, of_log},
    query::Wanted,
};
use crate::limits::events as limits;

/// Events in order, and where the next page begins.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    pub(super) events: Vec<RecordedEvent>,
    /// To be asked for `after`: everything up to here was read or is not wanted.
    pub(super) next: Position,
    /// The log ends here; `next` reaches it with the last page.
    pub(super) end: Position,
}

/// Up to `limit` wanted events, fewer if they are large.
pub(super) async fn of(
    log: &dyn EventLog,
    after: Position,
    limit: usize,
    filter: &Filter,
) -> Result<Page, LogError> {
    // The end is asked for first: what is not among the events read up to it is not wanted.
    let end = log.end().await?;
    let (mut next, mut bytes) = (after, 0);
    let mut events = Vec::new();
    while events.len() < limit && bytes < limits::PAGE_BYTES {
        let due = (limit - events.len()).min(limits::READ_EVENTS);
        let read = log.read(next, due, filter).await?;
        let last = read.len() < due;
        for recorded in read {
            if bytes >= limits::PAGE_BYTES {
                break;
            }
            bytes += recorded.event.data.to_string().len();
            next = recorded.position;
            events.push(recorded);
        }
        if last && bytes < limits::PAGE_BYTES {
            next = next.max(end);
            break;
        }
    }
    let end = end.max(next);
    Ok(Page { events, next, end })
}

/// Position behind which a start lies.
pub(super) async fn resolve(log: &dyn EventLog, start: From) -> Result<Position, LogError> {
    match start {
        From::Start => Ok(Position::START),
        From::End => log.end().await,
        From::After(position) => Ok(position),
        From::Time(time) => log.position_before(time).await,
    }
}

pub(super) async fn read(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    wanted: Wanted,
) -> Answer<Page> {
    let filter = wanted.filter(&principal.site)?;
    let start = wanted.start()?.unwrap_or(From::Start);
    let limit = wanted.limit.unwrap_or(limits::PAGE_EVENTS);
    let limit = limit.clamp(1, limits::MAX_PAGE_EVENTS);
    let log = api.log().as_ref();
    let after = resolve(log, start).await.map_err(|error| of_log(&error))?;
    let page = of(log, after, limit, &filter).await;
    page.map(Json).map_err(|error| of_log(&error))
}
