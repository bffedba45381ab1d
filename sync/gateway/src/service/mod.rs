//! The gateway as a whole: its parts opened over one data folder, the guard before every route, the
//! listener.

mod account_api;
mod audit;
mod backup;
mod describe;
mod guard;
mod keys;
mod ledger;
mod ledger_api;
mod map;
mod metrics;
mod observe;
mod oidc_api;
mod open;
mod passkey_api;
mod reload;
mod serve;
mod set_up;
mod status_api;
mod storage;
mod trust_api;
mod unread;
mod verify;

pub use audit::{Asked, Audit};
pub(crate) use describe::describe;

pub use backup::{BackupError, backup, restore};
pub use keys::{KEY_NAME, KeyError, MainKey};
pub use open::{Gateway, OpenError};
pub use reload::policies;
pub use serve::{Bound, ServeError, bind};
pub use verify::{AuditFiles, BadBatch, Verification, VerifyError, verify};

/// Every route of the gateway: method, path and the action that its use is.
pub fn routes() -> impl Iterator<Item = crate::access::Route> {
    serve::ROUTES.iter().copied().flatten().copied()
}
