//! Durable workflow engine: history, activities, retries, timers, signals, versioning.
//!
//! A workflow is plain async Rust against [`Context`]. Whatever it learns or asks for is an event
//! of its history; after a crash the engine runs the code over its history again and it stands
//! where it stood. The same code runs on the embedded [`Engine`] and, through the room
//! `sync/temporal`, on a Temporal cluster: [`backend::Backend`] is what differs below it.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use workflow::{
//!     ActivityOptions, Context, Engine, EngineConfig, MemoryStore, Registry, StartOptions,
//!     Workflow, WorkflowError,
//! };
//!
//! struct Recording;
//!
//! impl Workflow for Recording {
//!     const NAME: &'static str = "recording";
//!     type Input = u64;
//!     type Output = String;
//!
//!     async fn run(ctx: Context, session: u64) -> Result<String, WorkflowError> {
//!         let options = ActivityOptions::heartbeat(Duration::from_secs(5));
//!         let mut collecting = ctx.activity_named::<_, String>("collect", session, options);
//!         workflow::select! {
//!             collected = &mut collecting => Ok(collected?),
//!             stop = ctx.wait_signal_named::<()>("stop") => {
//!                 stop?;
//!                 collecting.cancel("stopped");
//!                 Ok("stopped".into())
//!             },
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut registry = Registry::new();
//! registry.workflow::<Recording>();
//! registry.activity_named("collect", |ctx: workflow::ActivityContext, session: u64| async move {
//!     ctx.heartbeat(&session);
//!     Ok(format!("session {session}"))
//! });
//! let engine = Engine::start(EngineConfig::new(Arc::new(MemoryStore::new()), registry))?;
//! engine.resume_all().await?;
//! engine.start_workflow::<Recording>(StartOptions::id("recording-7"), &7).await?;
//! assert_eq!(engine.result::<String>("recording-7").await?, "session 7");
//! # Ok(()) }
//! ```
//!
//! # What must hold
//! - **Turns are atomic.** An arrival, the commands that the code gave on it and the attempts that
//!   begin with it are one append. Nothing is acted on before it is durable.
//! - **One owner.** An append names the length that it expects; an engine that finds another lets go
//!   of the workflow and of its activities.
//! - **Activities run at least once.** An attempt that a crash cuts short is repeated as its retry
//!   policy says, with the details of its last heartbeat. Effects that must happen once are stored
//!   under [`ActivityContext::idempotency_key`], which is the same for all attempts.
//! - **A store that fails delays and never fails a workflow**; its appends are tried again.
//! - **Code that no longer fits its history stops, and loses nothing**: what arrives is kept as
//!   deferred, attempts under way go on, and mended code takes all of it up.
//! - **Time comes from [`WorkflowClock`]**, and a clock set back between two starts does not stretch
//!   what is left of a timer.
//!
//! # What workflow code may not use
//! Code is run again and must do the same. It may use its [`Context`], plain data and pure
//! functions, and this room's [`select!`], [`join!`] and [`join_all`]. It may not use, and a lint
//! keeps it from:
//!
//! | not | but |
//! | --- | --- |
//! | `tokio::time::*`, `std::thread::sleep` | [`Context::timer`] |
//! | `std::time::Instant::now`, `SystemTime::now`, `tokio::time::Instant::now` | [`Context::now`] |
//! | `rand::*`, `getrandom`, `uuid::Uuid::new_v4`, `Uuid::now_v7`, `std::hash::RandomState` | [`Context::random_u64`], [`Context::uuid`] |
//! | `tokio::select!`, `tokio::join!`, `futures_util::select!`, `FuturesUnordered`, `join_all` of others | [`select!`], [`join!`], [`join_all`] |
//! | `tokio::spawn`, `spawn_local`, `spawn_blocking`, `std::thread` | branches of [`join!`], activities, children |
//! | `tokio::sync`, `std::sync::mpsc`, other channels, `Mutex` shared with the outside | signals; `Rc<RefCell<_>>` between branches |
//! | iteration over `HashMap` and `HashSet` | `BTreeMap`, `BTreeSet`, `Vec` |
//! | files, sockets, environment, statics that change | activities |
//!
//! What a lint cannot see the engine finds: a waker that is called from outside, a poll that never
//! ends, a command that differs from the history.
//!
//! Inputs and results are ids rather than payloads and hold no patient identifiers: histories are
//! shown and exported.

pub mod conformance;
pub mod limits;

mod activity;
pub mod backend;
mod clock;
pub mod combine;
mod context;
mod definition;
mod embedded;
mod engine;
mod execution;
mod failure;
mod history;
mod memory;
mod options;
mod pending;
mod random;
mod replayer;
mod scope;
mod state;
mod store;
mod time;

pub use activity::{ActivityContext, ActivityInfo, CancelToken, HeartbeatSink};
pub use backend::WorkflowInfo;
pub use clock::{SimulatedClock, SystemClock, WorkflowClock};
pub use combine::join_all;
pub use context::{
    ActivityFuture, CancelledFuture, ChildFuture, Context, SignalFuture, TimerFuture,
};
pub use definition::{ActivityType, Registry, Signal, Workflow};
pub use engine::{
    ActivityDescription, Description, Engine, EngineConfig, EngineError, Entropy, ResultError,
    StartOptions, Started,
};
pub use execution::ExecutionError;
pub use failure::{ActivityError, Cancelled, ChildError, Failure, TimeoutKind, WorkflowError};
pub use history::{
    EventKind, EventRole, FORMAT_VERSION, HistoryEvent, Parent, WorkflowStatus, WorkflowSummary,
};
pub use memory::MemoryStore;
pub use options::{
    ActivityOptions, CancellationType, ChildOptions, ParentClosePolicy, RetryPolicy,
};
pub use random::SeededRandom;
pub use replayer::{KeptHistory, Replayed, Replayer};
pub use scope::{Cancel, CancelScope, Operation};
pub use store::{Heartbeat, HistoryStore, ListFilter, StoreError, check_append};
pub use time::Timestamp;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    #[tokio::test]
    async fn the_memory_store_conforms() {
        crate::conformance::history_store(Arc::new(crate::MemoryStore::new())).await;
    }
}
