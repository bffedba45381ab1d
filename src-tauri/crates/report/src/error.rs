//! Why a report could not be made.

use thiserror::Error;

/// Why a report could not be made.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The bundled font cannot be read: the program is damaged.
    #[error("report: the bundled font cannot be read")]
    Font,
    /// The PDF writer refused the document.
    #[error("report: the PDF cannot be written: {0}")]
    Pdf(String),
    /// The recording could not be read.
    #[error("report: {operation}")]
    Recording {
        /// What was tried.
        operation: &'static str,
        /// The reader's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The analysis failed.
    #[error("report: {operation}")]
    Analysis {
        /// What was tried.
        operation: &'static str,
        /// The analysis' error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
