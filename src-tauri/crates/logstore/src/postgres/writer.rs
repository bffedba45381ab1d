//! The one task of a replica that appends: what waits for it shares a transaction.

use std::sync::Arc;

use events::{
    Clock, Committed, Ids, LogError, Payload, Position, RecordedEvent, SystemEvent,
    payloads::LedgerEventRecorded,
};
use ledger::Draft;
use sqlx::{PgConnection, Row, postgres::PgConnectOptions};
use tokio::sync::{mpsc, oneshot};

use super::{announce::Announcer, connect, failure, ledger_entries};
use crate::{
    LogStoreError,
    limits::{GROUP_UNITS, GROUP_YIELDS, POSTGRES_GROUP_BYTES, POSTGRES_STATEMENT_TIMEOUT},
};

const APPEND: &str = "appending events";
/// The lock of `append_events`.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(7021530001)";

/// Events that are appended together, with their data as text, and entries of the ledger.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) events: Vec<SystemEvent>,
    pub(super) texts: Vec<String>,
    /// Of each event, unless it has none: entered if the event is new.
    pub(super) drafts: Vec<Option<Draft>>,
    /// Entered in any case.
    pub(super) entries: Vec<Draft>,
    pub(super) answer: oneshot::Sender<Result<Vec<Position>, LogError>>,
}

/// What became of a group.
struct Appended {
    /// Position of the last event before it.
    before: u64,
    places: Vec<Position>,
    announcement: Option<RecordedEvent>,
}

impl Append {
    fn bytes(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }
}

pub(super) struct Writer {
    pub(super) options: PgConnectOptions,
    pub(super) connection: Option<PgConnection>,
    pub(super) queue: mpsc::Receiver<Append>,
    pub(super) announcer: Arc<Announcer>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) source_service: Arc<str>,
}

impl Writer {
    pub(super) async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            let mut bytes = first.bytes();
            let mut group = vec![first];
            for _ in 0..=GROUP_YIELDS {
                while group.len() < GROUP_UNITS
                    && bytes < POSTGRES_GROUP_BYTES
                    && let Ok(next) = self.queue.try_recv()
                {
                    bytes += next.bytes();
                    group.push(next);
                }
                // Publishers that the last group has just answered come with their next events.
                tokio::task::yield_now().await;
            }
            self.append(group).await;
        }
        if let Some(connection) = self.connection.take() {
            let _ = sqlx::Connection::close(connection).await;
        }
    }

    async fn append(&mut self, group: Vec<Append>) {
        // An append is the same when it is repeated, so a lost connection is no reason to fail: if the
        // first attempt was committed, the second finds its events there, and enters only what has none.
        let mut appended = self.attempt(&group).await;
        if appended.is_err() {
            appended = self.attempt(&group).await;
        }
        match appended {
            Ok(appended) => self.answer(group, appended),
            Err(error) => {
                tracing::error!(error = %error, appends = group.len(), "events could not be appended");
                let error = error.into_log(APPEND);
                for append in group {
                    let _ = append.answer.send(Err(error.clone()));
                }
            }
        }
    }

    fn answer(&self, group: Vec<Append>, appended: Appended) {
        let mut places = appended.places.into_iter();
        let (mut fresh, mut last) = (Vec::new(), appended.before);
        for Append { events, answer, .. } in group {
            let positions: Vec<_> = places.by_ref().take(events.len()).collect();
            for (event, &position) in events.into_iter().zip(&positions) {
                if position.0 == last + 1 {
                    last = position.0;
                    fresh.push(RecordedEvent { position, event });
                }
            }
            let _ = answer.send(Ok(positions));
        }
        fresh.extend(appended.announcement);
        self.announcer
            .offer(appended.before, Committed::from(fresh));
    }

    async fn attempt(&mut self, group: &[Append]) -> Result<Appended, LogStoreError> {
        let timed_out = || {
            let error = sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
            failure(APPEND, error)
        };
        let connection = self.connection.take();
        let work = async {
            let mut connection = match connection {
                Some(connection) => connection,
                None => connect(&self.options)
                    .await
                    .map_err(|error| failure(APPEND, error))?,
            };
            let enters = group.iter().any(|append| {
                !append.entries.is_empty() || append.drafts.iter().any(Option::is_some)
            });
            let appended = if enters {
                self.append_and_enter(&mut connection, group).await
            } else {
                call(&mut connection, group).await
            };
            appended.map(|appended| (connection, appended))
        };
        // A server that does not answer at all fails like one that is gone.
        let (connection, appended) = tokio::time::timeout(POSTGRES_STATEMENT_TIMEOUT, work)
            .await
            .map_err(|_| timed_out())??;
        // Only a connection that has just worked is used again.
        self.connection = Some(connection);
        Ok(appended)
    }

    /// Events, their ledger entries and the announcement of those, in one transaction.
    async fn append_and_enter(
        &self,
        connection: &mut PgConnection,
        group: &[Append],
    ) -> Result<Appended, LogStoreError> {
        let failed = |error| failure(APPEND, error);
        sqlx::raw_sql(BEGIN)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        let mut appended = call(connection, group).await?;
        let (mut drafts, mut last) = (Vec::new(), appended.before);
        let mut places = appended.places.iter();
        for append in group {
            for (draft, place) in append.drafts.iter().zip(places.by_ref()) {
                if place.0 == last + 1 {
                    last = place.0;
                    drafts.extend(draft.clone());
                }
            }
            drafts.extend(append.entries.iter().cloned());
        }
        if !drafts.is_empty() {
            let sealed = ledger_entries::seal(connection, drafts).await?;
            ledger_entries::write(connection, &sealed).await?;
            let event = self.announcement(&sealed)?;
            let text = event.data.to_string();
            let (_, places) = call_with(connection, &[&event], &[text.as_str()]).await?;
            let position = Position(last + 1);
            if places != [position] {
                return Err(LogStoreError::corrupt(
                    APPEND,
                    "an announcement is misplaced",
                ));
            }
            appended.announcement = Some(RecordedEvent { position, event });
        }
        sqlx::raw_sql("COMMIT")
            .execute(connection)
            .await
            .map_err(failed)?;
        Ok(appended)
    }

    /// The `ledger.event_recorded` of a transaction: one for all its entries.
    fn announcement(&self, sealed: &ledger_entries::Sealed) -> Result<SystemEvent, LogStoreError> {
        let timestamp = self.clock.now();
        let event_id = self.ids.next(timestamp);
        let data = serde_json::to_value(LedgerEventRecorded {
            first_sequence: sealed.first_sequence(),
            entries: sealed.count(),
            tree_size: sealed.tree.size(),
            root_hash: sealed.tree.root().to_string(),
        });
        Ok(SystemEvent {
            event_type: LedgerEventRecorded::EVENT_TYPE,
            source_service: self.source_service.to_string(),
            event_id,
            timestamp,
            schema_version: LedgerEventRecorded::SCHEMA_VERSION,
            correlation_id: event_id,
            causation_id: None,
            site: None,
            traceparent: None,
            data: data.map_err(|error| LogStoreError::corrupt(APPEND, error))?,
        })
    }
}

