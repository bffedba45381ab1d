//! A store in memory: for tests, and for workflows that need not outlive their process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::history::{HistoryEvent, WorkflowSummary};
use crate::store::{Heartbeat, HistoryStore, ListFilter, StoreError, check_append};

#[derive(Debug)]
struct Record {
    summary: WorkflowSummary,
    events: Vec<HistoryEvent>,
    heartbeats: BTreeMap<u64, Heartbeat>,
}

/// Histories in memory. Clones of an `Arc` of it share the histories.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Mutex<BTreeMap<String, Record>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<String, Record>> {
        // Every update leaves the map valid before it can panic, so a poisoned lock is usable.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(workflow_id: &str) -> StoreError {
    StoreError::NotFound {
        workflow_id: workflow_id.to_owned(),
    }
}

#[async_trait]
impl HistoryStore for MemoryStore {
    async fn append(
        &self,
        workflow_id: &str,
        expected_len: u64,
        events: &[HistoryEvent],
    ) -> Result<(), StoreError> {
        check_append(workflow_id, expected_len, events)?;
        let mut records = self.records();
        let actual = records
            .get(workflow_id)
            .map_or(0, |record| record.summary.length);
        if actual != expected_len {
            return Err(StoreError::Conflict {
                workflow_id: workflow_id.to_owned(),
                expected: expected_len,
                actual,
            });
        }
        if expected_len == 0 {
            let summary = WorkflowSummary::begin(workflow_id, &events[0]).ok_or_else(|| {
                StoreError::Invalid {
                    workflow_id: workflow_id.to_owned(),
                    message: "the first event is no start".into(),
                }
            })?;
            let record = Record {
                summary,
                events: Vec::new(),
                heartbeats: BTreeMap::new(),
            };
            records.insert(workflow_id.to_owned(), record);
        }
        let record = records
            .get_mut(workflow_id)
            .ok_or_else(|| not_found(workflow_id))?;
        for event in events {
            record.summary.apply(event);
        }
        record.events.extend_from_slice(events);
        Ok(())
    }

    async fn load(&self, workflow_id: &str, after: u64) -> Result<Vec<HistoryEvent>, StoreError> {
        let records = self.records();
        let record = records
            .get(workflow_id)
            .ok_or_else(|| not_found(workflow_id))?;
        let skip = usize::try_from(after)
            .unwrap_or(usize::MAX)
            .min(record.events.len());
        Ok(record.events[skip..].to_vec())
    }

    async fn summary(&self, workflow_id: &str) -> Result<Option<WorkflowSummary>, StoreError> {
        Ok(self
            .records()
            .get(workflow_id)
            .map(|record| record.summary.clone()))
    }

    async fn list(&self, filter: &ListFilter) -> Result<Vec<WorkflowSummary>, StoreError> {
        let records = self.records();
        let mut found: Vec<WorkflowSummary> = records
            .values()
            .map(|record| &record.summary)
            .filter(|summary| filter.matches(summary))
            .cloned()
            .collect();
        // The map is ordered by id and the sort is stable.
        found.sort_by_key(|summary| std::cmp::Reverse(summary.started_at));
        if let Some(limit) = filter.limit {
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(found)
    }

    async fn save_heartbeat(
        &self,
        workflow_id: &str,
        heartbeat: &Heartbeat,
    ) -> Result<(), StoreError> {
        let mut records = self.records();
        let record = records
            .get_mut(workflow_id)
            .ok_or_else(|| not_found(workflow_id))?;
        record.heartbeats.insert(heartbeat.seq, heartbeat.clone());
        Ok(())
    }

    async fn load_heartbeats(&self, workflow_id: &str) -> Result<Vec<Heartbeat>, StoreError> {
        let records = self.records();
        let record = records
            .get(workflow_id)
            .ok_or_else(|| not_found(workflow_id))?;
        Ok(record.heartbeats.values().cloned().collect())
    }
}
