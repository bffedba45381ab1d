//! The event log.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use events::{
    Committed, EventLog, EventType, Filter, LogError, ParkedEvent, Position, RecordedEvent,
    SystemEvent, Timestamp, limits::MAX_DATA_BYTES,
};
use ledger::Draft;
use sqlx::{
    AssertSqlSafe, PgPool, Row,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    task::JoinHandle,
};
use uuid::Uuid;

use super::{
    announce::{Announcer, follow},
    connect, failure, migrate, with_settings,
    writer::{Append, Writer},
};
use crate::{
    LedgerPolicy, LogStoreError, LogStoreOptions,
    batch::int,
    limits,
    policy::{announces_entries, draft_of},
};

/// An event log in a PostgreSQL database that replicas share. Clones share it.
#[derive(Clone, Debug)]
pub struct PostgresLog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    reader: Reader,
    announcer: Arc<Announcer>,
    policy: LedgerPolicy,
    /// Emptied by closing, which lets the writer end.
    queue: Mutex<Option<mpsc::Sender<Append>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    follower: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl PostgresLog {
    /// Opens the database, brings its tables up to date and starts the writer. Needs a tokio runtime.
    pub async fn open(
        base: &PgConnectOptions,
        LogStoreOptions {
            clock,
            ids,
            source_service,
            policy,
        }: LogStoreOptions,
    ) -> Result<Self, LogStoreError> {
        const OPERATION: &str = "opening the event log";
        let failed = |error| failure(OPERATION, error);
        let options = with_settings(base);
        // Without our time limits: a migration takes as long as it takes.
        let mut connection = connect(base).await.map_err(failed)?;
        migrate(&mut connection).await?;
        drop(connection);
        let pool = PgPoolOptions::new()
            .max_connections(limits::POSTGRES_READERS)
            .acquire_timeout(limits::POSTGRES_STATEMENT_TIMEOUT)
            .connect_lazy_with(options.clone());
        let reader = Reader(pool);
        let end = reader.end_position().await.map_err(failed)?;
        let announcer = Arc::new(Announcer::new(end));
        let (sender, queue) = mpsc::channel(limits::WRITER_QUEUE);
        // The planner must not remember a scan of the whole table from when that was small.
        let writing = options.options([
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]);
        let writer = Writer {
            options: writing,
            connection: None,
            queue,
            announcer: Arc::clone(&announcer),
            clock,
            ids,
            source_service,
        };
        let writer = tokio::spawn(writer.run());
        let follower = tokio::spawn(follow(Arc::clone(&announcer), reader.clone()));
        let inner = Inner {
            reader,
            announcer,
            policy,
            queue: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
            follower,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Connections for reading, and for what others keep in the same database.
    pub fn pool(&self) -> &PgPool {
        &self.inner.reader.0
    }

    /// Enters drafts into the ledger; durable when this returns. Should the connection break while it is
    /// committed, they may stand there twice.
    pub async fn enter(&self, entries: Vec<Draft>) -> Result<(), LogError> {
        const OPERATION: &str = "entering into the ledger";
        if entries.is_empty() {
            return Ok(());
        }
        for draft in &entries {
            check_draft(OPERATION, draft)?;
        }
        let (answer, answered) = oneshot::channel();
        let append = Append {
            events: Vec::new(),
            texts: Vec::new(),
            drafts: Vec::new(),
            entries,
            answer,
        };
        self.send(OPERATION, append, answered).await.map(drop)
    }

    async fn send(
        &self,
        operation: &'static str,
        append: Append,
        answered: oneshot::Receiver<Result<Vec<Position>, LogError>>,
    ) -> Result<Vec<Position>, LogError> {
        let closed = LogError::Closed { operation };
        let queue = self.inner.queue.lock();
        let queue = queue.unwrap_or_else(PoisonError::into_inner).clone();
        let sent = queue.ok_or(closed.clone())?.send(append).await;
        sent.map_err(|_| closed.clone())?;
        answered.await.map_err(|_| closed)?
    }

    /// Lets the writer finish what waits, and closes every connection.
    pub async fn close(&self) {
        let taken = |queue: &Mutex<Option<_>>| {
            drop(queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        };
        taken(&self.inner.queue);
        let writer = self.inner.writer.lock();
        let writer = writer.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.await;
        }
        self.inner.follower.abort();
        self.inner.reader.0.close().await;
    }
}

/// What cannot be stored in a text of PostgreSQL is refused before it fails others in its group.
fn check_text(operation: &'static str, texts: &[&str]) -> Result<(), LogError> {
    if texts.iter().any(|text| text.contains('\0')) {
        let reason = "a text holds a null character".into();
        return Err(LogError::Refused { operation, reason });
    }
    Ok(())
}

/// What cannot be an entry is refused before it fails others in its group.
fn check_draft(operation: &'static str, draft: &Draft) -> Result<(), LogError> {
    check_text(operation, &[&draft.kind, &draft.actor])?;
    draft.check().map_err(|error| LogError::Refused {
        operation,
        reason: error.to_string(),
    })
}

#[async_trait]
impl EventLog for PostgresLog {
    async fn append(&self, events: Vec<SystemEvent>) -> Result<Vec<Position>, LogError> {
        const OPERATION: &str = "appending events";
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let refused = |reason: String| LogError::Refused {
            operation: OPERATION,
            reason,
        };
        let mut texts = Vec::with_capacity(events.len());
        let mut drafts = Vec::with_capacity(events.len());
        for event in &events {
            let site = event.site.as_deref().unwrap_or_default();
            check_text(
                OPERATION,
                &[event.event_type.as_str(), &event.source_service, site],
            )?;
            let text = event.data.to_string();
            if text.len() > MAX_DATA_BYTES {
                return Err(refused(format!(
                    "data of {} bytes, of at most {MAX_DATA_BYTES}",
                    text.len()
                )));
            }
            texts.push(text);
            let enters = (self.inner.policy)(event) && !announces_entries(event);
            let draft = enters.then(|| draft_of(event)).transpose();
            let draft = draft.map_err(|error| refused(error.to_string()))?;
            if let Some(draft) = &draft {
                check_draft(OPERATION, draft)?;
            }
            drafts.push(draft);
        }
        let (answer, answered) = oneshot::channel();
        let append = Append {
            events,
            texts,
            drafts,
            entries: Vec::new(),
            answer,
        };
        self.send(OPERATION, append, answered).await
    }

    async fn read(
        &self,
        after: Position,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        self.inner.reader.read(after, limit, filter).await
    }

    async fn position_before(&self, time: Timestamp) -> Result<Position, LogError> {
        const OPERATION: &str = "finding a position by time";
        let sql = "SELECT coalesce((SELECT min(position) - 1 FROM events WHERE time_ns >= $1), \
                   (SELECT max(position) FROM events), 0)";
        sqlx::query(sql)
            .bind(time.as_nanos())
            .fetch_one(self.pool())
            .await
            .and_then(|row| row.try_get::<i64, _>(0))
            .map(|position| Position(position.unsigned_abs()))
            .map_err(|error| failure(OPERATION, error).into_log(OPERATION))
    }

    async fn end(&self) -> Result<Position, LogError> {
        const OPERATION: &str = "finding the end of the event log";
        let end = self.inner.reader.end_position().await;
        end.map(Position)
            .map_err(|error| failure(OPERATION, error).into_log(OPERATION))
    }

    fn committed(&self) -> broadcast::Receiver<Committed> {
        self.inner.announcer.subscribe()
    }

    async fn offset(&self, consumer: &str) -> Result<Option<Position>, LogError> {
        const OPERATION: &str = "reading a consumer's offset";
        check_text(OPERATION, &[consumer])?;
        let offset = sqlx::query("SELECT position FROM consumer_offsets WHERE consumer = $1")
            .bind(consumer)
            .fetch_optional(self.pool())
            .await
            .and_then(|row| row.map(|row| row.try_get::<i64, _>(0)).transpose())
            .map_err(|error| failure(OPERATION, error).into_log(OPERATION))?;
        Ok(offset.map(|position| Position(position.unsigned_abs())))
    }

    async fn save_offset(&self, consumer: &str, position: Position) -> Result<(), LogError> {
        const OPERATION: &str = "saving a consumer's offset";
        check_text(OPERATION, &[consumer])?;
        sqlx::query(
            "INSERT INTO consumer_offsets (consumer, position) VALUES ($1, $2) \
             ON CONFLICT (consumer) DO UPDATE SET position = excluded.position",
        )
        .bind(consumer)
        .bind(int(position.0))
        .execute(self.pool())
        .await
        .map(drop)
        .map_err(|error| failure(OPERATION, error).into_log(OPERATION))
    }

    async fn park(&self, parked: ParkedEvent) -> Result<(), LogError> {
        const OPERATION: &str = "parking an event";
        check_text(OPERATION, &[&parked.consumer, &parked.error])?;
        sqlx::query(
            "INSERT INTO parked_events (consumer, position, event_id, attempts, error, parked_ns) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (consumer, position) DO UPDATE SET \
             event_id = excluded.event_id, attempts = excluded.attempts, error = excluded.error, \
             parked_ns = excluded.parked_ns",
        )
        .bind(parked.consumer)
        .bind(int(parked.position.0))
        .bind(parked.event_id.as_bytes().to_vec())
        .bind(i64::from(parked.attempts))
        .bind(parked.error)
        .bind(parked.parked_at.as_nanos())
        .execute(self.pool())
        .await
        .map(drop)
        .map_err(|error| failure(OPERATION, error).into_log(OPERATION))
    }

    async fn parked(&self, consumer: Option<&str>) -> Result<Vec<ParkedEvent>, LogError> {
        const OPERATION: &str = "reading parked events";
        let failed = |error| failure(OPERATION, error).into_log(OPERATION);
        // Ordered as bytes, like every other log, whatever the database's language.
        let sql = "SELECT consumer, position, event_id, attempts, error, parked_ns \
                   FROM parked_events WHERE $1::text IS NULL OR consumer = $1 \
                   ORDER BY consumer COLLATE \"C\", position";
        let rows = sqlx::query(sql)
            .bind(consumer)
            .fetch_all(self.pool())
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| {
                Ok(ParkedEvent {
                    consumer: row.try_get(0)?,
                    position: Position(row.try_get::<i64, _>(1)?.unsigned_abs()),
                    event_id: uuid_of(row, 2)?,
                    attempts: u32::try_from(row.try_get::<i64, _>(3)?).unwrap_or(u32::MAX),
                    error: row.try_get(4)?,
                    parked_at: Timestamp(row.try_get(5)?),
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(failed)
    }

    async fn unpark(&self, consumer: &str, position: Position) -> Result<bool, LogError> {
        const OPERATION: &str = "removing a parked event";
        check_text(OPERATION, &[consumer])?;
        sqlx::query("DELETE FROM parked_events WHERE consumer = $1 AND position = $2")
            .bind(consumer)
            .bind(int(position.0))
            .execute(self.pool())
            .await
            .map(|done| done.rows_affected() > 0)
            .map_err(|error| failure(OPERATION, error).into_log(OPERATION))
    }
}

/// Reads the log.
#[derive(Clone, Debug)]
pub(super) struct Reader(PgPool);

impl Reader {
    pub(super) fn pool(&self) -> &PgPool {
        &self.0
    }

    async fn end_position(&self) -> Result<u64, sqlx::Error> {
        sqlx::query("SELECT coalesce(max(position), 0) FROM events")
            .fetch_one(&self.0)
            .await
            .and_then(|row| row.try_get::<i64, _>(0))
            .map(i64::unsigned_abs)
    }

    pub(super) async fn read(
        &self,
        after: Position,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        const OPERATION: &str = "reading events";
        let failed = |error| failure(OPERATION, error).into_log(OPERATION);
        let mut sql = String::from(
            "SELECT position, event_id, event_type, source_service, time_ns, schema_version, \
             correlation_id, causation_id, data, site, traceparent FROM events WHERE position > $1",
        );
        let mut values = PgArguments::default();
        let added = (|| {
            use sqlx::Arguments as _;
            values.add(int(after.0))?;
            values.add(i64::try_from(limit).unwrap_or(i64::MAX))?;
            if let Some(correlation) = filter.correlation_id {
                values.add(correlation.as_bytes().to_vec())?;
                sql.push_str(" AND correlation_id = $3");
            }
            if let Some(site) = &filter.site {
                values.add(site.clone())?;
                sql.push_str(&format!(" AND site = ${}", values.len()));
            }
            if !filter.event_types.is_empty() {
                let kinds = filter
                    .event_types
                    .iter()
                    .map(|kind| kind.as_str().to_owned());
                values.add(kinds.collect::<Vec<_>>())?;
                sql.push_str(&format!(" AND event_type = ANY(${})", values.len()));
            }
            Ok(())
        })();
        added.map_err(|error| failed(sqlx::Error::Encode(error)))?;
        sql.push_str(" ORDER BY position LIMIT $2");
        // The text is made of this program's constants; values come as parameters.
        let rows = sqlx::query_with(AssertSqlSafe(sql), values)
            .fetch_all(&self.0)
            .await
            .map_err(failed)?;
        rows.iter()
            .map(recorded)
            .collect::<Result<_, _>>()
            .map_err(failed)
    }
}

fn uuid_of(row: &PgRow, column: usize) -> Result<Uuid, sqlx::Error> {
    Uuid::from_slice(row.try_get(column)?).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn recorded(row: &PgRow) -> Result<RecordedEvent, sqlx::Error> {
    let decoding = |error: serde_json::Error| sqlx::Error::Decode(Box::new(error));
    let causation: Option<&[u8]> = row.try_get(7)?;
    let event = SystemEvent {
        event_id: uuid_of(row, 1)?,
        event_type: EventType::from(row.try_get::<String, _>(2)?),
        source_service: row.try_get(3)?,
        timestamp: Timestamp(row.try_get(4)?),
        schema_version: u32::try_from(row.try_get::<i64, _>(5)?)
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        correlation_id: uuid_of(row, 6)?,
        causation_id: causation.map(|_| uuid_of(row, 7)).transpose()?,
        data: serde_json::from_str(row.try_get(8)?).map_err(decoding)?,
        site: row.try_get(9)?,
        traceparent: row.try_get(10)?,
    };
    Ok(RecordedEvent {
        position: Position(row.try_get::<i64, _>(0)?.unsigned_abs()),
        event,
    })
}
