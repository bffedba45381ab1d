//! Recording while the store cannot be opened, or takes nothing: care does not wait for it.
//!
//! Such a session has no workflow, no ledger and no patient. Its recording is an ordinary one; what
//! happens is kept in a log of its own (`without-store/<session>.log`), and all of it is taken in
//! as a session of a temporary patient when the store opens at a later start, or answers again after
//! the session's end.
//!
//! The key: where the station key is certain, recording and log are under it as always. Where it is
//! not (gone, or another than the store's), a key is made for this session and lies beside its log,
//! readable by the engine's user only, until the recording is wrapped to the station key and it is
//! overwritten and removed.

mod log;
mod session;
mod take_in;

pub(crate) use session::Unstored;
pub(crate) use take_in::take_in_all;

use crate::records::SessionRecord;
use clinic::SessionId;
use events::{EventType, Payload, SystemEvent, Timestamp};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Name under which events are published; that of the engine.
const SERVICE: &str = crate::facade::SERVICE;

/// Folder of the logs and keys of sessions that the store does not know.
pub(crate) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("without-store")
}

/// The sessions that were recorded without the store, as long as they are not taken in.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnstoredBoard(Arc<Mutex<HashMap<SessionId, Arc<Unstored>>>>);

impl UnstoredBoard {
    pub(crate) fn enter(&self, unstored: Arc<Unstored>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(unstored.record.id, unstored);
    }

    pub(crate) fn get(&self, session: SessionId) -> Option<Arc<Unstored>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&session)
            .cloned()
    }

    /// It is a session of the store now.
    fn leave(&self, session: SessionId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&session);
    }

    /// All, newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Unstored>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known.values().cloned().collect();
        drop(known);
        all.sort_by_key(|unstored| std::cmp::Reverse(unstored.record.started));
        all
    }

    /// The session of a recording.
    pub(crate) fn of_recording(&self, recording: recording::RecordingId) -> Option<Arc<Unstored>> {
        self.all()
            .into_iter()
            .find(|unstored| unstored.record.recording == recording)
    }
}

/// An event as it will be published once there is a log for it.
pub(crate) fn event<P: Payload>(
    session: &SessionRecord,
    at: Timestamp,
    key: Option<&str>,
    payload: &P,
) -> serde_json::Result<SystemEvent> {
    let correlation = session.id.0;
    Ok(SystemEvent {
        event_type: EventType::from(P::EVENT_TYPE.to_string()),
        source_service: SERVICE.to_owned(),
        event_id: key.map_or_else(Uuid::now_v7, |key| crate::notary::id_of(correlation, key)),
        timestamp: at,
        schema_version: P::SCHEMA_VERSION,
        data: serde_json::to_value(payload)?,
        correlation_id: correlation,
        causation_id: None,
        site: None,
        traceparent: None,
    })
}