async fn call(connection: &mut PgConnection, group: &[Append]) -> Result<Appended, LogStoreError> {
    let events: Vec<_> = group.iter().flat_map(|append| &append.events).collect();
    let texts = group.iter().flat_map(|append| &append.texts);
    let texts: Vec<_> = texts.map(String::as_str).collect();
    let (before, places) = call_with(connection, &events, &texts).await?;
    Ok(Appended {
        before,
        places,
        announcement: None,
    })
}

const CALL: &str = "SELECT append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// Position of the last event before these, and theirs.
async fn call_with(
    connection: &mut PgConnection,
    events: &[&SystemEvent],
    texts: &[&str],
) -> Result<(u64, Vec<Position>), LogStoreError> {
    fn column<'a, T>(events: &[&'a SystemEvent], value: impl Fn(&'a SystemEvent) -> T) -> Vec<T> {
        events.iter().map(|event| value(event)).collect()
    }
    let places: Vec<i64> = sqlx::query(CALL)
        .bind(column(events, |event| &event.event_id.as_bytes()[..]))
        .bind(column(events, |event| event.event_type.as_str()))
        .bind(column(events, |event| event.source_service.as_str()))
        .bind(column(events, |event| event.timestamp.as_nanos()))
        .bind(column(events, |event| i64::from(event.schema_version)))
        .bind(column(events, |event| &event.correlation_id.as_bytes()[..]))
        .bind(column(events, |event| {
            event.causation_id.as_ref().map(|id| &id.as_bytes()[..])
        }))
        .bind(texts)
        .bind(column(events, |event| event.site.as_deref()))
        .bind(column(events, |event| event.traceparent.as_deref()))
        .fetch_one(connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|error| failure(APPEND, error))?;
    let mut places = places.into_iter().map(i64::unsigned_abs);
    let before = places.next().unwrap_or(0);
    let places: Vec<_> = places.map(Position).collect();
    if places.len() != events.len() {
        return Err(LogStoreError::corrupt(APPEND, "positions are missing"));
    }
    Ok((before, places))
}
