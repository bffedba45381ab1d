//! The engine's one encrypted database.
//!
//! [`keys::unlock`] finds the machine's station key, [`Store::open`] opens the data folder with it.
//! Rows are changed by the statements of [`write`](mod@write), committed in a [`UnitOfWork`] beside
//! the events that tell of them; [`Store::log`] is the event log, the workflow histories and the
//! ledger in the same file.
//!
//! Opening fails quickly and says what to do: another engine owns the folder
//! ([`StoreError::Locked`]), another key ([`StoreError::WrongKey`]), a damaged file
//! ([`StoreError::Corrupt`]), a full disk ([`StoreError::DiskFull`]), a newer program
//! ([`StoreError::Newer`]). None of them may keep anyone from care: the engine records without a
//! store too, and brings it in later.
//!
//! # Format
//!
//! `store.sqlite` is SQLite under SQLCipher 4 (AES-256-CBC and HMAC-SHA512 a page) with a raw
//! 32-byte key derived from the station key; page size, algorithm and salt are SQLCipher's
//! defaults. Schemas stand in `migrations` here and in `logstore`, their versions in
//! `store_migrations` and `log_migrations`; `tests/golden` keeps one database of every released
//! version. `store.key-id` names the key (a fingerprint, HKDF of it), `store.lock` is locked by the
//! owner and names its process. Formats of key files stand in [`keys`]. A backup is such a database
//! in one file.

mod backup;
mod error;
mod files;
pub mod keys;
pub mod limits;
mod lock;
mod people;
mod read;
pub mod rows;
mod store;
mod users;
pub mod write;

pub use error::StoreError;
pub use logstore::{LogStore, LogStoreError, Receipt, Statement, UnitOfWork};
pub use store::{Store, StoreOptions, ledger_origin};
pub use users::{SignIn, insert_first_administrator, insert_user};
