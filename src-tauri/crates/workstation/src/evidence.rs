//! Ledger, events, workflow histories, and the soundness of recordings.

use crate::collect::folder;
use crate::error::{Error, ErrorKind, Result};
use crate::facade::Workstation;
use crate::limits::MAX_ANSWER_ROWS;
use crate::records::SessionRecord;
use events::payloads::RecordingSegmentClosed;
use events::{Filter, Payload, Position, RecordedEvent};
use logstore::{EntryQuery, LedgerStore as _};
use recording::{
    OsEntropy, OsStorage, Recording, RepairReport, SegmentState, Unlock, VerifyReport,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;
use workflow::{EngineError, HistoryEvent, Registry, Replayer, WorkflowSummary};

/// A checked ledger.
#[derive(Debug, Clone)]
pub struct LedgerCheck {
    /// What the check found.
    pub report: ledger::Report,
    /// The latest checkpoint as a signed note.
    pub checkpoint: String,
    /// The key that signs, as a C2SP verifier key.
    pub verifier_key: String,
}

/// A checked recording.
#[derive(Debug, Clone)]
pub struct RecordingCheck {
    /// Opaque id.
    pub id: String,
    /// Of its files.
    pub files: VerifyReport,
    /// Closed segments.
    pub segments: u64,
    /// Closed segments whose hash stands in the ledger.
    pub in_ledger: u64,
    /// Segments whose hash stands in the ledger and not on disk, or differs.
    pub mismatches: Vec<String>,
}

/// A workflow with its history.
#[derive(Debug, Clone)]
pub struct WorkflowHistory {
    /// As in a list.
    pub summary: WorkflowSummary,
    /// Events in order.
    pub events: Vec<HistoryEvent>,
}

impl Workstation {
    /// Ledger entries as `query` asks, and the ledger's size.
    ///
    /// # Errors
    /// The store.
    pub async fn ledger(&self, query: EntryQuery<'_>) -> Result<(Vec<ledger::Entry>, u64)> {
        let log = self.room.store()?.log();
        let size = log.ledger_size().await?;
        let query = EntryQuery {
            limit: query.limit.min(MAX_ANSWER_ROWS),
            ..query
        };
        Ok((log.find_entries(&query).await?, size))
    }

    /// Checks the whole ledger.
    ///
    /// # Errors
    /// The store; a ledger that does not hold is a result.
    pub async fn verify_ledger(
        &self,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<LedgerCheck> {
        let store = self.room.store()?;
        let checkpoint = store.checkpoint().await?;
        let size = store.log().ledger_size().await?;
        let report = store.verify_ledger(|done| progress(done, size)).await?;
        Ok(LedgerCheck {
            report,
            checkpoint: checkpoint.to_string(),
            verifier_key: store.ledger_key().to_string(),
        })
    }

    /// The offline proof of one entry.
    ///
    /// # Errors
    /// No such entry, or the store.
    pub async fn prove(&self, sequence: u64) -> Result<ledger::ProofBundle> {
        let store = self.room.store()?;
        if sequence >= store.log().ledger_size().await? {
            return Err(Error::not_found("ledger entry", sequence));
        }
        Ok(store.prove(sequence).await?)
    }

    /// Events behind `from`, filtered.
    ///
    /// # Errors
    /// An impossible filter, or the store.
    pub async fn replay_events(
        &self,
        from: u64,
        event_type: Option<String>,
        correlation: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>> {
        let mut filter = Filter::all();
        if let Some(name) = event_type {
            let known = events::payloads::schemas();
            let found = known
                .into_iter()
                .map(|(kind, ..)| kind)
                .find(|kind| kind.as_str() == name);
            filter = Filter::of_types([found.ok_or_else(|| {
                Error::new(
                    ErrorKind::Invalid,
                    format!("there is no event type '{name}'"),
                    "",
                )
            })?]);
        }
        if let Some(correlation) = correlation {
            filter = filter.correlated(parse_id(correlation)?);
        }
        let log = self.room.evidence()?.bus.log();
        let limit = limit.min(MAX_ANSWER_ROWS) as usize;
        let after = Position(from.saturating_sub(1));
        let events = log.read(after, limit, &filter).await;
        events.map_err(|error| {
            Error::new(
                ErrorKind::Store,
                crate::error::chain(&error),
                "See 'neurascale doctor'.",
            )
        })
    }

    /// A workflow's history, by its own id or its session's.
    ///
    /// # Errors
    /// No such workflow, or the store.
    pub async fn workflow(&self, id: &str) -> Result<WorkflowHistory> {
        let workflows = self.room.workflows()?;
        let failed = |error: EngineError| match error {
            EngineError::NotFound(_) => Error::not_found("workflow", id),
            other => Error::internal("read the workflow", &other),
        };
        let description = workflows.describe(id).await.map_err(failed)?;
        let events = workflows.history(id).await.map_err(failed)?;
        Ok(WorkflowHistory {
            summary: description.summary,
            events,
        })
    }

    /// Runs a workflow's code against its history again: `None` when they agree, else where they
    /// part.
    ///
    /// # Errors
    /// No such workflow, or the store.
    pub async fn replay_workflow(&self, id: &str) -> Result<(u64, Option<String>)> {
        let history = self.workflow(id).await?;
        let activities = Arc::new(crate::activities::Activities {
            room: self.room.clone(),
        });
        let mut registry = Registry::new();
        clinic::register_session(&mut registry, activities.clone());
        clinic::register_onboarding(&mut registry, activities);
        let count = history.events.len() as u64;
        let id = id.to_owned();
        let replay = move || {
            let replayed = Replayer::new(registry).replay(&id, &history.events);
            replayed.err().map(|error| crate::error::chain(&error))
        };
        let difference = tokio::task::spawn_blocking(replay)
            .await
            .map_err(|error| Error::internal("replay the workflow", &error))?;
        Ok((count, difference))
    }

    /// A recording, opened for reading, with its session.
    ///
    /// # Errors
    /// No such recording, another key, damage beyond opening.
    pub async fn recording(&self, id: &str) -> Result<(SessionRecord, Recording)> {
        let session = self.room.records()?.session_by_any_id(id).await?;
        let recording = self.open_recording(session.recording).await?;
        Ok((session, recording))
    }

    /// Folder of a recording.
    #[must_use]
    pub fn recording_folder(&self, session: &SessionRecord) -> std::path::PathBuf {
        folder(&self.room, session.recording)
    }

    /// Checks every byte of a recording, and its closed segments against the ledger.
    ///
    /// # Errors
    /// No such recording, another key, the store; damage is a result.
    pub async fn verify_recording(
        &self,
        id: &str,
        mut progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<RecordingCheck> {
        let session = self.room.records()?.session_by_any_id(id).await?;
        let at = folder(&self.room, session.recording);
        let unlock = Unlock::Station(self.room.station_key()?);
        let check = move || -> Result<_> {
            let storage = Arc::new(OsStorage);
            let files = recording::verify(&at, &unlock, storage.clone(), &mut progress)?;
            let opened = Recording::open(&at, &unlock, storage)?;
            let hashes: BTreeSet<String> = opened
                .segments()
                .into_iter()
                .filter_map(|segment| match segment.state {
                    // One that no catalog knows yet is hashed as it lies there.
                    SegmentState::Closed if segment.sha256.is_none() => {
                        opened.hash_segment(&segment).ok()
                    }
                    _ => segment.sha256,
                })
                .map(|hash| crate::documents::hex(&hash))
                .collect();
            Ok((files, hashes))
        };
        let (files, hashes) = tokio::task::spawn_blocking(check)
            .await
            .map_err(|error| Error::internal("verify the recording", &error))??;
        let noted = self.noted_hashes(&session).await?;
        let mismatches = noted
            .iter()
            .filter(|(hash, _)| !hashes.contains(hash))
            .map(|(hash, name)| format!("{name}: the ledger has {hash}, the disk has not"))
            .collect();
        let in_ledger = noted
            .iter()
            .filter(|(hash, _)| hashes.contains(hash))
            .count() as u64;
        Ok(RecordingCheck {
            id: session.recording.to_string(),
            files,
            segments: hashes.len() as u64,
            in_ledger,
            mismatches,
        })
    }

    /// Hashes of the session's closed segments as events, and so the ledger, have them.
    async fn noted_hashes(&self, session: &SessionRecord) -> Result<BTreeSet<(String, String)>> {
        let log = self.room.evidence()?.bus.log();
        let filter =
            Filter::of_types([RecordingSegmentClosed::EVENT_TYPE]).correlated(session.id.0);
        let mut found = BTreeSet::new();
        let mut after = Position::START;
        loop {
            let page = log
                .read(after, 1_000, &filter)
                .await
                .map_err(|error| Error::new(ErrorKind::Store, crate::error::chain(&error), ""))?;
            let Some(last) = page.last() else {
                return Ok(found);
            };
            after = last.position;
            for event in &page {
                if let Ok(closed) = event.event.payload::<RecordingSegmentClosed>() {
                    let name = format!("segment {} of {}", closed.segment, closed.stream);
                    found.insert((closed.sha256, name));
                }
            }
        }
    }

    /// Makes a damaged recording usable. Nothing is deleted.
    ///
    /// # Errors
    /// The recording is being written, cannot be opened, or cannot be written to.
    pub async fn repair_recording(&self, id: &str) -> Result<RepairReport> {
        let session = self.room.records()?.session_by_any_id(id).await?;
        if self.room.live.get(session.id).is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the recording is being written",
                "Stop the session first.",
            ));
        }
        let at = folder(&self.room, session.recording);
        let unlock = Unlock::Station(self.room.station_key()?);
        let work = move || recording::repair(&at, &unlock, Arc::new(OsStorage), &mut OsEntropy);
        let repaired = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::internal("repair the recording", &error))?;
        self.room.shelf.forget(session.recording);
        Ok(repaired?)
    }
}

fn parse_id(text: &str) -> Result<Uuid> {
    Uuid::parse_str(text.trim())
        .map_err(|_| Error::new(ErrorKind::Invalid, format!("'{text}' is no id"), ""))
}
