//! Recordings kept open, so that turning a page neither opens nor scans anything anew.

use crate::error::Result;
use crate::limits::{SHELF, SHELF_FRESH};
use recording::{OsStorage, Recording, RecordingId, Unlock};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

/// A recording that is open, shared by all who read it.
#[derive(Debug)]
pub(crate) struct Kept {
    recording: RwLock<Recording>,
    looked: Mutex<Instant>,
}

/// Recordings by identity, the one used last in front.
type Row = VecDeque<(RecordingId, Arc<Kept>)>;

/// See the module. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf {
    kept: Arc<Mutex<Row>>,
}

impl Kept {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Recording> {
        self.recording
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks again at what is being written; unless someone has just done so, where it `grows` on.
    fn refresh(&self, grows: bool) -> Result<()> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if grows && looked.elapsed() < SHELF_FRESH {
            return Ok(());
        }
        let mut recording = (self.recording.write()).unwrap_or_else(PoisonError::into_inner);
        recording.refresh()?;
        *looked = Instant::now();
        Ok(())
    }
}

impl Shelf {
    fn kept(&self) -> MutexGuard<'_, Row> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The recording in `folder`, opened if it is not; looked at again when it may have grown.
    ///
    /// # Errors
    /// No such recording, another key, damage beyond opening.
    pub(crate) fn take(
        &self,
        id: RecordingId,
        folder: &Path,
        unlock: &Unlock,
        grows: bool,
    ) -> Result<Arc<Kept>> {
        let found = {
            let mut kept = self.kept();
            let found = kept.iter().position(|(known, _)| *known == id);
            // Used last, stands first.
            found.and_then(|at| kept.remove(at)).map(|entry| {
                let recording = entry.1.clone();
                kept.push_front(entry);
                recording
            })
        };
        if let Some(found) = found {
            // One that was under way at the last look has ended since, perhaps.
            if grows || found.read().finished().is_none() {
                found.refresh(grows)?;
            }
            return Ok(found);
        }
        let recording = Recording::open(folder, unlock, Arc::new(OsStorage))?;
        let opened = Arc::new(Kept {
            recording: RwLock::new(recording),
            looked: Mutex::new(Instant::now()),
        });
        let mut kept = self.kept();
        kept.push_front((id, opened.clone()));
        kept.truncate(SHELF);
        Ok(opened)
    }

    /// A recording was changed otherwise than by its recorder, or has ended: it is opened anew.
    pub(crate) fn forget(&self, id: RecordingId) {
        self.kept().retain(|(known, _)| *known != id);
    }
}
