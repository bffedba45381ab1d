//! The event log on SQL.

use async_trait::async_trait;
use events::{
    Committed, EventLog, EventType, Filter, LogError, ParkedEvent, Position, RecordedEvent,
    SystemEvent, Timestamp,
};
use sqlx::{AssertSqlSafe, Row, sqlite::SqliteRow};
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::{
    LogStore, LogStoreError, UnitOfWork,
    batch::{Arguments, int},
    unit::Step,
};

#[async_trait]
impl EventLog for LogStore {
    async fn append(&self, events: Vec<SystemEvent>) -> Result<Vec<Position>, LogError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let receipt = self.commit(UnitOfWork::new().events(events)).await;
        Ok(receipt
            .map_err(|error| error.into_log("appending events"))?
            .positions)
    }

    async fn read(
        &self,
        after: Position,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        const OPERATION: &str = "reading events";
        let failed = |error| LogStoreError::database(OPERATION, error).into_log(OPERATION);
        let mut sql = String::from(
            "SELECT position, event_id, event_type, source_service, time_ns, schema_version, \
             correlation_id, causation_id, data, site, traceparent FROM events WHERE position > ?",
        );
        let mut values = Arguments::default();
        values.add(int(after.0));
        if let Some(correlation) = filter.correlation_id {
            sql.push_str(" AND correlation_id = ?");
            values.add(correlation.as_bytes().to_vec());
        }
        if let Some(site) = &filter.site {
            sql.push_str(" AND site = ?");
            values.add(site.as_str());
        }
        if !filter.event_types.is_empty() {
            let marks = vec!["?"; filter.event_types.len()].join(",");
            sql.push_str(&format!(" AND event_type IN ({marks})"));
            filter.event_types.iter().for_each(|kind| {
                values.add(kind.as_str());
            });
        }
        sql.push_str(" ORDER BY position LIMIT ?");
        values.add(i64::try_from(limit).unwrap_or(i64::MAX));
        // The text is made of this program's constants; values come as parameters.
        let rows = sqlx::query_with(AssertSqlSafe(sql), values.into_inner().map_err(failed)?)
            .fetch_all(self.readers())
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| recorded(row).map_err(|error| error.into_log(OPERATION)))
            .collect()
    }

    async fn position_before(&self, time: Timestamp) -> Result<Position, LogError> {
        const OPERATION: &str = "finding a position by time";
        let sql = "SELECT min(position) FROM events WHERE time_ns >= ?";
        let first: Option<i64> = sqlx::query(sql)
            .bind(time.as_nanos())
            .fetch_one(self.readers())
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|error| LogStoreError::database(OPERATION, error).into_log(OPERATION))?;
        let first = first.map(i64::unsigned_abs);
        Ok(first.map_or(self.end_position(), |first| {
            Position(first.saturating_sub(1))
        }))
    }

    async fn end(&self) -> Result<Position, LogError> {
        Ok(self.end_position())
    }

    fn committed(&self) -> broadcast::Receiver<Committed> {
        self.inner.live.subscribe()
    }

    async fn offset(&self, consumer: &str) -> Result<Option<Position>, LogError> {
        const OPERATION: &str = "reading a consumer's offset";
        let offset = sqlx::query("SELECT position FROM consumer_offsets WHERE consumer = ?")
            .bind(consumer)
            .fetch_optional(self.readers())
            .await
            .and_then(|row| row.map(|row| row.try_get::<i64, _>(0)).transpose())
            .map_err(|error| LogStoreError::database(OPERATION, error).into_log(OPERATION))?;
        Ok(offset.map(|position| Position(position.unsigned_abs())))
    }

    async fn save_offset(&self, consumer: &str, position: Position) -> Result<(), LogError> {
        let saved = self
            .commit(UnitOfWork::new().offset(consumer, position))
            .await;
        saved
            .map(drop)
            .map_err(|error| error.into_log("saving a consumer's offset"))
    }

    async fn park(&self, parked: ParkedEvent) -> Result<(), LogError> {
        let unit = UnitOfWork::new().step(Step::Park(parked));
        self.commit(unit)
            .await
            .map(drop)
            .map_err(|error| error.into_log("parking an event"))
    }

    async fn parked(&self, consumer: Option<&str>) -> Result<Vec<ParkedEvent>, LogError> {
        const OPERATION: &str = "reading parked events";
        let failed = |error| LogStoreError::database(OPERATION, error).into_log(OPERATION);
        let sql = "SELECT consumer, position, event_id, attempts, error, parked_ns \
                   FROM parked_events WHERE ?1 IS NULL OR consumer = ?1 \
                   ORDER BY consumer, position";
        let rows = sqlx::query(sql)
            .bind(consumer)
            .fetch_all(self.readers())
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| parked_event(row).map_err(|error| error.into_log(OPERATION)))
            .collect()
    }

    async fn unpark(&self, consumer: &str, position: Position) -> Result<bool, LogError> {
        const OPERATION: &str = "removing a parked event";
        let statement = crate::Statement::new(
            "DELETE FROM parked_events WHERE consumer = ? AND position = ?",
            [consumer.into(), int(position.0).into()],
        );
        match self
            .commit(UnitOfWork::new().statement(statement.expecting(1)))
            .await
        {
            Ok(_) => Ok(true),
            Err(LogStoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into_log(OPERATION)),
        }
    }
}

fn recorded(row: &SqliteRow) -> Result<RecordedEvent, LogStoreError> {
    const OPERATION: &str = "reading an event";
    let failed = |error| LogStoreError::database(OPERATION, error);
    let corrupt = |reason: String| LogStoreError::corrupt(OPERATION, reason);
    let position: i64 = row.try_get(0).map_err(failed)?;
    let version: i64 = row.try_get(5).map_err(failed)?;
    let causation: Option<Vec<u8>> = row.try_get(7).map_err(failed)?;
    let data: &str = row.try_get(8).map_err(failed)?;
    let event = SystemEvent {
        event_id: uuid_of(row.try_get(1).map_err(failed)?)?,
        event_type: EventType::from(row.try_get::<String, _>(2).map_err(failed)?),
        source_service: row.try_get(3).map_err(failed)?,
        timestamp: Timestamp(row.try_get(4).map_err(failed)?),
        schema_version: u32::try_from(version).map_err(|e| corrupt(e.to_string()))?,
        correlation_id: uuid_of(row.try_get(6).map_err(failed)?)?,
        causation_id: causation.map(uuid_of).transpose()?,
        site: row.try_get(9).map_err(failed)?,
        traceparent: row.try_get(10).map_err(failed)?,
        data: serde_json::from_str(data)
            .map_err(|error| corrupt(format!("data of event {position}: {error}")))?,
    };
    Ok(RecordedEvent {
        position: Position(position.unsigned_abs()),
        event,
    })
}

fn uuid_of(bytes: Vec<u8>) -> Result<Uuid, LogStoreError> {
    Uuid::from_slice(&bytes).map_err(|error| LogStoreError::corrupt("reading an id", error))
}

fn parked_event(row: &SqliteRow) -> Result<ParkedEvent, LogStoreError> {
    let failed = |error| LogStoreError::database("reading a parked event", error);
    let position: i64 = row.try_get(1).map_err(failed)?;
    let attempts: i64 = row.try_get(3).map_err(failed)?;
    Ok(ParkedEvent {
        consumer: row.try_get(0).map_err(failed)?,
        position: Position(position.unsigned_abs()),
        event_id: uuid_of(row.try_get(2).map_err(failed)?)?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        error: row.try_get(4).map_err(failed)?,
        parked_at: Timestamp(row.try_get(5).map_err(failed)?),
    })
}
