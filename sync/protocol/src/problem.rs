//! Errors as they cross the wire: RFC 9457 problem details.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Media type of a [`Problem`] (RFC 9457, section 3).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// Why a request failed: a code that programs act on and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Short fixed name of the problem, `area.what`: what programs compare.
    pub code: String,
    /// What happened and what to do, for people. Holds no identifier of a patient.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Id of the request, as in the `x-request-id` header and the gateway's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem of this status and code.
    pub fn new(status: u16, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            detail: detail.into(),
            request_id: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.detail)
    }
}

impl std::error::Error for Problem {}
