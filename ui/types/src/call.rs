//! The shape of a call.

use crate::ApiError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the whole protocol; stands in the path (`/v1/…`) and rises only when an old client
/// could misread a reply.
pub const PROTOCOL_VERSION: u32 = 1;

/// A request that knows its name and its reply.
pub trait Call: Serialize + DeserializeOwned + Send + 'static {
    /// Name, and last part of the path.
    const NAME: &'static str;
    /// What a successful call returns.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
}

/// Declares that `$call` is posted to `$name` and answered by `$reply`.
macro_rules! call {
    ($call:ty, $name:literal, $reply:ty) => {
        impl $crate::Call for $call {
            const NAME: &'static str = $name;
            type Reply = $reply;
        }
    };
}
pub(crate) use call;

/// How far a long call is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done, for people.
    pub what: String,
    /// Done so far, in the unit of `total`.
    pub done: u64,
    /// All there is to do; 0 when unknown.
    pub total: u64,
    /// What has just been found, where the call says so (an [`crate::ImpedanceView`] as JSON).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

/// One line of a reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line<R> {
    /// More lines follow.
    Progress(Progress),
    /// The last line of a call that succeeded.
    Result(R),
    /// The last line of a call that failed.
    Error(ApiError),
}
