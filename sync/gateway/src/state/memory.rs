//! A state that ends with the process: for tests.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Backend, Change, Decide, StateError};

/// Keeps changes in memory.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    changes: Mutex<Vec<Change>>,
}

#[async_trait]
impl Backend for MemoryBackend {
    async fn changes(&self, index: u64) -> Result<Vec<Change>, StateError> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(changes
            .iter()
            .filter(|change| change.index > index)
            .cloned()
            .collect())
    }

    async fn write(&self, _index: u64, decide: Decide<'_>) -> Result<(), StateError> {
        let writes = decide(Vec::new());
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.extend(writes.changes);
        Ok(())
    }
}
