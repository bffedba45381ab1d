//! Workflow histories on SQL.

use async_trait::async_trait;
use sqlx::{Row, sqlite::SqliteRow};
use workflow::{
    Heartbeat, HistoryEvent, HistoryStore, ListFilter, StoreError, Timestamp, WorkflowStatus,
    WorkflowSummary,
};

use crate::{LogStore, LogStoreError, UnitOfWork, batch::int, unit::Step};

const SUMMARY: &str = "SELECT workflow_id, run_id, workflow_type, correlation_id, status, \
                       started_us, closed_us, length FROM workflows WHERE workflow_id = ?";

#[async_trait]
impl HistoryStore for LogStore {
    async fn append(
        &self,
        workflow_id: &str,
        expected_len: u64,
        events: &[HistoryEvent],
    ) -> Result<(), StoreError> {
        workflow::check_append(workflow_id, expected_len, events)?;
        let unit = UnitOfWork::new().history(workflow_id, expected_len, events.to_vec());
        self.commit(unit)
            .await
            .map(drop)
            .map_err(|error| match error {
                LogStoreError::HistoryConflict { expected, actual } => StoreError::Conflict {
                    workflow_id: workflow_id.to_owned(),
                    expected,
                    actual,
                },
                LogStoreError::Refused { reason, .. } => invalid(workflow_id, reason),
                other => StoreError::unavailable("appending to a history", other),
            })
    }

    async fn load(&self, workflow_id: &str, after: u64) -> Result<Vec<HistoryEvent>, StoreError> {
        const OPERATION: &str = "reading a history";
        let sql = "SELECT event FROM workflow_events WHERE workflow_id = ? AND id > ? ORDER BY id";
        let rows = sqlx::query(sql)
            .bind(workflow_id)
            .bind(int(after))
            .fetch_all(self.readers())
            .await
            .map_err(|error| unavailable(OPERATION, error))?;
        if rows.is_empty() && self.summary(workflow_id).await?.is_none() {
            return Err(StoreError::NotFound {
                workflow_id: workflow_id.to_owned(),
            });
        }
        rows.iter()
            .map(|row| {
                let text: &str = row
                    .try_get(0)
                    .map_err(|error| unavailable(OPERATION, error))?;
                serde_json::from_str(text).map_err(|error| invalid(workflow_id, error.to_string()))
            })
            .collect()
    }

    async fn summary(&self, workflow_id: &str) -> Result<Option<WorkflowSummary>, StoreError> {
        let row = sqlx::query(SUMMARY)
            .bind(workflow_id)
            .fetch_optional(self.readers())
            .await
            .map_err(|error| unavailable("reading a workflow", error))?;
        row.as_ref().map(summary_of).transpose()
    }

    async fn list(&self, filter: &ListFilter) -> Result<Vec<WorkflowSummary>, StoreError> {
        let sql = "SELECT workflow_id, run_id, workflow_type, correlation_id, status, \
                   started_us, closed_us, length FROM workflows \
                   WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR workflow_type = ?2) \
                   AND (?3 IS NULL OR correlation_id = ?3) \
                   ORDER BY started_us DESC, workflow_id LIMIT ?4";
        let rows = sqlx::query(sql)
            .bind(filter.status.map(WorkflowStatus::as_str))
            .bind(filter.workflow_type.as_deref())
            .bind(filter.correlation_id.as_deref())
            .bind(filter.limit.map_or(-1, i64::from)) // a negative LIMIT is none
            .fetch_all(self.readers())
            .await
            .map_err(|error| unavailable("listing workflows", error))?;
        rows.iter().map(summary_of).collect()
    }

    async fn save_heartbeat(
        &self,
        workflow_id: &str,
        heartbeat: &Heartbeat,
    ) -> Result<(), StoreError> {
        let (workflow_id, heartbeat) = (workflow_id.to_owned(), heartbeat.clone());
        let unit = UnitOfWork::new().step(Step::Heartbeat {
            workflow_id,
            heartbeat,
        });
        let saved = self.commit(unit).await.map(drop);
        saved.map_err(|error| StoreError::unavailable("saving a heartbeat", error))
    }

    async fn load_heartbeats(&self, workflow_id: &str) -> Result<Vec<Heartbeat>, StoreError> {
        const OPERATION: &str = "reading heartbeats";
        let failed = |error| unavailable(OPERATION, error);
        let sql = "SELECT seq, attempt, details FROM workflow_heartbeats \
                   WHERE workflow_id = ? ORDER BY seq";
        let rows = sqlx::query(sql)
            .bind(workflow_id)
            .fetch_all(self.readers())
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| {
                let details: &str = row.try_get(2).map_err(failed)?;
                Ok(Heartbeat {
                    seq: row.try_get::<i64, _>(0).map_err(failed)?.unsigned_abs(),
                    attempt: row.try_get::<u32, _>(1).map_err(failed)?,
                    details: serde_json::from_str(details)
                        .map_err(|error| invalid(workflow_id, error.to_string()))?,
                })
            })
            .collect()
    }
}

fn unavailable(operation: &'static str, error: sqlx::Error) -> StoreError {
    StoreError::unavailable(operation, LogStoreError::database(operation, error))
}

fn invalid(workflow_id: &str, message: String) -> StoreError {
    StoreError::Invalid {
        workflow_id: workflow_id.to_owned(),
        message,
    }
}

fn summary_of(row: &SqliteRow) -> Result<WorkflowSummary, StoreError> {
    let failed = |error| unavailable("reading a workflow", error);
    let workflow_id: String = row.try_get(0).map_err(failed)?;
    let status: &str = row.try_get(4).map_err(failed)?;
    let status = WorkflowStatus::parse(status)
        .ok_or_else(|| invalid(&workflow_id, format!("status {status:?} is unknown")))?;
    let closed: Option<i64> = row.try_get(6).map_err(failed)?;
    Ok(WorkflowSummary {
        run_id: row.try_get(1).map_err(failed)?,
        workflow_type: row.try_get(2).map_err(failed)?,
        correlation_id: row.try_get(3).map_err(failed)?,
        status,
        started_at: Timestamp::from_micros(row.try_get(5).map_err(failed)?),
        closed_at: closed.map(Timestamp::from_micros),
        length: row.try_get::<i64, _>(7).map_err(failed)?.unsigned_abs(),
        workflow_id,
    })
}
