//! The parts of a unit of work that can fail by themselves.

use sqlx::{Row, SqliteConnection};
use workflow::{HistoryEvent, WorkflowSummary};

use crate::{
    LogStoreError,
    batch::{Arguments, Insert, int},
    unit::{Statement, Step},
};

static HISTORY: Insert = Insert::new("workflow_events (workflow_id, id, event)", 3);

pub(crate) async fn run(
    connection: &mut SqliteConnection,
    step: &Step,
) -> Result<(), LogStoreError> {
    match step {
        Step::History {
            workflow_id,
            expected_len,
            events,
            texts,
        } => history(connection, workflow_id, *expected_len, events, texts).await,
        Step::Heartbeat {
            workflow_id,
            heartbeat,
        } => {
            let sql = "INSERT INTO workflow_heartbeats (workflow_id, seq, attempt, details) \
                       VALUES (?, ?, ?, ?) ON CONFLICT (workflow_id, seq) DO UPDATE SET \
                       attempt = excluded.attempt, details = excluded.details";
            let mut values = Arguments::default();
            values
                .add(workflow_id.as_str())
                .add(int(heartbeat.seq))
                .add(i64::from(heartbeat.attempt))
                .add(heartbeat.details.to_string());
            execute(connection, "saving a heartbeat", sql, values)
                .await
                .map(drop)
        }
        Step::Statement(statement) => run_statement(connection, statement).await,
        Step::Offset { consumer, position } => {
            let sql = "INSERT INTO consumer_offsets (consumer, position) VALUES (?, ?) \
                       ON CONFLICT (consumer) DO UPDATE SET position = excluded.position";
            let mut values = Arguments::default();
            values.add(consumer.as_str()).add(int(position.0));
            execute(connection, "saving a consumer's offset", sql, values)
                .await
                .map(drop)
        }
        Step::Park(parked) => {
            let sql = "INSERT OR REPLACE INTO parked_events \
                       (consumer, position, event_id, attempts, error, parked_ns) \
                       VALUES (?, ?, ?, ?, ?, ?)";
            let mut values = Arguments::default();
            values
                .add(parked.consumer.as_str())
                .add(int(parked.position.0))
                .add(parked.event_id.as_bytes().to_vec())
                .add(i64::from(parked.attempts))
                .add(parked.error.as_str())
                .add(parked.parked_at.as_nanos());
            execute(connection, "parking an event", sql, values)
                .await
                .map(drop)
        }
    }
}

async fn execute(
    connection: &mut SqliteConnection,
    operation: &'static str,
    sql: &'static str,
    values: Arguments,
) -> Result<u64, LogStoreError> {
    let failed = |error| LogStoreError::database(operation, error);
    let values = values.into_inner().map_err(failed)?;
    let done = sqlx::query_with(sql, values)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(done.rows_affected())
}

async fn run_statement(
    connection: &mut SqliteConnection,
    statement: &Statement,
) -> Result<(), LogStoreError> {
    const OPERATION: &str = "running a unit's statement";
    let mut values = Arguments::default();
    for value in &statement.values {
        values.add_value(value.clone());
    }
    let rows = match execute(connection, OPERATION, statement.sql, values).await {
        Err(LogStoreError::Database { source, .. })
            if source.as_database_error().is_some_and(|error| {
                error.is_unique_violation()
                    || error.is_foreign_key_violation()
                    || error.is_check_violation()
            }) =>
        {
            return Err(LogStoreError::Conflict {
                operation: OPERATION,
                reason: source.to_string(),
            });
        }
        other => other?,
    };
    match statement.expect_rows {
        Some(due) if due != rows => Err(LogStoreError::Conflict {
            operation: OPERATION,
            reason: format!("{rows} rows were there to change, not {due}"),
        }),
        _ => Ok(()),
    }
}

async fn history(
    connection: &mut SqliteConnection,
    workflow_id: &str,
    expected_len: u64,
    events: &[HistoryEvent],
    texts: &[String],
) -> Result<(), LogStoreError> {
    const OPERATION: &str = "appending to a history";
    let rows = if expected_len == 0 {
        begin(connection, workflow_id, events).await?
    } else {
        go_on(connection, workflow_id, expected_len, events).await?
    };
    if rows != 1 {
        let actual = sqlx::query("SELECT length FROM workflows WHERE workflow_id = ?")
            .bind(workflow_id)
            .fetch_optional(&mut *connection)
            .await
            .and_then(|row| row.map_or(Ok(0), |row| row.try_get::<i64, _>(0)))
            .map_err(|error| LogStoreError::database(OPERATION, error))?;
        let actual = actual.unsigned_abs();
        return Err(LogStoreError::HistoryConflict {
            expected: expected_len,
            actual,
        });
    }
    let rows: Vec<_> = events.iter().zip(texts).collect();
    HISTORY
        .run(connection, &rows, |to, (event, text)| {
            to.add(workflow_id).add(int(event.id)).add(text.as_str());
        })
        .await
        .map_err(|error| LogStoreError::database(OPERATION, error))?;
    if events
        .iter()
        .any(|event| event.kind.closing_status().is_some())
    {
        let sql = "DELETE FROM workflow_heartbeats WHERE workflow_id = ?";
        let mut values = Arguments::default();
        values.add(workflow_id);
        execute(connection, OPERATION, sql, values).await?;
    }
    Ok(())
}

async fn begin(
    connection: &mut SqliteConnection,
    workflow_id: &str,
    events: &[HistoryEvent],
) -> Result<u64, LogStoreError> {
    let summary = events.split_first().and_then(|(first, rest)| {
        let mut summary = WorkflowSummary::begin(workflow_id, first)?;
        rest.iter().for_each(|event| summary.apply(event));
        Some(summary)
    });
    let summary = summary.ok_or_else(|| LogStoreError::Refused {
        operation: "appending to a history",
        reason: "its first event is no start".into(),
    })?;
    let sql = "INSERT INTO workflows (workflow_id, run_id, workflow_type, correlation_id, status, \
               started_us, closed_us, length) VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
               ON CONFLICT (workflow_id) DO NOTHING";
    let mut values = Arguments::default();
    values
        .add(workflow_id)
        .add(summary.run_id.as_str())
        .add(summary.workflow_type.as_str())
        .add(summary.correlation_id.as_str())
        .add(summary.status.as_str())
        .add(summary.started_at.as_micros())
        .add(summary.closed_at.map(|time| time.as_micros()))
        .add(int(summary.length));
    execute(connection, "starting a history", sql, values).await
}

async fn go_on(
    connection: &mut SqliteConnection,
    workflow_id: &str,
    expected_len: u64,
    events: &[HistoryEvent],
) -> Result<u64, LogStoreError> {
    let length = events.last().map_or(expected_len, |event| event.id);
    let closing = events
        .iter()
        .rev()
        .find_map(|event| Some((event.kind.closing_status()?, event.time)));
    let sql = "UPDATE workflows SET length = ?, status = coalesce(?, status), \
               closed_us = coalesce(?, closed_us) WHERE workflow_id = ? AND length = ?";
    let mut values = Arguments::default();
    values
        .add(int(length))
        .add(closing.map(|(status, _)| status.as_str()))
        .add(closing.map(|(_, time)| time.as_micros()))
        .add(workflow_id)
        .add(int(expected_len));
    execute(connection, "appending to a history", sql, values).await
}
