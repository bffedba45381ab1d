//! What can go wrong between us and a cluster.

type Source = Box<dyn std::error::Error + Send + Sync>;

/// An operation on a Temporal cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum TemporalError {
    /// The cluster could not be reached, or the worker not be set up.
    #[error("{operation} failed")]
    Cluster {
        /// What was attempted.
        operation: &'static str,
        /// The cause.
        #[source]
        source: Source,
    },
    /// A value could not be converted.
    #[error("{what} cannot be converted: {message}")]
    Convert {
        /// Which value.
        what: &'static str,
        /// Why.
        message: String,
    },
    /// The workflow's code returned an error.
    #[error("workflow failed")]
    Failed(#[source] workflow::Failure),
    /// The workflow gave way to a cancellation.
    #[error("workflow was cancelled")]
    Cancelled,
    /// The workflow was ended from outside.
    #[error("workflow was terminated")]
    Terminated,
}

impl TemporalError {
    pub(crate) fn cluster(operation: &'static str) -> impl FnOnce(Source) -> Self {
        move |source| Self::Cluster { operation, source }
    }
}
