//! Event log, workflow histories and ledger in one SQL database, committed together.
//!
//! A [`LogStore`] is an [`events::EventLog`] and a [`workflow::HistoryStore`], and keeps the
//! [`ledger`]. A [`UnitOfWork`] puts events, ledger entries, history, outbox items and other rooms'
//! statements into one transaction. One task owns the one writing connection; units that wait for
//! it share a transaction and so one fsync, and are acknowledged after it. Reading goes through a
//! small pool of connections of its own.
//!
//! Every event becomes a ledger entry by the [`LedgerPolicy`] (by default all but
//! `system.health_check`); a transaction that enters anything also appends one
//! `ledger.event_recorded` for all its entries, which is never itself entered.
//!
//! # Format
//!
//! SQLite, write-ahead log, `synchronous=FULL`. The schema stands in `migrations/sqlite`, its
//! version in the table `log_migrations`; migrations only go forward, and a database of a newer
//! program is refused. Events keep their data as JSON text; ledger entries their canonical payload;
//! `ledger_nodes` the roots of perfect Merkle subtrees from level 8 up.
//!
//! # Other databases
//!
//! Statements live in `batch`, `steps`, `event_log`, `history`, `ledger_sqlite` and `writer`; units
//! of work, policy and grouping know no SQL. Another database passes `events::conformance` and
//! `workflow::conformance` as SQLite does in `tests/it`.

mod batch;
mod error;
mod event_log;
mod history;
mod ledger_sqlite;
mod ledger_store;
pub mod limits;
mod log_store;
mod policy;
#[cfg(feature = "postgres")]
pub mod postgres;
mod schema;
mod steps;
mod unit;
mod writer;

pub use error::LogStoreError;
pub use ledger_sqlite::{EntryQuery, LedgerReader};
pub use ledger_store::LedgerStore;
pub use log_store::{LogStore, LogStoreOptions};
pub use policy::{LedgerPolicy, ledger_all};
pub use schema::{connect, run_migrations};
pub use unit::{OutboxItem, Receipt, SqlValue, Statement, UnitOfWork};
