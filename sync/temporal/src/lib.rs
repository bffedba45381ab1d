//! The workflow room on a Temporal cluster.
//!
//! [`TemporalWorker`] serves a [`workflow::Registry`], the very one that the embedded engine runs,
//! from a task queue; [`TemporalClient`] starts, signals, queries and awaits workflows with the
//! methods of [`workflow::Engine`].
//!
//! # How workflow code is carried over
//! Workflow code knows only [`workflow::Context`]; this crate is a second [`workflow::backend::Backend`]
//! below it, on the SDK's `WorkflowContext`. Code is not written against `temporalio-workflow`
//! itself, because that crate brings Temporal's protocol (and some 200 crates with it) into every
//! room that holds a workflow, and because its context can run on nothing but a cluster.
//!
//! Both engines share the tree of cancellation scopes, `select!` and `join!`, the error types and
//! the seeds' use. They differ in this: a cluster hands the code all arrivals of one task at once,
//! the embedded engine one by one; numbers of attempts are not told by a cluster in an activity's
//! error (they are 0 there); histories cannot be moved between the two.

mod activities;
mod backend;
mod client;
mod convert;
mod error;
mod limits;
mod worker;
mod workflows;

pub use client::TemporalClient;
pub use error::TemporalError;
pub use worker::{TemporalConfig, TemporalWorker};
