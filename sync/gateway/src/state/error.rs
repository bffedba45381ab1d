//! What can go wrong with the state.

use std::sync::Arc;

/// Why the state was not read or changed. Clones share the cause: one transaction answers many callers.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The gateway is closing.
    #[error("the gateway's state is closed")]
    Closed,
    /// What the commit requires does not hold; nothing of it was written.
    #[error("{space}/{key} is not as the change requires")]
    Conflict {
        /// The key's space.
        space: &'static str,
        /// The key.
        key: String,
    },
    /// The commit breaks a limit; nothing was written.
    #[error("the change is refused: {0}")]
    Refused(String),
    /// The storage failed; nothing was written.
    #[error("{operation}: the gateway's storage failed")]
    Storage {
        /// What was tried.
        operation: &'static str,
        /// The storage's own error.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl StateError {
    /// Wraps a storage's error.
    pub fn storage(
        operation: &'static str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let source = Arc::new(source);
        Self::Storage { operation, source }
    }
}
