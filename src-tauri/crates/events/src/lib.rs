//! System events: what happened, as durable facts that other parts react to.
//!
//! A [`Bus`] stands over one [`EventLog`]. A [`Publisher`] appends: the event is durable when
//! `publish` returns, and many publishers at once share one commit of the log. A [`Consumer`]
//! hands events to a [`Handler`] at least once, in order, retries with a growing wait, and parks
//! what keeps failing where a person can see it ([`Bus::parked`]). A [`Subscription`] follows live
//! or replays from any position or time. Correlation and causation are carried from a handler to
//! what it publishes ([`EventContext`]); the ids of those events follow from the event handled, so
//! that a handler that runs twice publishes once.
//!
//! # Format
//!
//! An event is JSON of [`SystemEvent`]: `event_type`, `source_service`, `event_id` (UUIDv7),
//! `timestamp` (RFC 3339, UTC, up to nanoseconds), `schema_version`, `data`, `correlation_id`,
//! `causation_id`. The schema of each type's `data` is generated from its Rust type and kept in
//! `assets/schemas/events/<type>.v<version>.json`; a changed schema fails a test until the version
//! is raised or the file is rewritten with `UPDATE_SCHEMAS=1`.

mod bus;
pub mod conformance;
mod consumer;
mod context;
mod event;
mod feed;
mod ids;
pub mod limits;
mod log;
mod memory;
pub mod payloads;
mod time;

pub use bus::{Bus, BusError, Published, Publisher};
pub use consumer::{Consumer, ConsumerError, ConsumerOptions, Handler, HandlerError};
pub use context::EventContext;
pub use event::{EventType, Payload, PayloadError, Position, RecordedEvent, SystemEvent};
pub use feed::{Delivered, From, Subscription};
pub use ids::{Ids, RandomIds, SeededIds};
pub use log::{Committed, EventLog, Filter, LogError, ParkedEvent};
pub use memory::MemoryLog;
pub use time::{Clock, SystemClock, Timestamp, TimestampError};
